"""PHP, as its command line runs it: what stands before `<?php` is output."""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

HELLO = """\
<?php
echo "Hello from PHP ", PHP_VERSION, "\\n";
"""
LOOP = """\
<?php
foreach (range(1, 5) as $number) {
    printf("%d squared is %d\\n", $number, $number ** 2);
}
"""
NETWORK = """\
<?php
echo file_get_contents("http://example.com/");
"""

PAGE = Page(
    grammar="php",
    tab_size=4,
    comment="//",
    # What was called comes first, and is named again below the message.
    errors=Errors(place=r"/app/user_code\.php(?: on line |:|\()(\d+)", failed="first"),
    welcome='<?php\n$name = "world";\necho "Hello, $name!\\n";\n',
    examples=(
        Example("php-hello", "PHP hello", HELLO),
        Example("php-loop", "PHP loop", LOOP),
        Example("php-network", "PHP network", NETWORK),
    ),
)

LANGUAGE = Language(
    name="php",
    title="PHP",
    aliases=(),
    file_name="user_code.php",
    extensions=(".php",),
    entry_names=("main.php", "index.php"),
    interpreter="php",
    # Errors once, on stderr, as the other languages have them. Debian's settings hide them.
    options=("-d", "display_errors=stderr", "-d", "log_errors=0", "-d", "html_errors=0"),
    pool=0,
    pack="scripts",
    group="scripts",
    proof="<?php echo 6 * 7, PHP_EOL;",
    page=PAGE,
)

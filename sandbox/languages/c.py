"""C, as GCC compiles it."""

from __future__ import annotations

from sandbox.languages.language import MADE, PATH_TO_MADE, Compiler, Errors, Example, Language, Page

FLAGS = ("-O1", "-pipe", "-pthread", "-I/app")

HELLO = """\
#include <stdio.h>

int main(void) {
    printf("Hello from C, standard %ld\\n", __STDC_VERSION__);
}
"""
LOOP = """\
#include <stdio.h>

int main(void) {
    for (int number = 1; number <= 5; number++)
        printf("%d squared is %d\\n", number, number * number);
}
"""
WELCOME = """\
#include <stdio.h>

int main(void) {
    const char *name = "world";
    printf("Hello, %s!\\n", name);
}
"""
CRASH = """\
#include <stdio.h>

int main(void) {
    int *nowhere = NULL;
    puts("before");
    *nowhere = 42;
}
"""

PAGE = Page(
    grammar="c",
    tab_size=4,
    comment="//",
    # The compiler's; the first error is the one to mend.
    errors=Errors(place=r"/app/user_code\.c:(\d+)(?::\d+)?", failed="first"),
    welcome=WELCOME,
    examples=(
        Example("c-hello", "C hello", HELLO),
        Example("c-loop", "C loop", LOOP),
        Example("c-crash", "C crash", CRASH),
    ),
)

LANGUAGE = Language(
    name="c",
    title="C",
    aliases=(),
    file_name="user_code.c",
    extensions=(".c",),
    entry_names=("main.c",),
    interpreter="gcc",
    compiler=Compiler(("gcc", "-std=gnu17", *FLAGS, "-Wl,--no-as-needed", "-lm", "-o", MADE)),
    environment=(PATH_TO_MADE,),
    pool=0,
    pack="native",
    group="native",
    proof='#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); }\n',
    page=PAGE,
)

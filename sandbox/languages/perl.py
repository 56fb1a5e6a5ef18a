"""Perl."""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

HELLO = """\
print "Hello from Perl $^V\\n";
"""
LOOP = """\
use strict;
use warnings;

for my $number (1 .. 5) {
    print "$number squared is ", $number**2, "\\n";
}
"""
NETWORK = """\
use IO::Socket::INET;

my $socket = IO::Socket::INET->new("example.com:80") or die "No way out: $@";
"""

PAGE = Page(
    grammar="perl",
    tab_size=4,
    comment="#",
    # A program goes on after a warning, so what ended it comes last.
    errors=Errors(place=r"/app/user_code\.pl line (\d+)", failed="last"),
    welcome='my $name = "world";\nprint "Hello, $name!\\n";\n',
    examples=(
        Example("perl-hello", "Perl hello", HELLO),
        Example("perl-loop", "Perl loop", LOOP),
        Example("perl-network", "Perl network", NETWORK),
    ),
)

LANGUAGE = Language(
    name="perl",
    title="Perl",
    aliases=("pl",),
    file_name="user_code.pl",
    extensions=(".pl",),
    entry_names=("main.pl",),
    interpreter="perl",
    pool=0,
    pack="scripts",
    group="scripts",
    proof='print 6 * 7, "\\n";',
    page=PAGE,
)

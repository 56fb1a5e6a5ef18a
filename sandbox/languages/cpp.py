"""C++, as GCC compiles it."""

from __future__ import annotations

from sandbox.languages.language import MADE, PATH_TO_MADE, Compiler, Errors, Example, Language, Page

HELLO = """\
#include <iostream>

int main() {
    std::cout << "Hello from C++, standard " << __cplusplus << "\\n";
}
"""
LOOP = """\
#include <iostream>
#include <vector>

int main() {
    for (int number : std::vector{1, 2, 3, 4, 5})
        std::cout << number << " squared is " << number * number << "\\n";
}
"""
ERROR = """\
#include <stdexcept>

int main() {
    throw std::runtime_error("nobody catches this");
}
"""

PAGE = Page(
    grammar="cpp",
    tab_size=4,
    comment="//",
    errors=Errors(place=r"/app/user_code\.cpp:(\d+)(?::\d+)?", failed="first"),
    welcome='#include <iostream>\n\nint main() {\n    std::cout << "Hello, world!\\n";\n}\n',
    examples=(
        Example("cpp-hello", "C++ hello", HELLO),
        Example("cpp-loop", "C++ loop", LOOP),
        Example("cpp-error", "C++ error", ERROR),
    ),
)

LANGUAGE = Language(
    name="cpp",
    title="C++",
    aliases=("c++", "cxx"),
    file_name="user_code.cpp",
    extensions=(".cpp", ".cc", ".cxx"),
    entry_names=("main.cpp", "main.cc"),
    interpreter="g++",
    compiler=Compiler(("g++", "-std=gnu++20", "-O1", "-pipe", "-pthread", "-I/app", "-o", MADE)),
    environment=(PATH_TO_MADE,),
    # Of which a compiler takes the most: <regex> and <ranges> do not fit into 128.
    memory_mb=256,
    pool=0,
    pack="native",
    group="native",
    proof="#include <iostream>\nint main() { std::cout << 6 * 7 << std::endl; }\n",
    page=PAGE,
)

"""Go, with its standard library."""

from __future__ import annotations

from sandbox.languages.language import MADE, PATH_TO_MADE, Compiler, Errors, Example, Language, Page

HELLO = """\
package main

import (
	"fmt"
	"runtime"
)

func main() {
	fmt.Println("Hello from", runtime.Version())
}
"""
LOOP = """\
package main

import "fmt"

func main() {
	for number := 1; number <= 5; number++ {
		fmt.Println(number, "squared is", number*number)
	}
}
"""
WELCOME = """\
package main

import "fmt"

func main() {
	name := "world"
	fmt.Printf("Hello, %s!\\n", name)
}
"""
CHANNELS = """\
package main

import "fmt"

func main() {
	squares := make(chan int)
	for number := 1; number <= 5; number++ {
		go func(number int) { squares <- number * number }(number)
	}
	sum := 0
	for range [5]int{} {
		sum += <-squares
	}
	fmt.Println("The sum is", sum)
}
"""

PAGE = Page(
    grammar="go",
    tab_size=4,
    comment="//",
    # The compiler's, from the entry's folder on, or that of a panic.
    errors=Errors(place=r"(?:/app/|\./|^)user_code\.go:(\d+)(?::\d+)?", failed="first"),
    welcome=WELCOME,
    examples=(
        Example("go-hello", "Go hello", HELLO),
        Example("go-loop", "Go loop", LOOP),
        Example("go-channels", "Go channels", CHANNELS),
    ),
)

LANGUAGE = Language(
    name="go",
    title="Go",
    aliases=("golang",),
    file_name="user_code.go",
    extensions=(".go",),
    entry_names=("main.go",),
    interpreter="go",
    version_command=("go", "version"),
    compiler=Compiler(("go-program", MADE), finds_others=True),
    environment=(PATH_TO_MADE,),
    # Of which the linker takes the most.
    memory_mb=256,
    pool=0,
    pack="go",
    group="native",
    proof='package main\n\nimport "fmt"\n\nfunc main() { fmt.Println(6 * 7) }\n',
    page=PAGE,
)

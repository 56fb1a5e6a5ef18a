"""Rust, with its standard library."""

from __future__ import annotations

from sandbox.languages.language import MADE, PATH_TO_MADE, Compiler, Errors, Example, Language, Page

FLAGS = (
    "--edition=2021",
    "--crate-name=program",
    # Whatever the source calls itself: a library could not be started.
    "--crate-type=bin",
    "-Copt-level=1",
    # Without them numbers would overflow unnoticed, as nobody is used to who learns with `cargo run`.
    "-Cdebug-assertions=on",
    # Each unit of code generation is a thread, with memory of its own.
    "-Ccodegen-units=1",
    # Symbols would be most of the program.
    "-Cstrip=debuginfo",
)

HELLO = """\
fn main() {
    let name = "Rust";
    println!("Hello from {name}");
}
"""
LOOP = """\
fn main() {
    for number in 1..=5 {
        println!("{number} squared is {}", number * number);
    }
}
"""
PANIC = """\
fn main() {
    let numbers = vec![1, 2, 3];
    let index = numbers.len();
    println!("before");
    println!("{}", numbers[index]);
}
"""

PAGE = Page(
    grammar="rust",
    tab_size=4,
    comment="//",
    # The compiler's, or that of a panic.
    errors=Errors(place=r"/app/user_code\.rs:(\d+)(?::\d+)?", failed="first"),
    welcome='fn main() {\n    let name = "world";\n    println!("Hello, {name}!");\n}\n',
    examples=(
        Example("rust-hello", "Rust hello", HELLO),
        Example("rust-loop", "Rust loop", LOOP),
        Example("rust-panic", "Rust panic", PANIC),
    ),
)

LANGUAGE = Language(
    name="rust",
    title="Rust",
    aliases=("rs",),
    file_name="user_code.rs",
    extensions=(".rs",),
    entry_names=("main.rs", "src/main.rs"),
    interpreter="rustc",
    compiler=Compiler(("rustc", *FLAGS, "-o", MADE), finds_others=True),
    environment=(PATH_TO_MADE,),
    # Of which the compiler takes the most.
    memory_mb=256,
    pool=0,
    pack="rust",
    group="native",
    proof='fn main() { println!("{}", 6 * 7); }\n',
    page=PAGE,
)

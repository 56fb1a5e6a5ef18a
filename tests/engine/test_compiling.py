"""Languages that are compiled, on the real engine: a step of its own, and nothing that a program writes is executed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from executor import Executor
from sandbox.intake.archive import check_archive
from sandbox.languages import LANGUAGES
from sandbox.languages.language import Compiler
from sandbox.models import Caller, RunRequest, Status
from sandbox.settings import Settings
from tests.conftest import Run
from tests.zips import zip_of

ADA = Caller(owner="key:ada")
HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); }\n'
WARNS = '#include <stdio.h>\n#warning careful\nint main(void) { puts("ran"); }\n'

TRY_TO_EXECUTE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static void said(const char *what, int problem) { printf("%s: %s\n", what, problem ? strerror(problem) : "done"); }
static int copy(const char *to) {
    char part[4096];
    int from = open("/proc/self/exe", O_RDONLY), into = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (into < 0) return errno;
    for (ssize_t n; (n = read(from, part, sizeof part)) > 0;) if (write(into, part, n) != n) return errno;
    return close(into) ? errno : 0;
}
int main(void) {
    said("overwrite itself", copy("/exe/program"));
    said("another beside it", copy("/exe/other"));
    said("remove itself", unlink("/exe/program") ? errno : 0);
    said("copy", copy("/dev/shm/copy"));
    char *words[] = {"copy", NULL};
    execv("/dev/shm/copy", words);
    said("execute the copy", errno);
    int copied = open("/dev/shm/copy", O_RDONLY);
    said("map the copy", mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, copied, 0) == MAP_FAILED ? errno : 0);
    execv("/app/user_code.c", words);
    said("execute the source", errno);
}
"""


def test_what_the_compiler_says_comes_apart(run: Run) -> None:
    result = run(WARNS, "c")
    assert (result.output, result.error, result.status) == ("ran\n", "", Status.OK)
    assert result.compile and (result.compile.exit_code, result.compile.output) == (0, "")
    assert "/app/user_code.c:2:2: warning: #warning careful" in result.compile.error
    assert result.compile.duration_ms > 0
    assert run("print(1)").compile is None


def test_the_time_of_the_compiler_is_not_the_programs_but_its_cpu_time_counts(run: Run) -> None:
    result = run(HELLO, "c")
    assert result.compile and result.cpu_ms is not None
    assert result.duration_ms < result.compile.duration_ms
    assert result.cpu_ms > result.duration_ms


def test_a_project_is_compiled_from_all_of_its_sources(executor: Executor) -> None:
    files = {
        "main.c": '#include "deep/part.h"\n#include <stdio.h>\nint main(void) { printf("%d\\n", part()); }\n',
        "deep/part.h": "int part(void);\n",
        "deep/part.c": '#include "part.h"\nint part(void) { return 42; }\n',
    }
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("c", archive=archive, entry="main.c"))
    assert (result.output, result.status) == ("42\n", Status.OK), result.compile


def test_a_project_of_modules_is_made_of_what_its_entry_imports(executor: Executor) -> None:
    files = {
        "tool/main.ts": 'import { part } from "./deep/part";\nimport data from "./data.json";\n'
        'import { readFileSync } from "node:fs";\nconsole.log(part(data.six), __dirname, process.cwd());\n'
        'console.log(JSON.parse(readFileSync("data.json", "utf8")).six);\npart("why");\n',
        "tool/deep/part.ts": "type Nothing = never;\n\nexport function part(six: number | string): number {\n"
        '  if (typeof six === "string") throw new Error(six);\n  return six * 7;\n}\n',
        "tool/data.json": '{"six": 6}\n',
        "tool/unused.ts": "this is no program\n",
    }
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("typescript", archive=archive, entry="tool/main.ts"))
    assert result.output == "42 /app/tool /app/tool\n6\n", result
    assert "/app/tool/deep/part.ts:4" in result.error and "/app/tool/main.ts:6" in result.error


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        (
            {
                "go.mod": "module example.com/tool\n",
                "main.go": 'package main\n\nimport "example.com/tool/deep"\n\nfunc main() { println(deep.Part) }\n',
                "deep/part.go": "package deep\n\nconst Part = 42\n",
            },
            "main.go",
        ),
        (
            {
                "main.go": "package main\n\nfunc main() { println(part) }\n",
                "part.go": "package main\n\nconst part = 42\n",
                "part_test.go": "package main\n\nthis is no program\n",
            },
            "main.go",
        ),
    ],
    ids=["a module", "files"],
)
def test_a_project_is_made_of_a_module_or_of_the_files_beside_its_entry(
    executor: Executor, files: dict[str, str], entry: str
) -> None:
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("go", archive=archive, entry=entry))
    assert (result.error, result.status) == ("42\n", Status.OK), result.compile


def test_a_project_is_made_of_the_modules_that_its_entry_names(executor: Executor) -> None:
    files = {
        "src/main.rs": 'mod deep;\nmod part;\nfn main() { println!("{}", part::six() * deep::seven()); why() }\n'
        'fn why() { deep::fail("why") }\n',
        "src/part.rs": "pub fn six() -> i32 { 6 }\n",
        "src/deep/mod.rs": 'pub fn seven() -> i32 { 7 }\n\npub fn fail(why: &str) { panic!("{why}") }\n',
        "src/unused.rs": "this is no program\n",
    }
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("rust", archive=archive, entry="src/main.rs"))
    assert (result.output, result.exit_code) == ("42\n", 101), result.compile
    assert "/app/src/deep/mod.rs:3:" in result.error


def test_what_calls_itself_a_library_does_not_compile_as_a_program(run: Run) -> None:
    result = run('#![crate_type="rlib"]\npub fn part() {}\n', "rust")
    assert result.status is Status.COMPILE_ERROR and result.compile
    assert "main" in result.compile.error


def test_a_package_that_is_no_program_does_not_compile_as_one(run: Run) -> None:
    result = run("package lib\n\nfunc Main() {}\n", "go")
    assert result.status is Status.COMPILE_ERROR and result.compile
    assert result.compile.error == "user_code.go: not in package main, so there is nothing to start\n"


def test_a_project_does_not_configure_the_compiler(executor: Executor) -> None:
    files = {"main.go": "package main\n\nfunc main() { println(42) }\n", ".config/go/env": "GOFLAGS=-n\n"}
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("go", archive=archive, entry="main.go"))
    assert (result.error, result.status) == ("42\n", Status.OK), result.compile


def test_an_entry_in_typescript_may_have_any_name(executor: Executor) -> None:
    files = {"x/a=b.ts": "console.log(42)\n", "b.ts": "console.log('another')\n"}
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("typescript", archive=archive, entry="x/a=b.ts"))
    assert (result.output, result.status) == ("42\n", Status.OK), result.compile


def test_a_number_that_overflows_is_a_panic_in_rust(run: Run) -> None:
    result = run(
        'fn main() {\n    let n: u8 = std::env::args().count() as u8;\n    println!("{}", n + 255);\n}\n', "rust"
    )
    assert (result.output, result.exit_code) == ("", 101)
    assert "/app/user_code.rs:3:20" in result.error and "overflow" in result.error


def test_a_project_starts_where_its_entry_has_a_main(executor: Executor) -> None:
    files = {
        "tool/deep/Main.java": "package tool.deep;\nimport tool.Part;\nclass Before {}\n"
        "public class Main { public static void main(String[] args) throws Exception {\n"
        "System.out.println(Part.six() * 7 + new String(Main.class.getResourceAsStream(args[0]).readAllBytes()));\n"
        'Part.fail("why"); } }\n',
        "tool/Part.java": "package tool;\npublic class Part {\npublic static int six() { return 6; }\n"
        "public static void fail(String why) { throw new IllegalStateException(why); }\n"
        "public static void main(String[] args) {} }\n",
        "tool/a ü.txt": " as the file says",
    }
    archive = check_archive(zip_of(files), executor.settings)
    result = executor.run(RunRequest("java", archive=archive, entry="tool/deep/Main.java", args=("/tool/a ü.txt",)))
    assert (result.output, result.exit_code) == ("42 as the file says\n", 1), result
    assert "(Part.java:4)" in result.error and "(Main.java:6)" in result.error


def test_a_program_in_java_without_a_class_does_not_compile(run: Run) -> None:
    result = run("import java.util.List;\n", "java")
    assert (result.status, result.error) == (Status.COMPILE_ERROR, "")
    assert result.compile and result.compile.error == "/app/user_code.java:1: error: there is no class to start with\n"


def test_more_objects_than_fit_are_an_exception_in_java(run: Run) -> None:
    code = "class Main { public static void main(String[] args) {\nvar all = new java.util.ArrayList<byte[]>();\n"
    result = run(code + "for (;;) all.add(new byte[10_000_000]); } }\n", "java")
    assert (result.status, result.exit_code) == (Status.ERROR, 1)
    assert "java.lang.OutOfMemoryError: Java heap space" in result.error and "(user_code.java:3)" in result.error


def test_a_picture_is_drawn_in_java(run: Run) -> None:
    code = """\
import java.awt.Color; import java.awt.image.BufferedImage; import java.io.File; import javax.imageio.ImageIO;
class Main { public static void main(String[] args) throws Exception {
    var image = new BufferedImage(40, 30, BufferedImage.TYPE_INT_RGB); var pen = image.createGraphics();
    pen.setColor(Color.RED); pen.fillOval(5, 5, 20, 20); pen.dispose();
    System.out.println(ImageIO.write(image, "png", new File("picture.png")));
} }
"""
    result = run(code, "java", artifacts=("*.png",))
    assert (result.output, result.error) == ("true\n", "")
    assert [artifact.path for artifact in result.artifacts] == ["picture.png"]


def test_the_next_program_of_an_owner_is_compiled_in_the_same_container(executor: Executor) -> None:
    codes = [HELLO, HELLO.replace("hello", "again"), "int main(void) { return why; }", HELLO]
    results = [executor.run(RunRequest("c", code, caller=ADA)) for code in codes]
    assert [result.runs_before for result in results] == [0, 1, 2, 3]
    assert [result.output for result in results] == ["hello\n", "again\n", "", "hello\n"]


def test_nothing_that_a_program_can_write_can_be_executed(run: Run) -> None:
    assert run(TRY_TO_EXECUTE, "c").output.splitlines() == [
        "overwrite itself: Permission denied",
        "another beside it: Permission denied",
        "remove itself: Permission denied",
        "copy: done",
        "execute the copy: Permission denied",
        "map the copy: Operation not permitted",
        "execute the source: Permission denied",
    ]


def test_only_containers_of_compiled_languages_have_a_place_to_execute_from(run: Run) -> None:
    assert run("import os; print(os.path.exists('/exe'))").output == "False\n"
    assert run("echo /ex*", "bash").output == "/ex*\n"


def test_a_compiler_that_takes_too_much_memory_is_no_error_of_the_program(run: Run) -> None:
    result = run('#include "/dev/zero"\n', "c")
    assert (result.status, result.output) == (Status.MEMORY, ""), result
    assert result.error.endswith(("Compiling took too much memory.", "(likely out of memory > 128m)."))


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """C with a compiler that never ends."""
    compiler = Compiler(("sh", "-c", "echo begun; sleep 60"), timeout_seconds=0.7)
    monkeypatch.setitem(LANGUAGES, "c", replace(LANGUAGES["c"], compiler=compiler))


def test_a_compiler_has_a_time_limit_of_its_own(real_engine: None, settings: Settings, slow: None) -> None:
    with Executor(settings) as executor:
        result = executor.run(RunRequest("c", HELLO))
    assert (result.status, result.output, result.error) == (Status.TIMEOUT, "", "Compiling took too long.")
    assert result.compile and (result.compile.output, result.compile.exit_code) == ("begun\n", -1)


@pytest.mark.parametrize(
    "made",
    ["true", "mkfifo /dev/shm/program", "ln -s /etc/passwd /dev/shm/program", "mkdir /dev/shm/program"],
)
def test_what_is_no_program_is_not_executed(
    real_engine: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    monkeypatch.setitem(LANGUAGES, "c", replace(LANGUAGES["c"], compiler=Compiler(("sh", "-c", made))))
    with Executor(settings) as executor:
        result = executor.run(RunRequest("c", HELLO))
    assert (result.status, result.output) == (Status.ERROR, "")

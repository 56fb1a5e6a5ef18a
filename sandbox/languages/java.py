"""Java. A program starts at the first class of its entry that has a `main`, whatever the file is called."""

from __future__ import annotations

from sandbox.languages.language import INSTALLED, MADE, Compiler, Errors, Example, Language, Page

HELLO = """\
public class Main {
    public static void main(String[] args) {
        System.out.println("Hello from Java " + Runtime.version().feature());
    }
}
"""
LOOP = """\
import java.util.stream.IntStream;

public class Main {
    public static void main(String[] args) {
        IntStream.rangeClosed(1, 5).forEach(number ->
            System.out.println(number + " squared is " + number * number));
    }
}
"""
WELCOME = """\
public class Main {
    public static void main(String[] args) {
        System.out.println("Hello, world!");
    }
}
"""
ERROR = """\
import java.util.List;

public class Main {
    record Account(String owner, int balance) {}

    public static void main(String[] args) {
        for (var account : List.of(new Account("Ada", 10), new Account("Grace", 0)))
            System.out.println(account.owner() + " can pay " + 100 / account.balance());
    }
}
"""

PAGE = Page(
    grammar="java",
    tab_size=4,
    comment="//",
    # The compiler's, or that of an exception, where the innermost call comes first.
    errors=Errors(place=r"(?:/app/|\()user_code\.java:(\d+)", failed="first"),
    welcome=WELCOME,
    examples=(
        Example("java-hello", "Java hello", HELLO),
        Example("java-loop", "Java loop", LOOP),
        Example("java-error", "Java error", ERROR),
    ),
)

LANGUAGE = Language(
    name="java",
    title="Java",
    aliases=("openjdk",),
    file_name="user_code.java",
    extensions=(".java",),
    entry_names=("Main.java", "src/Main.java"),
    interpreter="java",
    compiler=Compiler(("java-program", MADE), runner=("java", "-jar", INSTALLED)),
    # Half of it is for objects.
    memory_mb=256,
    pool=0,
    pack="jvm",
    group="jvm",
    proof="class Main { public static void main(String[] args) { System.out.println(6 * 7); } }\n",
    page=PAGE,
)

"""TypeScript: esbuild takes the types away, unread, and makes one module of all files; Node.js runs that."""

from __future__ import annotations

from dataclasses import replace

from sandbox.languages.language import INSTALLED, MADE, Compiler, Example, Language, Page
from sandbox.languages.node import DETECT, ERRORS

HELLO = """\
const version: string = process.version;
console.log("Hello from TypeScript on Node.js", version);
"""
LOOP = """\
type Square = { number: number; squared: number };

const squares: Square[] = [1, 2, 3, 4, 5].map((number) => ({ number, squared: number * number }));
for (const { number, squared } of squares) console.log(`${number} squared is ${squared}`);
"""
ERROR = """\
interface Account {
  owner: string;
  balance: number;
}

function withdraw(account: Account, amount: number): number {
  if (amount > account.balance) throw new RangeError(`${account.owner} has only ${account.balance}`);
  return (account.balance -= amount);
}

console.log(withdraw({ owner: "Ada", balance: 10 }, 20));
"""

PAGE = Page(
    grammar="typescript",
    tab_size=2,
    comment="//",
    # The program's, by its source map, or the compiler's, which begins a line with it.
    errors=replace(ERRORS, place=r"(?:/app/|(?<=^ {4}))user_code\.ts:(\d+)(?::\d+)?"),
    welcome='const name: string = "world";\nconsole.log(`Hello, ${name}!`);\n',
    examples=(
        Example("typescript-hello", "TypeScript hello", HELLO),
        Example("typescript-loop", "TypeScript loop", LOOP),
        Example("typescript-error", "TypeScript error", ERROR),
    ),
)

LANGUAGE = Language(
    name="typescript",
    title="TypeScript",
    aliases=("ts",),
    file_name="user_code.ts",
    extensions=(".ts", ".mts", ".cts"),
    entry_names=("index.ts", "main.ts"),
    interpreter="esbuild",
    compiler=Compiler(
        ("typescript", MADE),
        finds_others=True,
        # Errors name the lines of the source.
        runner=("node", "--enable-source-maps", *DETECT, INSTALLED),
    ),
    pool=0,
    pack="scripts",
    group="node",
    proof="const six: number = 6;\nconsole.log(six * 7);\n",
    page=PAGE,
)

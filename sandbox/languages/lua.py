"""Lua."""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

HELLO = """\
print("Hello from " .. _VERSION)
"""
LOOP = """\
for number = 1, 5 do
  print(number .. " squared is " .. number * number)
end
"""
WRITE = """\
assert(io.open("/tmp/test.txt", "w")):write("hello")
"""

PAGE = Page(
    grammar="lua",
    tab_size=2,
    comment="--",
    # The message has the place, the calls below it begin with the innermost.
    errors=Errors(place=r"/app/user_code\.lua:(\d+)", failed="first"),
    welcome='local name = "world"\nprint("Hello, " .. name .. "!")\n',
    examples=(
        Example("lua-hello", "Lua hello", HELLO),
        Example("lua-loop", "Lua loop", LOOP),
        Example("lua-write", "Lua write", WRITE),
    ),
)

LANGUAGE = Language(
    name="lua",
    title="Lua",
    aliases=(),
    file_name="user_code.lua",
    extensions=(".lua",),
    entry_names=("main.lua",),
    interpreter="lua",
    version_command=("lua", "-v"),
    pool=0,
    pack="scripts",
    group="scripts",
    proof="print(6 * 7)",
    page=PAGE,
)

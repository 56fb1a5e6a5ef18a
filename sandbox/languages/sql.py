"""SQL: statements and dot-commands of sqlite3, on a database that begins empty and ends with the run."""

from __future__ import annotations

from sandbox.languages.language import Errors, Example, Language, Page

TABLE = """\
CREATE TABLE planets (name TEXT, moons INTEGER);
INSERT INTO planets VALUES ('Earth', 1), ('Mars', 2), ('Jupiter', 95);

SELECT name, moons FROM planets ORDER BY moons DESC;
"""
JOIN = """\
WITH
  pupils (id, name) AS (VALUES (1, 'Ada'), (2, 'Grace')),
  marks (pupil, mark) AS (VALUES (1, 15), (1, 12), (2, 14))
SELECT name, count(*) AS marks, avg(mark) AS average
FROM pupils JOIN marks ON pupil = id
GROUP BY id;
"""
NUMBERS = """\
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5)
SELECT n, n * n AS squared FROM numbers;
"""

PAGE = Page(
    grammar="sql",
    tab_size=2,
    comment="--",
    # The first error is the end.
    errors=Errors(place=r"(?:Parse|Runtime) error near line (\d+)", failed="last"),
    welcome="SELECT 'Hello, world!' AS greeting;\n",
    examples=(
        Example("sql-table", "SQL table", TABLE),
        Example("sql-join", "SQL join", JOIN),
        Example("sql-numbers", "SQL numbers", NUMBERS),
    ),
)

LANGUAGE = Language(
    name="sql",
    title="SQL",
    aliases=("sqlite", "sqlite3"),
    file_name="user_code.sql",
    extensions=(".sql",),
    entry_names=("main.sql", "schema.sql"),
    interpreter="sql",
    version_command=("sqlite3", "--version"),
    pool=0,
    pack="scripts",
    group="scripts",
    proof=".mode list\n.headers off\nSELECT 6 * 7;",
    page=PAGE,
)

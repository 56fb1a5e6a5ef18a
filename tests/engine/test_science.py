"""Python with the pack `science`, on the real engine."""

from __future__ import annotations

import base64
import struct

import pytest

from executor import Executor
from sandbox.models import Caller, InlineArtifact, RunRequest, Status
from tests.conftest import Run

SHOW = """
import matplotlib.pyplot as plt
plt.plot(range(10)); plt.figure(); plt.plot([1, 2])
plt.show()
plt.plot([3]); plt.show(); plt.show()
from PIL import Image
Image.new("RGB", (10, 10)).show()
open("data.csv", "w").write("1,2")
"""


def test_a_program_that_imports_numpy_gets_it_by_itself(run: Run) -> None:
    result = run("import numpy as np\nprint(np.arange(6).reshape(2, 3).sum(axis=0), np.linalg.det(np.eye(300)))")
    assert (result.output, result.error, result.status) == ("[3 5 7] 1.0\n", "", Status.OK)


def test_pandas_reads_groups_and_prints(run: Run) -> None:
    code = (
        "import io, pandas as pd\n"
        "table = pd.read_csv(io.StringIO('name,mark\\nAda,1\\nGrace,2\\nAda,3'))\n"
        "print(table.groupby('name').mark.mean().to_dict(), pd.Timestamp('2026-01-31', tz='Europe/Berlin').dst())"
    )
    assert run(code).output == "{'Ada': 2.0, 'Grace': 2.0} 0:00:00\n"


@pytest.mark.parametrize(("asked", "more"), [((), []), (("*.csv",), ["data.csv"])])
def test_what_is_shown_comes_back_figure_by_figure_in_order(run: Run, asked: tuple[str, ...], more: list[str]) -> None:
    result = run(SHOW, artifacts=asked)
    assert (result.output, result.error, result.status) == ("", "", Status.OK)
    assert [each.path for each in result.artifacts] == [*more, *(f"figure-{number}.png" for number in (1, 2, 3, 4))]
    first = result.artifacts[len(more)]
    assert isinstance(first, InlineArtifact)
    picture = base64.b64decode(first.base64)
    assert (first.media_type, struct.unpack(">II", picture[16:24])) == ("image/png", (640, 480))


def test_everything_else_keeps_the_small_image(run: Run) -> None:
    look = "import os, importlib.util as of\nprint(of.find_spec('num' + 'py') is not None, 'MPLBACKEND' in os.environ)"
    assert run(look).output == "False False\n"
    assert run(look, pack="science").output == "True True\n"


@pytest.mark.parametrize(("rows", "status"), [(400_000, Status.OK), (8_000_000, Status.MEMORY)])
def test_a_table_of_400000_rows_of_8_fits_and_one_of_8_million_does_not(run: Run, rows: int, status: Status) -> None:
    code = f"import numpy as np, pandas as pd\nprint(len(pd.DataFrame(np.ones(({rows}, 8))).describe()))"
    result = run(code)
    assert (result.status, result.output) == (status, "8\n" if status is Status.OK else "")


def test_threads_do_not_multiply_with_the_cpus_of_the_host(run: Run) -> None:
    result = run(
        "import os, numpy as np\nnp.ones((500, 500)) @ np.ones((500, 500))\nprint(len(os.listdir('/proc/self/task')))"
    )
    assert result.output == "1\n"


def test_the_next_run_of_the_same_owner_gets_the_same_container(executor: Executor) -> None:
    request = RunRequest("python", "import matplotlib.pyplot, pandas", caller=Caller(owner="key:grace"))
    assert [executor.run(request).runs_before for _ in range(2)] == [0, 1]


def test_the_fonts_are_known_beforehand(run: Run) -> None:
    result = run("import matplotlib.font_manager as fonts\nprint(fonts.findfont('DejaVu Sans').rpartition('/')[2])")
    assert (result.output, result.error) == ("DejaVuSans.ttf\n", "")

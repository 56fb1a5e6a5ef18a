"""What a run gives back, on the real engine: the result contract of both languages."""

from __future__ import annotations

import pytest

from sandbox.languages import LANGUAGES
from sandbox.models import RunResult, Status
from tests.conftest import Run


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_each_language_proves_itself(run: Run, language: str) -> None:
    result = run(LANGUAGES[language].proof, language)
    assert (result.output, result.error, result.exit_code, result.status) == ("42\n", "", 0, Status.OK)

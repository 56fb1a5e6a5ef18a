"""What stands in an executor's place in all tests here, and a server over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.settings import Settings
from tests.fakes import FakeExecutor, serving


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def url(settings: Settings, executor: FakeExecutor) -> Iterator[str]:
    """Where a server with these settings and that executor listens."""
    with serving(settings, executor) as address:
        yield address

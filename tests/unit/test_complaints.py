"""What the container client says, and what of it a caller of ours is told."""

from __future__ import annotations

import pytest

from sandbox.engine.complaints import error_of
from sandbox.errors import EngineError, EngineUnavailable, ImageMissing


@pytest.mark.parametrize(
    ("words", "kind", "told"),
    [
        ("docker: Error: No such image: safe/x:1.", ImageMissing, "make image"),
        ("Error: No such object: safe/x:1", ImageMissing, "make image"),
        ("Unable to find image 'x' locally", ImageMissing, "make image"),
        ("Error: x: image not known", ImageMissing, "make image"),
        ("Error: inspecting object: failed to find image x", ImageMissing, "make image"),
        ("docker: Cannot connect to the Docker daemon at unix:///x.sock. Is it running?", EngineUnavailable, "Start"),
        ("error during connect: x", EngineUnavailable, "Start Docker"),
        ("dial unix /x: permission denied", EngineUnavailable, "group"),
        ("docker: Error response from daemon: Unknown runtime specified x.", EngineUnavailable, "SCE_RUNTIME"),
        ("Error response from daemon: unknown or invalid runtime name: x", EngineUnavailable, "SCE_RUNTIME"),
        ("something new about /x", EngineUnavailable, "otherwise"),
        ("", EngineUnavailable, "otherwise"),
    ],
)
def test_a_complaint_becomes_an_error_of_ours_with_advice(words: str, kind: type[EngineError], told: str) -> None:
    problem = error_of(words, "otherwise")
    assert type(problem) is kind
    assert told in problem.message
    assert "/x" not in problem.message, "the client's words go to the log only"

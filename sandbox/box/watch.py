"""Who follows a run."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.models import Stream

OutputHandler = Callable[[Stream, str], None]


@dataclass(frozen=True)
class Watch:
    """What a caller hears of a run, and how he is asked whether he is still there."""

    on_start: Callable[[], None]
    on_output: OutputHandler
    gone: Callable[[], bool]

    @classmethod
    def of(
        cls,
        on_start: Callable[[], None] | None = None,
        on_output: OutputHandler | None = None,
        gone: Callable[[], bool] | None = None,
    ) -> Watch:
        """Of somebody who leaves some of it out."""
        return cls(on_start or _nothing, on_output or _nothing, gone or _never)

    def relay(self) -> Callable[[Stream, bytes], None]:
        """Passes on a run's output as text, no character in two pieces."""
        decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}

        def relay(stream: Stream, data: bytes) -> None:
            if text := decoders[stream].decode(data):
                self.on_output(stream, text)

        return relay


def _nothing(*_: object) -> None:
    pass


def _never() -> bool:
    return False

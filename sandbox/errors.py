"""What can go wrong that is not the program's own doing.

A program's faults (exceptions, exit codes, timeouts) are *returned* as a `RunResult`; everything here is
*raised*. `web/errors.py` maps these classes to HTTP statuses in one table.

    SandboxError
    ├── InvalidRequest            the caller asked for something that cannot be run
    │   └── InvalidArchive        the uploaded archive is not one we accept
    ├── NotFound                  there is no such run
    ├── QuotaExceeded             the caller has what he may have; come back later
    ├── Busy                      every place is taken; come back later
    ├── Cancelled                 the caller went away or cancelled before the program started
    ├── StoreError                the database cannot be read or written
    │   ├── HistoryError          so past runs cannot be shown or kept
    │   └── KeysError             so keys cannot be checked
    ├── EngineError               no container could be had, or it was lost
    │   ├── EngineUnavailable     docker client or engine does not answer
    │   ├── ImageMissing          the sandbox image is not built
    │   │   └── PackMissing       the image with this language or library is not built
    │   ├── ContainerLost         the container vanished while the program ran
    │   └── ClientRefused         the docker client said no, in its own words (sandbox.engine.client; never shown)
    ├── PartlyRun                 some programs of a batch could not be run
    ├── Unauthorized              who asks has to say who he is (this and all below: web.errors)
    │   ├── KeyRequired           there is no key where one is needed
    │   └── WrongKey              what was given as a key is none
    ├── OperatorOnly              the caller is no operator
    ├── ForeignOrigin             another site's page sent the request
    ├── BodyTooLarge              its body has more bytes than the route takes
    └── UnsupportedMediaType      its body is of a kind that the route does not read

Messages are written for the person who called the API: no host path, no words of the docker client.
"""

from __future__ import annotations


class SandboxError(Exception):
    """Base class. `code` is the stable, machine-readable name of the problem.

    `retry_after_seconds` is a whole number of seconds after which a retry is worth making, as far as that is known; 0
    when waiting does not help.
    """

    code = "internal"
    retry_after_seconds = 0

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds


class InvalidRequest(SandboxError):
    """The request can never succeed as it stands."""

    code = "invalid_request"


class InvalidArchive(InvalidRequest):
    """The archive is damaged, hostile, or over a budget; `code` says which."""

    code = "invalid_archive"


class NotFound(SandboxError):
    """There is no such run."""

    code = "not_found"


class Busy(SandboxError):
    """No place was free in time."""

    code = "busy"
    retry_after_seconds = 1


class QuotaExceeded(SandboxError):
    """The caller may not run more programs at once, or has used up his CPU time."""

    code = "quota"
    retry_after_seconds = 1


class Cancelled(SandboxError):
    """The caller went away or cancelled while the run was still waiting for its turn."""

    code = "cancelled"


class StoreError(SandboxError):
    """The database cannot be read or written. What that means is added to the sentence that says why."""

    consequence = ""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason} {self.consequence}".strip())
        self.reason = reason


class HistoryError(StoreError):
    """Programs can still be run."""

    code = "history_unavailable"
    consequence = "Running programs still works."


class KeysError(StoreError):
    """Nobody who has a key can be told from others."""

    code = "keys_unavailable"
    consequence = "Until it works again, requests with a key are refused."


class EngineError(SandboxError):
    """The service cannot run programs at the moment; it recovers by itself when the cause is gone."""

    code = "engine_error"
    retry_after_seconds = 5  # it is looked at again by then


class EngineUnavailable(EngineError):
    """The docker client is not installed, or the engine behind it does not answer."""

    code = "engine_unavailable"


class ImageMissing(EngineError):
    """The sandbox image is not on this engine (it is never pulled during a run)."""

    code = "image_missing"


class PackMissing(ImageMissing):
    """What the program needs is in a pack that was not added to this server."""

    code = "pack_missing"
    retry_after_seconds = 0


class ContainerLost(EngineError):
    """The container disappeared under the program: removed from outside, or its supervisor was killed.

    Other than with its siblings, something has run; to try again is the caller's decision.
    """

    code = "container_lost"
    retry_after_seconds = 0


class PartlyRun(SandboxError):
    """Some programs of a batch could not be run, after others had been started."""

    code = "partly_run"

    def __init__(self, problem: SandboxError) -> None:
        super().__init__(f"Some of the programs were not run: {problem.message} What has run is in the history.")

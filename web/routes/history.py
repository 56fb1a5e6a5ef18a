"""What has been run: listed, shown, forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from sandbox import languages
from sandbox.errors import HistoryError, NotFound
from sandbox.models import RunResult, Status
from sandbox.store.history import History
from web.callers import caller_of
from web.errors import OperatorOnly
from web.route import Routes, client_gone
from web.routes.fields import LANGUAGE_NAMES

DEFAULT_ROWS = 50
MAX_ROWS = 200
QUERY_CHARACTERS = 200
RUN_ID_CHARACTERS = 64


class HistoryQuery(BaseModel):
    """The query of `GET /history`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(DEFAULT_ROWS, ge=1, le=MAX_ROWS)
    before: str = Field("", max_length=RUN_ID_CHARACTERS)
    q: str = Field("", max_length=QUERY_CHARACTERS)
    language: Annotated[str, WithJsonSchema({"enum": [*LANGUAGE_NAMES, ""]})] = ""
    status: Annotated[Status | None, WithJsonSchema({"enum": [*(status.value for status in Status), ""]})] = None


class ClearQuery(BaseModel):
    """The query of `DELETE /history`."""

    model_config = ConfigDict(extra="forbid")

    owner: Annotated[Literal["all", ""], Field(description="`all`: everybody's; for operators only.")] = ""


@dataclass(frozen=True, kw_only=True)
class HistoryRow(RunResult):
    """A run that has ended, with what was run."""

    owner: Annotated[str, Field(description="`key:NAME`, `page:ID`, or empty, which is nobody.")]
    timestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    kind: Literal["code", "files", "zip"]
    code: str
    entry: str
    archive: str
    stdin: str
    args: list[str]
    shortened: Annotated[list[str], Field(description="Fields that are cut in this listing.")]


@dataclass(frozen=True)
class HistoryPage:
    """Some runs, and what to give as `before` for the older ones; null when there are none."""

    history: list[HistoryRow]
    next: str | None


@dataclass(frozen=True)
class Deleted:
    """How many runs were forgotten."""

    deleted: Annotated[int, Field(ge=0)]


def install(routes: Routes, history: History) -> None:
    @routes.add("GET", "/history", query=HistoryQuery, answers=HistoryPage, errors=(NotFound, HistoryError))
    def list_history(query: HistoryQuery) -> dict[str, Any]:
        """Past runs, newest first; long fields shortened."""
        runs, following = history.page(
            caller_of(request),
            limit=query.limit,
            before=query.before,
            text=query.q,
            language=languages.resolve(query.language).name if query.language else "",
            status=query.status.value if query.status else "",
            gone=client_gone(),
        )
        return {"history": runs, "next": following}

    @routes.add("GET", "/history/<run_id>", answers=HistoryRow, errors=(NotFound, HistoryError))
    def show_run(run_id: str) -> dict[str, Any]:
        """One past run, whole."""
        row = history.get(caller_of(request), run_id)
        if row is None:
            raise NotFound("No run of that id is in the history.")
        return row

    @routes.add("DELETE", "/history/<run_id>", answers=Deleted, errors=(NotFound, HistoryError))
    def delete_run(run_id: str) -> Deleted:
        """Forget one past run."""
        if not history.delete(caller_of(request), run_id):
            raise NotFound("No run of that id is in the history.")
        return Deleted(1)

    @routes.add("DELETE", "/history", query=ClearQuery, answers=Deleted, errors=(OperatorOnly, HistoryError))
    def clear_history(query: ClearQuery) -> Deleted:
        """Forget one's own past runs and nobody's."""
        caller = caller_of(request)
        if query.owner and not caller.is_operator:
            raise OperatorOnly("Only an operator may forget the runs of everybody.")
        return Deleted(history.clear(caller, everybodys=bool(query.owner)))

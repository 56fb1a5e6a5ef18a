"""What a route says of itself, once: what it takes, how large that may be, what it answers, and how it can fail.

The checks before a route, the bound of the listening server and `/openapi.json` all follow from it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request
from pydantic import BaseModel, TypeAdapter

from sandbox.errors import SandboxError
from sandbox.settings import Settings
from web.callers import admit
from web.errors import json_response
from web.guards import PAGE
from web.reading import read_query

NO_BODY_BYTES = 64 << 10
"""What a request to a route that needs no body may send all the same."""

View = Callable[..., Any]


@dataclass(frozen=True)
class Body:
    """The body that a route takes. `read` checks it and returns what the route is called with."""

    model: type[BaseModel]
    read: Callable[[Any, Settings], Any]
    limit: Callable[[Settings], int]
    """The most bytes that a body can have and be valid."""
    media_type: str = "application/json"


@dataclass(frozen=True, eq=False)
class Route:
    """One route. It is called with its body or its query, if it takes one, and with the variables of its path.

    It returns a value of `answers`, the same as a dict, or a whole response.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: Any
    """A type that pydantic knows."""
    body: Body | None
    query: type[BaseModel] | None
    errors: tuple[type[SandboxError], ...]
    """Beside those that every route has, or every route with a body."""
    streams: bool
    """Whether a run can be followed as events, too."""
    media_type: str
    """What an answer is that is no error."""
    needs_caller: bool
    """Whether it is only for those who may use this server at all, and for nobody who claims to be whom he is not."""
    variables: Mapping[str, Any]
    """The schemas of those variables of the path that are not just any text."""


class Routes:
    """The routes of an application, all of them but those that answer with a page or a file."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.app = app
        self._settings = settings
        self._routes: list[Route] = []
        self._limits: dict[str, int] = {}
        self._open = {*PAGE}
        app.extensions["routes"] = self
        app.before_request(self._bound_body)
        app.before_request(self._admit)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(
        self,
        method: str,
        path: str,
        *,
        answers: Any,
        body: Body | None = None,
        query: type[BaseModel] | None = None,
        errors: tuple[type[SandboxError], ...] = (),
        streams: bool = False,
        media_type: str = "application/json",
        needs_caller: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> Callable[[View], View]:
        """Make a function a route. Its name and its docstring's first line are those of the API's description."""

        def declare(view: View) -> View:
            route = Route(
                method=method,
                path=path,
                name=view.__name__,
                summary=(view.__doc__ or "").partition("\n")[0],
                answers=answers,
                body=body,
                query=query,
                errors=errors,
                streams=streams,
                media_type=media_type,
                needs_caller=needs_caller,
                variables=variables or {},
            )
            self._routes.append(route)
            if not needs_caller:
                self._open.add(route.name)
            if body:
                self._limits[_beginning(path) if "<" in path else path] = body.limit(self._settings)
            self.app.add_url_rule(path, view.__name__, self._served(route, view), methods=[method])
            return view

        if body and "<" in _beginning(path):
            raise ValueError(f"{path} takes a body: the server finds its limit by what comes before the last slash")
        return declare

    def body_limit(self, path: str) -> int:
        """The most bytes that the body of a request to `path` may have, whatever is there."""
        return self._limits.get(path) or self._limits.get(_beginning(path), NO_BODY_BYTES)

    def _bound_body(self) -> None:
        request.max_content_length = self.body_limit(request.path)

    def _admit(self) -> None:
        """Everything but what says that it needs no caller; also a route that was not declared here."""
        if request.endpoint and request.endpoint not in self._open and request.method != "OPTIONS":
            admit(request)

    def _served(self, route: Route, view: View) -> View:
        @functools.wraps(view)
        def serve(**variables: str) -> Response:
            given = []
            if route.body:
                given.append(route.body.read(request, self._settings))
            if route.query:
                given.append(read_query(route.query, request.args))
            return to_response(view(*given, **variables), route.answers)

        return serve


def _beginning(path: str) -> str:
    """Up to its last slash."""
    return path[: path.rfind("/") + 1]


@functools.cache
def adapter_of(answers: Any) -> TypeAdapter[Any]:
    """What writes values of this type as JSON. Making one takes a millisecond."""
    return TypeAdapter(answers)


def to_response(value: Any, answers: Any) -> Response:
    """What a route returned, as JSON that the type `answers` describes."""
    if isinstance(value, Response):
        return value
    if isinstance(value, dict):
        return json_response(value)
    return Response(adapter_of(answers).dump_json(value), mimetype="application/json")


def client_gone() -> Callable[[], bool]:
    """A function that says whether the caller of the current request has disconnected; waitress knows."""
    gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return gone

"""The web application: the routes, each from request to answer on one screen, and `python app.py`.

What the routes use is in `web/`; what runs programs is `executor.py`. Nothing happens on import.
"""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from flask import Flask, Response, render_template, request
from flask_compress import Compress

from executor import Executor, new_run_id
from sandbox import languages
from sandbox.engine import image
from sandbox.errors import EngineError, NotFound
from sandbox.models import RunRequest
from sandbox.settings import Settings, SettingsError, load
from sandbox.store.database import url_of
from sandbox.store.history import History
from sandbox.store.recorder import Recorder
from web import assets, errors, guards, limits, logs, openapi, requests, streaming
from web.errors import json_response
from web.serving import server


def create_app(
    settings: Settings | None = None, executor: Executor | None = None, history: History | None = None
) -> Flask:
    """The application. What is not given is made from the settings, and those from the environment.

    An executor made here writes to the history; one that is given has the observers it was made with.

    :raises SettingsError: when the environment holds a bad setting.
    :raises OSError: when the data folder cannot be written.
    """
    settings = settings or load()
    history = history or open_history(settings)
    executor = executor or Executor(settings, observers=[Recorder(history)])
    app = Flask(__name__, static_folder=None)
    app.extensions.update(executor=executor, history=history)
    logs.install(app)
    guards.install(app, settings)
    errors.install(app)
    assets.install(app, Path(app.root_path, "static"))
    _compress(app)
    _bound_bodies(app, settings)
    _add_run_routes(app, settings, executor)
    _add_history_routes(app, history)
    _add_description_routes(app, settings, executor)
    return app


def open_history(settings: Settings) -> History:
    """The history that the settings ask for; it connects at first use."""
    return History(
        url_of(settings),
        settings.history_limit,
        max_bytes=settings.history_bytes,
        output_bytes=settings.output_bytes,
    )


def _compress(app: Flask) -> None:
    """Compress what is worth it and whole; events go out as they come.

    Nothing in an answer is kept from whoever can ask for it, so its length has no secret to give away (BREACH).
    """
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)


def _bound_bodies(app: Flask, settings: Settings) -> None:
    def bound() -> None:
        request.max_content_length = limits.body_limit(request.path, settings)

    app.before_request(bound)


def _add_run_routes(app: Flask, settings: Settings, executor: Executor) -> None:
    @app.post("/run")
    def run() -> Response:
        run_request = requests.read_run(request, settings)
        return answer_run(run_request)

    @app.post("/run-zip")
    def run_zip() -> Response:
        run_request = requests.read_zip(request, settings)
        return answer_run(run_request)

    def answer_run(run_request: RunRequest) -> Response:
        run_id = new_run_id()
        if streaming.is_wanted(request):
            response = streaming.answer(executor, run_request, run_id, client_gone())
        else:
            response = json_response(executor.run(run_request, run_id=run_id, gone=client_gone()).to_json())
        response.headers["X-Run-Id"] = run_id
        return response

    @app.post("/run-batch")
    def run_batch() -> Response:
        run_requests = requests.read_batch(request, settings)
        results = executor.run_many(run_requests, gone=client_gone())
        return json_response({"results": [result.to_json() for result in results]})

    @app.delete("/runs/<run_id>")
    def cancel_run(run_id: str) -> Response:
        if not executor.cancel(run_id):
            raise NotFound("No run of that id is waiting or running.")
        return json_response({"cancelled": True})


def client_gone() -> Callable[[], bool]:
    """A function that says whether the caller of the current request has disconnected; waitress knows."""
    gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return gone


def _add_history_routes(app: Flask, history: History) -> None:
    @app.get("/history")
    def list_history() -> Response:
        query = requests.read_history_query(request.args)
        runs, following = history.page(
            limit=query.limit,
            before=query.before,
            text=query.q,
            language=languages.resolve(query.language).name if query.language else "",
            status=query.status.value if query.status else "",
            gone=client_gone(),
        )
        return json_response({"history": runs, "next": following})

    @app.get("/history/<run_id>")
    def show_run(run_id: str) -> Response:
        row = history.get(run_id)
        if row is None:
            raise NotFound("No run of that id is in the history.")
        return json_response(row)

    @app.delete("/history/<run_id>")
    def delete_run(run_id: str) -> Response:
        if not history.delete(run_id):
            raise NotFound("No run of that id is in the history.")
        return json_response({"deleted": 1})

    @app.delete("/history")
    def clear_history() -> Response:
        return json_response({"deleted": history.clear()})


def _add_description_routes(app: Flask, settings: Settings, executor: Executor) -> None:
    description = functools.cache(lambda: openapi.describe(settings))
    config = openapi.page_config(settings)

    @app.get("/")
    def index() -> Response:
        page = Response(render_template("index.html", config=config), mimetype="text/html")
        # To be asked for again each time; with no-store, the browser's Back button could not restore it.
        page.headers["Cache-Control"] = "no-cache"
        return page

    @app.get("/config")
    def show_config() -> Response:
        return json_response(config)

    @app.get("/openapi.json")
    def show_openapi() -> Response:
        return json_response(description())

    @app.get("/healthz")
    def show_health() -> Response:
        return json_response({"status": "ok"})

    @app.get("/readyz")
    def show_readiness() -> Response:
        executor.check_ready()
        return json_response({"status": "ready"})


# --- python app.py ----------------------------------------------------------------------------------------


def main() -> int:
    """Serve until told to stop. The exit status: 0 after a signal, 1 when it cannot start, 2 for bad settings."""
    try:
        settings = load()
        history = open_history(settings)
    except SettingsError as problem:
        print(problem, file=sys.stderr)
        return 2
    logs.configure(settings)
    try:
        sockets = server.listen(settings)
        prepare_image(settings)
        app = create_app(settings, history=history)
    except OSError as problem:
        print(server.explain(problem, settings), file=sys.stderr)
        return 1
    serve(app, settings, sockets)
    return 0


def serve(app: Flask, settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve `app` until a signal; its executor and its history are closed then."""
    server.serve(make_server(app, settings, sockets), app.extensions["executor"])
    app.extensions["history"].close()


def make_server(app: Flask, settings: Settings, sockets: list[socket.socket]) -> server.Server:
    return server.Server(app, settings, sockets, functools.partial(limits.body_limit, settings=settings))


def prepare_image(settings: Settings) -> None:
    """Build the sandbox image when it is missing. Without it the server starts all the same, and says so."""
    try:
        image.build_missing(image.Image.of(settings), print)
    except EngineError as problem:
        print(f"Programs cannot be run yet: {problem.message}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the server has begun to handle signals itself
        sys.exit(130)

"""The web application, put together, and `python app.py`.

The routes are in `web/routes/`, the server in `web/serving/`, what runs programs in `executor.py`. Nothing happens on
import.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from flask import Flask
from flask_compress import Compress

from executor import Executor
from sandbox.engine import image, versions
from sandbox.errors import EngineError, StoreError
from sandbox.settings import Settings, SettingsError, load
from sandbox.store.artifacts import ArtifactFiles
from sandbox.store.database import Database, url_of
from sandbox.store.history import History
from sandbox.store.keys import Keys
from sandbox.store.recorder import Recorder
from web import assets, callers, errors, guards, logs, metrics, proxies
from web.cookies import Cookies, secret_of
from web.route import Routes
from web.routes import artifacts, me, run, service
from web.routes import history as history_routes
from web.routes import metrics as metrics_routes
from web.serving import server


def create_app(
    settings: Settings | None = None,
    executor: Executor | None = None,
    history: History | None = None,
    database: Database | None = None,
) -> Flask:
    """The application. What is not given is made from the settings, and those from the environment.

    An executor made here writes to the history; one that is given has the observers it was made with.

    :raises SettingsError: when the environment holds a bad setting.
    :raises OSError: when the data folder cannot be written.
    """
    settings = settings or load()
    database = database or Database(url_of(settings))
    files = ArtifactFiles(
        settings.data_dir / "artifacts", settings.artifact_store_bytes if settings.history_limit else 0
    )
    history = history or open_history(settings, database, files)
    numbers, recorder = metrics.Metrics(settings), Recorder(history)
    executor = executor or Executor(settings, observers=[recorder, logs.run_ended, numbers.run_ended], files=files)
    numbers.watch(executor.numbers, recorder)
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # the redirect would be HTML
    app.extensions.update(executor=executor, history=history, database=database)
    proxies.install(app, settings)
    logs.install(app)
    guards.install(app, settings)
    errors.install(app)
    metrics.install(app, numbers)
    assets.install(app, Path(app.root_path, "static"))
    callers.install(app, callers.Callers(settings, Keys(database), Cookies(secret_of(settings))))
    _compress(app)
    routes = Routes(app, settings)
    run.install(routes, settings, executor)
    artifacts.install(routes, history, files)
    history_routes.install(routes, history)
    me.install(routes, settings, executor)
    service.install(routes, settings, executor)
    metrics_routes.install(routes, settings, numbers)
    return app


def open_history(settings: Settings, database: Database, files: ArtifactFiles) -> History:
    """The history that the settings ask for; with its runs go their files."""
    return History(
        database,
        settings.history_limit,
        max_bytes=settings.history_bytes,
        output_bytes=settings.most.output_bytes,
        files=files,
    )


def _compress(app: Flask) -> None:
    """Compress what is worth it and whole; events go out as they come.

    The length of an answer has no secret to give away (BREACH): what other sites make a browser ask for is refused,
    or the same for everybody.
    """
    app.config["COMPRESS_STREAMS"] = False
    # In what browsers take, a twentieth less than with 4, for 2 ms of the largest file.
    app.config["COMPRESS_ALGORITHM"] = ["br", "zstd", "gzip"]
    app.config["COMPRESS_BR_LEVEL"] = 5
    Compress(app)


# --- python app.py ----------------------------------------------------------------------------------------

CHANGE_SECONDS = 60.0
"""How long a start waits for that."""


def main() -> int:
    """Serve until told to stop. The exit status: 0 after a signal, 1 when it cannot start, 2 for bad settings."""
    try:
        settings = load()
        database = Database(url_of(settings))
    except SettingsError as problem:
        print(problem, file=sys.stderr)
        return 2
    logs.configure(settings)
    try:
        sockets = server.listen(settings)
        prepare_image(settings)
        prepare_database(settings, database)
        app = create_app(settings, database=database)
    except OSError as problem:
        print(server.why_not_started(problem, settings), file=sys.stderr)
        return 1
    serve(app, settings, sockets)
    return 0


def serve(app: Flask, settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve `app` until a signal; its executor and its database are closed then."""
    server.serve(make_server(app, settings, sockets), app.extensions["executor"])
    app.extensions["database"].close()


def make_server(app: Flask, settings: Settings, sockets: list[socket.socket]) -> server.Server:
    return server.Server(
        app,
        settings,
        sockets,
        body_limit=app.extensions["routes"].body_limit,
        on_refusal=app.extensions["metrics"].refused,
    )


def prepare_image(settings: Settings) -> None:
    """Build the sandbox image when it is missing. Without it the server starts all the same, and says so."""
    try:
        image.build_missing(image.Image.of(settings), print)
        versions.label_ours(image.Image.of(settings))
    except EngineError as problem:
        print(f"Programs cannot be run yet: {problem.message}", file=sys.stderr)


def prepare_database(settings: Settings, database: Database) -> None:
    """Have the tables of an older version changed before anybody waits for it. Without, the server starts, too.

    :raises OSError: when there can be no data folder.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        database.open(CHANGE_SECONDS)
    except StoreError as problem:
        print(f"No history and no keys yet: {problem.message}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the server has begun to handle signals itself
        sys.exit(130)

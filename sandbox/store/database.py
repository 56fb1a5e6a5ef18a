"""The database that a URL names."""

from __future__ import annotations

from sqlalchemy import exc, make_url

from sandbox.settings import Settings, SettingsError


def url_of(settings: Settings) -> str:
    """The SQLAlchemy URL of the history.

    :raises SettingsError: the setting is no URL, or names a database or a driver that is not there. It is not
        repeated, since it may hold a password.
    """
    if not settings.database_url:
        return f"sqlite:///{settings.data_dir.resolve() / 'history.db'}"
    if problem := _problem(settings.database_url):
        raise SettingsError(f"SCE_DATABASE_URL: {problem}")
    return settings.database_url


def _problem(url: str) -> str:
    try:
        make_url(url).get_dialect().import_dbapi()
    except exc.NoSuchModuleError:
        return "SQLAlchemy knows no such database or driver"
    except (exc.ArgumentError, ValueError):
        return "this is no SQLAlchemy URL, such as postgresql+psycopg://user@host/name"
    except ImportError:
        return "the Python driver for this database is not installed"
    return ""

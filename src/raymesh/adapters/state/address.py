"""The URL of a state database: what it may look like, and what of it may be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from raymesh.errors import UsageError

_FORMS = "write sqlite:///path/to/mesh.db or postgresql://user:password@host:5432/database"
_SQLITE_OPTIONS = {"journal_mode": ("wal", "delete", "truncate")}
# libpq gives up after minutes, and knows no name for us, unless told.
_POSTGRESQL_DEFAULTS = {"connect_timeout": "10", "fallback_application_name": "raymesh"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is. `url` is complete and must not be shown, `shown` and `repr` may be."""

    url: URL
    shown: str
    secrets: tuple[str, ...]
    journal_mode: str = "wal"

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"

    @property
    def file(self) -> Path | None:
        """The database file of SQLite."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None


def parse(url: str, root: str) -> Address:
    """The address `url` means, relative SQLite paths taken from `root`.

    Raises UsageError for a URL that is malformed or names another kind of database, without repeating it.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError, TypeError, AttributeError):
        # The cause would repeat parts of the URL, a password with an unescaped "@" among them.
        raise UsageError(
            "the URL of the state database cannot be read",
            hint=f"{_FORMS}; write special characters of the password as %40 for @, %2F for /, %3A for :",
        ) from None
    if backend == "sqlite":
        return _sqlite(parsed, root)
    if backend in ("postgresql", "postgres"):
        return _postgresql(parsed)
    raise UsageError(f"the state cannot be kept in {backend!r}", hint=_FORMS)


def _sqlite(url: URL, root: str) -> Address:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise UsageError("the state database must be a file, so that several processes share it", hint=_FORMS)
    options = dict(url.query)
    journal_mode = str(options.pop("journal_mode", "wal"))
    if options or journal_mode not in _SQLITE_OPTIONS["journal_mode"]:
        raise UsageError(
            f"unknown option in the URL of the state database: {', '.join(options) or f'journal_mode={journal_mode}'}",
            hint="SQLite takes ?journal_mode=wal, delete or truncate (the latter two for network file systems)",
        )
    path = str(Path(root).absolute() / url.database)
    file_url = URL.create("sqlite", database=path)
    return Address(file_url, "sqlite:///" + path.replace("%", "%25"), (), journal_mode)


def _postgresql(url: URL) -> Address:
    if not url.database or "@" in (url.host or ""):
        raise UsageError(
            "the URL of the state database is incomplete",
            hint=f"{_FORMS}; write @ in the password as %40",
        )
    secret_options = {k: v for k, v in url.query.items() if "password" in k.lower()}
    secrets = [str(url.password)] if url.password else []
    secrets += [str(v) for v in secret_options.values()]
    shown = url.update_query_dict(dict.fromkeys(secret_options, "***")).set(drivername="postgresql")
    options: dict[str, Any] = {**_POSTGRESQL_DEFAULTS, **url.query}
    return Address(
        url.set(drivername="postgresql+psycopg", query=options),
        shown.render_as_string(hide_password=True),
        tuple(
            form
            for secret in secrets
            if secret
            for form in {secret, quote(secret, safe=""), quote_plus(secret)}
        ),
    )

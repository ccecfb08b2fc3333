"""Where a PostgreSQL database is and who asks; the one place that holds a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from raymesh.adapters.sources.settings import Settings
    from raymesh.errors import SourceError

_READ_ONLY = "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"


@dataclass(frozen=True, slots=True)
class Address:
    """A database address taken apart; `repr` shows no password."""

    place: str
    path: str
    query: tuple[tuple[str, str], ...]
    user: str | None
    password: str | None = field(default=None, repr=False)

    def url(self, *, read_only: bool = False) -> str:
        """The address with credentials, for drivers only."""
        user = quote(self.user, safe="") if self.user else ""
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        place = f"{user}{secret}@{self.place}" if user or secret else self.place
        query = [*self.query, *([("options", _READ_ONLY)] if read_only else [])]
        return urlunsplit(("postgresql", place, self.path, urlencode(query, quote_via=quote), ""))

    def error(self, settings: Settings, wrong: Exception) -> SourceError:
        """A driver's error as a SourceError, the password gone from it in every spelling."""
        text = " ".join(str(wrong).split())
        for secret in {self.password or "", quote(self.password or "", safe="")} - {""}:
            text = text.replace(secret, "***")
        hint = next((h for sign, h in _HINTS if sign in text), None)
        return settings.error(
            f"PostgreSQL at {self.place or 'the local socket'}{self.path}: {text[:500]}", hint
        )


_HINTS = (
    ("password authentication failed", "check `user` and `password` of the source"),
    ("no password supplied", "add `password: ${env:…}` to the source"),
    ("onnection refused", "is the server running, and are host and port right?"),
    ("does not exist", "check `location`, `table` and `query` of the source"),
    ("read-only transaction", "a source only reads: its query must not change anything"),
    ("permission denied", "grant the source's user SELECT on what it reads"),
)


def address_of(settings: Settings) -> Address:
    """The address of a source; `user` and `password` of the document win over those in its location."""
    parts = urlsplit(settings.location)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise settings.error(
            "its location is no PostgreSQL address", "location: postgresql://host:port/database"
        )
    credentials, _, place = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    query = tuple(parse_qsl(parts.query))
    hidden = dict(query).get("password")
    return Address(
        place,
        parts.path,
        tuple((k, v) for k, v in query if k != "password"),
        settings.user or unquote(user) or None,
        settings.password or unquote(password) or hidden or None,
    )

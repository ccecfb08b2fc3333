"""What a driver's error means for the caller: one of ours, with a way out and without secrets."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from raymesh.errors import (
    CommitConflictError,
    CommitUnknownError,
    CorruptFileError,
    DiskFullError,
    MeshError,
    StorageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESTORE = "restore the file from a backup; the data files of the products are not affected"
_REACH = "check that the database runs, and `state` in mesh.yaml"
_MIGRATE = "open the mesh with raymesh once, it creates and upgrades the database"
# SQLSTATE, or its class of two characters, and what it means. An answer from the server that is listed here
# as certain also proves that a COMMIT it answers did not take effect.
_DISK_FULL = frozenset({"53100", "SQLITE_FULL"})
_LOCKED = frozenset({"55P03", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_RECOVERY"})
_CORRUPT = frozenset({"XX001", "XX002", "SQLITE_CORRUPT", "SQLITE_NOTADB"})
_CONFLICT = frozenset({"23505", "40001", "40P01", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"})
_NO_TABLE = frozenset({"42P01"})
_NOT_COMMITTED = ("23", "40001", "40P01", "53", "55P03", "SQLITE_FULL", "SQLITE_BUSY", "SQLITE_CONSTRAINT")
_CONNECTION = ("08", "57", "28", "3D", "53300", "SQLITE_CANTOPEN", "SQLITE_READONLY")


def code_of(error: BaseException) -> str:
    """SQLSTATE on PostgreSQL, the error's name (`SQLITE_FULL`) on SQLite; empty when the driver gave none."""
    original = getattr(error, "orig", error)
    name = getattr(original, "sqlite_errorname", None) or getattr(original, "sqlstate", None)
    return name if isinstance(name, str) else ""


def is_missing_table(error: DBAPIError) -> bool:
    """Whether the statement failed because the database has not been set up."""
    return code_of(error) in _NO_TABLE or "no such table" in str(error.orig)


@dataclass(frozen=True, slots=True)
class Failures:
    """Turns errors of one database into ours. `name` is its redacted URL, `secrets` what no message may show."""

    name: str
    secrets: tuple[str, ...] = ()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise errors of the database in the block as MeshErrors; other exceptions pass through."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            raise self.of(error) from error

    def of(self, error: BaseException) -> MeshError:
        """The error for a statement that failed; nothing of its transaction has taken effect."""
        code = code_of(error)
        said = self._said(error)
        if code in _DISK_FULL:
            return DiskFullError(
                f"no space left for the state database {self.name}", hint="free some space, then run again"
            )
        if code in _CORRUPT:
            return CorruptFileError(f"the state database {self.name} is damaged: {said}", hint=_RESTORE)
        if code in _CONFLICT:
            return CommitConflictError(f"another process wrote this first: {said}", hint="run again")
        message, hint = self._sentence(error, code, said)
        return StorageError(message, hint=hint)

    def of_commit(self, error: BaseException) -> MeshError:
        """The error for a COMMIT that failed: CommitUnknownError unless the answer proves that it had no effect."""
        code = code_of(error)
        if code.startswith(_NOT_COMMITTED):
            return self.of(error)
        return CommitUnknownError(
            f"the answer to a commit in {self.name} was lost: {self._said(error)}",
            hint="look the run up in the state before doing anything; run again",
        )

    def _sentence(self, error: BaseException, code: str, said: str) -> tuple[str, str | None]:
        """Message and way out of a failure that has no class of its own."""
        if code in _LOCKED:
            message = f"the state database {self.name} has been locked by another process for too long"
            return message, "end the process that holds it, or run again"
        if isinstance(error, PoolTimeoutError):
            return f"too many connections to {self.name} are in use", "run fewer jobs at once"
        if isinstance(error, DBAPIError) and is_missing_table(error):
            return f"the state database {self.name} has not been set up", _MIGRATE
        if isinstance(error, IntegrityError):
            return f"the state database refused a row: {said}", "record a run before its evidence"
        if code.startswith(_CONNECTION) or not code:
            return f"cannot use the state database {self.name}: {said}", _REACH
        return f"the state database {self.name} failed: {said}", None

    def _said(self, error: BaseException) -> str:
        """The driver's own words on one line, secrets removed."""
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in self.secrets:
            words = words.replace(secret, "***")
        return words

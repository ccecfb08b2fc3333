from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from raymesh.adapters.state.failures import Failures
from raymesh.errors import (
    CommitConflictError,
    CommitUnknownError,
    CorruptFileError,
    DiskFullError,
    MeshError,
    StorageError,
)

FAILURES = Failures("postgresql://me:***@host/db", ("hunter2",))


def failure(code: str, words: str = "the driver's words", kind: Any = OperationalError) -> Exception:
    """An error as SQLAlchemy raises it, `code` being an SQLSTATE or an SQLite error name."""
    original = sqlite3.OperationalError(words)
    if code.startswith("SQLITE"):
        original.sqlite_errorname = code
    else:
        original.sqlstate = code or None  # type: ignore[attr-defined]
    error: Exception = kind("INSERT …", {"secret": "parameter"}, original, hide_parameters=True)
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("53100", DiskFullError),
        ("SQLITE_FULL", DiskFullError),
        ("SQLITE_CORRUPT", CorruptFileError),
        ("SQLITE_NOTADB", CorruptFileError),
        ("XX001", CorruptFileError),
        ("23505", CommitConflictError),
        ("40001", CommitConflictError),
        ("40P01", CommitConflictError),
        ("SQLITE_CONSTRAINT_PRIMARYKEY", CommitConflictError),
        ("SQLITE_CONSTRAINT_UNIQUE", CommitConflictError),
        ("SQLITE_BUSY", StorageError),
        ("55P03", StorageError),
        ("08006", StorageError),
        ("SQLITE_IOERR_WRITE", StorageError),
        ("", StorageError),
    ],
)
def test_errors_of_a_statement_have_our_kinds(code: str, kind: type[MeshError]) -> None:
    assert type(FAILURES.of(failure(code))) is kind


@pytest.mark.parametrize("code", ["", "08006", "57P01", "57P02", "40003", "SQLITE_IOERR_FSYNC", "XX000"])
def test_a_commit_without_a_certain_answer_is_unknown(code: str) -> None:
    assert type(FAILURES.of_commit(failure(code))) is CommitUnknownError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("40001", CommitConflictError),
        ("23505", CommitConflictError),
        ("23503", StorageError),
        ("53100", DiskFullError),
        ("SQLITE_FULL", DiskFullError),
        ("SQLITE_BUSY", StorageError),
    ],
)
def test_a_commit_the_database_refused_has_failed(code: str, kind: type[MeshError]) -> None:
    assert type(FAILURES.of_commit(failure(code))) is kind


def test_messages_hold_no_secret_and_no_parameters() -> None:
    message = str(FAILURES.of(failure("XX000", "could not use\n hunter2 there")))
    assert message == "the state database postgresql://me:***@host/db failed: could not use *** there"


def test_a_way_out_is_named() -> None:
    assert "free some space" in str(FAILURES.of(failure("53100")).hint)
    assert "run again" in str(FAILURES.of(failure("SQLITE_BUSY")).hint)
    assert "before its evidence" in str(FAILURES.of(failure("23503", kind=IntegrityError)).hint)
    assert "fewer jobs" in str(FAILURES.of(PoolTimeoutError("QueuePool limit")).hint)
    assert "backup" in str(FAILURES.of(failure("SQLITE_CORRUPT")).hint)


def test_mistakes_in_the_program_are_not_disguised_as_faults() -> None:
    with pytest.raises(ZeroDivisionError), FAILURES.translated():
        raise ZeroDivisionError

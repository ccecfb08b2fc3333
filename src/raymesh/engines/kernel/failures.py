"""DuckDB's exceptions as ours: what happened, where in the user's text, and the way out."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.errors import (
    CancelledError,
    ConformError,
    CorruptFileError,
    DiskFullError,
    MeshError,
    SourceSpan,
    StorageError,
    TransformError,
    TransformMemoryError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raymesh.mesh.plan import Limits, Output

HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the parts of a statement come from: `sql` of the user's `file` begins at byte `offset`, and
    the cast that makes the column `casts[i][2]` lies between the bytes `casts[i][0]` and `casts[i][1]`.
    No message quotes a value of the columns `masked`. When the statement is not the user's text but was made of it,
    `places` are line and column of those of its bytes (behind `offset`) that are known."""

    sql: str
    file: str
    offset: int = 0
    casts: tuple[tuple[int, int, str], ...] = ()
    masked: frozenset[str] = frozenset()
    places: Mapping[int, tuple[int, int]] | None = None

    def span(self, position: int) -> SourceSpan | None:
        """The place of a byte of the statement in the user's file, None when it is not the user's text."""
        raw = self.sql.encode()
        at = position - self.offset
        if self.places is not None:
            return SourceSpan(self.file, *self.places[at]) if at in self.places else None
        if not 0 <= at <= len(raw):
            return None
        before = raw[:at].decode(errors="ignore")
        return SourceSpan(self.file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)

    def column(self, position: int) -> str | None:
        return next((name for start, end, name in self.casts if start <= position < end), None)


@dataclass(frozen=True, slots=True)
class Report:
    """One DuckDB error, taken apart."""

    kind: str
    message: str
    position: int | None

    @classmethod
    def of(cls, error: Exception) -> Report:
        said = str(error)
        try:
            found = json.loads(said[said.index("{") :])
            position = found.get("position")
            if (
                inner := found["exception_message"].find('{"exception_type"')
            ) >= 0:  # told by a writing thread
                found = json.loads(found["exception_message"][inner:])
            kind, message = found["exception_type"], found["exception_message"]
            if kind == "Invalid" and message.startswith(
                "Traceback"
            ):  # a file system written in Python failed
                kind, message = "IO", message.strip().rpartition("\n")[2]
            return cls(kind, message, int(position) if position else None)
        except (ValueError, KeyError, TypeError):  # an error from outside the binder is plain text
            return cls(type(error).__name__.removesuffix("Exception"), said, None)


@contextmanager
def translated(
    *, origin: Origin | None = None, limits: Limits | None = None, user: bool = True
) -> Iterator[None]:
    """Raise what DuckDB raises inside as one of our errors, see `explain`."""
    try:
        yield
    except duckdb.Error as error:
        raise explain(error, origin=origin, limits=limits, user=user) from error
    except OSError as error:
        if (full := _disk_full(str(error))) is not None:
            raise full from error
        raise StorageError(f"a file could not be read or written: {error}") from error


def explain(
    error: Exception, *, origin: Origin | None = None, limits: Limits | None = None, user: bool = True
) -> MeshError:
    """Our error for one of DuckDB's. `user` says whether a user's text ran: without one, what nothing else
    explains is the fault of the files."""
    report = Report.of(error)
    return (
        _interrupted(report)
        or _out_of_memory(report, error, limits)
        or _disk_full(report.message)
        or _corrupt(report)
        or _unreachable(report)
        or _misfit(report, origin)
        or (_user_error(report, origin) if user else _unreadable(report))
    )


def hidden_columns(output: Output) -> frozenset[str]:
    """Columns of `output` whose values its contract keeps out of messages."""
    return frozenset(name for check in output.checks for name in check.masked)


def _interrupted(report: Report) -> MeshError | None:
    if report.kind in ("INTERRUPT", "Interrupt"):
        return CancelledError("stopped on request; nothing was published")
    return None


def _out_of_memory(report: Report, error: Exception, limits: Limits | None) -> MeshError | None:
    if not isinstance(error, duckdb.OutOfMemoryException) and report.kind != "Out of Memory":
        return None
    if "max_temp_directory_size" in report.message:
        allowed = f" of {_size(limits.scratch_bytes)}" if limits and limits.scratch_bytes else ""
        return TransformMemoryError(
            f"the build needs more scratch space than the limit{allowed}",
            hint="raise engines.local.scratchSize in mesh.yaml, or give the build more memory",
        )
    allowed = f" of {_size(limits.memory_bytes)}" if limits else ""
    return TransformMemoryError(
        f"the build needs more memory than the limit{allowed}",
        hint="raise resources.memory of the product (custom property of vendor raymesh) or "
        "engines.local.memory in mesh.yaml",
    )


_FULL = re.compile(r"No space left on device|File too large|Disk quota exceeded|Could not write all bytes")


def _disk_full(message: str) -> MeshError | None:
    if not _FULL.search(message):
        return None
    return DiskFullError(
        f"no space left while writing: {_first_line(message)}",
        hint="free space in the warehouse and scratch folders and run again; nothing was published",
    )


_CORRUPT = re.compile(
    r"No magic bytes|too small to be a Parquet|TProtocolException|TType|don't know what type"
    r"|ecompression failure|Failed to read (Parquet )?file|Invalid Parquet|Could not read enough bytes"
    r"|Invalid unicode \(byte sequence|Corrupted file|Malformed JSON|CSV Error|Error when sniffing"
)
_QUOTED_FILE = re.compile(r"""[Ff]ile:? ['"]([^'"\n]+)['"]|^\s*file ?= ?(\S+)$""", re.MULTILINE)


def _corrupt(report: Report) -> MeshError | None:
    if report.kind in ("Binder", "Catalog", "Parser", "Permission") or not _CORRUPT.search(report.message):
        return None
    named = _QUOTED_FILE.search(report.message)
    file = (named[1] or named[2]) if named else None
    return CorruptFileError(
        f"{file or 'a data file'} is damaged or not what its name says: {_first_line(report.message)}",
        hint="restore the file from its origin, or roll the product back to a version that does not use it",
    )


_MISSING = re.compile(
    r"No files found|No such file|does not exist|Cannot open file|FileNotFound|NoSuch", re.IGNORECASE
)


def _unreachable(report: Report) -> MeshError | None:
    if report.kind == "IO":
        hint = "the file was removed or moved" if _MISSING.search(report.message) else None
        return StorageError(f"a file could not be read or written: {_first_line(report.message)}", hint=hint)
    return None


def _unreadable(report: Report) -> MeshError:
    return StorageError(f"rows could not be read: {_first_line(report.message)}")


def _misfit(report: Report, origin: Origin | None) -> MeshError | None:
    """A value that did not survive one of our own casts to the promised type."""
    column = origin.column(report.position) if origin and report.position is not None else None
    if column is None:
        return None
    hides = origin is not None and column in origin.masked
    said = HIDDEN if hides else _first_line(report.message)
    return ConformError(
        f"a value of column {column!r} does not fit its promised type: {said}",
        hint="promise a wider type in the contract, or change the values in the transform",
        spans=(SourceSpan(origin.file),) if origin and origin.file else (),
    )


def _user_error(report: Report, origin: Origin | None) -> MeshError:
    span = origin.span(report.position) if origin and report.position is not None else None
    if span is None and origin is not None:
        span = SourceSpan(origin.file)
    lines = [line.strip() for line in report.message.strip().splitlines() if line.strip()]
    hint = "; ".join(lines[1:4]) or None
    if report.kind == "Permission":
        lines[0] = lines[0].partition(" - ")[0]
        hint = "SQL reads only its inputs; declare the file as a source of the domain"
    return TransformError(lines[0] if lines else report.kind, hint=hint, spans=(span,) if span else ())


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    return "; ".join(lines[:3])[:400]


def _size(count: Any) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"

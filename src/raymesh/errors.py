"""What can go wrong, as one tree.

MeshError
├── UsageError                    the call itself is wrong                       exit 2
├── DocumentsInvalidError         mesh documents have problems, all listed       exit 3
├── NotFoundError                 no such product, version, column
├── MissingExtraError             an optional dependency is not installed
├── SourceError                   a source cannot be read or has another shape
│   └── SourceChangedError        a source is no longer what was pinned; run again
├── TransformError                user code raised or returned the wrong thing
│   ├── TransformTimeoutError     ran longer than it may
│   └── TransformMemoryError      needed more memory than it may
├── ConformError                  rows do not fit the contract's types           exit 4
├── DataQualityError              a blocking promise of the contract is broken   exit 4
├── BreakingChangeError           a change needs a new major version             exit 3
├── GovernanceError               a standard or policy forbids it                exit 4
│   └── BundleRollbackError       policies older than those in force
├── AccessDeniedError             the principal may not                          exit 6
├── StorageError                  disk, object store or database failed
│   ├── CorruptFileError          a data or metadata file is torn
│   ├── AuditTamperedError        the audit log is not as it was signed
│   └── DiskFullError             no space left
├── CommitConflictError           somebody else published first; nothing was changed
├── CommitUnknownError            the answer to a commit was lost
├── LeaseLostError                another builder took over
├── ClusterError                  a Ray cluster cannot be reached, or does not have what is asked for
├── CancelledError                stopped on request                             exit 130
└── InternalError                 a fault of raymesh itself; the trace says where

Every error builds its own sentence: what happened, where (`spans`) and the way out (`hint`).
`code` is stable and documented. Errors survive pickling, so they cross process boundaries whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, order=True)
class SourceSpan:
    """A place in a document: file as the user knows it, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1
    end_column: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a document: a stable code, one sentence, the place and the way out."""

    code: str
    message: str
    span: SourceSpan | None = None
    severity: Severity = "error"
    help: str | None = None


class MeshError(Exception):
    """Base of every error raymesh raises on purpose."""

    code: ClassVar[str] = "mesh-error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, spans: tuple[SourceSpan, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.spans = spans

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__), self.args)


def _rebuild(kind: type[MeshError], state: dict[str, Any], args: tuple[Any, ...]) -> MeshError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(MeshError):
    code = "usage"
    exit_code = 2


class DocumentsInvalidError(MeshError):
    """Carries every problem found, not only the first."""

    code = "documents-invalid"
    exit_code = 3

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        errors = sum(d.severity == "error" for d in diagnostics)
        super().__init__(f"{errors} problem{'s' if errors != 1 else ''} in the documents")
        self.diagnostics = diagnostics


class NotFoundError(MeshError):
    code = "not-found"


class MissingExtraError(MeshError):
    """An optional dependency is missing; the hint is the exact command that installs it."""

    code = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional dependency raymesh[{extra}]",
            hint=f"pip install 'raymesh[{extra}]'",
        )


class SourceError(MeshError):
    """`column` is the column whose value does not fit, None when the error is about no single one."""

    code = "source"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        spans: tuple[SourceSpan, ...] = (),
        column: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, spans=spans)
        self.column = column


class SourceChangedError(SourceError):
    code = "source-changed"
    retryable = True


class TransformError(MeshError):
    """User code failed. `traceback_text` holds the user's own frames only."""

    code = "transform"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        spans: tuple[SourceSpan, ...] = (),
        traceback_text: str = "",
    ) -> None:
        super().__init__(message, hint=hint, spans=spans)
        self.traceback_text = traceback_text


class TransformTimeoutError(TransformError):
    code = "transform-timeout"


class TransformMemoryError(TransformError):
    code = "transform-memory"


class ConformError(MeshError):
    code = "conform"
    exit_code = 4


class DataQualityError(MeshError):
    code = "data-quality"
    exit_code = 4


class BreakingChangeError(MeshError):
    code = "breaking-change"
    exit_code = 3


class GovernanceError(MeshError):
    code = "governance"
    exit_code = 4


class BundleRollbackError(GovernanceError):
    code = "bundle-rollback"


class AccessDeniedError(MeshError):
    code = "access-denied"
    exit_code = 6


class StorageError(MeshError):
    code = "storage"


class CorruptFileError(StorageError):
    code = "corrupt-file"


class AuditTamperedError(StorageError):
    code = "audit-tampered"


class DiskFullError(StorageError):
    code = "disk-full"


class CommitConflictError(MeshError):
    code = "commit-conflict"
    retryable = True


class CommitUnknownError(MeshError):
    code = "commit-unknown"


class LeaseLostError(MeshError):
    code = "lease-lost"
    retryable = True


class ClusterError(MeshError):
    code = "cluster"


class CancelledError(MeshError):
    code = "cancelled"
    exit_code = 130


class InternalError(MeshError):
    """A fault of raymesh itself. `trace` is for the report of it."""

    code = "internal"

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message, hint="this is a fault of raymesh: please report it with the trace above")
        self.trace = trace

"""What the state store keeps: runs, versions, the index of live files, evidence, leases, outbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from raymesh.spi.agreements import AgreementStore
    from raymesh.spi.audit import AuditLog
    from raymesh.spi.bundles import BundleStore
    from raymesh.spi.classifications import Classifications
    from raymesh.spi.evidence import Evidence

RunStatus = Literal["running", "published", "unchanged", "blocked", "failed", "skipped", "interrupted"]
VersionKind = Literal["publish", "rollback", "maintain"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to build `name` until `until`; `fence` only grows, and every write of the holder carries it."""

    name: str
    owner: str
    fence: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to build one product. `invocation` groups the runs of one command. Times are UTC."""

    run_id: str
    invocation: str
    product: str
    engine: str
    started_at: datetime
    status: RunStatus = "running"
    finished_at: datetime | None = None
    fingerprint: str = ""
    reason: str = ""
    rows: int | None = None
    bytes: int | None = None
    quality_score: float | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, int] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    actor: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One published state of one port, numbered from 1.

    `table` is the Iceberg name (`customer.customer_360`), `schema` a TableSchema as JSON, `contract` the
    contract as published, `of_version` the older version a rollback went back to or maintenance rewrote. After `expired_at` it can no
    longer be read. `schema` and `contract` are mappings, parsed when they are looked into: `dict(…)` makes a dict.
    `governance` says which standards and policies judged it and how (empty for versions nothing judged).
    """

    product: str
    port: str
    number: int
    kind: VersionKind
    table: str
    run_id: str
    snapshot_id: int
    metadata_location: str
    schema: Mapping[str, Any]
    contract: Mapping[str, Any]
    contract_version: str
    rows: int
    bytes: int
    fingerprint: str
    published_at: datetime
    quality_score: float | None = None
    watermark: Any = None
    of_version: int | None = None
    expired_at: datetime | None = None
    governance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One data file of a version with its check state (a FileState as JSON).

    `profile` is a sketch of its values, given when a file is recorded and told by `profiles` only.
    """

    path: str
    rows: int
    bytes: int
    state: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One check result as evidence; `detail` holds threshold, message, place, sample."""

    check_id: str
    kind: str
    status: str
    value: Any
    unit: str
    dimension: str | None
    severity: str
    blocking: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """`column` of `product` comes from `source_column` of `source`; kind direct, indirect or opaque.

    `chooses` marks indirect ones that decide the column's own values, not which rows there are; it is told to the
    store and not kept with the edge.
    """

    column: str
    source: str
    source_column: str
    kind: Literal["direct", "indirect", "opaque"]
    chooses: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class InputPin:
    """Which version of an input a run read."""

    input: str
    version: int | None
    snapshot_id: int | None
    pin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    id: int
    kind: str
    payload: Mapping[str, Any]
    created_at: datetime
    attempts: int = 0


class Transaction(Protocol):
    """An open transaction of the state store; `handle` is the database connection, which a table store
    that shares the database uses to commit in the same transaction."""

    handle: Any


class StateStore(Protocol):
    """Durable, shared by processes. Every method is one transaction unless it takes `within`.

    `write(lease)` opens a write transaction that fails with LeaseLostError, changing nothing, when the lease
    is no longer the current one. Methods raise StorageError when the database cannot be reached.
    """

    url: str
    audit: AuditLog
    bundles: BundleStore
    agreements: AgreementStore
    classifications: Classifications
    evidence: Evidence

    def migrate(self) -> None: ...
    def read(self) -> AbstractContextManager[Transaction]: ...
    def write(self, lease: Lease | None = None) -> AbstractContextManager[Transaction]: ...

    # leases
    def acquire(self, name: str, owner: str, ttl_seconds: float) -> Lease | None:
        """The lease, or None while somebody else holds it."""
        ...

    def renew(self, lease: Lease, ttl_seconds: float) -> Lease: ...
    def release(self, lease: Lease) -> None: ...
    def holder(self, name: str) -> Lease | None: ...

    # runs
    def start_run(self, run: Run) -> None: ...
    def finish_run(self, run: Run, within: Transaction | None = None) -> None: ...
    def runs(
        self,
        *,
        product: str | None = None,
        invocation: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> Sequence[Run]: ...

    # versions
    def current(
        self, products: Iterable[str] | None = None, within: Transaction | None = None
    ) -> Mapping[tuple[str, str], Version]:
        """The current version by (product, port); all products when none are named. One query."""
        ...

    def version(self, product: str, port: str, number: int) -> Version | None: ...
    def versions(self, product: str, port: str | None = None, limit: int = 100) -> Sequence[Version]: ...
    def files(self, version: Version, within: Transaction | None = None) -> Sequence[FileRecord]: ...
    def profiles(self, version: Version) -> Mapping[str, Mapping[str, Any]]:
        """The profiles of the files of a version by path; files without one are left out."""
        ...

    def record_version(
        self, within: Transaction, version: Version, *, added: Sequence[FileRecord], removed: Sequence[str]
    ) -> None:
        """Add a version: its files are those of the version before, less `removed`, plus `added`."""
        ...

    def replace_files(self, within: Transaction, version: Version, files: Sequence[FileRecord]) -> None:
        """Add a version that has exactly `files` (rollback, compaction)."""
        ...

    def forget_versions(self, within: Transaction, product: str, port: str, numbers: Sequence[int]) -> None:
        """Mark versions as expired: they can no longer be read, their evidence stays."""
        ...

    def move_head(self, within: Transaction, product: str, port: str, metadata_location: str) -> None:
        """Note that maintenance gave the current version's table new metadata with the same rows."""
        ...

    # evidence
    def record_checks(
        self, within: Transaction, run_id: str, port: str, checks: Sequence[CheckRecord]
    ) -> None: ...
    def checks(self, run_id: str, port: str | None = None) -> Sequence[CheckRecord]: ...
    def record_lineage(
        self, within: Transaction, run_id: str, product: str, edges: Sequence[LineageEdge]
    ) -> None: ...
    def lineage(self, run_id: str) -> Sequence[LineageEdge]: ...
    def record_inputs(self, within: Transaction, run_id: str, pins: Sequence[InputPin]) -> None: ...
    def inputs(self, run_id: str) -> Sequence[InputPin]: ...

    # outbox
    def enqueue(self, within: Transaction, kind: str, payload: Mapping[str, Any]) -> None: ...
    def pending(self, limit: int = 100) -> Sequence[OutboxEvent]: ...
    def delivered(self, ids: Sequence[int]) -> None: ...
    def undelivered(self, ids: Sequence[int]) -> None:
        """Count one failed attempt to deliver; the events stay pending, behind those that failed less often."""
        ...

    def close(self) -> None: ...

"""What a table store does: keep versions of tables, make changes visible atomically."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from raymesh.mesh.plan import DataFile, Layout, Scan
    from raymesh.spec.types import TableSchema
    from raymesh.spi.state import Transaction


RUN_PROPERTY = "raymesh.run-id"
"""The property of a change that names the run it belongs to; `find_run` looks for it."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """One change of one table, to become one snapshot.

    replace   the table's rows become exactly those of `files`
    append    `files` are added
    rewrite   `files` take the place of `removed` (compaction: same rows)
    rollback  the older `snapshot_id` becomes current; nothing is written
    `base` is the metadata location the change was made from, None for a new table: when the table has
    moved on, the change is refused. `properties` go into the snapshot's summary.
    """

    table: str
    kind: Literal["replace", "append", "rewrite", "rollback"]
    base: str | None
    schema: TableSchema
    files: tuple[DataFile, ...] = ()
    removed: tuple[str, ...] = ()
    snapshot_id: int | None = None
    layout: Layout | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagedChange:
    """A change with its metadata written and synced, not yet visible."""

    table: str
    base: str | None
    metadata_location: str
    snapshot_id: int
    written: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    snapshot_id: int
    at: datetime
    summary: Mapping[str, str]


class TableStore(Protocol):
    """Tables with atomic versions, named `namespace.name`.

    `commit` swaps the metadata of all staged changes inside the given transaction of the state store when
    `shares_state` is true, so tables and evidence become visible together. It raises CommitConflictError when a
    base is no longer current (nothing is changed) and CommitUnknownError when the outcome cannot be known.
    """

    shares_state: bool

    def prepare(self) -> None:
        """Load what `stage` needs; called in a thread of its own while an engine computes."""
        ...

    def location(self, table: str) -> str:
        """Where the table's data files belong (a directory or prefix, created on demand)."""
        ...

    def heads(self, tables: Iterable[str], within: Transaction | None = None) -> Mapping[str, str]:
        """Current metadata location by table, of those that exist. One query."""
        ...

    def stage(self, change: TableChange) -> StagedChange: ...
    def commit(self, staged: Sequence[StagedChange], within: Transaction) -> None: ...
    def discard(self, staged: Sequence[StagedChange]) -> None: ...
    def scan(self, table: str, snapshot_id: int | None = None) -> Scan:
        """The files of a snapshot read from the table itself, not from evidence."""
        ...

    def schema(self, table: str) -> TableSchema | None: ...
    def snapshots(self, table: str) -> Sequence[Snapshot]: ...
    def find_run(self, table: str, run_id: str) -> Snapshot | None:
        """The snapshot a run committed, to settle an unknown outcome."""
        ...

    def expire(self, table: str, snapshot_ids: Sequence[int], base: str) -> StagedChange:
        """Stage the removal of old snapshots from the table's history; no file is deleted."""
        ...

    def live_files(self, table: str) -> frozenset[str]:
        """Every data and metadata file any retained snapshot needs."""
        ...

    def list_files(self, table: str) -> Sequence[tuple[str, int]]:
        """All files under the table's location with their sizes in bytes."""
        ...

    def delete_files(self, paths: Sequence[str]) -> None: ...
    def sync(self, paths: Sequence[str]) -> None:
        """Make staged data files durable before anything names them."""
        ...

    def close(self) -> None: ...

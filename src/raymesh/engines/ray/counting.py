"""Counts keys and references of a large table in many tasks, before one task measures what is left.

What is counted here is what that task would have counted, so states and verdicts are those of the local engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.keys import key_of, known_excess
from raymesh.engines.kernel.measure import Counted, Work
from raymesh.engines.kernel.rows import FILE, Table
from raymesh.engines.ray import exchange, sizing
from raymesh.engines.ray.counts import key_count, orphan_count
from raymesh.engines.ray.names import locked
from raymesh.engines.ray.staged import Terrain, run_staged
from raymesh.engines.ray.usage import Used, counted
from raymesh.errors import CancelledError, ClusterError, MeshError, TransformTimeoutError, UsageError
from raymesh.mesh.plan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from raymesh.engines.kernel.keys import Key
    from raymesh.engines.ray.counts import Count
    from raymesh.engines.ray.exchange import Unit
    from raymesh.engines.ray.sql import Room
    from raymesh.engines.ray.staged import Hands
    from raymesh.mesh.plan import Limits
    from raymesh.quality.model import Check, FileState

LEAST = 256 * 1024 * 1024
"""Bytes of values below which one task that has half of the processors is done sooner."""
SPILLS = 4
"""A task that compares more than one of so many parts of its memory starts to spill."""


@dataclass(frozen=True, slots=True)
class Whole:
    """The table that is judged: its new and kept rows, what is known of the latter, and what references look into."""

    new: Scan
    checks: Sequence[Check]
    kept: Scan | None = None
    kept_states: Mapping[str, FileState | None] = field(default_factory=dict)
    inputs: Mapping[str, Scan] = field(default_factory=dict)
    storage: Mapping[str, Any] = field(default_factory=dict)
    root: str = "."


def count_apart(whole: Whole, room: Room, alone: Limits, hands: Hands) -> tuple[Counted, Used]:
    """What is worth counting in many tasks, and what that used. `alone` are the limits of a task that has a node.

    A count that fails is left to the task that measures the rest, which says why; being stopped, and the loss of the
    cluster, raise.
    """
    con = locked()
    try:
        table = Table(con, whole.new.schema, whole.new.files, whole.kept.files if whole.kept else ())
        return _Counting(whole, table, room, alone, hands).all()
    finally:
        con.close()


def pays(size: float, room: Room, alone: Limits) -> bool:
    """Whether comparing so many bytes in tasks side by side costs less than in one that has a node."""
    more = room.parallel >= 2 * alone.threads
    return size > alone.memory_bytes / SPILLS or (more and size > LEAST)


@dataclass(slots=True)
class _Counting:
    whole: Whole
    table: Table
    room: Room
    alone: Limits
    hands: Hands
    used: Used = field(default_factory=Used)

    def all(self) -> tuple[Counted, Used]:
        active = [c for c in self.whole.checks if c.unsupported is None]
        keys = self.keys([c for c in active if c.kind == "key"])
        return Counted(keys, self.orphans([c for c in active if c.kind == "reference"])), self.used

    @property
    def states(self) -> dict[str, FileState]:
        return {path: state for path, state in self.whole.kept_states.items() if state is not None}

    def keys(self, checks: Sequence[Check]) -> dict[str, int]:
        found: dict[Key, int] = {}
        values: dict[str, int] = {}
        for check, key in sorted(self.keyed(checks), key=lambda ck: len(ck[1].names)):
            if key not in found:
                if any(n == 0 and k.names <= key.names for k, n in found.items()):
                    continue  # nothing needs to be counted for it
                count = key_count(key, self.rows(self.table.files))
                answer = self.run(check, count) if count is not None else None
                if answer is None:
                    continue
                found[key] = sum(n for table in answer for n in table["n"].to_pylist())
            values[check.id] = found[key]
        return values

    def keyed(self, checks: Sequence[Check]) -> list[tuple[Check, Key]]:
        """Checks of keys for which all rows have to be looked at."""
        found = []
        for check in checks:
            try:
                key = key_of(check, self.table)
            except UsageError:  # the task that measures the rest says so
                continue
            if not self.table.kept or known_excess(check.id, key, self.table.kept, self.states) is None:
                found.append((check, key))
        return found

    def orphans(self, checks: Sequence[Check]) -> dict[str, dict[str, int]]:
        work = Work(self.table, self.states, dict(self.whole.inputs), lambda _: None)
        found = {}
        for check in checks:
            try:
                known = work.known_orphans(check)
                rest = [f for f in self.table.files if f not in known]
                some = self.rows(rest)
                bytes_ = self.room.each.memory_bytes / SPILLS
                count = orphan_count(self.table, check, self.whole.inputs, some, bytes_)
            except UsageError:  # the task that measures the rest says so
                continue
            answer = self.run(check, count) if count is not None and rest else None
            if answer is not None:
                found[check.id] = _by_file(rest, answer)
        return found

    def rows(self, files: Sequence[str]) -> Scan:
        """Some files of the table, with as many rows as they have on average."""
        parts = [s for s in (self.whole.new, self.whole.kept) if s is not None]
        share = len(files) / max(len(self.table.files), 1)
        rows, size = (sum(n) * share for n in ([s.rows for s in parts], [s.bytes for s in parts]))
        return Scan(self.table.schema, tuple(files), int(rows), int(size))

    def run(self, check: Check, count: Count) -> list[pa.Table] | None:
        if not pays(count.bytes, self.room, self.alone):
            return None
        piece = sizing.piece(self.room.each.memory_bytes).bytes
        terrain = Terrain(
            count.contents,
            count.contents,
            self.whole.root,
            self.whole.storage,
            self.room.each,
            self.alone,
            self.room.parallel,
            float(piece),
        )
        try:
            outcome = run_staged(count.staged, terrain, self.hands, _last)
        except (CancelledError, TransformTimeoutError, ClusterError):
            raise
        except MeshError as problem:
            self.used.notes.append(f"{check.id}: counting it in many tasks failed: {problem.message}")
            return None
        for used in (*outcome.used, *(r.used for r in outcome.results)):
            self.used.add(used)
        self.used.notes += [f"{check.id}: {note}" for note in outcome.notes]
        return [r.rows for r in outcome.results]


@dataclass(frozen=True, slots=True)
class Tallied:
    """Counts that one task made, and what it used."""

    rows: pa.Table
    used: Used


def tally(unit: Unit, *tables: pa.Table) -> Tallied:
    """The few rows of a unit that counts."""
    with counted() as used:
        rows = exchange.collect(unit, *tables)
    return Tallied(rows, used)


def _last(unit: Unit, _: int) -> tuple[Callable[..., Any], Unit]:
    return tally, unit


def _by_file(files: Sequence[str], answer: Sequence[pa.Table]) -> dict[str, int]:
    found = dict.fromkeys(files, 0)
    for rows in answer:
        for file, n in zip(rows[FILE].to_pylist(), rows["n"].to_pylist(), strict=True):
            found[file] += n
    return found

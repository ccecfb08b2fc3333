"""Row checks, counted in one scan: the state of every file, new counts for new files, old ones reused."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import duckdb

from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.engines.kernel.rows import Table, counts, failure
from raymesh.errors import UsageError
from raymesh.quality.model import Check, Failure, FileState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.engines.kernel.sketches import Sketching
    from raymesh.spec.types import TableSchema


@dataclass(slots=True)
class Tally:
    """File states by path, and the checks that could not be counted."""

    files: dict[str, FileState] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """A check as a condition. `basis` names exactly what is counted: the condition and the columns' ids."""

    check: Check
    condition: str
    basis: str


def tally(
    table: Table,
    checks: Iterable[Check],
    kept: Mapping[str, FileState],
    sketching: Sketching | None = None,
) -> Tally:
    """Count every executable row check. Kept files are read again only where their state does not tell.

    New files are sketched in the same scan.
    """
    result = Tally()
    wanted: list[Counted] = []
    for check in checks:
        try:
            wanted.append(counted(check, table.schema))
        except UsageError as problem:
            result.failures[check.id] = Failure(problem.message)
    for files, some in _work(table, wanted, kept).items():
        _count(table, files, some, result, sketching if files == table.new else None)
    for path in table.kept:
        if path in kept:
            result.files[path] = _joined(kept[path], result.files.get(path), wanted)
    return result


def counted(check: Check, schema: TableSchema) -> Counted:
    """The check's condition over rows of `schema`; raises UsageError when it has no meaning there."""
    if check.violates is None:
        raise UsageError(f"{check.id} says nothing about rows")
    condition = predicate_sql(check.violates, schema, exact_null=False)
    columns = [(f.id, str(f.type)) for f in schema if f.name in check.columns]
    basis = hashlib.sha256(f"{condition}\0{columns}".encode()).hexdigest()[:16]
    return Counted(check, condition, basis)


def _work(
    table: Table, wanted: Sequence[Counted], kept: Mapping[str, FileState]
) -> dict[tuple[str, ...], tuple[Counted, ...]]:
    """Which files must be read for which checks: new ones for all, kept ones for what they do not tell."""
    by_need: dict[tuple[str, ...], list[str]] = {}
    for path in table.kept:
        need = tuple(w.check.id for w in wanted if path not in kept or not _knows(kept[path], w))
        if need or path not in kept:
            by_need.setdefault(need, []).append(path)
    work = {tuple(files): tuple(w for w in wanted if w.check.id in need) for need, files in by_need.items()}
    if table.new:
        work[table.new] = tuple(wanted)
    return work


def _knows(state: FileState, w: Counted) -> bool:
    return w.check.id in state.violations and state.basis.get(w.check.id) == w.basis


def _count(
    table: Table,
    files: Sequence[str],
    wanted: Sequence[Counted],
    result: Tally,
    sketching: Sketching | None = None,
) -> None:
    conditions = list(dict.fromkeys(w.condition for w in wanted))
    try:
        found = counts(table, files, conditions, sketching)
    except duckdb.Error as error:
        failure(error)
        if sketching is not None:  # a profile is a service: without it everything is counted as ever
            _count(table, files, wanted, result)
            return
        _count_singly(table, files, wanted, result)
        return
    place = {condition: n for n, condition in enumerate(conditions)}
    for file, (rows, numbers) in found.items():
        state = FileState(
            rows,
            {w.check.id: numbers[place[w.condition]] for w in wanted},
            basis={w.check.id: w.basis for w in wanted},
        )
        _add(result, file, state)


def _count_singly(table: Table, files: Sequence[str], wanted: Sequence[Counted], result: Tally) -> None:
    """One check broke the common scan: count each alone, so that only that one is left without a count.

    Files that cannot be read at all raise here.
    """
    _count(table, files, (), result) if wanted else counts(table, files, ())
    for w in wanted:
        try:
            found = counts(table, files, [w.condition])
        except duckdb.Error as error:
            result.failures[w.check.id] = failure(error)
            continue
        for file, (rows, numbers) in found.items():
            _add(result, file, FileState(rows, {w.check.id: numbers[0]}, basis={w.check.id: w.basis}))


def _add(result: Tally, file: str, state: FileState) -> None:
    """More counts about the same rows."""
    known = result.files.get(file)
    result.files[file] = _together(known, state) if known else state


def _together(a: FileState, b: FileState) -> FileState:
    return replace(b, violations={**a.violations, **b.violations}, basis={**a.basis, **b.basis})


def _joined(kept: FileState, fresh: FileState | None, wanted: Sequence[Counted]) -> FileState:
    """What a kept file says now: counts of today's checks only, old ones and fresh ones."""
    valid = {w.check.id: w.basis for w in wanted if _knows(kept, w)}
    old = replace(kept, violations={k: kept.violations[k] for k in valid}, basis=valid)
    return _together(old, replace(fresh, columns=kept.columns, whole=kept.whole)) if fresh else old

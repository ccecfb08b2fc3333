"""Measures every check of one output on the files that were written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.keys import Key, Known, excess, fingerprint, key_of, known_excess
from raymesh.engines.kernel.partners import orphans, sight
from raymesh.engines.kernel.profiles import profiles
from raymesh.engines.kernel.rows import Table, failure, without_values
from raymesh.engines.kernel.rulebox import (
    MOST_ALONE,
    counts_rows,
    rule_basis,
    rule_connection,
    rule_counts,
    rule_value,
)
from raymesh.engines.kernel.samples import sample
from raymesh.engines.kernel.sketches import Sketching
from raymesh.engines.kernel.tally import tally
from raymesh.errors import MeshError, NotFoundError, UsageError
from raymesh.quality.fit import found_type, same_shape, type_problem
from raymesh.quality.judge import judge
from raymesh.quality.model import Check, Failure, FileState, Measurements
from raymesh.spi import registry
from raymesh.spi.scan_sql import fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from raymesh.mesh.plan import Scan
    from raymesh.spec.types import TableSchema

SAMPLED = ("row", "key", "reference")


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted elsewhere, by check: rows in excess of keys, and per file the rows that refer to nothing."""

    keys: Mapping[str, int] = field(default_factory=dict)
    orphans: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def measure(  # noqa: PLR0913 - what to measure, and what is known already
    con: duckdb.DuckDBPyConnection,
    files: Sequence[str],
    schema: TableSchema,
    checks: Sequence[Check],
    *,
    kept: Scan | None = None,
    kept_states: Mapping[str, FileState | None] | None = None,
    inputs: Mapping[str, Scan] | None = None,
    prepare: Callable[[duckdb.DuckDBPyConnection], None] = lambda _: None,
    measured: Measurements | None = None,
    counted: Counted | None = None,
    profiled: bool = False,
) -> Measurements:
    """Measure `checks` over the new `files` and the `kept` ones together, all read under `schema`.

    Kept files with a state in `kept_states` are not read again for what the state tells (None stands for
    evidence that could not be read). `inputs` holds the tables that references point to. `prepare` is called
    with every further connection this opens (for SQL rules): to register file systems, and to be able to
    interrupt it. `measured` is what `measure_files` found out about the new files already, wherever that was, and
    `counted` what need not be counted again. With `profiled` the states of new files have a sketch of their values
    too. What cannot be measured is in `failures`; only unreadable files, lack of memory for the common scan and
    interruption raise (duckdb.Error).
    """
    table = Table(con, schema, tuple(files), kept.files if kept else ())
    states = {path: state for path, state in (kept_states or {}).items() if state is not None}
    work = Work(table, states, dict(inputs or {}), prepare, profiled, counted or Counted())
    active = [c for c in checks if c.unsupported is None]
    if measured is None:
        work.each_file(active, checks)
    else:
        work.take(measured, [c for c in active if c.kind == "row"])
    work.keys([c for c in active if c.kind == "key"])
    work.rules([c for c in active if c.kind == "sql"])
    work.references(c for c in active if c.kind == "reference")
    work.custom([c for c in active if c.kind == "custom"])
    work.no_rows(active)
    return work.sampled(checks)


def measure_files(
    con: duckdb.DuckDBPyConnection, files: Sequence[str], schema: TableSchema, checks: Sequence[Check]
) -> Measurements:
    """What `files` say one by one: types, row checks, profiles; the rest of `checks` needs the whole table."""
    work = Work(Table(con, schema, tuple(files)), {}, {}, lambda _: None, profiled=True)
    work.each_file([c for c in checks if c.unsupported is None], checks)
    return Measurements(work.files, work.values, work.problems, work.failures)


@dataclass(slots=True)
class Work:
    """One measurement under way: every kind of check has a method, and what they find adds up here."""

    table: Table
    kept_states: dict[str, FileState]
    inputs: Mapping[str, Scan | Table]
    prepare: Callable[[duckdb.DuckDBPyConnection], None]
    profiled: bool = False
    counted: Counted = field(default_factory=Counted)
    files: dict[str, FileState] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

    def each_file(self, active: Sequence[Check], checks: Sequence[Check]) -> None:
        self.types(c for c in active if c.kind == "type")
        unique = {c.columns[0] for c in active if _keeps_apart(c)}
        hidden = {m for c in checks for m in c.masked}
        self.rows([c for c in active if c.kind == "row"], hidden, unique)

    def take(self, measured: Measurements, rows: Sequence[Check]) -> None:
        """Use what was measured of the new files, and count what the states of kept ones do not tell."""
        counted = tally(replace(self.table, new=()), rows, self.kept_states)
        self.files = {**counted.files, **measured.files}
        self.failures |= counted.failures | dict(measured.failures)
        self.values |= measured.values
        self.problems |= measured.types

    def types(self, checks: Iterable[Check]) -> None:
        """Promised types against the schema, and the schema against what the new files hold."""
        self.problems.update(_unlike(self.table))
        for check in checks:
            found = found_type(self.table.schema, tuple(check.arguments["steps"]))
            problem = type_problem(check.arguments, found)
            if found is not None:
                self.values[check.id] = str(found)
            if problem is not None:
                self.problems[check.id] = problem

    def rows(self, checks: Sequence[Check], hidden: set[str], unique: set[str]) -> None:
        sketching = Sketching.of(self.table, hidden, unique) if self.profiled else None
        result = tally(self.table, checks, self.kept_states, sketching)
        self.failures |= result.failures
        described = profiles(self.table, self.table.new, hidden)
        sketched = sketching.finished(described) if sketching else {}
        self.files = {
            path: replace(
                state, columns=described.get(path, state.columns), profile=sketched.get(path, state.profile)
            )
            for path, state in result.files.items()
        }

    def keys(self, checks: Sequence[Check]) -> None:
        """Small keys first: what is unique on them needs no look at larger ones."""
        found: dict[Key, int] = {}
        whole: dict[str, tuple[str, int]] = {}
        for check, key in sorted(self._keyed(checks), key=lambda ck: len(ck[1].names)):
            known = known_excess(check.id, key, self.table.kept, self.kept_states)
            if key not in found and not self._measured(
                check, partial(self._excess, check, key, known, found)
            ):
                continue
            found.setdefault(key, self.values.get(check.id, 0))
            self.values[check.id] = found[key]
            whole[check.id] = fingerprint(key, self.table.files), found[key]
        for path in self.table.new:
            self.files[path] = replace(self.files[path], whole=whole)

    def _excess(self, check: Check, key: Key, known: int | None, found: Mapping[Key, int]) -> int:
        if check.id in self.counted.keys:
            return self.counted.keys[check.id]
        unique = [k for k, n in found.items() if n == 0]
        return excess(self.table, key, Known(unique, {**self.kept_states, **self.files}, known))

    def _keyed(self, checks: Sequence[Check]) -> Iterable[tuple[Check, Key]]:
        for check in checks:
            try:
                yield check, key_of(check, self.table)
            except UsageError as problem:
                self.failures[check.id] = Failure(problem.message)

    def rules(self, checks: Sequence[Check]) -> None:
        if not checks:
            return
        names = tuple(dict.fromkeys(n for c in checks for n in c.arguments["tables"]))
        try:
            with rule_connection(self.table, names, self.prepare) as con:
                for check in checks:
                    self._measured(check, partial(self._rule, con, check))
        except duckdb.Error as error:  # the place to run them in could not be made
            reason = failure(error)
            self.failures |= {c.id: reason for c in checks if c.id not in self.values}

    def _rule(self, con: duckdb.DuckDBPyConnection, check: Check) -> Any:
        """Rules that add up are asked of new files only, as long as those are not too many to ask one by one."""
        known = self._known(check, (basis := rule_basis(self.table, check)))
        rest = [f for f in self.table.files if f not in known]
        if not self.table.files or len(rest) > MOST_ALONE or not counts_rows(con, self.table, check):
            return rule_value(con, check)
        return self._summed(check, basis, known | rule_counts(con, check, self.table, rest))

    def references(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._measured(check, partial(self._orphans, check))

    def _orphans(self, check: Check) -> int:
        basis, seen = sight(self.table, check, self.inputs)
        known = self.known_orphans(check)
        found = self.counted.orphans.get(check.id)
        if found is None:
            rest = [f for f in self.table.files if f not in known]
            found = orphans(self.table, check, self.inputs, rest)
        return self._summed(check, basis, known | dict(found), seen)

    def known_orphans(self, check: Check) -> dict[str, int]:
        """Per kept file its rows that refer to nothing, as far as evidence still tells. Raises UsageError."""
        basis, seen = sight(self.table, check, self.inputs)
        return {
            path: n
            for path, n in self._known(check, basis).items()
            if _still_true(n, self.kept_states[path].seen.get(check.id), seen)
        }

    def _known(self, check: Check, basis: str) -> dict[str, int]:
        """What the states of kept files say of a count with this basis."""
        states = {path: self.kept_states[path] for path in self.table.kept if path in self.kept_states}
        return {
            path: state.violations[check.id]
            for path, state in states.items()
            if check.id in state.violations and state.basis.get(check.id) == basis
        }

    def _summed(
        self, check: Check, basis: str, counted: Mapping[str, int], seen: tuple[str, ...] | None = None
    ) -> int:
        """The sum over all files, each of which is told its share."""
        total = sum(counted[path] for path in self.table.files)
        for path in self.table.files:
            if (state := self.files.get(path)) is not None:
                self.files[path] = replace(
                    state,
                    violations={**state.violations, check.id: counted[path]},
                    basis={**state.basis, check.id: basis},
                    seen=state.seen if seen is None else {**state.seen, check.id: seen},
                )
        return total

    def custom(self, checks: Sequence[Check]) -> None:
        """Rules of other engines, by the adapters installed as `raymesh.checks`."""
        for check in checks:
            self._measured(check, partial(self._adapted, check))

    def _adapted(self, check: Check) -> Any:
        try:
            adapter = registry.load("checks", str(check.arguments["engine"]))
        except NotFoundError as missing:
            raise UsageError(missing.message) from None
        found = adapter(check.arguments["implementation"], self.table.con.sql(f"FROM {self.table.rows()}"))
        if isinstance(found, bool):
            return 0 if found else 1
        if not isinstance(found, int):
            raise UsageError(f"the adapter answered {found!r}, not a number of rows or a truth")
        return found

    def _measured(self, check: Check, take: Callable[[], Any]) -> bool:
        """Take one value; whatever goes wrong is this check's failure."""
        try:
            self.values[check.id] = take()
        except duckdb.Error as error:
            self.failures[check.id] = failure(error)
        except MeshError as problem:
            self.failures[check.id] = Failure(problem.message)
        except Exception as error:
            if check.kind != "custom" or str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C
                raise
            # an adapter is somebody else's code and may raise anything, with values in its words
            reason = without_values(" ".join(str(error).split()))
            self.failures[check.id] = Failure(f"{type(error).__name__}: {reason}"[:300])
        return check.id in self.values

    def no_rows(self, checks: Iterable[Check]) -> None:
        """A table without any file has no states, but it was looked at: there is nothing in it."""
        if self.table.files:
            return
        for check in checks:
            if check.kind in ("row", "count") and check.id not in self.failures:
                self.values[check.id] = 0

    def sampled(self, checks: Sequence[Check]) -> Measurements:
        taken = Measurements(self.files, self.values, self.problems, self.failures)
        broken = [
            r.check
            for r in judge(checks, taken).results
            if r.status in ("fail", "warn") and r.check.kind in SAMPLED and r.value
        ]
        samples = {}
        for check in broken:
            try:
                samples[check.id] = sample(self.table, check, self.files, self.inputs)
            except duckdb.Error as error:
                failure(error)  # a sample is a service: without it the verdict stands
        return replace(taken, samples=samples)


def _keeps_apart(check: Check) -> bool:
    """Whether no version is published in which the one column of a key has a value twice."""
    plain = check.threshold.operator == "mustBe" and check.threshold.value == 0
    alone = len(check.columns) == 1 and all(len(k.path) == 1 for k in check.keys)
    return check.kind == "key" and check.blocking and plain and alone


def _still_true(orphans: int, then: tuple[str, ...] | None, now: tuple[str, ...]) -> bool:
    """Whether a count of references still holds: the other table is the same, or nothing was missing in it and
    it has lost nothing since."""
    return then is not None and (then == now or (orphans == 0 and set(then) <= set(now)))


def _unlike(table: Table) -> Iterable[tuple[str, str]]:
    """Columns whose files do not hold what the schema says, with the problem."""
    for path in table.new:
        relation = table.con.sql("SELECT * FROM read_parquet($path)", params={"path": path})
        held = {f.name: f.type for f in fields_of(relation.columns, relation.types)}
        for f in table.schema:
            if f.name not in held:
                yield f.name, f"it is missing in {path}"
            elif not same_shape(held[f.name], f.type):
                yield f.name, f"{path} holds {held[f.name]}, not {f.type}"

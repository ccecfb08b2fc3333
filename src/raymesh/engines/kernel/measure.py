"""Measures every check of one output on the files that were written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.keys import Key, excess, fingerprint, key_of, known_excess
from raymesh.engines.kernel.partners import orphans
from raymesh.engines.kernel.profiles import profiles
from raymesh.engines.kernel.rows import Table, failure
from raymesh.engines.kernel.rulebox import rule_connection, rule_value
from raymesh.engines.kernel.samples import sample
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
) -> Measurements:
    """Measure `checks` over the new `files` and the `kept` ones together, all read under `schema`.

    Kept files with a state in `kept_states` are not read again for what the state tells (None stands for
    evidence that could not be read). `inputs` holds the tables that references point to. `prepare` is called
    with every further connection this opens (for SQL rules): to register file systems, and to be able to
    interrupt it. What cannot be measured is in `failures`; only unreadable files, lack of memory for the
    common scan and interruption raise (duckdb.Error).
    """
    table = Table(con, schema, tuple(files), kept.files if kept else ())
    states = {path: state for path, state in (kept_states or {}).items() if state is not None}
    work = Work(table, states, dict(inputs or {}), prepare)
    active = [c for c in checks if c.unsupported is None]
    work.types(c for c in active if c.kind == "type")
    work.rows([c for c in active if c.kind == "row"], hidden={m for c in checks for m in c.masked})
    work.keys([c for c in active if c.kind == "key"])
    work.rules([c for c in active if c.kind == "sql"])
    work.references(c for c in active if c.kind == "reference")
    work.custom([c for c in active if c.kind == "custom"])
    work.no_rows(active)
    return work.sampled(checks)


@dataclass(slots=True)
class Work:
    """One measurement under way: every kind of check has a method, and what they find adds up here."""

    table: Table
    kept_states: dict[str, FileState]
    inputs: Mapping[str, Scan | Table]
    prepare: Callable[[duckdb.DuckDBPyConnection], None]
    files: dict[str, FileState] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)

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

    def rows(self, checks: Sequence[Check], hidden: set[str]) -> None:
        result = tally(self.table, checks, self.kept_states)
        self.failures |= result.failures
        described = profiles(self.table, self.table.new, hidden)
        self.files = {
            path: replace(state, columns=described[path]) if path in described else state
            for path, state in result.files.items()
        }

    def keys(self, checks: Sequence[Check]) -> None:
        """Small keys first: what is unique on them needs no look at larger ones."""
        found: dict[Key, int] = {}
        whole: dict[str, tuple[str, int]] = {}
        for check, key in sorted(self._keyed(checks), key=lambda ck: len(ck[1].names)):
            known = known_excess(check.id, key, self.table.kept, self.kept_states)
            if key not in found and not self._measured(check, partial(self._excess, key, known, found)):
                continue
            found.setdefault(key, self.values.get(check.id, 0))
            self.values[check.id] = found[key]
            whole[check.id] = fingerprint(key, self.table.files), found[key]
        for path in self.table.new:
            self.files[path] = replace(self.files[path], whole=whole)

    def _excess(self, key: Key, known: int | None, found: Mapping[Key, int]) -> int:
        unique = [k for k, n in found.items() if n == 0]
        rows = sum(state.rows for state in self.files.values())
        return excess(self.table, key, known, unique=unique, rows=rows)

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
                    self._measured(check, partial(rule_value, con, check))
        except duckdb.Error as error:  # the place to run them in could not be made
            reason = failure(error)
            self.failures |= {c.id: reason for c in checks if c.id not in self.values}

    def references(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._measured(check, partial(orphans, self.table, check, self.inputs))

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
            if check.kind != "custom":
                raise
            # an adapter is somebody else's code and may raise anything
            self.failures[check.id] = Failure(f"{type(error).__name__}: {error}")
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

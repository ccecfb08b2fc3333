"""Measures checks on outside data where it lies: no file is written and no value is changed.

The types are the data's own. Where DuckDB has more kinds than tables do (small integers, enums, UUIDs), values
are widened without loss; where a kind has no counterpart at all, every check on the column is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.inputs import bind, reading
from raymesh.engines.kernel.measure import Work
from raymesh.engines.kernel.rows import FILE, Table
from raymesh.engines.kernel.rulebox import rule_value
from raymesh.engines.kernel.sqltext import quote, text
from raymesh.engines.kernel.tally import tally
from raymesh.engines.kernel.types import UNTYPED, UnstorableTypeError, from_duckdb
from raymesh.mesh.plan import Input
from raymesh.quality.fit import found_type, type_problem
from raymesh.quality.model import Failure
from raymesh.spec.physical import parse_physical
from raymesh.spec.types import Field, Primitive, TableSchema, Type
from raymesh.spi.engine import Inspection
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from raymesh.quality.model import Check, Measurements
    from raymesh.spi.engine import Subject

_FINER = {
    "timestamp_ns": Primitive("timestamp"),
    "timestamptz_ns": Primitive("timestamptz"),
    "time_ns": Primitive("time"),
}
"""Kinds that compare like ours but hold nanoseconds: they are left as they are."""

_USUAL: dict[str, Primitive] = {
    "integer": Primitive("long"),
    "number": Primitive("double"),
    "boolean": Primitive("boolean"),
    "date": Primitive("date"),
    "time": Primitive("time"),
    "timestamp": Primitive("timestamp"),
}


def inspect(
    con: duckdb.DuckDBPyConnection,
    subject: Subject,
    checks: Sequence[Check],
    *,
    root: str,
    others: Mapping[str, Subject],
    sample: int | None = None,
) -> Inspection:
    """Measure `checks` on the rows of `subject`; see Engine.inspect. `con` can do nothing else afterwards."""
    subjects = {f"s{n}": s for n, s in enumerate((subject, *others.values()))}
    inputs = [Input(f"subject.{key}", s.content) for key, s in subjects.items()]
    with reading(inputs, root):
        files = bind(con, inputs, root, {})
        con.execute("CREATE SCHEMA judged")
        seen = _seen(con, "s0", subject, checks)
        targets = {name: _seen(con, f"s{n}", s, ()).table for n, (name, s) in enumerate(others.items(), 1)}
        limited = False
        if sample is not None:
            table, limited = _limited(seen.table, sample)
            seen = replace(seen, table=table)
        work = _Inspecting(seen.table, {}, targets, lambda _: None, seen=seen, reachable=files)
        measurements = _measured(work, checks)
    return Inspection(measurements, measurements.files[subject.content.name].rows, limited)


@dataclass(frozen=True, slots=True)
class _View(Table):
    """The rows of a view in the schema `judged`; they count as one file."""

    view: str = ""

    def rows(
        self,
        files: Sequence[str] | None = None,
        *,
        with_file: bool = False,
        with_row: bool = False,  # noqa: ARG002 - no profile is taken of it
    ) -> str:
        file = f", {text(self.new[0])} AS {quote(FILE)}" if with_file else ""
        nothing = " WHERE FALSE" if files is not None and not files else ""
        return f"(SELECT *{file} FROM judged.{quote(self.view)}{nothing})"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A subject as a table. `kinds` are the data's own words for its types, `foreign` those of columns that
    cannot be judged and are no part of the table."""

    table: _View
    kinds: Mapping[str, str]
    foreign: Mapping[str, str]


def _seen(con: duckdb.DuckDBPyConnection, key: str, subject: Subject, checks: Sequence[Check]) -> _Seen:
    """Shows a source under the contract's names and in types of ours."""
    source = f"subject.{quote(key)}"
    found = con.sql(f"SELECT * FROM {source}")
    kinds = {subject.names.get(c, c): kind for c, kind in zip(found.columns, found.types, strict=True)}
    fields: list[Field] = []
    selected: list[str] = []
    foreign: dict[str, str] = {}
    for column, (called, kind) in zip(found.columns, kinds.items(), strict=True):
        try:
            own, widened = _own_type(kind, _promised(called, checks))
        except UnstorableTypeError:
            foreign[called] = str(kind)
            continue
        fields.append(Field(called, own))
        value = f"CAST({quote(column)} AS {type_text(own)})" if widened else quote(column)
        selected.append(f"{value} AS {quote(called)}")
    con.execute(f"CREATE VIEW judged.{quote(key)} AS SELECT {', '.join(selected) or '1'} FROM {source}")
    table = _View(con, TableSchema(tuple(fields)), (subject.content.name,), (), key)
    return _Seen(table, {name: str(kind) for name, kind in kinds.items()}, foreign)


def _own_type(kind: Any, promised: Type | None) -> tuple[Type, bool]:
    """The type to judge a DuckDB type as, and whether its values must be widened; raises UnstorableTypeError."""
    if kind.id in _FINER:
        return _FINER[kind.id], False
    own = from_duckdb(kind, promised or Primitive("string"))
    return own, kind.id == UNTYPED or str(kind) != type_text(own)


def _promised(column: str, checks: Iterable[Check]) -> Type | None:
    """What a column of nothing but NULL may be taken for: it fits every type."""
    for check in checks:
        if check.kind == "type" and check.arguments.get("steps") == [column]:
            physical = parse_physical(str(check.arguments.get("physical") or ""))
            return physical.type if physical else _USUAL.get(str(check.arguments.get("logical")))
    return None


def _limited(table: _View, rows: int) -> tuple[_View, bool]:
    """The first `rows` rows that come, the same ones for every check; whether there are more."""
    table.con.execute(f"CREATE TABLE judged.kept AS SELECT * FROM {table.rows()} LIMIT {rows + 1:d}")
    table.con.execute(f"CREATE VIEW judged.sample AS SELECT * FROM judged.kept WHERE rowid < {rows:d}")
    return replace(table, view="sample"), int(table.one("SELECT count(*) FROM judged.kept")) > rows


def _measured(work: _Inspecting, checks: Sequence[Check]) -> Measurements:
    active = [c for c in checks if c.unsupported is None]
    judged = [c for c in active if not work.refused(c)]
    work.types(c for c in judged if c.kind == "type")
    work.rows([c for c in judged if c.kind == "row"], set(), set())
    work.keys([c for c in judged if c.kind == "key"])
    work.references(c for c in judged if c.kind == "reference")
    work.custom([c for c in judged if c.kind == "custom"])
    work.rules([c for c in judged if c.kind == "sql"])
    return work.sampled(checks)


@dataclass(slots=True, kw_only=True)
class _Inspecting(Work):
    """A measurement of rows that are not files of ours."""

    seen: _Seen
    reachable: tuple[str, ...]

    def refused(self, check: Check) -> bool:
        """Whether the check is about a column whose kind of value cannot be judged."""
        foreign = next((c for c in check.columns if c in self.seen.foreign), None)
        if foreign is not None:
            reason = f"{foreign} is {self.seen.foreign[foreign]}, which raymesh cannot judge"
            self.failures[check.id] = Failure(reason)
        return foreign is not None

    def types(self, checks: Iterable[Check]) -> None:
        for check in checks:
            steps = tuple(check.arguments["steps"])
            found = found_type(self.table.schema, steps)
            if found is not None:
                own = self.seen.kinds[steps[0]]
                plain = len(steps) > 1 or own == type_text(found)
                self.values[check.id] = str(found) if plain else f"{found} ({own})"
            if (problem := type_problem(check.arguments, found)) is not None:
                self.problems[check.id] = problem

    def rows(self, checks: Sequence[Check], hidden: set[str], unique: set[str]) -> None:  # noqa: ARG002 - no profiles are taken
        result = tally(self.table, checks, {})
        self.failures |= result.failures
        self.files = result.files

    def rules(self, checks: Sequence[Check]) -> None:
        """SQL of the contract sees the judged tables under their names and can reach nothing else."""
        con = self.table.con
        tables = {name: t for name, t in self.inputs.items() if isinstance(t, Table)}
        tables |= {n: self.table for c in checks for n in c.arguments["tables"]}
        for name, table in tables.items():
            con.execute(f"CREATE OR REPLACE VIEW main.{quote(name)} AS SELECT * FROM {table.rows()}")
        duck.lock(con, files=self.reachable)
        for check in checks:
            self._measured(check, partial(rule_value, con, check))

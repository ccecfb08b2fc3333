"""What of a SQL transform can run apart on a cluster, as a plan: pure, from the text and the inputs' metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import duckdb

from raymesh.engines.kernel.sqltext import quote
from raymesh.engines.ray import syntax
from raymesh.engines.ray.drafts import Draft, Reading, Terms
from raymesh.engines.ray.expressions import Unproven, WholeOnly
from raymesh.engines.ray.names import Resolver, locked
from raymesh.engines.ray.places import places
from raymesh.engines.ray.placing import Placer
from raymesh.engines.ray.relations import Column, Opaque, travels
from raymesh.engines.ray.stages import Read, Stage, StagedQuery
from raymesh.mesh.plan import Scan

SMALL = 8 * 1024 * 1024
"""Inputs of fewer bytes than this altogether are not worth a second task."""


@dataclass(frozen=True, slots=True)
class Chances:
    """What a cluster offers: tasks side by side, bytes of memory per task; `small` as above."""

    parallel: int = 2
    whole_bytes: float = 256 * 1024 * 1024
    small: float = SMALL


def analyse(sql: str, inputs: Mapping[str, Scan], chances: Chances | None = None) -> StagedQuery:
    """The stages of one SELECT over `inputs` (schemas, rows and bytes are looked at, no file is).

    Never raises for a query it does not understand, nor for a wrong one: that runs in one task, where its error
    is told as everywhere.
    """
    chances = chances or Chances()
    try:
        return _staged(sql, inputs, chances)
    except (Unproven, WholeOnly) as reason:
        return _whole(str(reason), inputs)
    except duckdb.Error as error:
        return _whole(f"DuckDB did not take it apart: {str(error).splitlines()[0]}", inputs)


def _whole(why: str, inputs: Mapping[str, Scan]) -> StagedQuery:
    return StagedQuery((), f"one task: {why}", tuple(inputs))


def _staged(sql: str, inputs: Mapping[str, Scan], chances: Chances) -> StagedQuery:
    total = sum(s.bytes for s in inputs.values())
    if total < chances.small:
        return _whole(f"all its inputs are {total / 1e6:.1f} MB", inputs)
    resolver = Resolver.over({name: scan.schema for name, scan in inputs.items()})
    try:
        query = resolver.statement(sql)
        if isinstance(query, Opaque):
            return _whole(query.why, inputs)
        sizes = {name: (float(s.rows), float(s.bytes)) for name, s in inputs.items()}
        terms = Terms(chances.parallel, chances.whole_bytes, sizes)
        draft = Placer(resolver.con, resolver.made, terms).draft(query)
        with locked() as blank:
            stages = _Stages(resolver.con, blank, sql)
            stages.stage(draft)
        made = tuple(stages.made)
        _agree(made[-1].columns, resolver.con.sql(sql))
        staged = StagedQuery(made, draft.why, tuple(inputs))
        return staged if staged.apart else _whole(draft.why.removeprefix("one task: "), inputs)
    finally:
        resolver.con.close()


def _agree(columns: tuple[Column, ...], original: duckdb.DuckDBPyRelation) -> None:
    told = tuple(Column(n, str(t)) for n, t in zip(original.columns, original.types, strict=True))
    if told != columns:
        raise WholeOnly("its stages would not make the same columns")


@dataclass(slots=True)
class _Stages:
    """Drafts as stages in the order they can run. Each is bound once: a plan that does not bind is none."""

    con: duckdb.DuckDBPyConnection
    blank: duckdb.DuckDBPyConnection
    said: str
    made: list[Stage] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def stage(self, draft: Draft) -> str:
        if id(draft) in self.names:
            return self.names[id(draft)]
        reads = tuple(self.read(r) for r in draft.reads)
        name = f"s{len(self.made) + 1}"
        self.names[id(draft)] = name
        sql = syntax.render(self.con, draft.node)
        stage = Stage(
            name,
            sql,
            reads,
            draft.runs,
            draft.columns,
            draft.why,
            draft.size.rows,
            draft.size.bytes,
            draft.spread,
            places(self.con, draft.node, sql, self.said),
        )
        self.check(stage)
        self.made.append(stage)
        return name

    def read(self, reading: Reading) -> Read:
        source = self.stage(reading.draft) if reading.draft is not None else reading.input
        return Read(
            reading.alias,
            source,
            reading.draft is not None,
            reading.how,
            reading.columns,
            reading.key,
            reading.size.rows,
            reading.size.bytes,
        )

    def check(self, stage: Stage) -> None:
        """Raise WholeOnly unless the stage's SQL makes its columns of exactly what it is given."""
        for read in stage.reads:
            if not read.columns:
                return  # it names inputs as the user does
            columns = ", ".join(f"{quote(c.name)} {c.type}" for c in read.columns)
            self.blank.execute(f"CREATE OR REPLACE TABLE {quote(read.alias)} ({columns})")
        relation = self.blank.sql(stage.sql)
        made = tuple(Column(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True))
        if not all(travels(c.type) for read in stage.reads for c in read.columns if read.staged):
            raise WholeOnly("values of a type that no task can give to another")
        states = tuple(
            replace(m, type=c.type) if m.type == "AGGREGATE_STATE" else m
            for m, c in zip(made, stage.columns, strict=False)
        )
        if states != stage.columns:
            raise WholeOnly(f"its stage {stage.name} would make other columns")

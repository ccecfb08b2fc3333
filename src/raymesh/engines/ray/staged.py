"""Runs a staged query: units of every stage in order, rows exchanged as the results of tasks.

The driver sees references and counts, never rows. `Hands` do the work: tasks of a cluster, or this process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from raymesh.engines.ray import exchange
from raymesh.engines.ray.exchange import Made, Outlet, Share, Unit
from raymesh.engines.ray.shares import dealt
from raymesh.mesh.plan import Limits, Scan

if TYPE_CHECKING:
    from raymesh.engines.ray.stages import Read, Stage, StagedQuery
    from raymesh.engines.ray.usage import Used
    from raymesh.mesh.plan import SourceScan

_SMALL_EXCHANGE = 4 * 1024 * 1024
_MOST_PARTS = 4096


class Hands(Protocol):
    """Who runs units. `alone`: with the resources of a whole node."""

    def start(
        self, function: Callable[..., Any], unit: Unit, tables: Sequence[Any], returns: int, *, alone: bool
    ) -> list[Any]:
        """Begin a unit; what stands for its `returns` results, which may be `tables` of others."""
        ...

    def values(self, refs: Sequence[Any], phase: str) -> list[Any]:
        """The results, when they are there."""
        ...


@dataclass(frozen=True, slots=True)
class Terrain:
    """Where a query runs: what its inputs hold and how large they are, limits of a task and of one alone on a
    node, how many tasks run side by side, bytes of rows that one task is to take, and when a part is too large:
    `skew` times the mean, and not below `skew_rows` rows. `file` is the query's."""

    contents: Mapping[str, Scan | SourceScan]
    sized: Mapping[str, Scan]
    root: str
    storage: Mapping[str, Any]
    limits: Limits
    alone: Limits
    parallel: int = 2
    unit_bytes: float = 192 * 1024 * 1024
    skew: float = 4.0
    skew_rows: int = 250_000
    file: str = ""


@dataclass(slots=True)
class Outcome:
    """What the last stage's units gave, what the tasks before used, and what is worth telling of the run."""

    results: list[Any] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Last = Callable[[Unit, int], tuple[Callable[..., Any], Unit]]


def run_staged(staged: StagedQuery, terrain: Terrain, hands: Hands, last: Last) -> Outcome:
    """Run all stages; `last` says what a unit of the last one does, given its index."""
    run = _Run(staged, terrain, hands)
    return run.all(last)


@dataclass(slots=True)
class _Run:
    staged: StagedQuery
    terrain: Terrain
    hands: Hands
    parts: dict[str, int] = field(default_factory=dict)
    outlets: dict[str, list[Outlet]] = field(default_factory=dict)
    made: dict[str, list[list[Any]]] = field(default_factory=dict)
    told: dict[str, list[Made]] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)

    def all(self, last: Last) -> Outcome:
        self.plan_outlets()
        for stage in self.staged.stages[:-1]:
            self.start(stage)
        ends = []
        for index, (unit, tables) in enumerate(self.units(self.staged.last)):
            function, finished = last(unit, index)
            alone = self.staged.last.runs == "one"
            ends += self.hands.start(function, finished, tables, 1, alone=alone)
        self.outcome.results = self.hands.values(ends, "transform")
        for stage in self.staged.stages[:-1]:
            self.outcome.used += [m.used for m in self.counts(stage.name)]
            self.warn(stage)
        return self.outcome

    def plan_outlets(self) -> None:
        """How many parts every stage has, and what each stage gives to those that read it."""
        for stage in self.staged.stages:
            size = sum(r.bytes for r in stage.exchanged)
            wanted = math.ceil(size / self.terrain.unit_bytes)
            least = self.terrain.parallel if size > _SMALL_EXCHANGE else 1
            self.parts[stage.name] = min(max(least, _even(wanted, self.terrain.parallel)), _MOST_PARTS)
            for read in stage.reads:
                if read.staged:
                    known = self.outlets.setdefault(read.source, [])
                    if (outlet := self.outlet(stage, read)) not in known:
                        known.append(outlet)

    def outlet(self, stage: Stage, read: Read) -> Outlet:
        exchanged = read.how == "exchange"
        return Outlet(read.columns, read.key, self.parts[stage.name]) if exchanged else Outlet(read.columns)

    def start(self, stage: Stage) -> None:
        outlets = tuple(self.outlets[stage.name])
        returns = sum(o.parts for o in outlets) + 1
        alone = stage.runs == "one"
        self.made[stage.name] = [
            self.hands.start(exchange.produce, replace(unit, outlets=outlets), tables, returns, alone=alone)
            for unit, tables in self.units(stage)
        ]

    # units

    def units(self, stage: Stage) -> Iterator[tuple[Unit, list[Any]]]:
        """The tasks of a stage, each with the tables of others it is given."""
        common = _Given()
        for read in (r for r in stage.reads if r.how == "whole"):
            common = self.with_whole(common, stage, read)
        match stage.runs:
            case "one":
                found = [common]
            case "partitions":
                found = list(self.by_parts(stage, common))
            case _:
                found = list(self.by_files(stage, common))
        limits = self.terrain.alone if stage.runs == "one" else self.terrain.limits
        for given in found:
            shares, tables = given.shares, given.tables
            unit = Unit(
                stage,
                self.terrain.root,
                self.terrain.storage,
                limits,
                shares,
                tuple((alias, len(refs)) for alias, refs in tables.items()),
                given.slices,
                file=self.terrain.file,
            )
            yield unit, [ref for refs in tables.values() for ref in refs]

    def with_whole(self, given: _Given, stage: Stage, read: Read) -> _Given:
        if not read.staged:
            return given.sharing(read.alias, Share(self.terrain.contents[read.source]))
        return given.taking(read.alias, self.pieces(stage, read))

    def pieces(self, stage: Stage, read: Read, part: int = 0) -> list[Any]:
        """One part of what every unit of a stage made for a read."""
        outlets = self.outlets[read.source]
        at = outlets.index(self.outlet(stage, read))
        first = sum(o.parts for o in outlets[:at])
        return [refs[first + part] for refs in self.made[read.source]]

    def by_files(self, stage: Stage, common: _Given) -> Iterator[_Given]:
        for read in (r for r in stage.reads if r.how == "files"):
            if read.staged:
                pieces = self.pieces(stage, read)
                for group in _even_groups(pieces, self.wanted(read)):
                    yield common.taking(read.alias, group)
            else:
                content, sized = self.terrain.contents[read.source], self.terrain.sized[read.source]
                for share in dealt(content, self.wanted(read), sized, self.terrain.root):
                    yield common.sharing(read.alias, share)

    def wanted(self, read: Read) -> int:
        least = self.terrain.parallel if read.bytes > _SMALL_EXCHANGE else 1
        return max(least, _even(math.ceil(read.bytes / self.terrain.unit_bytes), self.terrain.parallel))

    def by_parts(self, stage: Stage, common: _Given) -> Iterator[_Given]:
        skewed = self.skewed(stage) if stage.spread else {}
        for part in range(self.parts[stage.name]):
            given = common
            for read in stage.exchanged:
                given = given.taking(read.alias, self.pieces(stage, read, part))
            alias, times = skewed.get(part, ("", 1))
            for number in range(times):
                yield given.slicing(alias, number, times) if times > 1 else given

    # sizes as they turned out

    def counts(self, name: str) -> list[Made]:
        """What the units of a stage say they made; waits for them."""
        if name not in self.told:
            self.told[name] = self.hands.values([refs[-1] for refs in self.made[name]], "transform")
        return self.told[name]

    def rows(self, stage: Stage, read: Read) -> list[int]:
        """Rows per part of an exchanged read."""
        at = self.outlets[read.source].index(self.outlet(stage, read))
        said = [m.rows[at] for m in self.counts(read.source)]
        return [sum(of) for of in zip(*said, strict=True)] or [0] * self.parts[stage.name]

    def skewed(self, stage: Stage) -> dict[int, tuple[str, int]]:
        """Parts with far too many rows of a read that may be dealt out further, and into how many tasks."""
        found: dict[int, tuple[str, int]] = {}
        for read in (r for r in stage.exchanged if r.alias in stage.spread):
            rows = self.rows(stage, read)
            mean = max(sum(rows) / len(rows), 1)
            for part, count in enumerate(rows):
                if count > self.too_many(mean) and count > found.get(part, ("", 0, 0))[-1]:
                    found[part] = read.alias, min(math.ceil(count / mean), 4 * self.terrain.parallel)
        for part, (alias, times) in found.items():
            self.outcome.notes.append(
                f"{stage.name}: part {part} of {alias} has far more rows than others; {times} tasks share it"
            )
        return found

    def too_many(self, mean: float) -> float:
        return max(self.terrain.skew * mean, self.terrain.skew_rows)

    def warn(self, producer: Stage) -> None:
        """Tell of parts that were too large and could not be dealt out."""
        for stage in self.staged.stages:
            for read in stage.exchanged:
                if read.source != producer.name or stage.spread:
                    continue
                rows = self.rows(stage, read)
                mean = max(sum(rows) / len(rows), 1)
                if len(rows) > 1 and max(rows) > self.too_many(mean):
                    self.outcome.notes.append(
                        f"{stage.name}: one part has {max(rows):,} of {sum(rows):,} rows by "
                        f"{', '.join(read.key)}; one task does all of it"
                    )


@dataclass(frozen=True, slots=True)
class _Given:
    """What one unit is given, by alias."""

    shares: Mapping[str, Share] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    slices: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def sharing(self, alias: str, share: Share) -> _Given:
        return replace(self, shares={**self.shares, alias: share})

    def taking(self, alias: str, refs: Sequence[Any]) -> _Given:
        return replace(self, tables={**self.tables, alias: refs})

    def slicing(self, alias: str, number: int, of: int) -> _Given:
        return replace(self, slices={**self.slices, alias: (number, of)})


def _even(count: int, parallel: int) -> int:
    """The next multiple of how many run side by side, so that none waits for a last one."""
    return math.ceil(count / parallel) * parallel if count > 1 else count


def _even_groups(items: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
    count = min(count, len(items))
    for at in range(count):
        yield items[len(items) * at // count : len(items) * (at + 1) // count]

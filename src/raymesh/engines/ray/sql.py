"""SQL transforms on a cluster: taken apart where that is proven to change nothing, otherwise in one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raymesh.engines.ray import exchange, scheduling, sizing, tasks
from raymesh.engines.ray.analyse import SMALL, Chances, analyse
from raymesh.engines.ray.exchange import Unit, Writing
from raymesh.engines.ray.shares import pinned_bytes, sized_inputs
from raymesh.engines.ray.staged import Terrain, run_staged
from raymesh.engines.ray.stages import StagedQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.engines.ray.calls import Calls
    from raymesh.engines.ray.tasks import Part
    from raymesh.mesh.plan import BuildPlan, Limits, Output, Scan

_LEAST_MEMORY = 256 * 1024 * 1024
_WHOLE_SHARE = 4
"""A table that every task is given takes at most one of so many parts of the task's memory."""


def run(plan: BuildPlan, output: Output, calls: Calls) -> list[Part]:
    """Build a SQL transform; at least one part, the first of which counts what earlier stages used."""
    room = Room.of(plan.limits)
    staged, sized = staged_plan(plan, output, room)
    if not staged.stages:
        part: Part = calls.result("transform", tasks.whole, plan, output)
        return [part]
    piece = sizing.piece(room.each.memory_bytes).bytes
    contents = {i.name: i.content for i in plan.inputs}
    terrain = Terrain(
        contents,
        sized,
        plan.root,
        plan.storage,
        room.each,
        plan.limits,
        room.parallel,
        float(piece),
        file=output.transform.sql_file or "transform.sql",
    )

    def last(unit: Unit, index: int) -> tuple[Callable[..., Any], Unit]:
        return exchange.write, replace(unit, writing=Writing(plan, output, index))

    outcome = run_staged(staged, terrain, TaskHands(calls, plan.limits), last)
    calls.chosen.notes += outcome.notes
    parts: list[Part] = outcome.results
    for used in outcome.used:
        parts[0].used.add(used)
    return parts


def staged_plan(plan: BuildPlan, output: Output, room: Room) -> tuple[StagedQuery, Mapping[str, Scan]]:
    """How the SQL of an output would run, and the sizes of its inputs. Raises SourceError of a source."""
    known = pinned_bytes(plan.inputs)
    if output.transform.sql is None or (known is not None and known < SMALL):
        return StagedQuery((), f"one task: all its inputs are {(known or 0) / 1e6:.1f} MB"), {}
    sized = sized_inputs(plan.inputs, plan.root)
    chances = Chances(room.parallel, room.each.memory_bytes / _WHOLE_SHARE, SMALL)
    return analyse(output.transform.sql, sized, chances), sized


@dataclass(frozen=True, slots=True)
class Room:
    """How many tasks of a build work side by side, and what each may use."""

    parallel: int
    each: Limits

    @classmethod
    def of(cls, limits: Limits, processors: float | None = None) -> Room:
        """Tasks of one processor; `processors` of the cluster are looked up without a demand of the product."""
        found = limits.demand.cpus or processors or sum(n.has.get("CPU", 0.0) for n in scheduling.nodes())
        beside = max(int(found), 1)
        share = limits.memory_bytes // max(min(beside, limits.threads), 1)
        return cls(beside, replace(limits, memory_bytes=max(share, _LEAST_MEMORY), threads=1))


@dataclass(slots=True)
class TaskHands:
    """Units as tasks of the cluster; `phase` is what they are told as, unless whoever runs them says it."""

    calls: Calls
    limits: Limits
    phase: str = ""

    def start(
        self, function: Callable[..., Any], unit: Unit, tables: Sequence[Any], returns: int, *, alone: bool
    ) -> list[Any]:
        asked = {} if alone else scheduling.small(self.limits)
        found = self.calls.submit(function, unit, *tables, returns=returns, **asked)
        return found if isinstance(found, list) else [found]

    def values(self, refs: Sequence[Any], phase: str) -> list[Any]:
        return self.calls.results(refs, self.phase or phase)

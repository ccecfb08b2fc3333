"""How a build would run on a cluster, told without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.ray.sql import Room, staged_plan
from raymesh.spi.engine import PlannedRead, PlannedStage

if TYPE_CHECKING:
    from raymesh.engines.ray.stages import Read, Stage
    from raymesh.mesh.plan import BuildPlan, Output

_OTHERS = {
    "batch": "pieces of the input go through the function side by side",
    "dataset": "the function is called once with Ray Datasets or whole tables",
    "ingest": "one task: the source is read as it is",
}


def explained(plan: BuildPlan) -> tuple[PlannedStage, ...]:
    """The stages of every output, for as many tasks side by side as the plan's limits say. Raises SourceError."""
    room = Room.of(plan.limits, plan.limits.threads)
    return tuple(told for output in plan.outputs for told in _output(plan, output, room))


def _output(plan: BuildPlan, output: Output, room: Room) -> list[PlannedStage]:
    kind = output.transform.kind
    if kind != "sql":
        runs = "partitions" if kind == "batch" else "one"
        return [PlannedStage(output.port, "s1", runs, _OTHERS[kind])]
    staged, _ = staged_plan(plan, output, room)
    if not staged.stages:
        reads = tuple(PlannedRead(i.name, "whole") for i in plan.inputs)
        return [PlannedStage(output.port, "s1", "one", staged.why, reads, sql=output.transform.sql)]
    called = {r.alias: r.source for s in staged.stages for r in s.reads if not r.staged}
    return [_told(output.port, stage, called) for stage in staged.stages]


def _told(port: str, stage: Stage, called: dict[str, str]) -> PlannedStage:
    reads = tuple(_read(r, called) for r in stage.reads)
    rows, size = round(stage.rows), round(stage.bytes)
    return PlannedStage(port, stage.name, stage.runs, stage.why, reads, rows, size, stage.sql)


def _read(read: Read, called: dict[str, str]) -> PlannedRead:
    source = read.source if read.staged else called[read.alias]
    return PlannedRead(source, read.how, read.key, round(read.rows), round(read.bytes))

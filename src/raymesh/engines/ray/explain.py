"""How a build would run on a cluster, told without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.ray.rows import one_input, source_pieces
from raymesh.engines.ray.sizing import piece
from raymesh.engines.ray.sql import Room, staged_plan
from raymesh.mesh.plan import Scan
from raymesh.spi.engine import PlannedRead, PlannedStage

if TYPE_CHECKING:
    from raymesh.engines.ray.stages import Read, Stage
    from raymesh.mesh.plan import BuildPlan, Output

_MAPPED = "the function is called side by side on pieces"
_OTHERS = {
    "dataset": "the function is called once with Ray Datasets or whole tables",
    "ingest": "one task: the source is read as it is",
}


def explained(plan: BuildPlan) -> tuple[PlannedStage, ...]:
    """The stages of every output, for as many tasks side by side as the plan's limits say. Raises SourceError."""
    room = Room.of(plan.limits, plan.limits.threads)
    return tuple(told for output in plan.outputs for told in _output(plan, output, room))


def _output(plan: BuildPlan, output: Output, room: Room) -> list[PlannedStage]:
    kind = output.transform.kind
    if kind == "batch":
        return _batch(plan, output, room)
    if kind != "sql":
        return [PlannedStage(output.port, "s1", "one", _OTHERS[kind])]
    staged, _ = staged_plan(plan, output, room)
    if not staged.stages:
        reads = tuple(PlannedRead(i.name, "whole") for i in plan.inputs)
        return [PlannedStage(output.port, "s1", "one", staged.why, reads, sql=output.transform.sql)]
    called = {r.alias: r.source for s in staged.stages for r in s.reads if not r.staged}
    return [_told(output.port, stage, called) for stage in staged.stages]


def _batch(plan: BuildPlan, output: Output, room: Room) -> list[PlannedStage]:
    """Tasks that read and map, or one that reads and those that map."""
    plain = one_input(plan, output)
    if plain is None:
        reads = tuple(PlannedRead(i.name, "whole") for i in plan.inputs)
        return _read_by_one(output, "it runs the query", reads)
    if isinstance(plain.content, Scan):
        return [_mapped(output, "s1", f"{_MAPPED} of the input", PlannedRead(plain.name, "files"))]
    each = piece(room.each.memory_bytes, plan.past).bytes
    found, size = source_pieces(plain.content, plan.root, bytes_each=each, least=room.parallel)
    if len(found.pieces) == 1:
        return _read_by_one(output, found.why, (PlannedRead(plain.name, "whole", bytes=size),))
    return [_mapped(output, "s1", f"{_MAPPED}: {found.why}", PlannedRead(plain.name, "files", bytes=size))]


def _read_by_one(output: Output, why: str, reads: tuple[PlannedRead, ...]) -> list[PlannedStage]:
    read = PlannedStage(output.port, "s1", "one", f"one task: {why}", reads, sql=output.transform.sql)
    return [read, _mapped(output, "s2", f"{_MAPPED} of its rows", PlannedRead("s1", "files"))]


def _mapped(output: Output, name: str, why: str, read: PlannedRead) -> PlannedStage:
    return PlannedStage(output.port, name, "files", why, (read,))


def _told(port: str, stage: Stage, called: dict[str, str]) -> PlannedStage:
    reads = tuple(_read(r, called) for r in stage.reads)
    rows, size = round(stage.rows), round(stage.bytes)
    return PlannedStage(port, stage.name, stage.runs, stage.why, reads, rows, size, stage.sql)


def _read(read: Read, called: dict[str, str]) -> PlannedRead:
    source = read.source if read.staged else called[read.alias]
    return PlannedRead(source, read.how, read.key, round(read.rows), round(read.bytes))

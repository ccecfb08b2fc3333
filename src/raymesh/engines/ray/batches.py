"""Batch transforms as Ray Data pipelines: read in tasks, mapped over Arrow blocks, staged where they were mapped.

A block is a piece of the input, as large as one file of the output is about to be. The task (or actor) that gets
it calls the user's function on batches of it, conforms and stages what comes out, measures the files and
returns a Part. So rows exist in the task only, a task that is repeated stages files of its own, and whatever
one returns counts once.
"""

from __future__ import annotations

import ast
import pickle
import time
import warnings
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.build import Written, rows_of
from raymesh.engines.kernel.inputs import bind
from raymesh.engines.kernel.query import Rows
from raymesh.engines.kernel.stream import BATCH_ROWS, incoming, stage_batches
from raymesh.engines.kernel.write import Target, staging
from raymesh.engines.ray import code, tasks, watchdog
from raymesh.engines.ray.rows import dataset, incoming_shares
from raymesh.engines.ray.scheduling import beside, most_cpus, parallel, small
from raymesh.engines.ray.sizing import SMALLEST, piece
from raymesh.engines.ray.travel import here
from raymesh.engines.ray.usage import counted
from raymesh.errors import MeshError
from raymesh.mesh.plan import Scan
from raymesh.spec.model import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ray.data import Dataset

    from raymesh.engines.ray.calls import Calls
    from raymesh.engines.ray.rows import Share
    from raymesh.engines.ray.tasks import Part
    from raymesh.mesh.plan import BuildPlan, Output

_DEATHS = 2
"""How often a task is tried again whose process died."""


def run(plan: BuildPlan, output: Output, calls: Calls) -> list[Part]:
    """Build a batch transform; at least one part. Raises what user code and the kernel raise, and TransformError
    naming product and function when their process dies again and again."""
    from raymesh.engines.ray.pipeline import Pipeline

    room = _room(plan)
    each = shared(plan, room)
    work = Work(each, output, watchdog.allowed(plan, output), _deadline(plan, calls))
    blocks = _block_bytes(each, calls)
    given = incoming_shares(each, output, blocks, least=parallel(plan.limits))
    asked = {**small(plan.limits), **_said(output)}
    lasts = _is_class(plan, output)
    reading = beside(plan.limits, asked) if lasts else _reading(plan, given)
    source = dataset(given, None, **reading, **calls.travelling, max_retries=_DEATHS)
    source.context.target_max_block_size = 2 * blocks
    _within(calls, source)
    calls.chosen.read = sum(i.content.bytes for i in plan.inputs if isinstance(i.content, Scan))
    how = _actors(output, work, room) if lasts else _tasks(output, work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no other way yet to say how often a task is tried
        mapped = source.map_batches_internal(  # the public one takes no whole blocks for GPUs
            **how, batch_size=None, batch_format="pyarrow", zero_copy_batch=True, **asked, **calls.travelling
        )
    column = Pipeline(plan, output, calls.watch).column(mapped, "part")
    parts = [pickle.loads(raw) for raw in column]  # noqa: S301 - our own tasks made it
    made = [p for p in parts if p is not None]
    return made or [calls.result("transform", nothing, plan, output)]


def shared(plan: BuildPlan, room: int) -> BuildPlan:
    """The plan as one of `room` tasks that work side by side may take it: a share of the memory, one thread."""
    limits = replace(plan.limits, memory_bytes=max(plan.limits.memory_bytes // room, 1), threads=1)
    return replace(plan, limits=limits)


def _within(calls: Calls, source: Dataset) -> None:
    """Keep the pipeline to the build's share of the processors while others build beside it."""
    from ray.data import ExecutionResources

    most = calls.share.cpu_limit if calls.share is not None else None
    if most is not None:
        options = source.context.execution_options
        options.resource_limits = ExecutionResources.for_limits(cpu=max(most, 2.0))


def _block_bytes(each: BuildPlan, calls: Calls) -> int:
    """Bytes of a block, noted as evidence with the reason."""
    found = piece(each.limits.memory_bytes, each.past)
    calls.chosen.piece = found.bytes
    calls.chosen.choices["blocks"] = f"of {found.bytes / 1e6:.0f} MB: {found.why}"
    return found.bytes


def _room(plan: BuildPlan) -> int:
    """Tasks of one processor that may work side by side on the largest node."""
    return max(int(min(most_cpus(), plan.limits.threads)), 1)


def _tasks(output: Output, work: Work) -> dict[str, Any]:
    from ray.data import TaskPoolStrategy

    most = output.transform.options.get("concurrency")
    found = {"fn": call, "fn_args": (work,), "max_retries": _DEATHS}
    return found | ({"compute": TaskPoolStrategy(size=most)} if most else {})


def _actors(output: Output, work: Work, room: int) -> dict[str, Any]:
    from ray.data import ActorPoolStrategy

    most = output.transform.options.get("concurrency") or room
    found = {
        "fn": Worker,
        "fn_constructor_args": (work,),
        "compute": ActorPoolStrategy(min_size=1, max_size=most),
    }
    return found | {"max_restarts": -1, "max_task_retries": _DEATHS}


def _said(output: Output) -> dict[str, Any]:
    """What the transform says each call needs, as keywords of `ray.remote`."""
    options = output.transform.options
    words = {"num_cpus": options.get("cpus"), "num_gpus": options.get("gpus")}
    if (memory := options.get("memory")) is not None:
        words["memory"] = parse_size(memory) if isinstance(memory, str) else memory
    return {k: v for k, v in words.items() if v is not None}


def _reading(plan: BuildPlan, given: Sequence[Share]) -> dict[str, Any]:
    """How reading for a function is scheduled: with the calls when there are many readers; a lone one, which would keep
    the function on one processor, by itself on half of one."""
    found = small(plan.limits)
    return (
        {**found, "num_cpus": found["num_cpus"] / 2}
        if len(given) == 1 and given[0].bytes > SMALLEST
        else found
    )


def nothing(plan: BuildPlan, output: Output) -> Part:
    """The columns of an output for which no task made a row: the function is called on no rows, to say them."""
    plan = replace(plan, root=here(plan.root))
    target = Target(output, plan.run_id, plan.storage, tasks.part_name(0))
    with (
        _guard(plan, output, watchdog.allowed(plan, output), None).watching(),
        counted() as used,
        duck.session(plan.limits) as con,
        staging(target),
    ):
        files = bind(con, plan.inputs, plan.root, plan.storage)
        rows = rows_of(con, plan, output, files)
        head = "(SELECT * FROM "
        rows = Rows(f"{head}{rows.source} AS n LIMIT 0)", rows.sql, rows.file, rows.lead + len(head))
        function = code.function(plan, output)
        with incoming(con, plan, output, rows) as taken:
            conformed, staged = stage_batches(con, function.over_batches(taken), plan, target)
    return tasks.part_of(plan, output, Written(conformed, staged), used)


@dataclass(frozen=True, slots=True)
class Work:
    """What a task needs to know beside its block: how much memory user code may take, and until when (seconds since
    1970) it must be done."""

    plan: BuildPlan
    output: Output
    memory: int
    deadline: float | None

    def part(self, block: pa.Table) -> Part | None:
        """Call the function on `block` and stage what it makes; None when it makes nothing at all."""
        plan = replace(self.plan, root=here(self.plan.root))
        with _guard(plan, self.output, self.memory, self.deadline).watching(), counted() as used:
            function = code.function(plan, self.output)
            made = function.over_batches(_cut(block, self.output))
            first = next(made, None)
            if first is None:
                return None
            target = Target(self.output, plan.run_id, plan.storage, tasks.part_name(index()))
            with duck.session(plan.limits, ordered=bool(self.output.layout.sort_by)) as con, staging(target):
                conformed, files = stage_batches(con, chain([first], made), plan, target, stand_in=True)
        return tasks.part_of(plan, self.output, Written(conformed, files), used)

    def __call__(self, block: pa.Table) -> pa.Table:
        """One row that holds the part, for the driver."""
        if not block.num_rows:
            return told(None)
        return told(self.part(block))


def call(block: pa.Table, work: Work) -> pa.Table:
    """What a task of a function transform runs."""
    return work(block)


class Worker:
    """What an actor of a class transform runs: the class is instantiated once, with the actor.

    What goes wrong there is told by the first block: an actor that cannot start would be started for ever.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.problem: MeshError | None = None
        plan = replace(work.plan, root=here(work.plan.root))
        try:
            watchdog.refuse_restart(plan, work.output, _DEATHS)
            with _guard(plan, work.output, work.memory, work.deadline).watching():
                code.function(plan, work.output)
        except MeshError as error:
            self.problem = error

    def __call__(self, block: pa.Table) -> pa.Table:
        if self.problem is not None:
            raise self.problem
        return self.work(block)


def told(part: Part | None) -> pa.Table:
    return pa.table({"part": pa.array([pickle.dumps(part)], pa.binary())})


def _cut(block: pa.Table, output: Output) -> Iterator[pa.RecordBatch]:
    """The block in batches of the size that the transform asks for."""
    size = int(output.transform.options.get("size") or BATCH_ROWS)
    for start in range(0, block.num_rows, size):
        yield block.slice(start, size).combine_chunks().to_batches()[0]


def _guard(plan: BuildPlan, output: Output, limit: int, deadline: float | None) -> watchdog.Guard:
    file = output.transform.python_file or "transform.py"
    return watchdog.Guard(plan.run_id, output.port, file, plan.root, limit, deadline)


def index() -> int:
    """The number of this task among those of its operator."""
    from ray.data._internal.execution.interfaces import TaskContext

    context = TaskContext.get_current()
    return context.task_idx if context is not None else 0


def _is_class(plan: BuildPlan, output: Output) -> bool:
    """Whether `transform` is a class, without running user code."""
    path = Path(plan.root) / (output.transform.python_file or "transform.py")
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):  # the worker that loads it says what is wrong
        return False
    return any(isinstance(node, ast.ClassDef) and node.name == "transform" for node in module.body)


def _deadline(plan: BuildPlan, calls: Calls) -> float | None:
    if plan.limits.timeout is None:
        return None
    return time.time() + plan.limits.timeout - (time.monotonic() - calls.watch.began)

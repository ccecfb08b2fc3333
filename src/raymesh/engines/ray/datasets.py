"""Dataset transforms: `ray.data.Dataset` parameters drive Ray Data, all other forms run in one task."""

from __future__ import annotations

import pickle
import re
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.build import Written
from raymesh.engines.kernel.frames import hand_whole
from raymesh.engines.kernel.inputs import bind, reading
from raymesh.engines.kernel.reading import read_scan
from raymesh.engines.kernel.sqltext import qualified
from raymesh.engines.kernel.stream import stage_batches
from raymesh.engines.kernel.usercode import boundary
from raymesh.engines.kernel.write import Target, staging
from raymesh.engines.local.watch import Watch
from raymesh.engines.local.workers import Workers
from raymesh.engines.ray import batches, code, tasks, watchdog
from raymesh.engines.ray.permits import Renewal
from raymesh.engines.ray.quiet import disarm, hush_data
from raymesh.engines.ray.rows import ScanReader, Share, SourceReader, dataset, pieces, shares, unpacked
from raymesh.engines.ray.scheduling import most_cpus
from raymesh.engines.ray.sizing import piece
from raymesh.engines.ray.travel import here
from raymesh.engines.ray.usage import Used, counted
from raymesh.errors import MeshError, SourceSpan, TransformError
from raymesh.mesh.plan import Scan
from raymesh.mesh.python import read_python
from raymesh.spi.engine import Control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import duckdb
    import ray.data

    from raymesh.engines.kernel.usercode import UserFunction
    from raymesh.engines.ray.calls import Calls
    from raymesh.engines.ray.tasks import Part
    from raymesh.mesh.plan import BuildPlan, Input, Limits, Output
    from raymesh.spec.expression import Expression

_GRACE_SECONDS = 10.0
"""How much longer the driver waits than the task: the task knows where user code hangs."""
_STAGED_ROWS = 262_144
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in ')
_workers = Workers()


def run(plan: BuildPlan, output: Output, calls: Calls) -> list[Part]:
    """Build a dataset transform; at least one part."""
    left = calls.watch.left()
    with calls.watch.longer(_GRACE_SECONDS):
        if not _drives_ray(plan, output):
            return [calls.result("transform", in_child, plan, output, left, max_retries=0)]
        found: list[Part] = calls.result("transform", drive, plan, output, left, num_cpus=0, max_retries=0)
        return found


def _drives_ray(plan: BuildPlan, output: Output) -> bool:
    """Whether a parameter of `transform` is a ray.data.Dataset, without running user code."""
    file = output.transform.python_file or "transform.py"
    try:
        text = (Path(plan.root) / file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # who loads it says what is wrong
        return False
    return read_python(text, file).needs_ray


def in_child(plan: BuildPlan, output: Output, seconds: float | None) -> Part:
    """Call user code on whole inputs in a child of this process, as the local engine does: it may take the memory
    and the time that it has, print, hang, and die, and all of that is reported with its place."""
    plan = replace(plan, root=here(plan.root))
    watch = Watch(plan.product, Control(), seconds)
    with _workers.one(plan.withheld) as worker:
        answered = worker.run(plan, output, watch)
        written = answered.result()
        used = Used(cpu_seconds=answered.cpu_seconds, peak_memory=worker.peak, tasks=1)
    return tasks.part_of(plan, output, written, used)


def drive(plan: BuildPlan, output: Output, seconds: float | None) -> list[Part]:
    """Call a function that takes datasets, and stage what it returns in tasks of Ray Data.

    The task that runs this holds no processor: the pipeline does the work.
    """
    hush_data()
    import ray.data

    plan = replace(plan, root=here(plan.root))
    file = output.transform.python_file or "transform.py"
    deadline = None if seconds is None else time.time() + seconds
    guard = watchdog.Guard(plan.run_id, output.port, file, plan.root, plan.limits.memory_bytes, deadline)
    with (
        guard.watching(),
        counted() as used,
        duck.session(plan.limits) as con,
        reading(plan.inputs, plan.root),
    ):
        function = code.function(plan, output)
        _by_value(plan.root)
        bind(con, plan.inputs, plan.root, plan.storage)
        result = _called(function, _given(con, plan, output, function), plan)
        if isinstance(result, ray.data.Dataset):
            parts = _staged(result, plan, output, Watch(plan.product, Control(), seconds))
            if parts:
                parts[0].used.add(used)
                return parts
            result = _empty(result)
        target = Target(output, plan.run_id, plan.storage, tasks.part_name(0))
        with staging(target):
            conformed, files = stage_batches(con, function.results(result), plan, target)
    return [tasks.part_of(plan, output, Written(conformed, files), used)]


def _called(function: UserFunction, given: Mapping[str, Any], plan: BuildPlan) -> Any:
    """What the function returns; it may run pipelines of its own, whose errors are its."""
    from ray.exceptions import RayError

    with boundary(function.file, plan.root, function.place):
        try:
            return function.call(**given)
        except RayError as error:
            raise _blamed(error, function.file, plan.root) from error


def _given(
    con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, function: UserFunction
) -> dict[str, Any]:
    """The inputs by parameter, each in the form it asks for."""
    bindings, inputs = output.transform.bindings, {i.name: i for i in plan.inputs}
    unbound = function.forms.keys() ^ bindings.keys()
    if unbound:
        raise TransformError(
            f"{function.file}: parameters and inputs do not match: {', '.join(sorted(unbound))}"
        )
    return {
        parameter: _input_dataset(inputs[name], plan)
        if function.forms[parameter] == "ray"
        else hand_whole(con.sql(f"SELECT * FROM {qualified(name)}"), function.forms[parameter])
        for parameter, name in bindings.items()
    }


def _input_dataset(item: Input, plan: BuildPlan) -> ray.data.Dataset:
    if isinstance(item.content, Scan):
        return scan_dataset(item.content, plan.limits, plan.storage)
    room = max(int(most_cpus()), 1)
    each = batches.shared(plan, room)
    size = piece(each.limits.memory_bytes).bytes
    given = [
        Share(read, SourceReader(replace(item, content=part), plan.root, each.limits, plan.storage, size))
        for part, read in pieces(item, plan, bytes_each=size, least=room)
    ]
    return dataset(given, None)


def scan_dataset(
    scan: Scan,
    limits: Limits,
    storage: Mapping[str, Any],
    *,
    columns: Sequence[str] | None = None,
    where: Expression | None = None,
    limit: int | None = None,
    again: Callable[[], datetime] | None = None,
) -> ray.data.Dataset:
    """A version (with a view: what it shows) as a dataset, read lazily in tasks, which go on while `again` lets
    them. Raises NotFoundError for an unknown column."""
    room = max(int(most_cpus()), 1)
    each = replace(limits, memory_bytes=max(limits.memory_bytes // room, 1), threads=1)
    size = piece(each.memory_bytes).bytes
    asked = tuple(columns) if columns is not None else None
    nothing = replace(scan, files=(), rows=0, bytes=0)
    schema = read_scan(nothing, limits, storage, columns=asked, where=where, limit=limit).schema
    scans = shares(scan, limits, storage, bytes_each=size, least=room) or [nothing]
    renewal = None if again is None else Renewal(again)
    permit = None if renewal is None else renewal.permit
    reader = partial(ScanReader, columns=asked, where=where, limit=limit, permit=permit)
    given = [Share(unpacked(p), reader(p, each, storage, size)) for p in scans]
    found = dataset(given, schema, renewal)
    return found if limit is None else found.limit(limit)


# results


@dataclass(frozen=True, slots=True)
class Staging:
    """Stages the blocks of a result."""

    plan: BuildPlan
    output: Output

    def __call__(self, block: pa.Table) -> pa.Table:
        disarm()
        if not block.num_rows:
            return batches.told(None)
        target = Target(self.output, self.plan.run_id, self.plan.storage, tasks.part_name(batches.index()))
        ordered = bool(self.output.layout.sort_by)
        with counted() as used, duck.session(self.plan.limits, ordered=ordered) as con, staging(target):
            made = iter(block.to_batches())
            conformed, files = stage_batches(con, made, self.plan, target, stand_in=True)
        return batches.told(tasks.part_of(self.plan, self.output, Written(conformed, files), used))


def stage_block(block: pa.Table, work: Staging) -> pa.Table:
    """What a task of Ray Data runs on a block of a result."""
    return work(block)


def _staged(result: ray.data.Dataset, plan: BuildPlan, output: Output, watch: Watch) -> list[Part]:
    from raymesh.engines.ray.pipeline import Pipeline

    each = batches.shared(plan, max(int(most_cpus()), 1))
    stage: Any = stage_block
    told = result.map_batches(
        stage,
        fn_args=(Staging(each, output),),
        batch_size=_STAGED_ROWS,
        batch_format="pyarrow",
        zero_copy_batch=True,
    )
    _read_side_by_side(told)
    file = output.transform.python_file or "transform.py"
    pipeline = Pipeline(plan, output, watch, blame=lambda error: _blamed(error, file, plan.root))
    parts = [pickle.loads(raw) for raw in pipeline.column(told, "part")]  # noqa: S301 - our own tasks made it
    return [p for p in parts if p is not None]


def _read_side_by_side(result: ray.data.Dataset) -> None:
    """Give every reader, and what is mapped over what it reads, a task of its own.

    Ray Data takes a reader for one row, and gives so many readers to one task as the batches of what is mapped have
    rows: all of them, that is.
    """
    from ray.data._internal.logical.operators import AbstractMap, Read

    reading: set[int] = set()
    for step in result._logical_plan.dag.post_order_iter():
        if isinstance(step, AbstractMap) and all(id(s) in reading for s in step.input_dependencies):
            object.__setattr__(step, "min_rows_per_bundled_input", None)
        elif not isinstance(step, Read):
            continue
        reading.add(id(step))


def _empty(result: ray.data.Dataset) -> pa.Table:
    """No rows in the columns of a dataset without rows."""
    found = result.schema()
    schema = found.base_schema if found is not None else pa.schema([])
    return schema.empty_table() if isinstance(schema, pa.Schema) else pa.table({})


def _blamed(error: BaseException, file: str, root: str) -> MeshError:
    """An error that user code raised in a task of Ray Data, with its place as far as the remote text tells."""
    from raymesh.engines.ray.calls import chain_of

    raised = [e for e in chain_of(error) if not isinstance(e, StopIteration)]
    causes = [e for e in raised if not type(e).__module__.startswith("ray.")]
    if ours := next((e for e in causes if isinstance(e, MeshError)), None):
        return ours
    cause = causes[0] if causes else error
    inside = str(Path(root).resolve())
    frames = [m for m in _FRAME.finditer(str(error)) if m[1].startswith(inside)]
    spans = (SourceSpan(str(Path(frames[-1][1]).relative_to(inside)), int(frames[-1][2])),) if frames else ()
    said = f"{type(cause).__name__}: {cause}".splitlines()[0]
    listed = "".join(f'  File "{m[1]}", line {m[2]}\n' for m in frames)
    return TransformError(
        f"{file}: {said}", spans=spans or (SourceSpan(file),), traceback_text=f"{listed}{said}\n"
    )


def _by_value(root: str) -> None:
    """Let functions of the mesh's modules travel to tasks whole: no worker could import them by name."""
    from ray import cloudpickle

    inside = str(Path(root).resolve()) + "/"
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None) or ""
        if file.startswith(inside) and "site-packages" not in file:
            cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]

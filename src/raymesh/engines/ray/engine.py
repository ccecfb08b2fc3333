"""RayEngine: the same plans as the local engine, computed by tasks of a Ray cluster."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.conform import conform_parts
from raymesh.engines.kernel.parting import parted, with_aside
from raymesh.engines.kernel.quarantine import aside_target, discard, leaving_nothing, remove
from raymesh.engines.kernel.watermark import watermark
from raymesh.engines.kernel.write import Target, staging
from raymesh.engines.local import LocalEngine
from raymesh.engines.local.watch import Watch
from raymesh.engines.ray import cluster, scheduling, tasks, travel
from raymesh.engines.ray.counting import Whole, count_apart
from raymesh.engines.ray.tasks import Part
from raymesh.engines.ray.usage import Used
from raymesh.mesh.plan import BuildPlan, DataFile, Output, Scan
from raymesh.spi.engine import BuildOutcome, Control, StagedOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    import ray.data

    from raymesh.engines.kernel.build import Written
    from raymesh.engines.kernel.measure import Counted
    from raymesh.engines.kernel.quarantine import Aside, Parts
    from raymesh.engines.ray.calls import Calls
    from raymesh.mesh.plan import Limits
    from raymesh.quality.model import Check, Measurements
    from raymesh.spec.expression import Expression
    from raymesh.spec.mesh import RayEngineSpec
    from raymesh.spec.types import Field, TableSchema
    from raymesh.spi.engine import Inspection, PlannedStage, Subject


class RayEngine:
    """Builds on a Ray cluster; looks at schemas, reads and answers queries on this machine.

    `spec` says which cluster (mesh.yaml, `engines.ray`); it is connected to, or started, by the first build.
    `limits` and `storage` are those of reads, as for LocalEngine. Rows never pass through this process.
    """

    name = "ray"

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        storage: Mapping[str, Any] | None = None,
        spec: RayEngineSpec | None = None,
        root: str = ".",
    ) -> None:
        self._local = LocalEngine(limits, storage=storage)
        self._storage = storage or {}
        self._spec = spec
        self._root = root

    def build(self, plan: BuildPlan, control: Control) -> BuildOutcome:
        """Stage every output of the plan, or raise and leave nothing."""
        began = time.perf_counter()
        watch = Watch(plan.product, control, plan.limits.timeout)
        watch.tick()
        watch.report("connecting to the cluster")
        found = cluster.connect(self._spec, root=plan.root)
        packing: AbstractContextManager[dict[str, Any]] = nullcontext({})
        if not found.sees(self._spec):
            packing = travel.packed(plan)
        if not found.here:
            plan = replace(plan, limits=scheduling.elsewhere(plan.limits))
        asked = scheduling.options(plan.limits)
        came = scheduling.require_feasible(plan, asked, self._spec, watch.tick)
        used = Used()
        with packing as packed:
            staged = self._build_outputs(plan, asked | packed, watch, used)
        written = sum(f.bytes for s in staged for f in s.files)
        resources = replace(used.resources(time.perf_counter() - began, written), nodes_added=came)
        return BuildOutcome(tuple(staged), resources)

    def _build_outputs(
        self, plan: BuildPlan, asked: Mapping[str, Any], watch: Watch, used: Used
    ) -> list[StagedOutput]:
        staged: list[StagedOutput] = []
        try:
            for output in plan.outputs:
                staged.append(self._build_output(plan, output, asked, watch, used))  # noqa: PERF401 - cleaned up
        except BaseException:
            for output in plan.outputs[: len(staged)]:
                discard(plan, output)
            raise
        return staged

    def _build_output(
        self, plan: BuildPlan, output: Output, asked: Mapping[str, Any], watch: Watch, used: Used
    ) -> StagedOutput:
        """`asked` are keywords of `ray.remote` for its tasks."""
        from raymesh.engines.ray.calls import Calls

        target = Target(output, plan.run_id, plan.storage)
        with (
            staging(target),
            leaving_nothing(aside_target(plan, output)),
            scheduling.sharing(plan) as share,
            Calls(watch, asked, share) as calls,
        ):
            with watch.staging(target):
                parts = typed(plan, output, _parts(plan, output, calls), calls)
            settle(plan, output, parts)
            used.add(calls.chosen)
            hands = RayHands(plan, output, calls, used)
            staged = hands.finished(parts)
            aside = next((p.aside for p in parts if p.aside is not None), None)
            if aside is not None:
                return with_aside(output, staged, aside, hands)
            return parted(plan, output, staged, hands)

    def explain(self, plan: BuildPlan) -> tuple[PlannedStage, ...]:
        """How every output would be made, by metadata only: no cluster is started."""
        from raymesh.engines.ray.explain import explained

        return explained(plan)

    def describe(
        self, sql: str, inputs: Mapping[str, TableSchema], *, file: str = "transform.sql"
    ) -> tuple[Field, ...]:
        """As LocalEngine."""
        return self._local.describe(sql, inputs, file=file)

    def measure(
        self, scan: Scan, checks: Sequence[Check], *, inputs: Mapping[str, Scan] | None = None
    ) -> Measurements:
        """Judge published rows anew, in a task; nothing is taken from evidence."""
        from raymesh.engines.ray.calls import Calls

        cluster.connect(self._spec, root=self._root)
        limits = self._local.limits
        with Calls(Watch("", Control(), None), scheduling.options(limits)) as calls:
            inputs, storage = dict(inputs or {}), self._local.storage
            whole = Whole(scan, checks, inputs=inputs, storage=storage, root=self._root)
            elsewhere, _ = counted_apart(whole, limits, calls)
            arguments = (scan, tuple(checks), limits, storage, inputs, elsewhere)
            found: Measurements = calls.result("checks", tasks.measured, *arguments)
            return found

    def inspect(
        self,
        subject: Subject,
        checks: Sequence[Check],
        *,
        root: str,
        others: Mapping[str, Subject] | None = None,
        sample: int | None = None,
    ) -> Inspection:
        """As LocalEngine."""
        return self._local.inspect(subject, checks, root=root, others=others, sample=sample)

    def read(
        self,
        scan: Scan,
        *,
        columns: Sequence[str] | None = None,
        where: Expression | None = None,
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """As LocalEngine."""
        return self._local.read(scan, columns=columns, where=where, limit=limit)

    def dataset(
        self,
        scan: Scan,
        *,
        columns: Sequence[str] | None = None,
        where: Expression | None = None,
        limit: int | None = None,
        again: Callable[[], datetime] | None = None,
    ) -> ray.data.Dataset:
        """Rows as a `ray.data.Dataset`, read lazily in tasks; a scan with a view gives what it shows.

        `again` decides anew whether the rows may be read, and says until when; it is called from another thread
        while the dataset lives. Raises NotFoundError for unknown columns.
        """
        cluster.connect(self._spec, root=self._root)
        from raymesh.engines.ray.datasets import scan_dataset

        return scan_dataset(
            scan, self._local.limits, self._storage, columns=columns, where=where, limit=limit, again=again
        )

    def query(self, sql: str, inputs: Mapping[str, Scan]) -> pa.RecordBatchReader:
        """As LocalEngine."""
        return self._local.query(sql, inputs)

    def close(self) -> None:
        """Free what this process holds; the cluster stays connected, because another engine may use it."""
        self._local.close()


def _parts(plan: BuildPlan, output: Output, calls: Calls) -> list[Part]:
    """What the tasks of an output staged, by the kind of its transform."""
    again = output.quarantine is not None and output.quarantine.again is not None
    if output.transform.kind == "batch" and not again:
        from raymesh.engines.ray import batches

        return batches.run(plan, output, calls)
    if output.transform.kind == "dataset" and not again:
        from raymesh.engines.ray import datasets

        return datasets.run(plan, output, calls)
    if output.transform.kind == "sql" and not again:
        from raymesh.engines.ray import sql

        return sql.run(plan, output, calls)
    part: Part = calls.result("transform", tasks.whole, plan, output)
    return [part]


def counted_apart(whole: Whole, limits: Limits, calls: Calls) -> tuple[Counted, Used]:
    """Keys and references of a table, as far as it is worth counting them in tasks of the build."""
    from raymesh.engines.ray.sql import Room, TaskHands

    return count_apart(whole, Room.of(limits), limits, TaskHands(calls, limits, "checks"))


def typed(plan: BuildPlan, output: Output, parts: list[Part], calls: Calls) -> list[Part]:
    """The parts with columns that some of them hold only NULL of in the types of the others.

    Only parts with such columns are written anew, in tasks, from their files; user code is not called again.
    Raises ConformError for a column that no part knows the type of.
    """
    if not any(p.conformed.untyped for p in parts):
        return parts
    if len({tuple(p.conformed.schema.names) for p in parts}) > 1:
        return parts  # refused by name when they are put together
    conformed = conform_parts([p.conformed for p in parts], output)
    waiting = {at: p for at, p in enumerate(parts) if p.conformed.untyped}
    refs = [calls.submit(tasks.retyped, plan, output, p, conformed, at) for at, p in waiting.items()]
    made = dict(zip(waiting, calls.results(refs, "transform"), strict=True))
    for at, part in made.items():
        part.used.add(parts[at].used)
    return [made.get(at, p) for at, p in enumerate(parts)]


def settle(plan: BuildPlan, output: Output, parts: Sequence[Part]) -> None:
    """Remove files that attempts staged which did not count."""
    asides = (p.aside.files for p in parts if p.aside is not None)
    counted = {f.path for files in (*(p.files for p in parts), *asides) for f in files}
    left = [f for f in Target(output, plan.run_id, plan.storage).staged() if f not in counted]
    remove([DataFile(path, 0, 0) for path in left], plan.storage)


@dataclass(frozen=True, slots=True)
class RayHands:
    """Judges and parts one output in tasks. `used` gathers what they use."""

    plan: BuildPlan
    output: Output
    calls: Calls
    used: Used = field(default_factory=Used)

    def finished(self, parts: Sequence[Part]) -> StagedOutput:
        """The parts as one output, everything about the whole table measured. Raises ConformError when parts made
        different columns."""
        for part in parts:
            self.used.add(part.used)
        files = tuple(f for p in parts for f in p.files)
        paths = tuple(f.path for f in files)
        together = replace(
            tasks.agreed(self.output, parts), files=(), measured=tasks.merged(parts), aside=None
        )
        elsewhere, used = counted_apart(
            self._whole(together.conformed.schema, files), self.plan.limits, self.calls
        )
        self.used.add(used)
        judged: Part = self.calls.result(
            "checks", tasks.judged, self.plan, self.output, together, paths, elsewhere
        )
        self.used.add(judged.used)
        reached = watermark(self.output, [p.newest for p in parts if p.files])
        return StagedOutput(self.output.port, judged.conformed.schema, files, judged.measured, reached)

    def _whole(self, schema: TableSchema, files: Sequence[DataFile]) -> Whole:
        plan, output = self.plan, self.output
        sizes = sum(f.rows for f in files), sum(f.bytes for f in files)
        inputs = (*plan.inputs, *plan.references)
        return Whole(
            Scan(schema, tuple(f.path for f in files), *sizes),
            output.checks,
            output.kept,
            output.kept_states,
            {i.name: i.content for i in inputs if isinstance(i.content, Scan)},
            plan.storage,
            plan.root,
        )

    def judged(self, written: Written) -> StagedOutput:
        part: Part = self.calls.result("checks", tasks.part_of, self.plan, self.output, written)
        return self.finished([part])

    def part(self, staged: StagedOutput, checks: tuple[Check, ...]) -> Parts:
        found: Parts = self.calls.result("quarantine", tasks.parted, self.plan, self.output, staged, checks)
        return found

    def measured_aside(self, aside: Aside, checks: tuple[Check, ...]) -> Measurements:
        scan = Scan(aside.schema, tuple(f.path for f in aside.files))
        limits, storage = self.plan.limits, self.plan.storage
        found: Measurements = self.calls.result(
            "quarantine", tasks.measured, scan, checks, limits, storage, {}
        )
        return found

"""LocalEngine: builds, measures, reads and answers queries on this machine."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.build import Written, is_python, write_output
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.kept import Kept
from raymesh.engines.kernel.types import UNTYPED, UnstorableTypeError, from_duckdb
from raymesh.engines.kernel.watermark import newest, watermark
from raymesh.engines.kernel.write import Target, staging
from raymesh.engines.local.binder import Binder
from raymesh.engines.local.watch import Watch
from raymesh.engines.local.workers import Workers
from raymesh.errors import InternalError, MeshError, TransformError
from raymesh.mesh.plan import BuildPlan, Limits, Output, Resources, Scan
from raymesh.spec.types import Field, Primitive, TableSchema
from raymesh.spi.engine import BuildOutcome, Control, StagedOutput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import duckdb
    import pyarrow as pa

    from raymesh.quality.model import Check, Measurements
    from raymesh.spec.expression import Expression
    from raymesh.spi.engine import Inspection, Subject


@dataclass(slots=True)
class _Used:
    """Resources of one build, added up."""

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    read: int = 0
    spilled: int = 0

    def add_profile(self, con: duckdb.DuckDBPyConnection) -> None:
        """What DuckDB says about the statement that ran last."""
        with suppress(ValueError, KeyError, TypeError):  # numbers for people; never a reason to fail
            profile = json.loads(con.get_profiling_information("json"))
            self.cpu_seconds += profile["query"]["cpu_time"]
            self.read += profile["io"]["total_bytes_read"]
            self.peak_memory = max(self.peak_memory, profile["system"]["peak_buffer_memory"])
            self.spilled = max(self.spilled, profile["system"]["peak_temp_dir_size"])


class LocalEngine:
    """The engine that needs nothing to be started.

    `limits` apply to reads, queries and measurements (a build brings its own); without them half of the
    machine's memory and all its processors. `storage` is how to reach the object store, as in mesh.yaml.
    Threads may share an engine; each call has its own database.
    """

    name = "local"

    def __init__(self, limits: Limits | None = None, *, storage: Mapping[str, Any] | None = None) -> None:
        self.limits = limits or machine_limits()
        self.storage = storage or {}
        self._workers = Workers()
        self._binder = Binder(self.limits)
        self._swept: set[str] = set()
        self._kept = Kept()
        self._lock = threading.Lock()

    def describe(
        self, sql: str, inputs: Mapping[str, TableSchema], *, file: str = "transform.sql"
    ) -> tuple[Field, ...]:
        """Columns of a query over empty inputs. A column of only NULL is told as a string.

        Raises TransformError: with line and column when the query is wrong, with the column's name when its
        type cannot be stored.
        """
        found = self._binder.bind(sql, inputs, file)
        return tuple(_described(name, kind) for name, kind in zip(found.columns, found.types, strict=True))

    def build(self, plan: BuildPlan, control: Control) -> BuildOutcome:
        """Stage every output of the plan, or raise and leave nothing."""
        from raymesh.engines.kernel.quarantine import discard

        began = time.perf_counter()
        self._sweep(plan.limits.scratch)
        watch = Watch(plan.product, control, plan.limits.timeout)
        used = _Used()
        staged: list[StagedOutput] = []
        try:
            for output in plan.outputs:
                staged.append(self._build_output(plan, output, watch, used))  # noqa: PERF401 - cleaned up below
        except BaseException:
            for output in plan.outputs[: len(staged)]:
                discard(plan, output)
            raise
        resources = Resources(
            seconds=time.perf_counter() - began,
            cpu_seconds=used.cpu_seconds,
            peak_memory_bytes=used.peak_memory,
            bytes_read=used.read,
            bytes_written=sum(f.bytes for s in staged for f in s.files),
            bytes_spilled=used.spilled,
        )
        return BuildOutcome(tuple(staged), resources)

    def _build_output(self, plan: BuildPlan, output: Output, watch: Watch, used: _Used) -> StagedOutput:
        from raymesh.engines.kernel.parting import parted, with_aside
        from raymesh.engines.kernel.quarantine import aside_target, leaving_nothing
        from raymesh.engines.local.parting import LocalHands

        target = Target(output, plan.run_id, plan.storage)
        with staging(target), leaving_nothing(aside_target(plan, output)):
            with watch.staging(target):
                make = self._in_worker if is_python(output) else self._in_process
                written = make(plan, output, watch, used)
            staged = self._judged(plan, output, written, watch, used)
            hands = LocalHands(plan, output, watch, lambda w: self._judged(plan, output, w, watch, used))
            if written.aside is not None:
                return with_aside(output, staged, written.aside, hands)
            return parted(plan, output, staged, hands)

    def _in_process(self, plan: BuildPlan, output: Output, watch: Watch, used: _Used) -> Written:
        with (
            duck.session(plan.limits, ordered=bool(output.layout.sort_by)) as con,
            watch.over(con, "transform"),
        ):
            con.execute("PRAGMA enable_profiling='no_output'")
            written = write_output(con, plan, output)
            used.add_profile(con)
            return written

    def _in_worker(self, plan: BuildPlan, output: Output, watch: Watch, used: _Used) -> Written:
        watch.tick()
        try:
            with self._workers.one(plan.withheld) as worker:
                answered = worker.run(plan, output, watch)
                used.peak_memory = max(used.peak_memory, worker.peak)
        finally:
            duck.sweep(plan.limits.scratch)
        used.cpu_seconds += answered.cpu_seconds
        return answered.result()

    def _judged(
        self, plan: BuildPlan, output: Output, written: Written, watch: Watch, used: _Used
    ) -> StagedOutput:
        """Measure the files as they lie there; what wrote them is not asked."""
        from raymesh.engines.kernel.measure import measure

        schema = written.conformed.schema
        tables = (*plan.inputs, *plan.references)
        inputs = {i.name: i.content for i in tables if isinstance(i.content, Scan)}
        paths = [f.path for f in written.files]
        kept = output.kept.files if output.kept else ()
        reached = [*paths, *kept, *(f for s in inputs.values() for f in s.files)]
        began = time.thread_time()
        with duck.session(plan.limits) as con, watch.over(con, "checks") as running:

            def prepare(further: duckdb.DuckDBPyConnection) -> None:
                stores.attach(further, plan.storage, reached)
                running.append(further)

            stores.attach(con, plan.storage, reached)
            measurements = measure(
                con,
                paths,
                schema,
                output.checks,
                kept=output.kept,
                kept_states=output.kept_states,
                inputs=inputs,
                prepare=prepare,
                profiled=True,
            )
            reached_to = watermark(output, [newest(con, output, paths)] if paths else [])
        used.cpu_seconds += time.thread_time() - began
        return StagedOutput(output.port, schema, written.files, measurements, reached_to)

    def measure(
        self, scan: Scan, checks: Sequence[Check], *, inputs: Mapping[str, Scan] | None = None
    ) -> Measurements:
        """Judge published rows anew, all files, with nothing taken from evidence."""
        from raymesh.engines.kernel.measure import measure

        inputs = inputs or {}
        if any(s.view is not None for s in (scan, *inputs.values())):
            raise InternalError("a scan with a view was about to be measured without it")
        reached = [*scan.files, *(f for s in inputs.values() for f in s.files)]
        with duck.session(self.limits) as con:
            stores.attach(con, self.storage, reached)
            require_field_ids(con, scan.files)
            return measure(
                con,
                scan.files,
                scan.schema,
                checks,
                inputs=inputs,
                prepare=lambda further: stores.attach(further, self.storage, reached),
            )

    def inspect(
        self,
        subject: Subject,
        checks: Sequence[Check],
        *,
        root: str,
        others: Mapping[str, Subject] | None = None,
        sample: int | None = None,
    ) -> Inspection:
        """Judge a source where it lies, its types as they are; nothing is cast that could lose anything."""
        from raymesh.engines.kernel.inspect import inspect

        with duck.session(self.limits) as con:
            return inspect(con, subject, checks, root=root, others=others or {}, sample=sample)

    def read(
        self,
        scan: Scan,
        *,
        columns: Sequence[str] | None = None,
        where: Expression | None = None,
        limit: int | None = None,
    ) -> pa.RecordBatchReader:
        """Stream rows in file order. Raises NotFoundError for unknown columns; errors of files come from the
        reader as CorruptFileError or StorageError."""
        from raymesh.engines.kernel.reading import read_scan  # a build needs no Arrow before it is published

        return read_scan(
            scan,
            self.limits,
            self.storage,
            columns=columns,
            where=where,
            limit=limit,
            kept=self._kept,
        )

    def query(self, sql: str, inputs: Mapping[str, Scan]) -> pa.RecordBatchReader:
        """Answer one SELECT over named scans in a sandbox that can see nothing else."""
        from raymesh.engines.kernel.sandbox import answer  # pyarrow.dataset loads pandas where there is one

        return answer(sql, inputs, self.limits, self.storage, self._kept)

    def named_tables(
        self, queries: Mapping[str, str], known: Collection[str]
    ) -> dict[str, frozenset[str] | MeshError]:
        """The tables each query names, or what is wrong with it; see spi.engine.TableQueries."""
        from raymesh.engines.kernel.tables import named_tables

        return named_tables(queries, known)

    def answers(
        self, queries: Mapping[str, str], tables: Mapping[str, pa.Table]
    ) -> dict[str, pa.Table | MeshError]:
        """The answer to each query over tables in memory; see spi.engine.TableQueries."""
        from raymesh.engines.kernel.tables import answers

        return answers(queries, tables, self.limits)

    def close(self) -> None:
        self._workers.close()
        self._binder.close()
        self._kept.close()

    def _sweep(self, scratch: str) -> None:
        """Once per scratch folder: remove what killed processes left."""
        with self._lock:
            if scratch in self._swept:
                return
            self._swept.add(scratch)
        duck.sweep(scratch)


def machine_limits() -> Limits:
    """Half of this machine's memory, all its processors, spilling to the system's temporary folder."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    scratch = str(Path(tempfile.gettempdir()) / "raymesh-scratch")
    return Limits(memory_bytes=memory, threads=os.cpu_count() or 1, scratch=scratch)


def _described(name: str, kind: Any) -> Field:
    try:
        return Field(name, Primitive("string") if kind.id == UNTYPED else from_duckdb(kind))
    except UnstorableTypeError as problem:
        raise TransformError(f"column {name!r}: {problem}") from None

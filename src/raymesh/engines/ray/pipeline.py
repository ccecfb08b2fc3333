"""Runs a Ray Data pipeline for a build: watched, stopped with it, its errors ours, its tasks gone afterwards.

Ray Data has no public way to stop a pipeline from outside and to wait until its tasks are gone; what is used
instead is small and all here: a callback that is called at every step of the executor, and the argument `force`
with which the executor is shut down.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import ray
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.exceptions import RayError

from raymesh.engines.ray import cluster, watchdog
from raymesh.engines.ray.calls import chain_of, explained
from raymesh.errors import MeshError, SourceSpan, TransformTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from ray.data import Dataset
    from ray.data._internal.execution.streaming_executor import StreamingExecutor

    from raymesh.engines.local.watch import Watch
    from raymesh.mesh.plan import BuildPlan, Output

_TOKEN = "raymesh_pipeline"  # noqa: S105 - no secret: names a pipeline of this process
_NOTE_SECONDS = 0.3
_PLACE_SECONDS = 1.0
_DIED = ("WorkerCrashedError", "ActorDiedError", "ActorUnavailableError", "RayActorError")


class Pipeline:
    """The pipeline of one output. Progress goes to `watch`, which stops it; `blame` explains what nothing else
    does."""

    def __init__(
        self,
        plan: BuildPlan,
        output: Output,
        watch: Watch,
        blame: Callable[[BaseException], MeshError] = explained,
    ) -> None:
        self.plan = plan
        self.output = output
        self.watch = watch
        self._blame = blame
        self._noted = 0.0

    def column(self, dataset: Dataset, name: str) -> list[Any]:
        """Run `dataset` and give the values of one of its columns, which must be few and small.

        Raises what user code and the kernel raised in tasks, CancelledError, TransformTimeoutError,
        TransformMemoryError, and TransformError when the process of user code died again and again.
        """
        context = dataset.context
        context.enable_progress_bars = False
        context.raise_original_map_exception = True
        context.custom_execution_callback_classes = [Look]
        token = uuid.uuid4().hex
        context.set_config(_TOKEN, token)
        _running[token] = self
        self.watch.tick()
        self.watch.report("transform")
        try:
            return [value for block in _blocks(dataset) for value in block[name].to_pylist()]
        except (RayError, RuntimeError, ValueError, OSError) as error:
            raise self._explained(error) from None
        finally:
            del _running[token]
            if cluster.answering():
                watchdog.forget_note(self.plan, self.output)

    def look(self, executor: StreamingExecutor) -> None:
        """Called at every step of the executor; what it raises ends the pipeline."""
        now = time.monotonic()
        if now - self._noted > _NOTE_SECONDS:
            self._noted = now
            cluster.require_alive()
            noted = watchdog.read_note(self.plan, self.output) if cluster.answering() else None
            if noted is not None:
                raise noted
            self._report(executor)
        try:
            self.watch.tick()
        except TransformTimeoutError as error:
            raise self._placed(error) from None

    def _report(self, executor: StreamingExecutor) -> None:
        if not executor._topology:
            return
        *_, last = executor._topology
        total, done = last.num_outputs_total(), last.metrics.num_outputs_taken
        tasks = sum(op.metrics.num_tasks_finished for op in executor._topology)
        spilled = sum(op.metrics.obj_store_mem_spilled for op in executor._topology)
        fraction = min(done / total, 1.0) if total else None
        self.watch.report("transform", fraction, tasks=tasks, spilled=spilled)

    def _placed(self, error: TransformTimeoutError) -> MeshError:
        """The error of the worker that hangs, which knows where; it notices at the same time."""
        until = time.monotonic() + _PLACE_SECONDS
        while time.monotonic() < until:
            if (noted := watchdog.read_note(self.plan, self.output)) is not None:
                return noted
            time.sleep(0.02)
        error.spans = (SourceSpan(self.output.transform.python_file or "transform.py"),)
        return error

    def _explained(self, error: BaseException) -> MeshError:
        if (ours := _ours(error)) is not None:
            return ours
        if (noted := watchdog.read_note(self.plan, self.output)) is not None:
            return noted
        if any(type(e).__name__ in _DIED for e in chain_of(error)):
            return watchdog.died(self.plan, self.output)
        return self._blame(error)


_running: dict[str, Pipeline] = {}
"""The pipelines that run in this process, by the token in their context: a context travels, a pipeline does not."""


class Look(ExecutionCallback):
    """Lets a pipeline look at its executor."""

    def before_execution_starts(self, executor: StreamingExecutor) -> None:
        gently = executor.shutdown

        def shutdown(force: bool, exception: Exception | None = None) -> None:
            """After an error wait until the tasks are gone: files are removed next."""
            gently(force or exception is not None, exception)

        executor.shutdown = shutdown  # type: ignore[method-assign]

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        if (pipeline := _running.get(executor._data_context.get_config(_TOKEN, ""))) is not None:
            pipeline.look(executor)


def _blocks(dataset: Dataset) -> Iterator[pa.Table]:
    """The blocks of a dataset that have rows."""
    for bundle in dataset.iter_internal_ref_bundles():
        for ref in bundle.block_refs:
            block = ray.get(ref)
            if block.num_rows:
                yield block


def _ours(error: BaseException) -> MeshError | None:
    """The error that our code raised in a task. Ray adds lines about itself to its text; they go."""
    found = next(
        (e for e in chain_of(error) if isinstance(e, MeshError) and not isinstance(e, RayError)), None
    )
    if found is not None:
        found.args = (found.message,)
    return found

"""The driver's hand on the Ray tasks of one build: submitted, watched, ended with it.

    with Calls(watch, options) as calls:
        refs = [calls.submit(split, file, returns=4) for file in files]      # refs may be arguments of others
        parts = calls.results([calls.submit(reduce, plan, *column) for column in zip(*refs)], "transform")

A task raises our errors and they arrive here as they were; everything else that can happen to a task becomes a
MeshError too. When the block ends with an error all tasks that still run are ended, and are gone, before it
leaves: nothing writes a file any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import (
    GetTimeoutError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    TaskCancelledError,
)

from raymesh.engines.ray import cluster
from raymesh.engines.ray.scheduling import wanted
from raymesh.engines.ray.tasks import Part
from raymesh.engines.ray.usage import Used
from raymesh.errors import CancelledError, ClusterError, InternalError, MeshError, TransformMemoryError

if TYPE_CHECKING:
    from raymesh.engines.local.watch import Watch
    from raymesh.engines.ray.scheduling import Share

_END_SECONDS = 5.0
_RETRIES = 3


class Calls:
    """Submits tasks with the scheduling `options` of a build (keywords of `ray.remote`); use as a context manager.

    `chosen` is where what was chosen for the build is noted as evidence.
    With a `share` no more tasks are submitted at a time than the build may hold while others build beside it.
    """

    def __init__(
        self, watch: Watch, options: Mapping[str, Any] | None = None, share: Share | None = None
    ) -> None:
        self.watch = watch
        self.options = dict(options or {})
        self.share = share
        self._running: list[Any] = []
        self._held: dict[Any, dict[str, float]] = {}
        self._ended = _Ended()
        self.chosen = Used()

    @property
    def travelling(self) -> dict[str, Any]:
        """What of the options says which files travel to tasks, for pipelines, which take the others apart."""
        return {k: v for k, v in self.options.items() if k == "runtime_env"}

    def submit(self, function: Callable[..., Any], *arguments: Any, returns: int = 1, **options: Any) -> Any:
        """Start `function` in a task; the reference to its result, or a list of them when it has several.

        `options` override those of the build, such as `num_cpus=1`.
        """
        said = {"max_retries": _RETRIES, **self.options, **options, "num_returns": returns}
        self._admit(wants := wanted(said))
        found = _remote(function).options(**said).remote(*arguments)
        refs = found if isinstance(found, list) else [found]
        self._running += refs
        if self.share is not None and refs:
            self.share.take(wants)
            self._held[refs[0]] = wants
        return found

    def _admit(self, wants: Mapping[str, float]) -> None:
        """Wait until the build may hold one more task. What is submitted never waits for what is not, so what
        runs ends."""
        while self.share is not None and not self.share.admits(wants):
            self._give_back(self.watch.interval)
            cluster.require_alive()
            self.watch.tick()

    def _give_back(self, seconds: float = 0.0) -> None:
        """Give back the shares of tasks that ended, waiting at most so long for one."""
        if self.share is None or not self._held:
            return
        held = list(self._held)
        done, _ = ray.wait(held, num_returns=1 if seconds else len(held), timeout=seconds, fetch_local=False)
        for ref in done:
            self.share.give_back(self._held.pop(ref))

    def results(self, refs: Sequence[Any], phase: str) -> list[Any]:
        """The values of `refs` in their order, progress told meanwhile. Raises what the first failed task raised,
        and CancelledError or TransformTimeoutError of the watch."""
        waiting = list(refs)
        self.watch.tick()
        self.watch.report(phase)
        while waiting:
            done, waiting = ray.wait(waiting, timeout=self.watch.interval, fetch_local=False)
            cluster.require_alive()
            self.watch.tick()
            self._give_back()
            for ref in done:
                self._ended.note(_get(ref))
            if done:
                fraction = 1 - len(waiting) / len(refs) if len(refs) > 1 else None
                self.watch.report(phase, fraction, **self._ended.counts())
        values = [_get(ref) for ref in refs]
        finished = set(refs)
        self._running = [ref for ref in self._running if ref not in finished]
        return values

    def result(self, phase: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Run one task and give its value."""
        return self.results([self.submit(function, *arguments, **options)], phase)[0]

    def end(self) -> None:
        """End all tasks that still run, first politely, then not."""
        left = self._running
        for force in (False, True):
            _, left = (
                ray.wait(left, num_returns=len(left), timeout=0, fetch_local=False) if left else ([], [])
            )
            for ref in left:
                _cancel(ref, force=force)
            if left:
                _, left = ray.wait(left, num_returns=len(left), timeout=_END_SECONDS, fetch_local=False)
        self._running = []

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None and not cluster.lost():  # tasks of a lost cluster cannot be asked to end
            self.end()
        for ref in list(self._held):
            wants = self._held.pop(ref)
            if self.share is not None:
                self.share.give_back(wants)


@dataclass(slots=True)
class _Ended:
    """What the tasks of a build that ended have written, for those who watch it."""

    tasks: int = 0
    rows: int = 0
    bytes: int = 0
    spilled: int = 0

    def note(self, value: Any) -> None:
        self.tasks += 1
        if not isinstance(value, Part):
            return
        self.rows += sum(file.rows for file in value.files)
        self.bytes += sum(file.bytes for file in value.files)
        self.spilled = max(self.spilled, sum(value.used.store.values()))

    def counts(self) -> dict[str, int]:
        """As keywords of Progress."""
        return {"rows": self.rows, "bytes": self.bytes, "tasks": self.tasks, "spilled": self.spilled}


def explained(error: BaseException) -> MeshError:
    """Our error for what Ray raises about a task."""
    told = error
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    match error:
        case MeshError():
            return error
        case TaskCancelledError():
            return CancelledError("stopped on request; nothing was published")
        case OutOfMemoryError():
            return TransformMemoryError(
                "a task of the build was ended because its node ran out of memory",
                hint="raise resources.memory of the product, so that fewer tasks share a node",
            )
        case RayTaskError() | Exception() if isinstance(told, RayTaskError):
            return InternalError(f"a task of the build failed: {type(error).__name__}: {error}", str(told))
    said = " ".join(str(error).split())[:300]
    return ClusterError(
        f"the cluster lost a task of the build: {said}", hint="run again; nothing was published"
    )


def chain_of(error: BaseException) -> list[BaseException]:
    """The error and all it came from."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        cause = getattr(one, "cause", None)
        waiting += [cause if isinstance(cause, BaseException) else None, one.__cause__, one.__context__]
    return found


def _get(ref: Any) -> Any:
    try:
        return ray.get(ref)
    except (RayError, GetTimeoutError) as error:
        raise explained(error) from None


def _cancel(ref: Any, *, force: bool) -> None:
    try:
        ray.cancel(ref, force=force, recursive=True)
    except (RayError, ValueError):  # it ended meanwhile
        return


@cache
def _remote(function: Callable[..., Any]) -> Any:
    return ray.remote(function)

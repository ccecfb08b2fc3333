"""Permits: a governed dataset is read on only while the process that opened it goes on deciding that it may be.

Every reading task holds a permit, and asks the desk, a small actor, until when it holds: an absolute time. It emits
no block after that without asking again. The process that opened the dataset decides anew before that time comes,
as long as the dataset is alive, and tells the desk; a refusal ends the permit at once. When nobody decides any more
(the process is gone, the state cannot be reached) the time passes, and the tasks stop.
"""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from raymesh.engines.ray.cluster import staying
from raymesh.errors import AccessDeniedError, MeshError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

PATIENCE_SECONDS = 10.0
"""How long a task waits for a permit that ran out to be renewed; nothing is emitted meanwhile."""
_LEAST_WAIT, _MOST_WAIT = 0.05, 60.0
_STALE = "whether the rows may still be read was not decided in time"
_STALE_HINT = "keep the mesh that opened the dataset open while it is read, and read again"


class Desk:
    """Says of every permit until when it holds, or why it ended."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._ended: dict[str, tuple[str, str | None]] = {}

    def renew(self, permit: str, until: float) -> None:
        self._until[permit] = until

    def end(self, permit: str, message: str, hint: str | None) -> None:
        """For good: no later `renew` counts."""
        self._ended[permit] = message, hint

    def forget(self, permit: str) -> None:
        self._until.pop(permit, None)
        self._ended.pop(permit, None)

    def look(self, permit: str) -> tuple[float, tuple[str, str | None] | None]:
        """Until when (seconds since 1970; 0 when nothing is known), and why it ended when it did."""
        return self._until.get(permit, 0.0), self._ended.get(permit)


@dataclass(slots=True)
class _Clock:
    """The time, which never goes back while a task runs."""

    _began: float = field(default_factory=time.time)
    _at: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        return max(time.time(), self._began + time.monotonic() - self._at)


@dataclass(frozen=True, slots=True)
class Permit:
    """What a reading task shows at the desk."""

    desk: Any
    id: str

    def guarding(self, read: Callable[[], Iterable[Any]]) -> Iterator[Any]:
        """What `read` gives, each handed on only while the permit holds. Nothing is read without one.

        Raises AccessDeniedError with the reason the permit ended for.
        """
        clock = _Clock()
        until = self._until(clock)
        for block in read():
            if clock.now() >= until:
                until = self._until(clock)
            yield block

    def _until(self, clock: _Clock) -> float:
        end = clock.now() + PATIENCE_SECONDS
        while True:
            try:
                until, ended = ray.get(self.desk.look.remote(self.id), timeout=PATIENCE_SECONDS)
            except (RayError, GetTimeoutError):
                raise AccessDeniedError(_STALE, hint=_STALE_HINT) from None
            if ended is not None:
                raise AccessDeniedError(ended[0], hint=ended[1])
            if clock.now() < until:
                return float(until)
            if clock.now() >= end:
                raise AccessDeniedError(_STALE, hint=_STALE_HINT)
            time.sleep(0.2)


class Renewal:
    """The driver's side of a permit: decides again and again while it is alive. The dataset's source keeps it.

    `again` decides anew and says until when; it raises AccessDeniedError when the rows may not be read any more.
    """

    def __init__(self, again: Callable[[], datetime]) -> None:
        self._again = again
        self._line = _Line(_place())
        self.permit = Permit(_desk(self._line.place), uuid.uuid4().hex)
        self._over = threading.Event()
        weakref.finalize(self, self._over.set)
        until = again().timestamp()
        self._line.tell(self.permit.desk.renew, self.permit.id, until)
        arguments = weakref.ref(self), self._over, until, self.permit, self._line
        threading.Thread(target=_renewing, args=arguments, name="raymesh-permit", daemon=True).start()

    def turn(self) -> float | None:
        """Decide anew; until when the permit holds now, None when it has ended."""
        desk, permit = self.permit.desk, self.permit.id
        try:
            until = self._again().timestamp()
        except AccessDeniedError as error:
            self._line.tell(desk.end, permit, error.message, error.hint)
            return None
        return until if self._line.tell(desk.renew, permit, until) else None

    def __deepcopy__(self, _: object) -> Renewal:
        return self

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _nothing, ()  # only the process that opened the dataset decides


def _nothing() -> None:
    """What a renewal is in another process."""


def _renewing(
    alive: weakref.ref[Renewal], over: threading.Event, until: float, permit: Permit, line: _Line
) -> None:
    """Renew in the middle of the time that is left, until the dataset is gone or may not be read."""
    while not over.wait(min(max((until - time.time()) / 2, _LEAST_WAIT), _MOST_WAIT)):
        renewal = alive()
        if renewal is None:
            break
        try:
            renewed = renewal.turn()
        except MeshError:  # the state cannot be reached: not renewed, so tasks stop when the time has passed
            renewed = max(until, time.time() + 1)
        del renewal
        if renewed is None:
            over.wait()  # why it ended stays known while somebody may ask
            break
        until = renewed
    line.tell(permit.desk.forget, permit.id)


def _place() -> tuple[str, str]:
    """Where this process is connected, and as which job."""
    context = ray.get_runtime_context()
    return context.get_node_id(), context.get_job_id()


@dataclass(frozen=True, slots=True)
class _Line:
    """What is told over it arrives while this process is connected to the cluster it was at `place`.

    A call that finds no cluster would make Ray start one, or join another.
    """

    place: tuple[str, str]

    def tell(self, method: Any, *arguments: Any) -> bool:
        """Call a method of an actor without waiting for its answer; whether there was somebody to tell."""
        with staying() as connected:
            if not connected or _place() != self.place:
                return False
            try:
                method.remote(*arguments)
            except RayError:
                return False
            return True


_desks: dict[tuple[str, str], Any] = {}
_lock = threading.Lock()


def _desk(place: tuple[str, str]) -> Any:
    """The desk of this process on the cluster it is connected to; it ends with the process."""
    with _lock:
        if place not in _desks:
            _desks.clear()  # of clusters that are not there any more
            _desks[place] = ray.remote(Desk).options(num_cpus=0, max_restarts=3).remote()
        return _desks[place]

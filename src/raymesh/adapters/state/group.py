"""Group commit: threads that have something to commit at once share one transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    """Somebody's work that waits: `told` when it is done, or when its owner has to lead."""

    work: T
    told: threading.Event = field(default_factory=threading.Event)
    done: bool = False
    result: R | None = None
    error: BaseException | None = None


class Group(Generic[T, R]):
    """`commit` is called with the work of everybody who waits, by one of them at a time; it returns a result for
    each. What it raises, all of them raise."""

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._commit = commit
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._queue: list[_Waiting[T, R]] = []
        self._led = False

    def submit(self, work: T) -> R:
        """The result of `work`, once it is committed."""
        if os.getpid() != self._process:  # forked, perhaps from a thread that led: nobody here would wake us
            self._begin()
        mine: _Waiting[T, R] = _Waiting(work)
        with self._lock:
            self._queue.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            self._wait(mine)
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        assert mine.done  # noqa: S101  # whoever leads commits their own work too
        return mine.result  # type: ignore[return-value]  # set together with `done`

    def _wait(self, mine: _Waiting[T, R]) -> None:
        try:
            mine.told.wait()
        except BaseException:  # Ctrl-C: somebody else has to lead, if it was to be this thread
            with self._lock:
                self._queue = [w for w in self._queue if w is not mine]
                if mine.told.is_set() and not mine.done:
                    self._led = bool(self._queue)
                    if self._queue:
                        self._queue[0].told.set()
            raise

    def _lead(self) -> None:
        with self._lock:
            batch, self._queue = self._queue, []
        try:
            results = self._commit([w.work for w in batch])
            for waiting, result in zip(batch, results, strict=True):
                waiting.result = result
        except BaseException as error:  # noqa: BLE001  # every owner raises it, this thread among them
            for waiting in batch:
                waiting.error = error
        self._hand_over(batch)

    def _hand_over(self, batch: Sequence[_Waiting[T, R]]) -> None:
        """Tell everybody of the batch, and whoever came first since then to lead."""
        with self._lock:
            self._led = bool(self._queue)
            following = self._queue[0] if self._queue else None
        for waiting in batch:
            waiting.done = True
            waiting.told.set()
        if following is not None:
            following.told.set()

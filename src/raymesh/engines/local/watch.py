"""Watching a build from beside it: cancellation, time limit, progress, and the fault points of staging."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from raymesh.engines.kernel.storage import is_object
from raymesh.errors import CancelledError, TransformTimeoutError
from raymesh.spi import faults
from raymesh.spi.engine import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.engines.kernel.write import Target
    from raymesh.spi.engine import Control

_POLL_SECONDS = 0.05
_FAULT_POLL_SECONDS = 0.002


class Watch:
    """One build's clock and the caller's hand on it."""

    def __init__(self, product: str, control: Control, timeout: float | None) -> None:
        self.product = product
        self.control = control
        self.timeout = timeout
        self.began = time.monotonic()
        self._told: tuple[str, float | None] = ("", None)
        self._staging: _Staging | None = None

    @property
    def interval(self) -> float:
        """Seconds between two looks."""
        return _POLL_SECONDS if faults.observer is None else _FAULT_POLL_SECONDS

    def tick(self) -> None:
        """Raises CancelledError, TransformTimeoutError, or what a fault observer raises."""
        if self.control.cancelled():
            raise CancelledError("stopped on request; nothing was published")
        if self.timeout is not None and time.monotonic() - self.began > self.timeout:
            raise TransformTimeoutError(
                f"{self.product} ran longer than its limit of {self.timeout:g} s",
                hint="raise `timeout` of the product (custom property of vendor raymesh), or make it do less",
            )
        if self._staging is not None and faults.observer is not None:
            self._staging.look()

    def left(self) -> float | None:
        """Seconds until the limit, None without one."""
        return None if self.timeout is None else self.timeout - (time.monotonic() - self.began)

    @contextmanager
    def longer(self, seconds: float) -> Iterator[None]:
        """Put the limit off while somebody else watches it, who is to be heard first."""
        before = self.timeout
        if before is not None:
            self.timeout = before + seconds
        try:
            yield
        finally:
            self.timeout = before

    def report(
        self, phase: str, fraction: float | None = None, rows: int | None = None, **counts: int | None
    ) -> None:
        """Tell the caller how far the build is, with further `counts` of Progress; a fraction only when it moved by
        one percent."""
        phase_told, told = self._told
        if phase == phase_told and (fraction is None or (told is not None and fraction - told < 0.01)):
            return
        self._told = (phase, fraction)
        self.control.progress(Progress(self.product, phase, fraction, rows, **counts))

    @contextmanager
    def staging(self, target: Target) -> Iterator[None]:
        """Announce the fault points of staging while the files of `target` are written."""
        self._staging = _Staging(target)
        try:
            yield
            self._staging.finish()
        finally:
            self._staging = None

    @contextmanager
    def over(self, con: duckdb.DuckDBPyConnection, phase: str) -> Iterator[list[duckdb.DuckDBPyConnection]]:
        """Interrupt what `con` runs when the build must stop; what stopped it is raised here.

        Further connections put into the list that is handed out are interrupted too.
        """
        look = _Look(self, [con], phase)
        self.tick()
        self.report(phase)
        look.thread.start()
        try:
            yield look.connections
        except BaseException:
            look.end()
            if look.stopped is not None:
                raise look.stopped from None
            raise
        look.end()
        if look.stopped is not None:
            raise look.stopped


class _Look:
    """The thread that looks at the clock while connections work."""

    def __init__(self, watch: Watch, connections: list[duckdb.DuckDBPyConnection], phase: str) -> None:
        self.watch = watch
        self.connections = connections
        self.phase = phase
        self.stopped: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="raymesh-watch", daemon=True)
        self._done = threading.Event()

    def end(self) -> None:
        self._done.set()
        self.thread.join()

    def _run(self) -> None:
        while self.stopped is None and not self._done.wait(self.watch.interval):
            try:
                self.watch.tick()
                percent = self.connections[0].query_progress()
                self.watch.report(self.phase, percent / 100 if percent >= 0 else None)
            except BaseException as error:  # noqa: BLE001 - carried to the thread that builds
                self.stopped = error
        while not self._done.wait(self.watch.interval):
            for con in list(self.connections):
                with suppress(duckdb.Error):  # closed meanwhile
                    con.interrupt()


class _Staging:
    """Which fault points of one output were announced."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.size = 0
        self.points = ["first_byte_staged", "mid_file"]

    def look(self) -> None:
        if not self.points or is_object(self.target.folder):
            return
        size = 0
        for path in self.target.staged():
            with suppress(FileNotFoundError):
                size += Path(path).stat().st_size
        if size > self.size:
            self.size = size
            faults.at(self.points.pop(0))

    def finish(self) -> None:
        """Announce what went by too fast to be seen."""
        while self.points:
            faults.at(self.points.pop(0))
        faults.at("file_closed")

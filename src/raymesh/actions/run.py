"""Runs a selection: graph order, independent products side by side, failure stops only its downstream."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from raymesh.actions.build import build_product
from raymesh.actions.events import (
    Event,
    ProductFinished,
    ProductReport,
    RunFinished,
    RunStarted,
    Tick,
)
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.policies import require_policies
from raymesh.actions.references import prerequisites

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Graph

STOPPED = ("failed", "blocked", "skipped", "interrupted")


def run(
    workspace: Workspace,
    products: Sequence[str],
    options: RunOptions,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Build `products` (ids, any order) and yield what happens; the last event is RunFinished.

    A product starts when all its selected inputs are done. When one of them did not end well, it is
    skipped with the reason; the rest goes on. Setting `stop` ends the run early: builds stop at their next
    safe point, nothing half-done is published, and what was not finished is reported `interrupted`.

    Raises DocumentsInvalidError, before anything is built, for policies that do not compile or name columns that
    these products do not have: nobody could read what would be published, or less than was meant.
    """
    require_policies(workspace, products)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    schedule = _Schedule(workspace, products)
    began = time.perf_counter()
    with Invocation(workspace, options, events.put) as invocation:
        yield RunStarted(invocation.id, tuple(schedule.order), options.jobs)
        pool = ThreadPoolExecutor(options.jobs, thread_name_prefix="raymesh-build")
        try:
            for event in _drive(schedule, pool, invocation, events):
                yield event
                if stop is not None and stop.is_set() and not invocation.cancelled:
                    invocation.cancel()
                    schedule.interrupt()
        finally:
            invocation.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
        yield RunFinished(invocation.id, schedule.reports(), time.perf_counter() - began)


def _drive(
    schedule: _Schedule,
    pool: ThreadPoolExecutor,
    invocation: Invocation,
    events: queue.SimpleQueue[Event],
) -> Iterator[Event]:
    running: dict[Future[ProductReport], str] = {}
    while True:
        running |= {pool.submit(build_product, p, invocation): p for p in schedule.ready()}
        yield from (ProductFinished(report) for report in schedule.skipped())
        if not running:
            break
        done, _ = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
        yield from _drain(events)
        yield Tick()
        for future in done:
            report = future.result()
            schedule.finish(running.pop(future), report)
            yield ProductFinished(report)
    yield from _drain(events)


def _drain(events: queue.SimpleQueue[Event]) -> Iterator[Event]:
    while True:
        try:
            yield events.get_nowait()
        except queue.Empty:
            return


class _Schedule:
    """Which products may start, which must be skipped, how each ended."""

    def __init__(self, workspace: Workspace, products: Sequence[str]) -> None:
        chosen = set(products)
        self.order = [p for p in workspace.graph.order if p in chosen]
        self._waits = {p: {u for u in workspace.graph.upstream[p] if u in chosen} for p in self.order}
        self._after = _after(workspace.graph, self.order)
        self._pending = list(self.order)
        self._ended: dict[str, ProductReport] = {}
        self._new_skips: list[ProductReport] = []

    def ready(self) -> list[str]:
        """Products whose inputs are all done, to be started now; those with a stopped input are skipped."""
        start: list[str] = []
        for product in list(self._pending):
            inputs = self._waits[product]
            if stopped := [
                u for u in sorted(inputs) if u in self._ended and self._ended[u].status in STOPPED
            ]:
                self._pending.remove(product)
                self._skip(product, stopped[0])
            elif all(u in self._ended for u in (*inputs, *self._after[product])):
                self._pending.remove(product)
                start.append(product)
        return start

    def _skip(self, product: str, upstream: str) -> None:
        status = self._ended[upstream].status
        words = {"failed": "failed", "blocked": "was blocked", "skipped": "was skipped"}
        reason = f"its input {upstream} {words.get(status, 'was interrupted')}"
        report = ProductReport(product, "skipped", reason=reason)
        self._ended[product] = report
        self._new_skips.append(report)

    def skipped(self) -> list[ProductReport]:
        """Products skipped since the last call."""
        skips, self._new_skips = self._new_skips, []
        return skips

    def finish(self, product: str, report: ProductReport) -> None:
        self._ended[product] = report

    def interrupt(self) -> None:
        for product in self._pending:
            self._ended[product] = ProductReport(product, "interrupted", reason="stopped before it began")
        self._pending.clear()

    def reports(self) -> tuple[ProductReport, ...]:
        return tuple(self._ended[p] for p in self.order if p in self._ended)


def _after(graph: Graph, order: Sequence[str]) -> dict[str, set[str]]:
    """Selected products that each product refers to and had better come after; never in a circle.

    When two products refer to each other, the later one waits for the earlier one.
    """
    place = {p: i for i, p in enumerate(order)}
    wishes = {p: {q for q in prerequisites(graph, p) if q in place} for p in order}
    waits: dict[str, set[str]] = {p: set() for p in order}
    for p in order:
        for q in sorted(wishes[p], key=place.__getitem__):
            if not _reaches(q, p, graph, waits):
                waits[p].add(q)
    return waits


def _reaches(start: str, goal: str, graph: Graph, waits: Mapping[str, set[str]]) -> bool:
    """Whether `start` already waits, directly or through others, for `goal`."""
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        if here == goal:
            return True
        following = {*graph.upstream[here], *waits.get(here, ())} - seen
        seen |= following
        todo += following
    return False

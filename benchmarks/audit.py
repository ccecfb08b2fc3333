"""The audit log: what a record costs when many are appended at once, one by one, and from several threads."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from benchmarks.measure import Figure
from raymesh.adapters.state import SqlStateStore
from raymesh.governance.audit import AuditHead, AuditRecord, Checkpoint, checkpoint

BATCH = 1000
ROUNDS = 20
THREADS = 8


def run() -> Iterator[Figure]:
    """All figures of the suite."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStateStore("sqlite:///audit.db", root=folder)
        store.migrate()
        seed = os.urandom(32)

        def sign(head: AuditHead) -> Checkpoint:
            return checkpoint(head, seed, datetime.now(UTC))

        record = AuditRecord(
            "read",
            datetime.now(UTC),
            "anna",
            "orders.order_lines",
            "allowed",
            {"version": 3, "columns": {"id": "raw", "email": "token"}, "grants": ["agreement:ag-1"]},
        )
        many = [record] * BATCH
        store.audit.append(many, sign=sign)
        cpu = min(_cpu(lambda: store.audit.append(many, sign=sign)) for _ in range(ROUNDS)) / BATCH
        note = "processor time of the best of 20 appends of 1,000 records, signed and committed with fsync"
        yield Figure("a record among 1,000", f"{cpu * 1e6:.1f} µs", "20 µs", cpu <= 20e-6, note)
        alone = min(_wall(lambda: store.audit.append(many[:1], sign=sign)) for _ in range(ROUNDS))
        yield Figure(
            "a record alone", f"{alone * 1e3:.1f} ms", note="wall time, mostly the fsync of its commit"
        )
        together = _together(lambda: store.audit.append(many[:1], sign=sign))
        yield Figure(
            "a record from 8 threads at once", f"{together * 1e3:.2f} ms", note="threads share commits"
        )
        store.close()


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _wall(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _together(work: Callable[[], object]) -> float:
    """Wall seconds per append when several threads append one record after the other."""

    def repeat() -> None:
        for _ in range(ROUNDS):
            work()

    threads = [threading.Thread(target=repeat) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - began) / (THREADS * ROUNDS)

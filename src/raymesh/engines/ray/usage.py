"""What tasks used, measured where they ran, and added up on the driver as evidence of a build."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.mesh.plan import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

_LOOK_SECONDS = 0.25


@dataclass(slots=True)
class Used:
    """What a task used: seconds, bytes. Parts of a build add up; memory is the largest of them.

    `piece` is the input a task worked on at a time, `choices` say why that and other things were chosen.
    `retries` are attempts before the one that counts, `store` is the most that lay in each node's folder of
    spilled objects while a task ran there (seen every quarter of a second). `notes` tell what made the build slower than it need be.
    """

    cpu_seconds: float = 0.0
    peak_memory: int = 0
    read: int = 0
    spilled: int = 0
    tasks: int = 0
    retries: int = 0
    store: dict[str, int] = field(default_factory=dict)
    piece: int = 0
    choices: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Used) -> None:
        self.cpu_seconds += other.cpu_seconds
        self.peak_memory = max(self.peak_memory, other.peak_memory)
        self.read += other.read
        self.spilled += other.spilled
        self.tasks += other.tasks
        self.retries += other.retries
        self.saw(other.store)
        self.piece = max(self.piece, other.piece)
        self.choices |= other.choices
        self.notes += other.notes

    def saw(self, store: Mapping[str, int]) -> None:
        """Note what lies in folders of spilled objects."""
        for node, size in store.items():
            self.store[node] = max(self.store.get(node, 0), size)

    def add_profile(self, con: duckdb.DuckDBPyConnection) -> None:
        """What DuckDB says about the statement that ran last on `con` (profiling must be on)."""
        with suppress(ValueError, KeyError, TypeError):  # numbers for people; never a reason to fail
            profile = json.loads(con.get_profiling_information("json"))
            self.read += profile["io"]["total_bytes_read"]
            self.peak_memory = max(self.peak_memory, profile["system"]["peak_buffer_memory"])
            self.spilled += profile["system"]["peak_temp_dir_size"]

    def resources(self, seconds: float, written: int) -> Resources:
        """As evidence: `seconds` of the whole build, bytes `written`."""
        return Resources(
            seconds=seconds,
            cpu_seconds=self.cpu_seconds,
            peak_memory_bytes=self.peak_memory,
            bytes_read=self.read,
            bytes_written=written,
            bytes_spilled=self.spilled + sum(self.store.values()),
            tasks=self.tasks,
            retries=self.retries,
            nodes=tuple(sorted(self.store)),
            piece_bytes=self.piece,
            choices=dict(self.choices),
            notes=tuple(self.notes),
        )


@contextmanager
def counted() -> Iterator[Used]:
    """Counts what this process uses while the block runs: one task."""
    used, began = Used(tasks=1), time.process_time()
    forgotten = _forget_peak()
    try:
        with _spilling(used):
            yield used
    finally:
        used.cpu_seconds += time.process_time() - began
        used.retries += _attempts_before()
        if forgotten:
            used.peak_memory = max(used.peak_memory, _peak())


@contextmanager
def _spilling(used: Used) -> Iterator[None]:
    """Looks at what this node has spilled while the block runs: objects may come and go within a task."""
    used.saw(spilled_here())
    if _worker() is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            used.saw(spilled_here())

    looking = threading.Thread(target=look, name="raymesh-spilled", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
        used.saw(spilled_here())


def spilled_here() -> dict[str, int]:
    """Bytes in the folder of spilled objects of the node this process runs on, by the node's name.

    Empty outside of a cluster.
    """
    worker = _worker()
    if worker is None:
        return {}
    total = 0
    with suppress(OSError, AttributeError):
        for folder in _spill_folders(worker.node):
            total += sum(entry.stat().st_size for entry in os.scandir(folder))
    return {str(worker.current_node_id.hex())[:8]: total}


def _spill_folders(node: Any) -> Iterator[Path]:
    """Ray keeps the objects of a node in `ray_spilled_objects_<node>` of the folder it was told, or its session."""
    said = os.environ.get("RAYMESH_SPILL")
    for root in (said, node.get_session_dir_path()):
        if root:
            yield from Path(root).glob(f"ray_spilled_objects_{_worker_node()}*")


def _worker_node() -> str:
    worker = _worker()
    return str(worker.current_node_id.hex()) if worker is not None else "*"


def _worker() -> Any:
    """Ray's own idea of this process, None when it is no part of a cluster or Ray was not even imported."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    return sys.modules["ray._private.worker"].global_worker


def _attempts_before() -> int:
    worker = _worker()
    with suppress(AttributeError, RuntimeError):  # private: without it no retry is counted, nothing worse
        return int(worker.core_worker.get_current_task_attempt_number())
    return 0


def _forget_peak() -> bool:
    """Let the system count this process's largest memory anew; a worker runs many tasks."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak() -> int:
    """The most memory this process had since it was forgotten, in bytes."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0

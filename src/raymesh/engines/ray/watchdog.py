"""Looks at user code from beside it, inside its Ray worker: memory, time, and where it is.

A Ray worker cannot be asked from outside where it hangs, and it may be gone before it can answer. So it leaves a
note in the cluster's key-value store while it still can; the driver reads it (`read_note`).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.errors import (
    MeshError,
    SourceSpan,
    TransformError,
    TransformMemoryError,
    TransformTimeoutError,
)

if TYPE_CHECKING:
    from raymesh.mesh.plan import BuildPlan, Output

_LOOK_SECONDS = 0.05
_NAMESPACE = b"raymesh-watchdog"
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Guard:
    """The limits of user code in one worker: bytes it may take, and when (seconds since 1970) it must be done."""

    run_id: str
    port: str
    file: str
    root: str
    memory: int
    deadline: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the calling thread's code while the block runs. Too much memory ends this process."""
        done = threading.Event()
        arguments = (done, threading.get_ident(), _resident())
        thread = threading.Thread(target=self._look, args=arguments, name="raymesh-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _look(self, done: threading.Event, watched: int, before: int) -> None:
        placed = False
        while not done.wait(_LOOK_SECONDS):
            used = _resident() - before
            if used > self.memory:
                self._note(watched, "memory", used)
                os._exit(1)  # it grows faster than an exception would reach it
            if self.deadline is not None and not placed and time.time() > self.deadline:
                placed = True
                self._note(watched, "timeout", used)

    def _note(self, watched: int, why: str, used: int) -> None:
        from ray.experimental.internal_kv import _internal_kv_put

        spot = self._place(watched)
        note = {"why": why, "used": used, "file": spot.file, "line": spot.line}
        with suppress(Exception):  # without the note the driver knows less, but still that it ended
            _internal_kv_put(_key(self.run_id, self.port), json.dumps(note).encode(), namespace=_NAMESPACE)

    def _place(self, watched: int) -> SourceSpan:
        """The innermost of the user's frames."""
        frame = sys._current_frames().get(watched)
        root = os.path.realpath(self.root) + os.sep
        for found in reversed(traceback.extract_stack(frame)):
            path = os.path.realpath(found.filename)
            if path.startswith(root) and "site-packages" not in path:
                return SourceSpan(os.path.relpath(path, root), found.lineno or 1)
        return SourceSpan(self.file)


def read_note(plan: BuildPlan, output: Output) -> MeshError | None:
    """The error that a worker of this output left a note about, None without one."""
    from ray.experimental.internal_kv import _internal_kv_get

    raw: bytes | None = _internal_kv_get(_key(plan.run_id, output.port), namespace=_NAMESPACE)
    if raw is None:
        return None
    note = json.loads(raw)
    file, spans = output.transform.python_file or "transform.py", (SourceSpan(note["file"], note["line"]),)
    if note["why"] == "memory":
        return too_large(file, note["used"], allowed(plan, output), spans)
    return TransformTimeoutError(
        f"{plan.product} ran longer than its limit of {plan.limits.timeout:g} s",
        hint="raise `timeout` of the product (custom property of vendor raymesh), or make it do less",
        spans=spans,
    )


def refuse_restart(plan: BuildPlan, output: Output, most: int) -> None:
    """Raise TransformError in an actor that is started again after `most` actors of this output died."""
    import ray
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

    if not ray.get_runtime_context().was_current_actor_reconstructed:
        return
    key = _key(plan.run_id, output.port) + b"/deaths"
    deaths = int(_internal_kv_get(key, namespace=_NAMESPACE) or 0) + 1
    _internal_kv_put(key, str(deaths).encode(), namespace=_NAMESPACE)
    if deaths > most:
        raise died(plan, output)


def died(plan: BuildPlan, output: Output) -> TransformError:
    """The error of user code whose process died as often as it was tried."""
    file = output.transform.python_file or "transform.py"
    return TransformError(
        f"{file}: the process of `transform` of {plan.product} died each time it was tried",
        hint="user code must return, not exit; the operating system ends processes when memory runs out",
        spans=(SourceSpan(file),),
    )


def forget_note(plan: BuildPlan, output: Output) -> None:
    """Remove what workers noted."""
    from ray.experimental.internal_kv import _internal_kv_del

    _internal_kv_del(_key(plan.run_id, output.port), del_by_prefix=True, namespace=_NAMESPACE)


def allowed(plan: BuildPlan, output: Output) -> int:
    """Bytes that user code may take in each worker: what the transform says, else what the product has."""
    from raymesh.spec.model import parse_size

    said = output.transform.options.get("memory")
    return (parse_size(said) if isinstance(said, str) else said) or plan.limits.memory_bytes


def too_large(file: str, used: int, limit: int, spans: tuple[SourceSpan, ...]) -> TransformMemoryError:
    return TransformMemoryError(
        f"{file}: used {used / 1024**2:.0f} MiB, more than its limit of {limit / 1024**2:.0f} MiB",
        hint="raise `memory` of @batch or resources.memory of the product, or take smaller batches",
        spans=spans,
    )


def _key(run_id: str, port: str) -> bytes:
    return f"{run_id}/{port}".encode()


def _resident() -> int:
    """Bytes of private memory of this process; 0 where /proc does not exist. Shared memory is not counted: it
    holds blocks, which are the engine's."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * _PAGE

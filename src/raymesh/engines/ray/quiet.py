"""Keeps Ray silent: no bars, no log lines, no reports to its makers. What goes wrong we say ourselves."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_TQDM": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # native code tells stderr of errors that Ray mends by itself
    # what a pipeline asked for is renewed every ten seconds; after its driver was killed it is kept from others so long
    "RAY_DATA_AUTOSCALING_REQUEST_EXPIRE_TIME_S": "45",
}
"""Environment variables that Ray reads when it is imported; those a user has set stay."""

PICKLED_TYPE = "ray.data.arrow_pickled_object"
_REGISTERING = "ray.data._internal.object_extensions.arrow"
HOOK = f"{__name__}.guard"
"""What every worker of a job of ours calls first, as Ray wants it named."""
HOOK_VARIABLE = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
"""Where workers look for it: a cluster of our own is born with it, which costs no worker that waits already."""


def hush() -> None:
    """Set what Ray reads when it is imported. Call before importing it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def hush_logs() -> None:
    """Let no logger of Ray speak. Call after importing it: that is when Ray sets their levels."""
    for name in [n for n in logging.root.manager.loggerDict if n.split(".")[0] == "ray"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def hush_connected() -> None:
    """Switch off what still prints after connecting: messages of raylets about dead workers go to stdout."""
    from ray._private import worker

    if hasattr(worker, "_worker_logs_enabled"):  # private: without it such messages are shown, nothing worse
        worker._worker_logs_enabled = False


def hush_data() -> None:
    """Import Ray Data without its bars and logs, and without the Arrow type that runs pickles when it is read.

    Every process of ours that imports `ray.data` calls this first (tasks of Ray Data, where it is imported already,
    call `disarm`): a Parquet file of somebody else would otherwise
    execute code when plain pyarrow shows its rows.
    """
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    hush_logs()
    disarm()


def disarm() -> None:
    """Take the Arrow type that runs pickles out of this process, where Ray Data brought it in."""
    if "ray.data" not in sys.modules:
        return
    import pyarrow as pa

    try:
        pa.unregister_extension_type(PICKLED_TYPE)
    except pa.ArrowKeyError:
        return  # already unregistered in this process


def guard() -> None:
    """Disarm this process now, and again in the moment in which Ray Data is imported, whoever does that.

    Functions that users hand to Ray Data run in workers where nothing else of ours runs before them. Nothing is
    imported here: most workers never need Ray Data.
    """
    disarm()
    if _REGISTERING not in sys.modules:
        sys.meta_path.insert(0, _Disarming())


class _Disarming(MetaPathFinder):
    """Finds the one module that registers the type, and disarms the process after it ran."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _REGISTERING or (spec := PathFinder.find_spec(fullname, path, target)) is None:
            return None
        loader: Any = spec.loader
        execute = loader.exec_module

        def execute_and_disarm(module: ModuleType) -> None:
            execute(module)
            disarm()

        loader.exec_module = execute_and_disarm
        return spec


@contextmanager
def hooked() -> Iterator[None]:
    """Let all workers of a cluster that is started while the block runs be guarded."""
    before = os.environ.get(HOOK_VARIABLE)
    os.environ[HOOK_VARIABLE] = HOOK
    try:
        yield
    finally:
        if before is None:
            del os.environ[HOOK_VARIABLE]
        else:
            os.environ[HOOK_VARIABLE] = before


@contextmanager
def hush_native() -> Iterator[None]:
    """Keep what Ray's native code writes to stderr from appearing there; what others write meanwhile still does."""
    with tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        kept = os.dup(2)
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            others = [line for line in caught if not _NATIVE.match(line)]
            os.write(2, b"".join(others))


_NATIVE = re.compile(rb"\[[\d-]+ [\d:,]+ [A-Z] \d+ \d+\] ")


@contextmanager
def keeping_handlers() -> Iterator[None]:
    """Undo what connecting does to the handler of SIGTERM: stopping a run is our business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""The process in which user Python runs: `python -m raymesh.engines.local.worker <channel fd> <lifeline fd>`.

It takes a (plan, port) at a time from the channel and gives one Answer to each. What user code
prints goes to stdout and stderr, never into the channel. The lifeline closes when the parent dies; the
worker then exits at once, so that no build outlives the run it belongs to.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import pyarrow as pa  # noqa: F401 - imported before the first task, so that its memory is not the task's

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.build import Written, write_output
from raymesh.engines.kernel.leftovers import ProcessState
from raymesh.engines.kernel.write import Target, staging
from raymesh.engines.local.messages import Answer, Task
from raymesh.errors import MeshError, TransformError
from raymesh.spi.secrets import hold

_SPARE_ADDRESS_SPACE = 1024**3
_DUCKDB_SHARE = 0.4
"""Of the build's memory; the rest is for user code. DuckDB itself takes up to 1.7 times its own limit."""


def main(channel: Connection) -> None:
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # the parent asks where a hanging build is
    channel.send("ready")
    while True:
        try:
            task: Task = channel.recv()
        except EOFError:
            return
        channel.send(_answer(task))


def _answer(task: Task) -> Answer:
    hold(task.secrets)
    before = ProcessState.now()
    began = time.process_time()
    written, error = _attempt(task)
    sys.stdout.flush()
    sys.stderr.flush()
    return Answer(written, error, time.process_time() - began, before.restore(task.plan.root))


def _attempt(task: Task) -> tuple[Written | None, MeshError | None]:
    try:
        _limit_memory(task.plan.limits.memory_bytes)
        return _build(task), None
    except MeshError as error:
        return None, error
    except BaseException as error:  # noqa: BLE001 - a fault of ours must reach the parent as an answer, not as silence
        return None, TransformError(
            f"the build failed inside raymesh: {type(error).__name__}: {error}",
            hint="this is a defect of raymesh; please report it with the traceback",
            traceback_text=traceback.format_exc(),
        )


def _build(task: Task) -> Written:
    plan = task.plan
    output = next(o for o in plan.outputs if o.port == task.port)
    share = max(int(plan.limits.memory_bytes * _DUCKDB_SHARE), 1)
    plan = replace(plan, limits=replace(plan.limits, memory_bytes=share))
    whole = output.transform.kind == "dataset"
    target = Target(output, plan.run_id, plan.storage)
    with duck.session(plan.limits, ordered=bool(output.layout.sort_by)) as con, staging(target):
        if whole:
            _make_default(con)
        try:
            return write_output(con, plan, output)
        finally:
            if whole:
                duckdb.set_default_connection(duckdb.connect())


def _make_default(con: duckdb.DuckDBPyConnection) -> None:
    """Let `duckdb.sql("SELECT … FROM lines")` in user code mean its parameters."""
    con.execute("SET python_enable_replacements=true")
    duckdb.set_default_connection(con)


def _limit_memory(allowed: int) -> None:
    """A sudden huge allocation fails in user code, with its place; the parent watches what grows slowly."""
    with suppress(ValueError, OSError):  # a platform without the limit keeps the parent's watch
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        soft = _data_bytes() + 2 * allowed + _SPARE_ADDRESS_SPACE
        resource.setrlimit(
            resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
        )


def _data_bytes() -> int:
    """Private writable memory this process has mapped."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def _hold(lifeline: int) -> None:
    """Exit at once when the other end of the lifeline is gone."""
    while os.read(lifeline, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_hold, args=(int(sys.argv[2]),), name="raymesh-lifeline", daemon=True).start()
    main(Connection(int(sys.argv[1])))

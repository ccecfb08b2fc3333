"""A builder process that can be told to fail at a fault point, with everything imported beforehand."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb  # noqa: F401  # imported before the fork: a builder starts in milliseconds
import psycopg  # noqa: F401
import pyiceberg.table  # noqa: F401

import raymesh
import raymesh.adapters.iceberg.store
import raymesh.adapters.state.store
import raymesh.api
import raymesh.engines.local.engine
from raymesh.spi import faults


@dataclass(frozen=True, slots=True)
class Orders:
    """What a builder is to do: at fault point `at` commit `fault`; sleep `nap` seconds at every point. `env` is for
    variables that were set after the server of forks started."""

    root: str
    output: str
    at: str | None = None
    fault: str | None = None
    nap: float = 0.0
    refresh: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


def fail(fault: str | None) -> None:
    """Commit the fault, at once and without cleaning up where it would not be."""
    if fault == "raise":
        raise RuntimeError("injected")
    if fault == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if fault == "exit":
        os._exit(9)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "unknown":
        from raymesh.errors import CommitUnknownError

        raise CommitUnknownError("the answer was lost")
    if fault == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)


def main(orders: Orders) -> None:
    """Build everything and exit with the run's code; prints `ready` when the mesh is open."""
    os.environ.update(orders.env)
    descriptor = os.open(orders.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)

    def observe(point: str) -> None:
        if orders.nap:
            time.sleep(orders.nap)
        if point == orders.at:
            os.write(1, f"reached {point}\n".encode())
            fail(orders.fault)

    from raymesh.cli.run import interruptible

    with raymesh.Mesh.load(Path(orders.root)) as mesh, interruptible() as stop:
        os.write(1, b"ready\n")
        faults.observer = observe
        finished = mesh.run(refresh=orders.refresh, stop=stop)
    for report in finished.reports:
        os.write(1, f"{report.product} {report.status} {report.reason}\n".encode())
    sys.exit(finished.exit_code)

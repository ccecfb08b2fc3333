"""A builder process that can be told to fail: `builder.py ROOT [--at POINT --fault FAULT] [--nap SECONDS]`.

Prints `ready` when the mesh is open, then runs everything and prints one line per product. `--nap` sleeps at
every fault point, so that a kill from outside has every stage to hit.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time

import raymesh
from raymesh.spi import faults


def fail(fault: str) -> None:
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


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--at")
    parser.add_argument("--fault")
    parser.add_argument("--nap", type=float, default=0.0)
    parser.add_argument("--refresh", action="store_true")
    options = parser.parse_args()

    def observe(point: str) -> None:
        if options.nap:
            time.sleep(options.nap)
        if point == options.at:
            print(f"reached {point}", flush=True)
            fail(options.fault)

    with raymesh.Mesh.load(options.root) as mesh:
        print("ready", flush=True)
        faults.observer = observe
        finished = mesh.run(refresh=options.refresh)
    for report in finished.reports:
        print(report.product, report.status, report.reason, flush=True)
    return finished.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""Who holds a lease, in a form that lets another process on the same host see whether it still lives."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path


def own(purpose: str) -> str:
    """This process as a lease owner: `host:pid:start:purpose`. The start time tells a reused pid apart."""
    return f"{_host()}:{os.getpid()}:{_start_of(os.getpid())}:{purpose}"


def alive(owner: str) -> bool | None:
    """Whether the owner's process runs; None when this process cannot know, as for one on another host.

    Neither does a process know about another container of its host, or about one from before the last boot:
    such names may be given twice.
    """
    host, pid, start, _ = [*owner.split(":", 3), "", "", ""][:4]
    if host != _host() or not pid.isdecimal():
        return None
    space, _, ticks = start.rpartition("-")
    if space != _space():
        return None
    seen = _ticks_of(int(pid))
    if seen is not None:
        return seen == ticks
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return None
    return None


def describe_owner(owner: str) -> str:
    """The owner for people: `process 4711 on host7`."""
    host, pid, *_ = [*owner.split(":", 3), ""]
    return f"process {pid} on {host}" if pid else owner


def _host() -> str:
    return socket.gethostname().replace(":", "-")


def _start_of(pid: int) -> str:
    """What tells this process from another with the same pid: boot, pid namespace, start time in clock ticks."""
    return f"{_space()}-{_ticks_of(pid)}" if _space() else ""


def _space() -> str:
    """Within what pids are unique: boot and pid namespace; empty where the system does not say."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{boot}-{str(Path('/proc/self/ns/pid').readlink()).strip('pid:[]')}"
    return ""


def _ticks_of(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; empty for one that is dead but not buried, None when unseen."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return "" if fields[0] in "ZX" else fields[19]

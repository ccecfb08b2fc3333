"""A head that raymesh keeps running on this machine, so that commands attach instead of starting a cluster."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from raymesh.engines.ray import access
from raymesh.engines.ray.quiet import HOOK, HOOK_VARIABLE, hush
from raymesh.errors import ClusterError
from raymesh.spec.mesh import RayEngineSpec

START_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The head that is kept: where it listens and which process it is. `born` tells it from a later process with
    the same id."""

    address: str
    pid: int
    born: str
    started_at: float
    log: str


def _record() -> Path:
    return access.home() / "cluster.json"


def kept() -> Kept | None:
    """The head kept on this machine, None when there is none or it died."""
    try:
        found = Kept(**json.loads(_record().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if _born(found.pid) == found.born else None


def start(spec: RayEngineSpec, spill: str | None = None) -> Kept:
    """Start a head, guarded by our token, and remember it. The one that runs when there is one.

    Raises ClusterError with what Ray said when it does not come up.
    """
    hush()
    with _alone():
        return kept() or _started(spec, spill)


@contextmanager
def _alone() -> Iterator[None]:
    """No other process of this user starts a head while the block runs."""
    import fcntl

    with (access.private_folder() / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _started(spec: RayEngineSpec, spill: str | None) -> Kept:
    access.use_own_token()
    folder = access.private_folder()
    log = folder / "cluster.log"
    port = _free_port()
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [*_command(spec, port, spill)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env={**os.environ, HOOK_VARIABLE: HOOK},
        )
    address = f"127.0.0.1:{port}"
    _wait(process, address, log)
    head = Kept(address, process.pid, _born(process.pid) or "", time.time(), str(log))
    draft = _record().with_suffix(".new")
    draft.write_text(json.dumps(asdict(head)), encoding="utf-8")
    draft.replace(_record())
    return head


def _command(spec: RayEngineSpec, port: int, spill: str | None) -> list[str]:
    said: dict[str, object] = {
        "num-cpus": spec.cpus,
        "memory": spec.memory,
        "object-store-memory": spec.object_store,
        "object-spilling-directory": spill,
        "resources": json.dumps(dict(spec.resources)) if spec.resources else None,
    }
    options = [f"--{name}={value}" for name, value in said.items() if value is not None]
    fixed = [
        "--head",
        "--block",
        f"--port={port}",
        "--node-ip-address=127.0.0.1",
        "--include-dashboard=false",
    ]
    return [sys.executable, "-m", "ray.scripts.scripts", "start", *fixed, "--disable-usage-stats", *options]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if "Ray runtime started" in log.read_text(encoding="utf-8", errors="replace"):
            return
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    tail = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-40:])
    raise ClusterError(f"a head at {address} did not come up: {tail}", hint=f"all that Ray said: {log}")


def stop() -> Kept | None:
    """Stop the head that is kept, with all its processes and jobs; None when there was none."""
    head = kept()
    if head is not None:
        _end(head.pid)
    with suppress(FileNotFoundError):
        _record().unlink()
    return head


def _end(pid: int) -> None:
    """Ask the head to end its processes, then end what is left of its session: no other Ray is touched."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _session(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    for left in _session(pid):
        with suppress(ProcessLookupError):
            os.kill(left, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    """Living processes of the session that `leader` began; where the system does not tell, the leader alone."""
    if not Path("/proc/self/stat").exists():
        return [leader] if _born(leader) else []
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        facts = _facts(int(folder.name))
        if facts and int(facts[3]) == leader and facts[0] != "Z":
            found.append(int(folder.name))
    return found


def _born(pid: int) -> str | None:
    """When a living process began, as the system says it; None when there is none."""
    if Path("/proc/self/stat").exists():
        facts = _facts(pid)
        return facts[19] if facts and facts[0] != "Z" else None
    said = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or None


def _facts(pid: int) -> list[str] | None:
    """What the system says about a process from its state on; None when it is gone."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None

"""The parent's side of worker processes: started, fed, watched and killed; healthy ones are kept warm."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.engines.local.messages import Answer, Task
from raymesh.errors import MeshError, SourceSpan, TransformError, TransformMemoryError, TransformTimeoutError
from raymesh.spi.secrets import variables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from raymesh.engines.local.watch import Watch
    from raymesh.mesh.plan import BuildPlan, Output

_log = logging.getLogger("raymesh.user")
CLUSTER_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105  # the name of a variable, which we set from `engines.ray.token`
_KEPT_LINES = 40
_MOST_IDLE = 4
_START_SECONDS = 60.0
_PRINT_SECONDS = 0.05  # what was printed last may still be in the pipe
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FRAME = re.compile(r'File "([^"]+)", line (\d+) in ')


class Worker:
    """One child process, without the variables `withheld`. It leads its own process group, so that what user code
    starts dies with it."""

    def __init__(self, withheld: Collection[str] = ()) -> None:
        self.withheld = frozenset(withheld)
        self._channel, theirs = Pipe()
        held, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "raymesh.engines.local.worker", str(theirs.fileno()), str(held)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), held),
                start_new_session=True,
                env=_environment(self.withheld),
            )
        finally:
            theirs.close()
            os.close(held)
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listener = threading.Thread(target=self._listen, name="raymesh-worker-output", daemon=True)
        self._listener.start()
        self.baseline = 0
        self.peak = 0
        self.healthy = True

    def run(self, plan: BuildPlan, output: Output, watch: Watch) -> Answer:
        """Build one output in the child. Raises TransformError when the child died, TransformMemoryError,
        TransformTimeoutError, CancelledError; an error of the build itself is in the answer."""
        self.healthy = False
        try:
            self._await_ready()
            self._said.clear()
            self.peak = 0
            known = variables()
            secrets = {name: known[name] for name in plan.secrets if name in known}
            self._channel.send(Task(plan, output.port, secrets))
            answer = self._answer(plan, output, watch)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._died(output) from None
        self.healthy = answer.reusable
        if answer.error is not None:
            self._say(answer.error)
        return answer

    def _await_ready(self) -> None:
        if self.baseline:
            return
        try:
            ready = self._channel.poll(_START_SECONDS) and self._channel.recv()
        except (EOFError, ConnectionResetError):
            ready = None
        if not ready:
            error = TransformError(
                "the process for user Python did not start",
                hint="what it printed says why; `raymesh doctor` checks the installation",
            )
            self._say(error)
            raise error
        self.baseline = max(_resident(self._process.pid), 1)

    def _answer(self, plan: BuildPlan, output: Output, watch: Watch) -> Answer:
        allowed = plan.limits.memory_bytes + self.baseline
        while not self._channel.poll(watch.interval):
            used = _resident(self._process.pid)
            self.peak = max(self.peak, used)
            if used > allowed:
                raise self._too_large(plan, output, used - self.baseline)
            try:
                watch.tick()
            except TransformTimeoutError as error:
                error.spans = self._place(plan, output)
                raise
            watch.report("transform")
        answer: Answer = self._channel.recv()
        return answer

    def _place(self, plan: BuildPlan, output: Output) -> tuple[SourceSpan, ...]:
        """Where user code is right now: the innermost of its frames."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
        root = os.path.realpath(plan.root) + os.sep
        frames = [m for line in list(self._said) if (m := _FRAME.search(line))]
        inside = [
            m for m in frames if os.path.realpath(m[1]).startswith(root) and "site-packages" not in m[1]
        ]
        if not inside:
            return (SourceSpan(output.transform.python_file or "transform.py"),)
        return (SourceSpan(os.path.relpath(os.path.realpath(inside[0][1]), root), int(inside[0][2])),)

    def _died(self, output: Output) -> TransformError:
        self._process.wait(timeout=10)
        code = self._process.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with status {code}"
        hint = "user code must return, not exit"
        if code == -signal.SIGKILL:
            hint = "the operating system ends processes like this when memory runs out"
        file = output.transform.python_file or "transform.py"
        error = TransformError(f"{file}: its process {how}", hint=hint, spans=(SourceSpan(file),))
        self._say(error)
        return error

    def _say(self, error: MeshError) -> None:
        """Add what user code printed to its error."""
        time.sleep(_PRINT_SECONDS)
        if isinstance(error, TransformError) and self._said:
            error.traceback_text += "printed before that:\n" + "".join(f"  {line}\n" for line in self._said)

    def _too_large(self, plan: BuildPlan, output: Output, used: int) -> TransformMemoryError:
        file = output.transform.python_file or "transform.py"
        return TransformMemoryError(
            f"{file}: used {used / 1024**2:.0f} MiB, more than its limit of {plan.limits.memory_bytes / 1024**2:.0f} MiB",
            hint="raise resources.memory of the product, or make the function a @batch transform",
            spans=self._place(plan, output),
        )

    def _listen(self) -> None:
        for raw in self._process.stdout or ():  # it is there: Popen was given PIPE
            line = raw.decode(errors="replace").rstrip("\n")
            self._said.append(line)
            _log.info("%s", line)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Kill the process and all it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._channel.close()
        os.close(self._lifeline)
        self._listener.join(timeout=5)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Workers:
    """Worker processes of one engine. A healthy one is used again."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def one(self, withheld: Collection[str] = ()) -> Iterator[Worker]:
        """A worker without the variables `withheld`; kept afterwards when it is healthy, killed when not."""
        worker = self._take(frozenset(withheld))
        try:
            yield worker
        finally:
            if not worker.healthy or not self._keep(worker):
                worker.close()

    def _take(self, withheld: frozenset[str]) -> Worker:
        with self._lock:
            while self._idle:
                found = self._idle.pop()
                if found.alive and found.withheld >= withheld:
                    return found
                found.close()
        return Worker(withheld)

    def _keep(self, worker: Worker) -> bool:
        with self._lock:
            if self._closed or len(self._idle) >= _MOST_IDLE:
                return False
            self._idle.append(worker)
            return True

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()


def _environment(withheld: Collection[str]) -> dict[str, str]:
    """Ours without what user code must not see, with the folder this package was imported from in front."""
    source = str(Path(__file__).resolve().parents[3])
    paths = [source, os.environ.get("PYTHONPATH", "")]
    ours = {name: value for name, value in os.environ.items() if name not in (*withheld, CLUSTER_TOKEN)}
    return ours | {"PYTHONPATH": os.pathsep.join(p for p in paths if p), "PYTHONUNBUFFERED": "1"}


def _resident(pid: int) -> int:
    """Bytes of memory a process and its children occupy; 0 where /proc does not exist."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (OSError, IndexError, ValueError):  # it ended, or this is not Linux
        return 0
    return pages * _PAGE + sum(_resident(int(child)) for child in children)

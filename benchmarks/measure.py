"""Measures whole processes and blocks of code, and writes the figures down."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DATA = HERE / ".data"
VENVS = HERE / ".venvs"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report: what was measured, the value, its bar and whether the bar is met."""

    what: str
    value: str
    bar: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A finished process: wall and processor seconds, peak memory in bytes."""

    wall: float
    cpu: float
    peak: int


def process(command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> Process:
    """Run a command to its end; raises RuntimeError with its output when it fails."""
    began = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited with {child.returncode}:\n{output[-3000:]}")
    return Process(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def alternate(
    first: Callable[[], float], second: Callable[[], float], rounds: int = 5
) -> tuple[float, float, float]:
    """Both measured in turn: medians of first and second, and the median of the pairwise ratios."""
    first(), second()
    pairs = [(first(), second()) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(ratios),
    )


def raymesh(*arguments: str) -> list[str]:
    """The command line of this environment's raymesh."""
    return [sys.executable, "-m", "raymesh", *arguments]


def venv(name: str, *packages: str) -> Path:
    """A virtual environment with other people's tools, made once; returns its folder of programs."""
    folder = VENVS / name
    done = folder / ".done"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *packages], check=True)
        done.touch()
    return folder / "bin"


def tpch(scale: float) -> Path:
    """TPC-H data as Parquet files, generated once."""
    folder = DATA / f"tpch-{scale:g}"
    if not (folder / "lineitem.parquet").exists():
        folder.mkdir(parents=True, exist_ok=True)
        program = Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run(
            [str(program), "parquet", "-s", f"{scale:g}", "-o", str(folder)], check=True, capture_output=True
        )
    return folder


def machine() -> str:
    """The machine in a line."""
    import platform

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def peak_of_children() -> int:
    """Largest peak memory in bytes among finished children."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024

"""Ctrl-C while DuckDB computes: heard at once, told as what it is, nothing left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest

from checking import table, write_contract, write_parquet
from meshes import write_product
from raymesh.cli import app
from raymesh.cli.interrupt import heard_at_once
from raymesh.errors import CancelledError
from raymesh.spi.statements import interrupt_all, stoppable
from shops import write_shop

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3"
PRESSED = """
import os, signal, sys, threading, time
from raymesh.cli.app import run

def running():
    for frame in sys._current_frames().values():
        while frame is not None:
            if frame.f_code.co_name in {inside!r}:
                return True
            frame = frame.f_back

def press():
    while not running():
        time.sleep(0.02)
    time.sleep(0.5)  # now the statement has begun
    print("pressed", time.time(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
try:
    run({words!r})
finally:
    print("left", time.time(), flush=True)
"""


def interrupted(cwd: Path, *words: str, inside: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """The command, with Ctrl-C pressed when a function called `inside` runs, and the seconds it took to end."""
    done = subprocess.run(
        [sys.executable, "-c", PRESSED.format(words=list(words), inside=(inside,))],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    times = {
        line.split()[0]: line.split()[1]
        for line in done.stdout.splitlines()
        if "pressed" in line or "left" in line
    }
    return done, float(times["left"]) - float(times["pressed"])


def test_an_interrupted_statement_is_no_fault_of_raymesh(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise RuntimeError("Query interrupted")  # what DuckDB's client raises

    monkeypatch.setattr(click.Group, "invoke", interrupted)
    assert app._code(["ls"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_an_endless_rule_of_a_check_is_left_at_once(tmp_path):
    write_parquet(tmp_path / "data.parquet", id=[1, 2])
    rule = {"type": "sql", "query": ENDLESS, "mustBe": 0}
    write_contract(tmp_path / "c.yaml", table("t", {"name": "id", "logicalType": "integer"}, quality=[rule]))
    done, seconds = interrupted(tmp_path, "check", "c.yaml", "--data", "data.parquet", inside="rule_value")
    assert done.returncode == 130, done.stderr
    assert done.stderr.split() == ["interrupted"]
    assert seconds < 5
    assert not list(tmp_path.glob("raymesh-scratch/spill-*"))


def test_an_endless_rule_of_a_run_is_left_at_once(tmp_path):
    root = write_shop(tmp_path / "shop")
    rule = {"type": "sql", "query": ENDLESS, "mustBe": 0}
    write_product(root, "shop.slow", {"id": "bigint"}, sql="SELECT 1::bigint AS id", quality=[rule])
    done, seconds = interrupted(root, "run", "shop.slow", inside="rule_value")
    assert done.returncode == 130, done.stderr
    assert "1 interrupted" in done.stdout
    assert seconds < 5
    assert not list((root / ".raymesh" / "warehouse").glob("**/slow/**/*.parquet"))


def test_an_endless_query_is_left_at_once(built, tmp_path):
    done, seconds = interrupted(built, "sql", f"{ENDLESS} AND EXISTS (FROM shop.orders)", inside="answer")
    assert done.returncode == 130, done.stderr
    assert seconds < 5


class _Statement:
    """Keeps the main thread where it hears no signal, until it is interrupted."""

    def __init__(self) -> None:
        self.ended, self.ends = os.pipe()
        self.interrupted = False

    def run(self) -> None:
        ctypes.CDLL(None).read(self.ended, ctypes.create_string_buffer(1), 1)

    def interrupt(self) -> None:
        self.interrupted = True
        os.write(self.ends, b"!")


def test_the_signal_is_heard_while_the_main_thread_hears_none():
    statement: Any = _Statement()
    stoppable(statement)
    late = threading.Timer(20, os.write, (statement.ends, b"!"))
    late.start()  # before the signal is blocked here: this thread gets it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with pytest.raises(KeyboardInterrupt), heard_at_once():
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            statement.run()
            time.sleep(0)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        late.cancel()
    assert statement.interrupted


def test_what_fails_after_ctrl_c_is_no_failure(monkeypatch, capsys):
    """A KeyboardInterrupt that was lost in a callback: what the interrupted statement raises is not told."""

    def invoked(*_: Any) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise CancelledError("stopped on request; nothing was published")

    monkeypatch.setattr(click.Group, "invoke", invoked)
    assert app._code(["ls"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_everything_that_runs_is_interrupted():
    con = stoppable(duckdb.connect(config={"threads": 2}))
    threading.Timer(0.3, interrupt_all).start()
    with pytest.raises(duckdb.InterruptException):
        con.execute(ENDLESS)
    assert con.execute("SELECT 1").fetchall() == [(1,)]
    con.close()
    interrupt_all()  # a closed connection is no reason to fail


def test_another_handler_is_left_alone():
    def mine(*_: Any) -> None: ...

    before = signal.signal(signal.SIGINT, mine)
    try:
        with heard_at_once():
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)
    with heard_at_once():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

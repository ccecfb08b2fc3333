from __future__ import annotations

import os
import subprocess
import sys

import pytest

from raymesh.spi import owner
from raymesh.spi.owner import alive, describe_owner, own


def test_this_process_is_alive() -> None:
    assert alive(own("run:with:colons")) is True


def test_a_process_is_dead_from_the_moment_it_is_killed() -> None:
    process = subprocess.Popen(["sleep", "60"])
    name = own("run").replace(f":{os.getpid()}:", f":{process.pid}:", 1)
    name = name.replace(owner._start_of(os.getpid()), owner._start_of(process.pid))
    assert alive(name) is True
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # killed, but its parent has not asked for it
    assert alive(name) is False
    process.wait()
    assert alive(name) is False


def test_another_process_with_the_same_pid_is_not_the_owner() -> None:
    host, pid, start, _ = own("run").split(":", 3)
    earlier = start.rpartition("-")[0] + "-1"
    assert alive(f"{host}:{pid}:{earlier}:run") is False


@pytest.mark.parametrize("place", ["host", "boot", "container"])
def test_a_process_elsewhere_may_be_alive(place: str) -> None:
    host, _, start, _ = own("run").split(":", 3)
    boot, space, ticks = start.split("-")
    elsewhere = {
        "host": f"{host}x:4194305:{start}:run",
        "boot": f"{host}:4194305:00000000-{space}-{ticks}:run",
        "container": f"{host}:4194305:{boot}-1-{ticks}:run",
    }
    assert alive(elsewhere[place]) is None
    assert alive(f"{host}:4194305:{start}:run") is False


@pytest.mark.parametrize("name", ["", "x", "a:b", "a:b:c:d", "vm:x:y:z"])
def test_a_name_it_does_not_know_may_be_alive(name: str) -> None:
    assert alive(name) is None


FORKING = """
import os
from raymesh.spi.owner import alive, own
parent = own("run")
if os.fork() == 0:
    os._exit(0 if alive(own("run")) is True and own("run") != parent and alive(parent) is True else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_child_is_a_process_of_its_own() -> None:
    assert subprocess.run([sys.executable, "-c", FORKING], check=False).returncode == 0


def test_owners_are_described_for_people() -> None:
    assert describe_owner("host7:4711:0-0-0:run") == "process 4711 on host7"
    assert describe_owner("somebody") == "somebody"

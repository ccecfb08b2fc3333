"""Group commit: whoever waits is committed by the next one who may, and hears how it ended."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence

import pytest

from raymesh.adapters.state.group import Group


class Slow:
    """Doubles numbers; the first call waits until it is let go."""

    def __init__(self) -> None:
        self.began, self.let_go = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, works: Sequence[int]) -> list[int]:
        self.batches.append(list(works))
        self.began.set()
        self.let_go.wait(10)
        if 13 in works:
            raise ValueError("unlucky")
        return [2 * w for w in works]


def submitted(group: Group[int, int], work: int, ends: dict[int, object]) -> threading.Thread:
    def submit() -> None:
        try:
            ends[work] = group.submit(work)
        except ValueError as error:
            ends[work] = str(error)

    thread = threading.Thread(target=submit)
    thread.start()
    return thread


def _run(works: Sequence[int]) -> tuple[Slow, dict[int, object]]:
    """The first alone; the others while it is under way."""
    commit, ends = Slow(), {}
    group: Group[int, int] = Group(commit)
    threads = [submitted(group, works[0], ends)]
    commit.began.wait(10)
    for n, work in enumerate(works[1:], start=1):
        threads.append(submitted(group, work, ends))
        while len(group._queue) < n:
            pass
    commit.let_go.set()
    for thread in threads:
        thread.join(10)
    assert group.submit(100) == 200, "the group works on"
    return commit, ends


def test_those_who_wait_share_one_commit():
    commit, ends = _run([1, 2, 3, 4])
    assert commit.batches[:2] == [[1], [2, 3, 4]]
    assert ends == {1: 2, 2: 4, 3: 6, 4: 8}


def test_a_commit_that_fails_fails_for_all_of_it_and_nobody_else():
    _, ends = _run([1, 2, 13])
    assert ends == {1: 2, 2: "unlucky", 13: "unlucky"}


def test_one_alone_is_committed_at_once():
    group: Group[int, int] = Group(lambda works: [w + 1 for w in works])
    assert [group.submit(n) for n in range(3)] == [1, 2, 3]


def test_a_forked_child_does_not_wait_for_threads_of_its_parent():
    commit, ends = Slow(), {}
    group: Group[int, int] = Group(commit)
    thread = submitted(group, 1, ends)
    commit.began.wait(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of what is tested here
        child = os.fork()
    if child == 0:
        commit.let_go.set()
        os._exit(0 if group.submit(2) == 4 else 1)
    commit.let_go.set()
    thread.join(10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ends == {1: 2}


def test_an_error_of_ones_own_commit_is_raised():
    commit = Slow()
    commit.let_go.set()
    with pytest.raises(ValueError, match="unlucky"):
        Group(commit).submit(13)

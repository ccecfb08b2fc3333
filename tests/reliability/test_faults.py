"""Every fault point × every fault: old version or new version, complete, and the next run succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from raymesh.spi.faults import POINTS
from reliability.harness import assert_recovers, assert_sound, build, two_products

OLD, NEW = (1, 1000), (2, 1500)
FAULTS = ("raise", "enospc", "exit", "kill", "interrupt")
BUILD_POINTS = tuple(p for p in POINTS if p != "during_maintain")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A mesh whose products serve OLD and whose documents now say NEW."""
    state = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    root = two_products(tmp_path / "mesh", 1, state=state)
    code, output = build(root)
    assert code == 0, output
    return two_products(root, 2, rows=1500)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("point", BUILD_POINTS)
def test_a_fault_leaves_the_old_or_the_new_version_and_the_next_run_succeeds(
    published: Path, point: str, fault: str, request: pytest.FixtureRequest
) -> None:
    if (
        "postgres" in request.node.name
        and fault in ("raise", "exit")
        and not request.config.getoption("--complete")
    ):
        pytest.skip("sampled: run with --complete")
    code, output = build(published, "--at", point, "--fault", fault)
    assert f"reached {point}" in output, f"the point was never reached:\n{output}"
    if fault != "interrupt" and point != "after_commit":
        assert code != 0, output
    assert_sound(published, {OLD, NEW})
    assert_recovers(published, NEW)


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_an_unknown_commit_is_looked_up_and_never_assumed(published: Path, point: str) -> None:
    code, output = build(published, "--at", point, "--fault", "unknown")
    assert f"reached {point}" in output
    if point == "after_commit":
        assert code == 0, output
    assert_sound(published, {OLD, NEW})
    assert_recovers(published, NEW)


def test_every_fault_point_is_tested() -> None:
    assert set(BUILD_POINTS) | {"during_maintain"} == set(POINTS)

"""Every fault point × every fault: old version or new version, complete, and the next run succeeds."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh
from raymesh.spi.faults import POINTS
from reliability.harness import assert_recovers, assert_sound, build, two_products

OLD, NEW = (1, 1000), (2, 1500)
FAULTS = ("raise", "enospc", "exit", "kill", "interrupt")
SAMPLED = ("kill", "enospc")
"""The faults tried on PostgreSQL when the matrix is not complete."""
BUILD_POINTS = tuple(p for p in POINTS if p != "during_maintain")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" not in metafunc.fixturenames:
        return
    complete = metafunc.config.getoption("--complete")
    cases = [("sqlite", p, f) for p in BUILD_POINTS for f in FAULTS]
    cases += [("postgres", p, f) for p in BUILD_POINTS for f in (FAULTS if complete else SAMPLED)]
    metafunc.parametrize(("published", "point", "fault"), cases, indirect=["published"])


@pytest.fixture
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A mesh whose products serve OLD and whose documents now say NEW."""
    state = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    root = two_products(tmp_path / "mesh", 1, state=state)
    with raymesh.Mesh.load(root) as mesh:
        assert {r.status for r in mesh.run().reports} == {"published"}
    return two_products(root, 2, rows=1500)


def test_a_fault_leaves_the_old_or_the_new_version_and_the_next_run_succeeds(
    published: Path, point: str, fault: str
) -> None:
    code, output = build(published, at=point, fault=fault)
    assert f"reached {point}" in output, f"the point was never reached:\n{output}"
    if fault != "interrupt" and point != "after_commit":
        assert code != 0, output
    assert_sound(published, {OLD, NEW})
    assert_recovers(published, NEW)


@pytest.mark.parametrize("published", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_an_unknown_commit_is_looked_up_and_never_assumed(published: Path, point: str) -> None:
    code, output = build(published, at=point, fault="unknown")
    assert f"reached {point}" in output
    if point == "after_commit":
        assert code == 0, output
    assert_sound(published, {OLD, NEW})
    assert_recovers(published, NEW)


def test_a_clock_that_went_back_refuses_to_publish_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iceberg readers refuse a table whose history is out of order, so nothing like it is written."""
    import time

    root = two_products(tmp_path / "mesh", 1)
    with raymesh.Mesh.load(root) as mesh:
        mesh.run()
    two_products(root, 2, rows=1500)
    real = time.time
    real_ns = time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() - 3600 * 10**9)
    with raymesh.Mesh.load(root) as mesh:
        reports = mesh.run().reports
    monkeypatch.undo()
    assert reports[0].status == "failed"
    assert "clock" in reports[0].reason
    assert_sound(root, {OLD})
    assert_recovers(root, NEW)


def test_a_fault_during_maintenance_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.maintain import MaintainOptions, maintain
    from raymesh.spi import faults

    root = two_products(tmp_path / "mesh", 1)

    def fail(point: str) -> None:
        if point == "during_maintain":
            raise RuntimeError("injected")

    with raymesh.Mesh.load(root) as mesh:
        mesh.run()
        monkeypatch.setattr(faults, "observer", fail)
        with (
            Invocation(mesh._workspace, RunOptions(), lambda _: None) as invocation,
            pytest.raises(RuntimeError),
        ):
            maintain(invocation, "shop.first", MaintainOptions())
        monkeypatch.undo()
    assert_sound(root, {(1, 1000)})
    assert_recovers(root, (1, 1000))


def test_every_fault_point_is_tested() -> None:
    assert set(BUILD_POINTS) | {"during_maintain"} == set(POINTS)


def test_a_rollback_that_fails_is_closed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh.actions.ids import new_id
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.rollback import rollback
    from raymesh.spi import faults

    root = two_products(tmp_path / "mesh", 1)
    with raymesh.Mesh.load(root) as mesh:
        mesh.run()
    two_products(root, 2, rows=1500)

    def fail(point: str) -> None:
        if point == "before_commit":
            raise RuntimeError("injected")

    with raymesh.Mesh.load(root) as mesh:
        mesh.run()
        monkeypatch.setattr(faults, "observer", fail)
        run_id = new_id()
        with (
            Invocation(mesh._workspace, RunOptions(), lambda _: None) as invocation,
            pytest.raises(RuntimeError),
        ):
            rollback(invocation, "shop.first", 1, run_id)
        monkeypatch.undo()
        ended = next(r for r in mesh._workspace.state.runs(product="shop.first") if r.run_id == run_id)
        assert (ended.status, ended.reason) == ("failed", "RuntimeError: injected")
    assert_sound(root, {NEW})
    assert_recovers(root, NEW)

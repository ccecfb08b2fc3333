"""Workers, nodes and drivers of a Ray cluster die in the middle of builds: every row once, or a clean failure."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raymesh
from meshes import write_product
from raymesh.actions.events import ProductReport
from reliability.harness import Builder, assert_sound, build
from reliability.ray_harness import (
    COLUMNS,
    ROWS,
    Nodes,
    alive,
    assert_exact,
    assert_nothing_left,
    attempts,
    env,
    made_by,
    mesh_of,
    nodes,
    until,
)

pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # within Ray Data
]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with nodes(tmp_path_factory.mktemp("home")) as cluster:
        yield cluster


@pytest.fixture
def root(three: Nodes, tmp_path: Path) -> Path:
    return mesh_of(tmp_path / "mesh", three.address)


@pytest.fixture
def long(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--complete"):
        pytest.skip("sampled: run with --complete")


def run(root: Path, product: str = "shop.made") -> ProductReport:
    with raymesh.Mesh.load(root) as mesh:
        return next(r for r in mesh.run().reports if r.product == product)


def used(root: Path, product: str = "shop.made") -> dict[str, Any]:
    with raymesh.Mesh.load(root) as mesh:
        return dict(mesh._workspace.state.runs(product=product)[0].resources)


def test_a_build_on_several_nodes_makes_every_row_once(root: Path) -> None:
    made_by(root, "")
    report = run(root)
    assert (report.status, report.engine, report.rows) == ("published", "ray", ROWS), report.reason
    assert_exact(root)
    assert_nothing_left(root)
    found = used(root)
    assert len(found["nodes"]) > 1, found
    assert found["tasks"] > 2


def test_a_function_that_always_kills_its_worker_ends_with_its_name(root: Path) -> None:
    made_by(root, "note('died')\nos.kill(os.getpid(), signal.SIGKILL)")
    report = run(root)
    assert report.status == "failed"
    assert "shop.made" in report.reason
    assert report.error is not None
    assert report.error.code == "transform"
    assert 1 <= len(attempts(root, "died")) <= 12
    assert_nothing_left(root)
    made_by(root, "")
    assert_recovers_with_rows(root)


@pytest.mark.usefixtures("long")
def test_a_worker_killed_once_changes_nothing(root: Path) -> None:
    made_by(root, "if first('killed'):\n    os.kill(os.getpid(), signal.SIGKILL)")
    assert run(root).status == "published"
    assert (root / "notes" / "killed").exists()
    assert used(root)["retries"] == 1
    assert_exact(root)
    assert_nothing_left(root)


def test_a_worker_killed_after_it_staged_some_rows_leaves_none_twice(root: Path) -> None:
    made_by(
        root,
        "if rows['id'][0].as_py() % 40_000 == 30_000 and first(f\"killed{rows['id'][0].as_py()}\"):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)",
    )
    assert run(root).status == "published"
    assert_exact(root)
    assert_nothing_left(root)


def test_a_lost_node_changes_nothing(root: Path, three: Nodes) -> None:
    """All tasks are on one node, which is lost with what finished ones had staged; one like it takes its place."""
    lost = three.add(num_cpus=1, resources={"spare": 1})
    made_by(
        root,
        "import ray\n"
        "node = ray.get_runtime_context().get_node_id()\n"
        "note(node)\n"
        "while len((HERE / node).read_text().split()) > 15 and not (HERE / 'go').exists():\n"
        "    time.sleep(0.02)",
        resources={"custom": {"spare": 0.1}},
    )
    reports: list[ProductReport] = []
    builder = threading.Thread(target=lambda: reports.append(run(root)))
    builder.start()
    try:
        until(lambda: len(attempts(root, lost.node_id)) > 15)
        three.lose(lost)
        gone = attempts(root, lost.node_id)
        until(lambda: not any(map(alive, gone)))  # workers outlive their node for a moment
        other = three.add(num_cpus=1, resources={"spare": 1})
    finally:
        (root / "notes" / "go").touch()
        builder.join(120)
    assert [r.status for r in reports] == ["published"], reports
    assert_exact(root)
    assert_nothing_left(root)
    assert used(root)["retries"] >= 1
    assert len(attempts(root, other.node_id)) >= 5
    three.lose(other)


def test_objects_do_not_wait_for_readers_that_wait_for_them(root: Path, three: Nodes) -> None:
    """An object holds the one licence as long as the build lasts: what reads for it asks for none."""
    only = three.add(num_cpus=1, resources={"licence": 1})
    same = "from raymesh import batch\n\n@batch(input='shop.rows')\nclass transform:\n    def __call__(self, rows):\n        return rows\n"
    write_product(
        root,
        "shop.made",
        COLUMNS,
        python=same,
        resources={"custom": {"licence": 1}},
        timeout="90s",
    )
    try:
        assert run(root).status == "published"
        assert_exact(root, value=0)
    finally:
        three.lose(only)


def test_a_function_that_fails_on_some_rows_fails_cleanly(root: Path) -> None:
    made_by(root, "if 150_000 in rows['id'].to_pylist():\n    raise ValueError('row 150000 is bad')")
    report = run(root)
    assert report.status == "failed"
    assert "row 150000 is bad" in report.reason
    assert report.error is not None
    assert report.error.spans
    assert_nothing_left(root)
    made_by(root, "")
    assert_recovers_with_rows(root)


def test_a_function_that_leaks_memory_ends_with_its_name(root: Path) -> None:
    made_by(
        root,
        "leak = globals().setdefault('leak', [])\nwhile True:\n    leak.append(bytearray(16 << 20))",
        resources={"memory": "256MB"},
    )
    report = run(root)
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.code == "transform-memory", report.error
    assert_nothing_left(root)


def test_a_driver_killed_before_the_commit_leaves_the_old_version(root: Path) -> None:
    killed_driver(root, "before_commit", 1)


@pytest.mark.usefixtures("long")
def test_a_driver_killed_after_the_commit_leaves_the_new_version(root: Path) -> None:
    killed_driver(root, "after_commit", 2)


def killed_driver(root: Path, point: str, serves: int) -> None:
    made_by(root, "")
    assert run(root).status == "published"
    made_by(root, "made = made.set_column(1, 'value', pa.array([2] * len(made), pa.int64()))")
    code, output = build(root, at=point, fault="kill", env=env())
    assert f"reached {point}" in output
    assert code != 0
    assert_exact(root, value=serves)
    assert_sound(root, {(0, ROWS), (1, ROWS), (2, ROWS)})
    assert run(root).status in ("published", "unchanged")
    assert_exact(root, value=2)
    maintained(root)


def test_a_driver_killed_while_its_tasks_run_leaves_nothing_that_maintenance_does_not_remove(
    root: Path,
) -> None:
    made_by(root, "note('began')\nwhile not (HERE / 'go').exists():\n    time.sleep(0.02)")
    builder = Builder(root, env=env())
    until(lambda: attempts(root, "began"))
    builder.kill()
    (root / "notes" / "go").touch()
    assert_sound(root, {None, (0, ROWS)})
    assert run(root).status == "published"
    assert_exact(root)
    maintained(root)


@pytest.mark.usefixtures("long")
def test_pressure_on_the_object_store_spills_and_changes_nothing(three: Nodes, tmp_path: Path) -> None:
    """Both sides of a join are exchanged; fewer rows would be joined in one task, which spills nothing."""
    rows = 12_000_000
    root = mesh_of(tmp_path / "mesh", three.address, rows=rows)
    sql = (
        "SELECT a.id, count(*)::bigint AS value FROM shop.rows a JOIN shop.rows b ON a.id = b.id "
        "GROUP BY a.id"
    )
    write_product(root, "shop.made", COLUMNS, sql=sql)
    report = run(root)
    assert report.status == "published", report.reason
    evidence = used(root)
    assert evidence["tasks"] > 2, evidence
    assert evidence["bytes_spilled"] > 0, evidence
    with raymesh.Mesh.load(root) as mesh:
        (found,) = mesh.sql(
            "SELECT count(*) AS n, count(DISTINCT id) AS ids, min(value) AS low, max(value) AS high FROM shop.made"
        ).to_pylist()
    assert found == {"n": rows, "ids": rows, "low": 1, "high": 1}


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("kind", ["batch", "sql"])
def test_a_lost_head_ends_the_run_and_the_next_run_succeeds(tmp_path: Path, kind: str) -> None:
    """The head kept on this machine is stopped in the middle of a build; another one is kept afterwards."""
    home = tmp_path / "home"
    keep = "from raymesh.cli import main; import sys; sys.argv = ['raymesh', 'cluster', '{}']; main()"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY")} | {"RAYMESH_HOME": str(home)}

    def cluster(verb: str) -> None:
        subprocess.run([sys.executable, "-c", keep.format(verb)], env=clean, check=True, capture_output=True)

    root = mesh_of(tmp_path / "mesh", None)
    waiting = "note('began')\nwhile not (HERE / 'go').exists():\n    time.sleep(0.02)"
    if kind == "batch":
        made_by(root, waiting)
    else:
        slow = (
            "SELECT id, (max(value) + 1)::bigint AS value FROM shop.rows, range(8000) AS t(n) "
            "WHERE n <= id % 8000 GROUP BY id"
        )
        write_product(root, "shop.made", COLUMNS, sql=slow)
    cluster("start")
    try:
        builder = Builder(root, env=clean)
        until(lambda: kind == "sql" or attempts(root, "began"))
        time.sleep(3)
        cluster("stop")
        (root / "notes" / "go").touch()
        code, output = builder.wait()
        assert code == 1, output
        assert "shop.made failed the cluster" in output or "Failed to connect to GCS" in output
        assert_sound(root, {None, (0, ROWS)})
        cluster("start")
        again = Builder(root, env=clean)
        assert again.wait()[0] == 0
        assert_exact(root)
        maintained(root)
    finally:
        cluster("stop")


def assert_recovers_with_rows(root: Path) -> None:
    assert run(root).status == "published"
    assert_exact(root)
    maintained(root)


def maintained(root: Path) -> None:
    """Maintenance leaves no orphan, and all rows."""
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.maintain import MaintainOptions, maintain

    with raymesh.Mesh.load(root) as mesh:
        assert not mesh._workspace.state.runs(status="running")
        with Invocation(mesh._workspace, RunOptions(), lambda _: None) as invocation:
            for product in mesh.products:
                maintain(invocation, product, MaintainOptions())
        tables = mesh._workspace.tables
        for product in mesh.products:
            left = {p for p, _ in tables.list_files(product)} - set(tables.live_files(product))
            assert not left, f"orphans of {product}: {left}"

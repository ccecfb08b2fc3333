"""Workers and drivers killed at random moments, again and again; the seed is printed when a round fails."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import raymesh
from meshes import write_product
from reliability.harness import Builder, assert_sound
from reliability.ray_harness import COLUMNS, Nodes, assert_exact, env, kill, made_by, mesh_of, nodes
from reliability.test_ray_faults import maintained, run

pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
JOINED = """
WITH a AS (SELECT id, value FROM shop.rows), b AS (SELECT id, sum(value)::bigint AS value FROM shop.rows GROUP BY id)
SELECT a.id, (a.value + b.value + 1)::bigint AS value FROM a JOIN b ON a.id = b.id
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def three(home: Path, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    if not request.config.getoption("--complete"):
        pytest.skip("long: run with --complete")
    with nodes(home) as cluster:
        yield cluster


def workers(home: Path) -> list[int]:
    """Processes of this test's cluster that run tasks now."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            ours = f"RAYMESH_HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and title.startswith(b"ray::") and b"IDLE" not in title and b"Agent" not in title:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_workers_killed_at_random_change_nothing_or_end_the_run_cleanly(
    three: Nodes, home: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    root = mesh_of(tmp_path / "mesh", three.address, rows=600_000)
    made_by(root, "time.sleep(0.02)")
    write_product(root, "shop.joined", COLUMNS, sql=JOINED)
    done = threading.Event()

    def strike() -> None:
        left = 3
        while left and not done.wait(chance.uniform(0.2, 1.0)):
            if chosen := workers(home):
                kill(chance.choice(chosen))
                left -= 1

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        with raymesh.Mesh.load(root) as mesh:
            reports = {r.product: r for r in mesh.run().reports}
    finally:
        done.set()
        striker.join()
    assert {r.status for r in reports.values()} <= {"published", "unchanged", "failed"}
    with raymesh.Mesh.load(root) as mesh:
        again = {r.product: r for r in mesh.run().reports}
    assert {r.status for r in again.values()} <= {"published", "unchanged"}, (seed, again)
    for product in ("shop.made", "shop.joined"):
        assert_exact(root, product, rows=600_000)
    maintained(root)


@pytest.mark.parametrize("seed", range(8))
def test_a_driver_killed_at_random_leaves_one_version_or_the_other(
    three: Nodes, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    root = mesh_of(tmp_path / "mesh", three.address)
    made_by(root, "")
    assert run(root).status == "published"
    made_by(root, "made = made.set_column(1, 'value', pa.array([2] * len(made), pa.int64()))")
    builder = Builder(root, env=env())
    builder.wait_ready()
    time.sleep(chance.uniform(0, 6))
    builder.kill()
    assert_sound(root, {(0, 200_000), (1, 200_000), (2, 200_000)})
    assert run(root).status in ("published", "unchanged")
    assert_exact(root, value=2)
    maintained(root)

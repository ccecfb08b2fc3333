"""Finding, starting, keeping and joining clusters, with Ray itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshes import write_mesh, write_product
from raymesh.errors import ClusterError
from raymesh.spec.mesh import RayEngineSpec
from reliability.ray_harness import Nodes, hostile_file, nodes

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

QUIET = """
import os
from raymesh.engines.ray import cluster
from raymesh.spec.mesh import RayEngineSpec
found = cluster.connect(RayEngineSpec(cpus=2, objectStore="80MB"))
assert found.origin == "started" and found.cpus == 2, found
import ray
@ray.remote(max_retries=1)
def dies():
    os.kill(os.getpid(), 9)
@ray.remote
def chatters():
    print("chatter"); return __import__("sys").modules.keys() & {"ray.data", "click", "raymesh.cli", "raymesh.actions"}
try:
    ray.get(dies.remote())
except ray.exceptions.WorkerCrashedError:
    pass
assert not ray.get(chatters.remote())
import time; time.sleep(1)
assert os.environ["RAY_AUTH_MODE"] == "token"
assert cluster.connect(RayEngineSpec()) == found
cluster.disconnect()
"""


HOSTILE = """
from raymesh.engines.ray import cluster
from raymesh.spec.mesh import RayEngineSpec
cluster.connect({spec})
import ray
@ray.remote
def reads():
    import ray.data, pyarrow.parquet as pq
    return type(pq.read_table({file!r})["payload"].to_pylist()[0]).__name__
print(ray.get(reads.remote()))
"""
BUILDS = """
import threading, time
import raymesh
mesh = raymesh.Mesh.load({root!r})
for _ in range(2):
    build = threading.Thread(target=lambda: print(mesh.run(refresh=True).reports[0].status, flush=True))
    build.start()
    build.join()
    time.sleep(1)
"""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with nodes(tmp_path_factory.mktemp("home"), 1, labels={"zone": "a"}, resources={"licence": 2}) as cluster:
        yield cluster


def python(text: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY")}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text],
        env={**clean, "RAYMESH_HOME": str(home), **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_cluster_of_a_command_is_guarded_and_silent_even_when_workers_die(tmp_path: Path) -> None:
    done = python(QUIET, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_kept_cluster_is_attached_to_and_only_it_is_stopped(tmp_path: Path, one: Nodes) -> None:
    verb = "from raymesh.cli import main; import sys; sys.argv = ['raymesh', 'cluster', *{words}]; main()"

    def cluster(*words: str) -> subprocess.CompletedProcess[str]:
        return python(verb.format(words=list(words)), tmp_path)

    started = cluster("start")
    try:
        assert started.returncode == 0, started.stderr
        assert "runs at 127.0.0.1:" in started.stdout
        assert "runs already" in cluster("start").stdout
        status = cluster("status")
        assert "(kept), Ray " in status.stdout
        assert "asks for a token" in status.stdout
        attached = python(
            "from raymesh.engines.ray import cluster; print(cluster.connect().origin)", tmp_path
        )
        assert (attached.stdout, attached.stderr) == ("kept\n", "")
        file, marker = hostile_file(tmp_path)
        assert python(HOSTILE.format(spec="", file=str(file)), tmp_path).stdout == "bytes\n"
        assert not marker.exists()
    finally:
        stopped = cluster("stop")
    assert stopped.stdout.startswith("stopped the cluster at 127.0.0.1:")
    assert "no cluster is kept" in cluster("stop").stdout
    from raymesh.engines.ray import access

    access.require_reachable(one.address, "another cluster, left alone")


def test_a_cluster_that_the_thread_of_a_build_started_outlives_it(tmp_path: Path) -> None:
    engines = {"default": "ray", "ray": {"cpus": 1, "objectStore": "80MB"}}
    root = write_mesh(tmp_path / "mesh", engines=engines)
    key = {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1}
    write_product(root, "shop.one", {"id": key}, sql="SELECT 1::bigint AS id")
    done = python(BUILDS.format(root=str(root)), tmp_path)
    assert (done.stdout.split(), done.returncode) == (["published", "published"], 0), done.stderr


def test_workers_of_other_clusters_run_no_pickles_of_files(tmp_path: Path, one: Nodes) -> None:
    from raymesh.engines.ray import access

    file, marker = hostile_file(tmp_path)
    spec = f"RayEngineSpec(address={one.address!r}, token='${{file:{access.own_token()}}}')"
    done = python(HOSTILE.format(spec=spec, file=str(file)), tmp_path)
    assert (done.stdout, marker.exists()) == ("bytes\n", False), done.stderr


def test_a_wrong_or_missing_token_is_told_at_once_and_as_such(tmp_path: Path, one: Nodes) -> None:
    text = (
        "import time; began = time.monotonic()\n"
        "from raymesh.engines.ray import cluster\nfrom raymesh.spec.mesh import RayEngineSpec\n"
        f"try: cluster.connect(RayEngineSpec(address='{one.address}'{{more}}))\n"
        "except Exception as error: print(type(error).__name__, error.message)\n"
        "assert time.monotonic() - began < 15"
    )
    said = python(text.format(more=""), tmp_path, HOME=str(tmp_path))
    assert "wants a token and we have none" in said.stdout, said.stderr
    assert said.stderr == ""
    wrong = python(text.format(more=", token='${env:WRONG}'"), tmp_path, WRONG="f" * 64)
    assert "takes another token than ours" in wrong.stdout, wrong.stderr
    assert wrong.stderr == ""


def test_an_address_where_nothing_answers_is_told_at_once(tmp_path: Path, one: Nodes) -> None:
    from raymesh.engines.ray import cluster

    with pytest.raises(ClusterError, match="nothing answers"):
        cluster.connect(RayEngineSpec(address="127.0.0.1:1"), root=tmp_path)


def test_labels_and_custom_resources_of_real_nodes_decide_where_tasks_run(one: Nodes, tmp_path: Path) -> None:
    from raymesh.engines.ray import cluster, scheduling
    from raymesh.mesh.plan import BuildPlan, Demand, Limits

    cluster.connect(RayEngineSpec(address=one.address), root=tmp_path)
    ray = cluster.require_ray()

    def plan(**demand: Any) -> BuildPlan:
        return BuildPlan("shop.x", "r", "/", (), (), Limits(1 << 30, 1, "/tmp", demand=Demand(**demand)))

    wanted = plan(cpus=1, custom={"licence": 1}, labels={"zone": "in(a, b)"})
    options = scheduling.options(wanted.limits)
    assert scheduling.require_feasible(wanted, options, None) == 0
    held = ray.get(
        ray.remote(lambda: ray.get_runtime_context().get_assigned_resources()).options(**options).remote(),
        timeout=60,
    )
    assert held["licence"] == 1.0
    with pytest.raises(ClusterError, match=r"asks for 1 cpus, label zone=c, which no node .* 2 licence"):
        refused = plan(cpus=1, labels={"zone": "c"})
        scheduling.require_feasible(refused, scheduling.options(refused.limits), None)

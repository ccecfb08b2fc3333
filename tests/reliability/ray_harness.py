"""A Ray cluster of several nodes on this machine, and meshes whose builds misbehave on it."""

from __future__ import annotations

import os
import pickle
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import raymesh
from meshes import write_mesh, write_product

ROWS = 200_000
KEY = {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1}
COLUMNS = {"id": KEY, "value": {"physicalType": "bigint", "logicalType": "integer", "required": True}}
HEAD = """import os, signal, time
from pathlib import Path
import pyarrow as pa
import pyarrow.compute as pc
from raymesh import batch

HERE = Path({notes!r})

def note(name):
    with open(HERE / name, "a") as file:
        file.write(f"{{os.getpid()}}\\n")

def first(name):
    try:
        os.close(os.open(HERE / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

@batch(input="shop.rows", size=10_000)
def transform(rows: pa.Table) -> pa.Table:
    made = rows.set_column(1, "value", pc.add(rows["value"], 1))
"""


@dataclass
class Nodes:
    """A cluster of nodes that can be lost."""

    cluster: Any

    @property
    def address(self) -> str:
        found: str = self.cluster.address
        return found

    def add(self, **options: Any) -> Any:
        """A node more. What travels is unpacked in a folder of its own, as on a machine of its own."""
        folder = f"files_{uuid.uuid4().hex[:8]}"
        return self.cluster.add_node(object_store_memory=100 << 20, runtime_env_dir_name=folder, **options)

    def lose(self, node: Any) -> None:
        """As if its machine had gone: nothing is told, all its processes end."""
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def nodes(home: Path, count: int = 3, **head: Any) -> Iterator[Nodes]:
    """A guarded cluster of `count` nodes with one processor each, which notices lost nodes quickly."""
    from raymesh.engines.ray import access, cluster
    from raymesh.spec.mesh import RayEngineSpec

    before, connected = dict(os.environ), cluster._connected is not None
    cluster.disconnect()
    os.environ.update(
        RAYMESH_HOME=str(home),
        RAY_health_check_initial_delay_ms="1000",
        RAY_health_check_period_ms="500",
        RAY_health_check_failure_threshold="3",
        RAY_raylet_start_wait_time_s="120",
    )
    for name in (access.MODE, access.TOKEN, access.TOKEN_PATH):
        os.environ.pop(name, None)
    cluster.require_ray()
    access.use_own_token()
    from ray.cluster_utils import Cluster

    made = Cluster()
    try:
        found = Nodes(made)
        found.add(num_cpus=1, include_dashboard=False, **head)
        for _ in range(count - 1):
            found.add(num_cpus=1)
        made.wait_for_nodes(120)
        yield found
    finally:
        cluster.disconnect()
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)
        if connected:  # the cluster that other tests of this process share
            cluster.connect(RayEngineSpec.model_construct(cpus=2, object_store=200 << 20))


def mesh_of(root: Path, address: str | None, *, rows: int = ROWS, **extra: Any) -> Path:
    """A mesh on the cluster with `shop.rows`, already published."""
    engines = {"default": "ray", "ray": {"address": address} if address else {}}
    write_mesh(root, engines=engines, **extra)
    (root / "notes").mkdir()
    sql = f"SELECT range AS id, 0::bigint AS value FROM range({rows})"
    write_product(root, "shop.rows", COLUMNS, sql=sql, engine="local", targetFileSize="1MB")
    with raymesh.Mesh.load(root) as mesh:
        assert {r.status for r in mesh.run().reports} == {"published"}
    return root


def hostile_file(folder: Path) -> tuple[Path, Path]:
    """A Parquet file whose column makes a second file when Ray Data's type for Python objects is known to Arrow."""
    file, marker = folder / "hostile.parquet", folder / "executed"

    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (marker,)

    named = {b"ARROW:extension:name": b"ray.data.arrow_pickled_object", b"ARROW:extension:metadata": b""}
    field = pa.field("payload", pa.large_binary(), metadata=named)
    column = pa.array([pickle.dumps(Bomb())], pa.large_binary())
    pq.write_table(pa.Table.from_arrays([column], schema=pa.schema([field])), file)
    return file, marker


def env() -> dict[str, str]:
    """Variables by which another process of the test uses the cluster."""
    return {k: v for k, v in os.environ.items() if k.startswith("RAY")}


def made_by(root: Path, body: str, **settings: Any) -> None:
    """`shop.made`: every value of `shop.rows` plus one, by a function with `body` before its `return made`."""
    lines = "".join(f"    {line}\n" for line in [*body.splitlines(), "return made"])
    write_product(
        root, "shop.made", COLUMNS, python=HEAD.format(notes=str(root / "notes")) + lines, **settings
    )


def attempts(root: Path, name: str) -> list[int]:
    """Processes that left the note `name`, in order."""
    file = root / "notes" / name
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def until(true: Any, seconds: float = 60.0) -> None:
    """Return when `true()` is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def assert_exact(root: Path, product: str = "shop.made", *, rows: int = ROWS, value: int = 1) -> None:
    """Every row once, and nothing else."""
    with raymesh.Mesh.load(root) as mesh:
        table = mesh.read(product).to_arrow().sort_by("id")
    assert table["id"].to_pylist() == list(range(rows))
    assert set(table["value"].to_pylist()) == {value}


def assert_nothing_left(root: Path, product: str = "shop.made") -> None:
    """No file of a build that did not publish lies in the table's folder, even before maintenance."""
    with raymesh.Mesh.load(root) as mesh:
        tables = mesh._workspace.tables
        left = {path for path, _ in tables.list_files(product)} - set(tables.live_files(product))
    assert not {p for p in left if p.endswith(".parquet")}

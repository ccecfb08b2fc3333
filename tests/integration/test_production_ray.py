"""The production profile: PostgreSQL for state and catalog, S3 over HTTP for tables, several Ray nodes for builds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import look_after
from meshes import write_mesh, write_product
from reliability.ray_harness import COLUMNS, KEY, nodes
from s3 import Bucket

pytestmark = [
    pytest.mark.ray,
    pytest.mark.s3,
    pytest.mark.postgres,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # within Ray Data
]
SECRET = "secret-of-tests"
KEYS = {"accessKeyId": "${env:MESH_S3_KEY}", "secretAccessKey": "${env:MESH_S3_SECRET}"}
DOUBLE = (
    "import os\nfrom raymesh import batch\nimport pyarrow as pa\nimport pyarrow.compute as pc\n\n"
    "@batch(input='shop.rows')\ndef transform(rows: pa.Table) -> pa.Table:\n"
    "    assert not {'MESH_S3_KEY', 'MESH_S3_SECRET'} & os.environ.keys()\n"
    "    return rows.set_column(1, 'value', pc.multiply(rows['value'], 2))\n"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster whose workers know the keys of the store, as a platform gives them: by their environment."""
    given = {"MESH_S3_KEY": "key-of-tests", "MESH_S3_SECRET": SECRET}
    os.environ.update(given)
    with nodes(tmp_path_factory.mktemp("home")) as cluster:
        yield cluster.address
    for name in given:
        del os.environ[name]


@pytest.fixture
def root(address: str, s3_bucket: Bucket, postgres_url: str, tmp_path: Path) -> Path:
    write_mesh(
        tmp_path / "mesh",
        state=postgres_url,
        warehouse=f"{s3_bucket.address}/warehouse",
        storage={"s3": {**s3_bucket.storage, **KEYS}},
        engines={"default": "ray", "ray": {"address": address}},
    )
    return shop(tmp_path / "mesh")


def shop(root: Path) -> Path:
    """Products of every kind: SQL, a function, a join with a group by, rows set aside, appended rows."""
    sql = "SELECT range AS id, range % 7 AS value FROM range(200000)"
    write_product(root, "shop.rows", COLUMNS, sql=sql)
    write_product(root, "shop.double", COLUMNS, python=DOUBLE)
    write_product(
        root,
        "shop.totals",
        {"value": {**KEY, "primaryKey": True}, "n": "bigint", "twice": "bigint"},
        sql="SELECT r.value, count(*) AS n, sum(d.value)::bigint AS twice FROM shop.rows r "
        "JOIN shop.double d ON r.id = d.id GROUP BY r.value",
    )
    small = {**COLUMNS["value"], "logicalTypeOptions": {"maximum": 5}}  # type: ignore[dict-item]
    write_product(
        root,
        "shop.small",
        {"id": KEY, "value": small},
        sql="SELECT id, value FROM shop.rows",
        onViolation="quarantine",
        quarantineLimit=0.5,
    )
    write_product(
        root,
        "shop.log",
        COLUMNS,
        sql="SELECT id, value FROM shop.rows WHERE value = 0",
        mode="append",
        incrementalColumn="id",
    )
    return root


def tables(root: Path) -> dict[str, list[dict[str, Any]]]:
    with raymesh.Mesh.load(root) as mesh:
        read = {p: mesh.read(p).to_arrow() for p in mesh.products}
        read["shop.small__quarantine"] = (
            mesh.read("shop.small__quarantine").to_arrow().select(["id", "value"])
        )
    return {p: t.sort_by(t.column_names[0]).to_pylist() for p, t in read.items()}


def statuses(root: Path, **options: Any) -> dict[str, str]:
    with raymesh.Mesh.load(root) as mesh:
        return {
            r.product: f"{r.status} {r.reason if r.error else ''}".strip()
            for r in mesh.run(**options).reports
        }


def test_a_whole_mesh_lives_on_postgresql_s3_and_several_nodes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = watched_pickles(monkeypatch)
    assert set(statuses(root).values()) == {"published"}
    assert_said_nowhere(sent)
    alone = shop(write_mesh(tmp_path / "alone", storage={"s3": KEYS}))
    assert set(statuses(alone).values()) == {"published"}
    assert tables(root) == tables(alone)
    assert set(statuses(root).values()) == {"unchanged"}
    assert set(statuses(root, refresh=True).values()) == {"published"}
    look_after(root, "shop.rows")
    assert tables(root) == tables(alone)
    with raymesh.Mesh.load(root) as mesh:
        state, store = mesh._workspace.state, mesh._workspace.tables
        runs = [r for p in mesh.products for r in state.runs(product=p) if r.status == "published"]
        assert {r.engine for r in runs} >= {"ray"}
        assert all(r.resources["tasks"] for r in runs if r.engine == "ray")
        for product in mesh.products:
            assert {p for p, _ in store.list_files(product)} >= set(store.live_files(product))
        assert SECRET not in repr(runs)


def watched_pickles(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything this process pickles for the cluster from now on: arguments, functions, contexts."""
    from raymesh.engines.ray.cluster import require_ray

    ray, sent = require_ray(), []
    real = ray.cloudpickle.dumps

    def dumps(*arguments: Any, **options: Any) -> bytes:
        made: bytes = real(*arguments, **options)
        sent.append(made)
        return made

    monkeypatch.setattr(ray.cloudpickle, "dumps", dumps)
    return sent


def assert_said_nowhere(sent: list[bytes]) -> None:
    """Neither the store's secret nor the cluster's token is in what was sent, nor in anything Ray wrote down."""
    from raymesh.engines.ray import access
    from raymesh.engines.ray.cluster import require_ray

    assert len(sent) > 5
    assert any(b"MESH_S3_SECRET" in made for made in sent), "references travel"
    hidden = [SECRET.encode(), access.own_token().read_bytes()]
    assert not any(secret in made for made in sent for secret in hidden)
    session = Path(require_ray()._private.worker._global_node.get_session_dir_path())
    written = [f for f in session.rglob("*") if f.is_file()]
    assert any(f.parent.name == "logs" for f in written)
    for file in written:
        content = file.read_bytes()
        assert not any(secret in content for secret in hidden), file

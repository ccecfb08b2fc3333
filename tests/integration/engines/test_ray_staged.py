"""Staged SQL on a real cluster: the same rows and evidence as the local engine, also for random queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal as Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lives import write_rows
from meshes import write_mesh, write_product, write_source
from random_sql import EAGER, in_stages, ordered, whole, world
from raymesh.engines.ray import staged
from raymesh.engines.ray.staged import Terrain

if TYPE_CHECKING:
    from raymesh.engines.ray.cluster import Cluster
    from raymesh.engines.ray.exchange import Unit

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@dataclass(slots=True)
class Tasks:
    """Hands that are plain tasks of the cluster."""

    def start(
        self, function: Callable[..., Any], unit: Unit, tables: Sequence[Any], returns: int, *, alone: bool
    ) -> list[Any]:
        import ray

        cpus = 2 if alone else 1
        found = ray.remote(function).options(num_returns=returns, num_cpus=cpus).remote(unit, *tables)
        return found if isinstance(found, list) else [found]

    def values(self, refs: Sequence[Any], phase: str) -> list[Any]:
        import ray

        return list(ray.get(list(refs)))


def test_random_queries_give_the_same_rows_on_a_cluster(
    ray_cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    worlds, each = (10, 20) if request.config.getoption("--complete") else (2, 5)
    taken = 0
    for seed in range(1000, 1000 + worlds):
        inputs, queries = world(seed, tmp_path / str(seed))
        for _ in range(each):
            sql = queries.statement()
            expected = whole(sql, inputs, tmp_path)
            _, found, _ = in_stages(sql, inputs, tmp_path, chances=EAGER, hands=Tasks())
            if found is not None:
                taken += 1
                assert found.schema == expected.schema, sql
                assert ordered(found) == ordered(expected), sql
    assert taken > worlds * each // 2


SQL = """WITH spent AS (
    SELECT customer, count(*)::integer AS orders, sum(amount)::decimal(18, 2) AS total, avg(amount) AS mean
    FROM source.orders GROUP BY customer
)
SELECT id, name, orders, total, mean, row_number() OVER (PARTITION BY id ORDER BY name) AS n
FROM source.customers LEFT JOIN spent ON spent.customer = id"""


def test_a_product_in_stages_is_the_same_as_on_the_local_engine(
    ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh import Mesh
    from raymesh.engines.ray import sql

    monkeypatch.setattr(sql, "SMALL", 0)
    root = shop(tmp_path)
    reports, tables = {}, {}
    with Mesh.load(root) as mesh:
        (told,) = (s for s in explained(mesh, "shop.spending") if s.name == "s1")
        assert told.runs == "files"
        for engine in ("local", "ray"):
            reports[engine] = mesh.run("shop.spending", engine=engine, refresh=True).reports[0]
            assert reports[engine].status == "published", reports[engine]
            tables[engine] = mesh.read("shop.spending").to_arrow()
    assert [r.status for r in reports.values()] == ["published", "published"]
    assert reports["ray"].checks == reports["local"].checks
    assert tables["ray"].schema == tables["local"].schema
    assert ordered(tables["ray"]) == ordered(tables["local"])


def test_keys_and_references_counted_in_many_tasks_give_the_same_verdicts(
    ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh import Mesh
    from raymesh.engines.ray import counting

    asked: list[float] = []

    def always(size: float, *_: Any) -> bool:
        asked.append(size)
        return True

    monkeypatch.setattr(counting, "pays", always)
    root = shop(tmp_path)
    reports: dict[str, Any] = {}
    columns = {"customer": {"logicalType": "integer", "unique": True}, "amount": "decimal(12, 2)"}
    link = {"type": "foreignKey", "from": ["bought.customer"], "to": ["shop.spending.id"]}
    sql = "SELECT customer + 100 AS customer, amount FROM source.orders"
    write_product(root, "shop.bought", columns, sql=sql, relationships=[link])
    for engine in ("local", "ray"):
        with Mesh.load(root) as mesh:
            mesh.run("shop.spending", engine="local")
            reports[engine] = mesh.run("shop.bought", engine=engine, refresh=True).reports[0]
    assert len(asked) == 2
    assert reports["ray"].status == reports["local"].status == "blocked", reports
    assert reports["ray"].checks == reports["local"].checks


def test_a_key_that_one_task_takes_alone_is_warned_of_and_kept_as_evidence(
    ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh import Mesh
    from raymesh.actions.events import Event, Note
    from raymesh.engines.ray import sql

    def skewed(*given: Any, **named: Any) -> Terrain:
        return Terrain(*given, **named, skew=1.5, skew_rows=10)

    monkeypatch.setattr(sql, "SMALL", 0)
    monkeypatch.setattr(sql, "Terrain", skewed)
    monkeypatch.setattr(staged, "_SMALL_EXCHANGE", 0)
    root = write_mesh(tmp_path / "mesh")
    for at in range(3):
        keys = [7] * 2000 + list(range(at, 300, 3))
        write_rows(tmp_path / f"rows/{at}.parquet", k=keys, n=list(range(len(keys))))
    write_source(root, "shop.rows", tmp_path / "rows")
    query = "SELECT k, n, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM source.rows"
    write_product(root, "shop.ranked", {"k": "bigint", "n": "bigint", "r": "bigint"}, sql=query)
    heard: list[Event] = []
    with Mesh.load(root) as mesh:
        (report,) = mesh.run(engine="ray", on_event=heard.append).reports
        (run,) = mesh._workspace.state.runs(product="shop.ranked")
    assert report.status == "published", report
    (note,) = run.resources["notes"]
    assert "rows by k; one task does all of it" in note
    assert [e for e in heard if isinstance(e, Note)] == [Note(f"shop.ranked: {note}", "warning")]


def shop(folder: Path) -> Path:
    """A mesh with a product over two sources of several files."""
    root = write_mesh(folder / "mesh")
    orders, customers = folder / "orders", folder / "customers"
    for at in range(3):
        rows = range(at, 3000, 3)
        write_rows(
            orders / f"{at}.parquet",
            customer=[i * i % 211 for i in rows],
            amount=pa.array([Number(i * 37 % 10_007) / 100 for i in rows], pa.decimal128(12, 2)),
        )
        write_rows(
            customers / f"{at}.parquet", id=list(range(at, 250, 3)), name=[f"n{i}" for i in range(at, 250, 3)]
        )
    write_source(root, "shop.orders", orders)
    write_source(root, "shop.customers", customers)
    columns = {"id": {"logicalType": "integer", "required": True, "unique": True}, "name": "varchar"}
    numbers = {"orders": "integer", "total": "decimal(18, 2)", "mean": "double", "n": "bigint"}
    write_product(root, "shop.spending", {**columns, **numbers}, sql=SQL)
    return root


def explained(mesh: Any, product: str) -> Sequence[Any]:
    from raymesh.actions.explain import stages
    from raymesh.actions.invocation import RunOptions

    return stages(mesh._workspace, [product], RunOptions(engine="ray"))[product]

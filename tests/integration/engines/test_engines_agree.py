"""The same mesh built by both engines: rows, types, states, verdicts and lineage are the same."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import raymesh
from meshes import write_mesh, write_product, write_source
from raymesh.mesh.quarantine import AT, RUN
from raymesh.quality.state import file_state_from_json, total

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from raymesh.engines.ray.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

ORDERS = {
    "id": {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "required": True},
    "customer": "bigint",
    "amount": {"physicalType": "double", "logicalType": "number", "required": True},
    "note": "varchar",
    "day": "date",
}
DAYS = (
    "COPY (SELECT range AS id, range % 97 AS customer, CASE WHEN range % 50 = 7 THEN NULL ELSE (range * 37 % 1000) / 10 END "
    "AS amount, md5((range * {seed})::varchar) AS note, DATE '2024-01-01' + (range // 1000)::integer AS day "
    "FROM range({rows})) TO '{file}' (FORMAT parquet)"
)
NOT_NEGATIVE = {"type": "library", "metric": "invalidValues", "mustBe": 0}
BATCH = """
import pyarrow as pa
import pyarrow.compute as pc
from raymesh import batch

@batch(input="shop.orders", size=3000)
def transform(rows: pa.Table) -> pa.Table:
    kept = rows.filter(pc.is_valid(rows["amount"]))
    return kept.append_column("cents", pc.cast(pc.round(pc.multiply(kept["amount"], 100)), pa.int64())).select(["id", "cents"])
"""
ACTOR = """
import pandas as pd
from raymesh import batch

@batch(concurrency=2)
class transform:
    def __init__(self):
        self.factor = 2

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([rows, rows]).assign(amount=lambda f: f.amount * self.factor)
"""
WHOLE = """
import polars as pl
from raymesh import product

@product(inputs={"orders": "shop.orders"})
def transform(orders: pl.LazyFrame) -> pl.LazyFrame:
    return orders.group_by("customer").agg(pl.len().cast(pl.Int64).alias("orders"), pl.col("amount").max())
"""


def write_shapes(root: Path) -> Path:
    """One product of every shape over 40,000 orders."""
    import duckdb

    write_mesh(root)
    for n in range(2):
        duckdb.sql(DAYS.format(seed=n + 3, rows=40_000, file=root / f"orders{n}.parquet"))
    write_source(root, "shop.raw", str(root / "orders0.parquet"), "parquet")
    rules = [
        {"id": "many", "type": "library", "metric": "rowCount", "mustBeGreaterThan": 10},
        {"id": "amounts", "type": "sql", "query": "SELECT max(amount) FROM {object}", "mustBeLessThan": 1000},
    ]
    nullable = ORDERS | {"amount": "double"}
    write_product(root, "shop.orders", nullable, source="raw", quality=rules)
    write_product(
        root, "shop.partitioned", nullable, sql="FROM shop.orders", partitionBy=["day"], sortBy=["note"]
    )
    write_product(root, "shop.kept", ORDERS, sql="FROM shop.orders", onViolation="quarantine")
    write_product(root, "shop.broken", ORDERS, sql="FROM shop.orders")
    growing = {"mode": "append", "incrementalColumn": "day"}
    write_product(root, "shop.growing", nullable, sql="FROM shop.orders", **growing)
    write_product(root, "shop.cents", {"id": "bigint", "cents": "bigint"}, python=BATCH)
    sql = "SELECT id, amount FROM shop.orders WHERE amount > 50"
    write_product(root, "shop.twice", {"id": "bigint", "amount": "double"}, sql=sql, python=ACTOR)
    columns = {"customer": "bigint", "orders": "bigint", "amount": "double"}
    write_product(root, "shop.customers", columns, python=WHOLE)
    return root


def told(root: Path, engine: str) -> dict[str, Any]:
    """All there is to know of each product after a build by `engine`."""
    with raymesh.Mesh.load(root) as mesh:
        reports = {r.product: r for r in mesh.run(engine=engine, jobs=1).reports}
        return {name: _product(mesh, name, reports[name]) for name in mesh.products}


def _product(mesh: raymesh.Mesh, name: str, report: Any) -> dict[str, Any]:
    state = mesh._workspace.state
    runs = state.runs(product=name)
    if not runs:  # what it is made from was not published
        return {"status": report.status}
    run = runs[0]
    checks = sorted((c.check_id, c.status, str(c.value)) for c in state.checks(run.run_id))
    found = {
        "status": report.status,
        "checks": checks,
        "lineage": sorted(map(str, state.lineage(run.run_id))),
    }
    for port, version in _versions(mesh, name).items():
        table = name if port == "default" else f"{name}__{port}"
        rows: pa.Table = mesh.read(table).to_arrow()
        states = [file_state_from_json(f.state) for f in state.files(version)]
        merged = total(s for s in states if s is not None)
        profiles = {n: p for n, p in merged.columns.items() if n not in (RUN, AT)}
        found[port] = {
            "types": str(rows.schema),
            "rows": sorted(map(str, _comparable(rows))),
            "state": replace(merged, columns=profiles, whole={}),
            "watermark": version.watermark,
        }
    return found


def _versions(mesh: raymesh.Mesh, name: str) -> dict[str, Any]:
    return {port: version for (_, port), version in mesh._workspace.state.current([name]).items()}


def _comparable(rows: pa.Table) -> list[tuple[Any, ...]]:
    """Rows without the run and the time that set them aside."""
    names = [n for n in rows.schema.names if n not in (RUN, AT)]
    return list(zip(*(rows[n].to_pylist() for n in names), strict=True))


def test_every_shape_of_product_is_the_same_on_both(ray_cluster: Cluster, tmp_path: Path) -> None:
    local = told(write_shapes(tmp_path / "local"), "local")
    ray = told(write_shapes(tmp_path / "ray"), "ray")
    assert {n: p["status"] for n, p in local.items()} == {
        n: "blocked" if n == "shop.broken" else "published" for n in local
    }
    for name in local:
        assert ray[name] == local[name], name
    # more rows arrive: an append takes the new ones only
    import duckdb

    for root in (tmp_path / "local", tmp_path / "ray"):
        duckdb.sql(DAYS.format(seed=3, rows=60_000, file=root / "orders0.parquet"))
    local, ray = told(tmp_path / "local", "local"), told(tmp_path / "ray", "ray")
    assert len(local["shop.growing"]["default"]["rows"]) == 60_000
    for name in local:
        assert ray[name] == local[name], name


def write_small_data(data: Path, share: int) -> None:
    """The demo's raw data of one household in `share`, and promotions of as many products."""
    import duckdb

    from raymesh.actions.demo import raw_data

    data.mkdir()
    for file in raw_data().glob("*.parquet"):
        names = duckdb.sql(f"FROM '{file}' LIMIT 0").columns
        where = f" WHERE household_id::bigint % {share} = 1" if "household_id" in names else ""
        where = f" WHERE product_id::bigint % {share} = 1" if file.stem == "promotions" else where
        duckdb.sql(f"COPY (FROM '{file}'{where}) TO '{data / file.name}' (FORMAT parquet)")


def write_small_retail(root: Path) -> Path:
    """The retail demo without its promises of how many rows there are."""
    from raymesh.actions.demo import write_demo

    assert write_demo(root)
    for contract in root.glob("domains/*/products/*/contract.yaml"):
        text = contract.read_text(encoding="utf-8")
        fewer = re.sub(r"(metric: rowCount\n *)mustBe\w*: .*", r"\1mustBeGreaterThan: 0", text)
        contract.write_text(fewer, encoding="utf-8")
    return root


def test_the_retail_mesh_is_the_same_on_both(
    ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPLETE_JOURNEY", str(tmp_path / "data"))
    write_small_data(tmp_path / "data", 10)
    local = told(write_small_retail(tmp_path / "local"), "local")
    ray = told(write_small_retail(tmp_path / "ray"), "ray")
    assert sum(p["status"] == "published" for p in local.values()) >= 8, {
        n: p["status"] for n, p in local.items()
    }
    assert local.keys() == ray.keys()
    for name in local:
        assert ray[name] == local[name], name

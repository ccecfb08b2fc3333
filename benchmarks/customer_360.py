"""A governed customer_360 on TPC-H against the bare query, and against dbt-duckdb with its tests."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import HERE, Figure, alternate, process, raymesh, tpch, venv

QUERY = (HERE / "customer_360.sql").read_text()
COUNTS = ("orders", "finished_orders", "urgent_orders", "lines", "returned_lines", "late_lines")
COLUMNS: dict[str, dict[str, Any]] = {
    "customer_id": {
        "physicalType": "bigint",
        "primaryKey": True,
        "primaryKeyPosition": 1,
        "required": True,
        "unique": True,
    },
    "customer_name": {
        "physicalType": "varchar",
        "required": True,
        "logicalTypeOptions": {"pattern": "^Customer#[0-9]{9}$"},
    },
    "nation_id": {
        "physicalType": "integer",
        "required": True,
        "logicalTypeOptions": {"minimum": 0, "maximum": 24},
    },
    "segment": {
        "physicalType": "varchar",
        "required": True,
        "enum": [{"value": v} for v in ("AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY")],
    },
    "balance": {"physicalType": "decimal(15, 2)", "logicalTypeOptions": {"minimum": -1000, "maximum": 10000}},
    "phone": {
        "physicalType": "varchar",
        "logicalTypeOptions": {"pattern": "^[0-9]{2}-[0-9]{3}-[0-9]{3}-[0-9]{4}$"},
    },
    **{
        c: {"physicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 0}} for c in COUNTS
    },
    "order_value": {"physicalType": "decimal(18, 2)", "required": True, "logicalTypeOptions": {"minimum": 0}},
    "first_order": {"physicalType": "date"},
    "last_order": {"physicalType": "date"},
    "quantity": {"physicalType": "decimal(18, 2)", "required": True},
    "revenue": {"physicalType": "decimal(18, 4)", "required": True, "logicalTypeOptions": {"minimum": 0}},
    "average_discount": {"physicalType": "double", "logicalTypeOptions": {"minimum": 0, "maximum": 1}},
    "tier": {"physicalType": "varchar", "enum": [{"value": v} for v in ("prospect", "gold", "standard")]},
}
ORDER = [
    line.rsplit(" AS ", 1)[-1].strip(" ,\n")
    for line in QUERY.rsplit("SELECT", 1)[1].split("FROM")[0].splitlines()
]
LOGICAL = {"bigint": "integer", "integer": "integer", "varchar": "string", "date": "date", "double": "number"}


def run(rounds: int = 5) -> Iterator[Figure]:
    """The two ratios of the bar."""
    data = tpch(1)
    with tempfile.TemporaryDirectory() as scratch:
        mesh = write_mesh(Path(scratch) / "mesh", data)
        yield from _against_copy(mesh, data, Path(scratch), rounds)
        yield from _against_dbt(mesh, data, Path(scratch), max(rounds - 2, 1))


def _against_copy(mesh: Path, data: Path, scratch: Path, rounds: int) -> Iterator[Figure]:
    import duckdb

    from raymesh import Mesh

    names = {t: f"read_parquet('{data / t}.parquet')" for t in ("customer", "orders", "lineitem")}
    statement = QUERY.format(**names)

    def bare() -> float:
        con = duckdb.connect()
        began = time.perf_counter()
        con.execute(f"COPY ({statement}) TO '{scratch / 'bare.parquet'}' (FORMAT parquet, COMPRESSION zstd)")
        seconds = time.perf_counter() - began
        con.close()
        return seconds

    with Mesh.load(mesh) as opened:

        def governed() -> float:
            report = opened.run("tpch.customer_360", refresh=True, jobs=1).reports[0]
            assert report.status == "published", report
            return report.seconds

        ours, copy, ratio = alternate(governed, bare, rounds)
        checks = opened.run("tpch.customer_360", refresh=True).reports[0].checks
    yield Figure(
        f"governed customer_360 ({sum(checks.values())} checks, commit, evidence) / bare `COPY`",
        f"{ratio:.2f}  ({ours:.2f} s / {copy:.2f} s)",
        "≤ 1.5, stretch 1.15",
        ratio <= 1.5,
    )


def _against_dbt(mesh: Path, data: Path, scratch: Path, rounds: int) -> Iterator[Figure]:
    programs = venv("dbt", "dbt-core<1.11", "dbt-duckdb")
    project = write_dbt(scratch / "dbt", data)

    def ours(*words: str) -> float:
        return process(raymesh("-C", str(mesh), "run", "--quiet", *words)).wall

    def theirs() -> float:
        return process([str(programs / "dbt"), "build", "--profiles-dir", "."], cwd=project).wall

    def ours_at_first() -> float:
        shutil.rmtree(mesh / ".raymesh", ignore_errors=True)
        return ours()

    def theirs_at_first() -> float:
        (project / "bench.duckdb").unlink(missing_ok=True)
        shutil.rmtree(project / "target", ignore_errors=True)
        return theirs()

    for when, mine, other in (
        ("first build, nothing there", ours_at_first, theirs_at_first),
        ("built again", lambda: ours("--refresh"), theirs),
    ):
        mine_s, dbt_s, ratio = alternate(mine, other, rounds)
        yield Figure(
            f"the same as a whole process / `dbt build` with contract and tests: {when}",
            f"{ratio:.2f}  ({mine_s:.2f} s / {dbt_s:.2f} s)",
            "≤ 0.4, stretch 0.25",
            ratio <= 0.4,
            _WHY if ratio > 0.4 else "",
        )


_WHY = (
    "raymesh publishes to Iceberg with evidence, dbt writes a table; by profile about half of raymesh's process is the "
    "import of libraries (SQLAlchemy, pyarrow, pyiceberg, pydantic, sqlglot), the rest the query and its checks"
)


def write_mesh(root: Path, data: Path) -> Path:
    """The benchmark's mesh as files."""

    def put(path: str, content: dict[str, Any]) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    put("mesh.yaml", {"apiVersion": "raymesh/v1", "kind": "Mesh", "name": "bench"})
    put(
        "domains/tpch/domain.yaml",
        {"apiVersion": "raymesh/v1", "kind": "Domain", "name": "tpch", "owner": {"team": "bench"}},
    )
    for table in ("customer", "orders", "lineitem"):
        put(
            f"domains/tpch/sources/{table}.yaml",
            {
                "apiVersion": "raymesh/v1",
                "kind": "Source",
                "name": table,
                "type": "parquet",
                "location": str(data / f"{table}.parquet"),
            },
        )
    folder = "domains/tpch/products/customer_360"
    put(
        f"{folder}/product.yaml",
        {
            "apiVersion": "v1.1.0",
            "kind": "DataProduct",
            "id": "tpch.customer_360",
            "version": "1.0.0",
            "domain": "tpch",
            "outputPorts": [{"name": "customer_360", "version": "1.0.0", "contractId": "tpch.customer_360"}],
        },
    )
    properties = []
    for name in ORDER:
        column = COLUMNS[name]
        logical = LOGICAL.get(column["physicalType"], "number")
        properties.append({"name": name, "logicalType": logical, **column})
    put(
        f"{folder}/contract.yaml",
        {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": "tpch.customer_360",
            "version": "1.0.0",
            "schema": [
                {
                    "name": "customer_360",
                    "properties": properties,
                    "quality": [
                        {"metric": "rowCount", "mustBeBetween": [100000, 200000]},
                        {
                            "type": "sql",
                            "query": "SELECT count(*) FROM {table} WHERE first_order > last_order",
                            "mustBe": 0,
                        },
                    ],
                }
            ],
        },
    )
    sources = {t: f"source.{t}" for t in ("customer", "orders", "lineitem")}
    (root / folder / "transform.sql").write_text(QUERY.format(**sources))
    return root


def write_dbt(root: Path, data: Path) -> Path:
    """The same model, contract and rules as a dbt project."""
    (root / "models").mkdir(parents=True)
    (root / "dbt_project.yml").write_text(
        'name: bench\nversion: "1.0.0"\nprofile: bench\nmodel-paths: [models]\n'
    )
    (root / "profiles.yml").write_text(
        "bench:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: bench.duckdb, threads: 2}\n"
    )
    names = {t: f"read_parquet('{data / t}.parquet')" for t in ("customer", "orders", "lineitem")}
    (root / "models" / "customer_360.sql").write_text(QUERY.format(**names))
    columns = []
    for name in ORDER:
        column = COLUMNS[name]
        tests: list[Any] = []
        if column.get("required"):
            tests.append("not_null")
        if column.get("unique"):
            tests.append("unique")
        if "enum" in column:
            tests.append({"accepted_values": {"arguments": {"values": [e["value"] for e in column["enum"]]}}})
        columns.append(
            {"name": name, "data_type": column["physicalType"].replace(" ", ""), "data_tests": tests}
        )
    model = {
        "name": "customer_360",
        "config": {"materialized": "table", "contract": {"enforced": True}},
        "columns": columns,
    }
    (root / "models" / "schema.yml").write_text(json.dumps({"version": 2, "models": [model]}))
    return root

"""A contract of 39 rules over 20 million rows, against datacontract-cli; and the cost of judging an append."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import DATA, Figure, process, raymesh, venv

ROWS = 20_000_000
COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR", "IT", "NL", "PL", "PT")
STATUSES = ("new", "paid", "sent", "done", "returned")
EMAIL = r"^[a-z0-9.]+@[a-z0-9]+\.(com|org|net)$"


def data(rows: int = ROWS) -> Path:
    """The rows as one Parquet file, made once."""
    import duckdb

    file = DATA / f"orders-{rows}.parquet"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        con = duckdb.connect()
        con.execute(
            f"""COPY (
                SELECT range::bigint AS id,
                       (hash(range) % 2000000)::bigint AS customer_id,
                       {list(COUNTRIES)!r}[1 + (hash(range + 1) % {len(COUNTRIES)})::integer] AS country,
                       ((hash(range + 2) % 1000000) / 100)::double AS amount,
                       (1 + hash(range + 3) % 20)::integer AS quantity,
                       'user' || (hash(range + 4) % 5000000) || '@example.com' AS email,
                       TIMESTAMP '2026-01-01' + INTERVAL (range % 31536000) SECOND AS ordered_at,
                       {list(STATUSES)!r}[1 + (hash(range + 5) % {len(STATUSES)})::integer] AS status,
                       'o' || range AS order_no
                FROM range({rows})
            ) TO '{file}' (FORMAT parquet, COMPRESSION zstd)"""
        )
    return file


def contract(file: Path) -> dict[str, Any]:
    """39 rules, every one of which both programs can be asked for."""
    null, duplicate = {"metric": "nullValues", "mustBe": 0}, {"metric": "duplicateValues", "mustBe": 0}

    def column(name: str, logical: str, physical: str, *rules: dict[str, Any], **keys: Any) -> dict[str, Any]:
        return {
            "name": name,
            "logicalType": logical,
            "physicalType": physical,
            "required": True,
            "quality": list(rules),
            **keys,
        }

    def sql(query: str) -> dict[str, Any]:
        return {"type": "sql", "query": query, "mustBe": 0}

    properties = [
        column(
            "id",
            "integer",
            "BIGINT",
            null,
            unique=True,
            primaryKey=True,
            primaryKeyPosition=1,
            logicalTypeOptions={"minimum": 0},
        ),
        column(
            "customer_id", "integer", "BIGINT", null, logicalTypeOptions={"minimum": 0, "maximum": 2000000}
        ),
        column(
            "country",
            "string",
            "VARCHAR",
            null,
            {"metric": "invalidValues", "arguments": {"validValues": list(COUNTRIES)}, "mustBe": 0},
            logicalTypeOptions={"minLength": 2, "maxLength": 2},
        ),
        column("amount", "number", "DOUBLE", null, logicalTypeOptions={"minimum": 0, "maximum": 10000}),
        column("quantity", "integer", "INTEGER", null, logicalTypeOptions={"minimum": 1, "maximum": 20}),
        column(
            "email",
            "string",
            "VARCHAR",
            null,
            {"metric": "invalidValues", "arguments": {"pattern": EMAIL}, "mustBe": 0},
        ),
        column("ordered_at", "timestamp", "TIMESTAMP", null),
        column(
            "status",
            "string",
            "VARCHAR",
            null,
            {"metric": "invalidValues", "arguments": {"validValues": list(STATUSES)}, "mustBe": 0},
        ),
        column("order_no", "string", "VARCHAR", duplicate, unique=True),
    ]
    table = {
        "name": "orders",
        "physicalName": "orders",
        "properties": properties,
        "quality": [
            {"metric": "rowCount", "mustBeGreaterThan": 1000},
            sql("SELECT count(*) FROM orders WHERE amount < 0"),
            sql("SELECT count(*) FROM orders WHERE quantity * amount > 1000000"),
        ],
    }
    server = {"server": "local", "type": "local", "path": str(file), "format": "parquet"}
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "orders",
        "version": "1.0.0",
        "status": "active",
        "name": "orders",
        "servers": [server],
        "schema": [table],
    }


def run(rounds: int = 2) -> Iterator[Figure]:
    """Whole processes in turn, with the statuses each program gives."""
    file = data()
    programs = venv("datacontract", "datacontract-cli[duckdb]")
    with tempfile.TemporaryDirectory() as scratch:
        document = Path(scratch) / "orders.yaml"
        document.write_text(json.dumps(contract(file)))
        old = contract(file) | {"apiVersion": "v3.1.0"}
        other = Path(scratch) / "orders-3.1.yaml"
        other.write_text(json.dumps(old))
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(process(raymesh("check", str(document))))
            theirs.append(process([str(programs / "datacontract"), "test", str(other)]))
    ratio = median(a.wall / b.wall for a, b in zip(ours, theirs, strict=True))
    yield Figure(
        f"check of {ROWS:,} rows / 39 rules, whole process / datacontract-cli",
        f"{ratio:.2f}  ({median(a.wall for a in ours):.1f} s / {median(b.wall for b in theirs):.1f} s)",
        "≤ 0.7, stretch 0.4",
        ratio <= 0.7,
    )
    peak = max(a.peak for a in ours)
    yield Figure("its peak memory", f"{peak / 1e9:.2f} GB", "≤ 2 GB", peak <= 2e9)

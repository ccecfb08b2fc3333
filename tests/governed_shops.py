"""A shop with policies: customers of two regions, and people who may see different parts of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import raymesh
from meshes import write_mesh, write_product, write_source

NAME = "shop.customers"
COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"physicalType": "bigint", "logicalType": "integer", "tags": ["public"]},
    "region": {"physicalType": "varchar", "logicalType": "string", "tags": ["public"]},
    "email": {"physicalType": "varchar", "logicalType": "string", "tags": ["pii.direct.email"]},
    "phone": {"physicalType": "varchar", "logicalType": "string", "tags": ["pii.direct.phone"]},
    "born": {"physicalType": "date", "logicalType": "date", "tags": ["pii.quasi.birth_date"]},
    "income": {"physicalType": "decimal(12,2)", "logicalType": "number", "tags": ["confidential"]},
    "note": {"physicalType": "varchar", "logicalType": "string", "tags": ["internal"]},
    "secret": {"physicalType": "varchar", "logicalType": "string", "tags": ["restricted"]},
}
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("region", pa.string()),
        ("email", pa.string()),
        ("phone", pa.string()),
        ("born", pa.date32()),
        ("income", pa.decimal128(12, 2)),
        ("note", pa.string()),
        ("secret", pa.string()),
    ]
)
POLICIES: list[dict[str, Any]] = [
    {
        "name": "analysts",
        "effect": "grant",
        "who": {"groups": ["analysts"]},
        "what": {"products": ["shop.*"]},
        "rows": "region = principal.region",
    },
    {"name": "auditors", "effect": "grant", "who": {"groups": ["auditors"]}, "what": {"domains": ["shop"]}},
    {
        "name": "support",
        "effect": "grant",
        "who": {"groups": ["support"]},
        "what": {"products": [NAME], "columns": ["id", "region", "note"]},
    },
    {
        "name": "support-contacts-eu",
        "effect": "grant",
        "who": {"groups": ["support"]},
        "what": {"products": [NAME], "columns": ["phone"]},
        "rows": "region = 'EU'",
    },
    {"name": "emails", "effect": "mask", "what": {"tags": ["pii.direct.email"]}, "mask": "token"},
    {
        "name": "phones",
        "effect": "mask",
        "what": {"tags": ["pii.direct.phone"]},
        "mask": {"partial": {"last": 2}},
    },
    {"name": "births", "effect": "mask", "what": {"tags": ["pii.quasi"]}, "mask": {"truncate": "year"}},
    {"name": "money", "effect": "mask", "what": {"tags": ["confidential"]}, "mask": {"bucket": 1000}},
    {"name": "secrets", "effect": "mask", "what": {"tags": ["restricted"]}, "mask": "absent"},
]
USERS: list[dict[str, Any]] = [
    {"name": "anna", "groups": ["analysts"], "attributes": {"region": "EU"}, "purposes": ["marketing"]},
    {"name": "ursula", "groups": ["analysts"], "attributes": {"region": "US"}, "purposes": ["marketing"]},
    {"name": "otto", "groups": ["auditors"], "purposes": ["audit"]},
    {"name": "sam", "groups": ["support"], "purposes": ["service"]},
    {"name": "guest", "purposes": ["service"]},
    {"name": "olga", "groups": ["shop-team"]},
    {"name": "nobody"},
]


def customer(n: int, **changes: Any) -> dict[str, Any]:
    """Customer number `n`; even ones are in the EU, odd ones in the US."""
    row = {
        "id": n,
        "region": "US" if n % 2 else "EU",
        "email": f"c{n}@example.com",
        "phone": f"+49 30 {1000 + n}",
        "born": date(1950 + n % 50, 1 + n % 12, 1 + n % 28),
        "income": Decimal(1000 + 137 * n) + Decimal("0.25"),
        "note": f"note {n}",
        "secret": f"SECRET-{n}",
    }
    return row | changes


def write_governed_shop(
    root: Path,
    rows: Sequence[Mapping[str, Any]] | None = None,
    *,
    policies: Sequence[Mapping[str, Any]] = tuple(POLICIES),
    **mesh: Any,
) -> Path:
    """shop.customers from a Parquet file, with policies and users; nothing is built."""
    root.mkdir(parents=True, exist_ok=True)
    write_mesh(root, **mesh)
    put_rows(root, [customer(n) for n in range(1, 9)] if rows is None else rows)
    write_source(root, "shop.raw", "customers.parquet")
    write_product(root, NAME, COLUMNS, source="raw")
    write_policies(root, policies)
    put(root / "governance" / "users.yaml", {"kind": "Users", "users": USERS})
    return root


def write_policies(root: Path, policies: Sequence[Mapping[str, Any]]) -> None:
    put(root / "governance" / "policies" / "shop.yaml", {"kind": "Policies", "policies": list(policies)})


def put_rows(root: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows the next build publishes."""
    pq.write_table(pa.Table.from_pylist([dict(r) for r in rows], SCHEMA), root / "customers.parquet")


def put(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "raymesh/v1", **content}, indent=1), encoding="utf-8")


def build(root: Path) -> None:
    """Publish everything; raises when something was not."""
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run()
    failed = [r for r in finished.reports if r.status not in ("published", "unchanged")]
    assert not failed, failed


def governed_shop(root: Path, rows: Sequence[Mapping[str, Any]] | None = None, **more: Any) -> Path:
    """A published, governed shop."""
    build(write_governed_shop(root, rows, **more))
    return root


def read(root: Path, name: str | None, purpose: str | None = None, **options: Any) -> pa.Table:
    """What somebody reads of the customers."""
    with raymesh.Mesh.load(root) as mesh:
        return mesh.read(NAME, as_=name, purpose=purpose, **options).to_arrow()


def sql(root: Path, query: str, name: str | None, purpose: str | None = None) -> pa.Table:
    with raymesh.Mesh.load(root) as mesh:
        return mesh.sql(query, as_=name, purpose=purpose)

"""Foreign keys across contracts: judged against the referenced product's published rows."""

from __future__ import annotations

from pathlib import Path

import raymesh
from meshes import write_mesh, write_product

KEY = {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1}


def _orders(root: Path, highest: int) -> None:
    customer = {
        "physicalType": "bigint",
        "logicalType": "integer",
        "relationships": [{"to": "shop.customers.id"}],
    }
    sql = f"SELECT range AS id, range % {highest} AS customer_id FROM range(100)"
    write_product(root, "shop.orders", {"id": KEY, "customer_id": customer}, sql=sql)


def test_a_key_without_partner_in_another_product_blocks(tmp_path: Path) -> None:
    root = write_mesh(tmp_path)
    write_product(root, "shop.customers", {"id": KEY}, sql="SELECT range AS id FROM range(10)")
    _orders(root, 10)
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run(jobs=4)
        assert {r.product: r.status for r in finished.reports} == {
            "shop.customers": "published",
            "shop.orders": "published",
        }
    _orders(root, 11)
    with raymesh.Mesh.load(root) as mesh:
        report = mesh.run("shop.orders").reports[0]
    assert (report.status, report.failing) == ("blocked", ("customer_id.reference",))


def test_products_that_refer_to_each_other_still_run(tmp_path: Path) -> None:
    root = write_mesh(tmp_path)
    favourite = {
        "physicalType": "bigint",
        "logicalType": "integer",
        "relationships": [{"to": "shop.orders.id"}],
        "quality": [],
    }
    sql = "SELECT range AS id, range AS favourite FROM range(10)"
    write_product(root, "shop.customers", {"id": KEY, "favourite": favourite}, sql=sql, onViolation="warn")
    _orders(root, 10)
    with raymesh.Mesh.load(root) as mesh:
        statuses = {r.product: r.status for r in mesh.run(jobs=4).reports}
    assert set(statuses) == {"shop.customers", "shop.orders"}
    assert "skipped" not in statuses.values()

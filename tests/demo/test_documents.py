"""The documents of the retail demo: complete, consistent, and about everything they should be about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import raymesh

RETAIL = Path(raymesh.__file__).parent / "demo" / "retail"
PRODUCTS = {
    "customer": {"households", "contacts", "customer_360", "customer_segments", "customer_behavior_analysis"},
    "orders": {"order_lines", "baskets", "order_metrics", "order_kpis"},
    "product": {"product_catalog", "promotions", "product_performance", "product_recommendations"},
    "marketing": {"campaigns", "coupon_redemptions", "campaign_attribution"},
    "analytics": {"customer_journey_analytics", "cross_domain_insights"},
}
FOLDERS = sorted(RETAIL.glob("domains/*/products/*/"))


def name(folder: Path) -> str:
    return f"{folder.parent.parent.name}.{folder.name}"


def document(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def columns(folder: Path) -> list[dict[str, Any]]:
    (table,) = document(folder / "contract.yaml")["schema"]
    return list(table["properties"])


def test_all_products_of_the_mission_are_there() -> None:
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        found.setdefault(folder.parent.parent.name, set()).add(folder.name)
    assert found == PRODUCTS


def test_sql_batch_and_whole_table_transforms_all_occur() -> None:
    sql = {name(f) for f in FOLDERS if (f / "transform.sql").exists()}
    python = {name(f): (f / "transform.py").read_text() for f in FOLDERS if (f / "transform.py").exists()}
    assert sql - python.keys()
    assert {p for p, text in python.items() if "@batch(" in text} & sql
    assert {p for p, text in python.items() if "@batch(" in text} - sql
    assert {p for p, text in python.items() if "@product(" in text}


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_product_names_its_team_its_purpose_and_its_contract(folder: Path) -> None:
    product, contract = document(folder / "product.yaml"), document(folder / "contract.yaml")
    domain = document(folder.parent.parent / "domain.yaml")
    assert product["team"]["name"] == contract["team"]["name"] == domain["owner"]["team"]
    assert {"purpose", "limitations", "usage"} <= product["description"].keys()
    (port,) = product["outputPorts"]
    assert (
        (port["contractId"], port["version"])
        == (contract["id"], contract["version"])
        == (name(folder), "1.0.0")
    )
    assert product["support"]


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_contract_describes_and_classifies_every_column(folder: Path) -> None:
    for column in columns(folder):
        assert len(column["description"]) > 4, column["name"]
        assert column["logicalType"]
        assert column["physicalType"]
        assert column["classification"] in ("public", "internal", "confidential", "restricted")
        assert column["classification"] in column["tags"]


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_contract_promises_a_key_service_levels_and_quality(folder: Path) -> None:
    contract = document(folder / "contract.yaml")
    keys = sorted(c["primaryKeyPosition"] for c in columns(folder) if c.get("primaryKey"))
    assert keys == list(range(1, len(keys) + 1)) != []
    assert {"latency", "frequency", "availability", "retention"} <= {
        s["property"] for s in contract["slaProperties"]
    }
    rules = [r for part in [*columns(folder), contract["schema"][0]] for r in part.get("quality", [])]
    assert len(rules) >= 2
    assert len({r["name"] for r in rules}) == len(rules)


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_relationships_end_at_a_key_of_another_product(folder: Path) -> None:
    for column in columns(folder):
        for relationship in column.get("relationships", []):
            domain, product, target = relationship["to"].split(".")
            (found,) = [
                c for c in columns(RETAIL / "domains" / domain / "products" / product) if c["name"] == target
            ]
            assert found["primaryKey"] is True
            assert found["physicalType"] == column["physicalType"]


def test_personal_data_is_tagged_as_such() -> None:
    tags = {(name(f), c["name"]): set(c["tags"]) for f in FOLDERS for c in columns(f)}
    for column, tag in (
        ("given_name", "name"),
        ("family_name", "name"),
        ("email", "email"),
        ("phone", "phone"),
    ):
        assert f"pii.direct.{tag}" in tags["customer.contacts", column]
    for (product, column), found in tags.items():
        if column == "household_id":
            assert "pii.quasi.customer_id" in found, product
        if column in ("age_band", "income_band"):
            assert any(t.startswith("pii.quasi.") for t in found), product


def test_transforms_do_not_depend_on_the_time_of_day_or_on_chance() -> None:
    for file in RETAIL.rglob("transform.*"):
        text = file.read_text().lower()
        for word in (
            "now()",
            "current_date",
            "current_timestamp",
            "random(",
            "uuid(",
            "datetime.now",
            "np.random",
        ):
            assert word not in text, f"{file.relative_to(RETAIL)} uses {word}"


def test_no_file_of_the_mesh_names_a_machine_or_holds_a_secret() -> None:
    for file in (f for f in RETAIL.rglob("*") if f.is_file() and "__pycache__" not in f.parts):
        text = file.read_text(encoding="utf-8")
        assert "/home/" not in text
        assert "password" not in text.lower()
        assert file.name != "__init__.py"

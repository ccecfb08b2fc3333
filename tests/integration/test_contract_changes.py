"""What a run does when the contract changed: publishes what readers can live with, refuses what breaks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lives import KEY, NEEDED, failed, publish, roll_back, rows, run, write_rows
from meshes import write_mesh, write_product, write_source
from raymesh.actions.infer_update import holds, propose_update
from raymesh.errors import UsageError
from raymesh.spec.physical import parse_physical

SQL = "SELECT 1::bigint AS id, 7::bigint AS value, 'a' AS state"
COLUMNS: dict[str, Any] = {
    "id": KEY,
    "value": {**NEEDED, "logicalTypeOptions": {"minimum": 0}},
    "state": {"physicalType": "varchar", "logicalType": "string", "enum": [{"value": "a"}, {"value": "b"}]},
}
QUALITY = [{"name": "some", "metric": "rowCount", "mustBeGreaterThan": 0}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_mesh(tmp_path / "mesh")
    promise(root)
    publish(root)
    return root


def promise(
    root: Path, version: str = "1.0.0", *, quality: Any = QUALITY, sql: str = SQL, **columns: Any
) -> None:
    promised = {k: v for k, v in {**COLUMNS, **columns}.items() if v is not None}
    write_product(root, "shop.table", promised, sql=sql, version=version, quality=quality)


HARMLESS: list[dict[str, Any]] = [
    {"quality": [{"name": "some", "metric": "rowCount", "mustBeBetween": [1, 9]}]},
    {"quality": [*QUALITY, {"name": "few", "metric": "rowCount", "mustBeLessThan": 9}]},
    {"value": {**NEEDED, "logicalTypeOptions": {"minimum": 1, "maximum": 100}}},
    {"value": {**COLUMNS["value"], "description": "Pieces.", "tags": ["x"], "unique": True}},
    {"state": {**COLUMNS["state"], "enum": [{"value": "a"}], "required": True}},
    {"extra": "integer", "sql": SQL + ", 5 AS extra"},
    {"quality": [{"name": "some", "type": "sql", "query": "SELECT count(*) FROM {object}", "mustBe": 1}]},
]


@pytest.mark.parametrize("change", HARMLESS)
def test_readers_live_with_it_so_it_is_published_under_the_same_version(
    root: Path, change: dict[str, Any]
) -> None:
    promise(root, **change)
    assert publish(root)["shop.table"].status == "published"


BREAKING: list[tuple[dict[str, Any], str]] = [
    ({"value": {**KEY, "primaryKey": False, "logicalTypeOptions": {"minimum": 0}}}, "value may be NULL now"),
    ({"value": NEEDED}, "values of value may lie outside the old limits (minimum 0 → not said)"),
    ({"state": {**COLUMNS["state"], "enum": [{"value": v} for v in "abc"]}}, "state may have 1 more values"),
    ({"id": NEEDED}, "rows that were one per key may be several"),
    ({"quality": []}, "rule some is gone"),
    ({"quality": [{**QUALITY[0], "severity": "warning"}]}, "rule some: effect is looser"),
    ({"state": None, "sql": "SELECT 1::bigint AS id, 7::bigint AS value"}, "state (string) is gone"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BREAKING, ids=[b[1] for b in BREAKING])
def test_a_looser_promise_is_refused_until_a_major_version_says_so(
    root: Path, change: dict[str, Any], said: str
) -> None:
    for version in ("1.0.0", "1.1.0"):
        promise(root, version, **change)
        error = failed(root, "shop.table", "breaking-change")
        assert said in error.message
        assert "new major version, 2.0.0" in (error.hint or "")
        assert {s.file for s in error.spans} == {"domains/shop/products/table/contract.yaml"}
        assert all(s.line > 1 for s in error.spans)
    assert rows(root, "shop.table") == [(1, 7, "a")]
    promise(root, "2.0.0", **change)
    report = publish(root)["shop.table"]
    assert (report.status, report.version) == ("published", 2)
    assert publish(root)["shop.table"].status == "unchanged"


def test_every_breaking_change_is_listed_at_once(root: Path) -> None:
    promise(root, quality=[], value=NEEDED)
    error = failed(root, "shop.table", "breaking-change")
    assert "2 changes break readers of version 1 (contract 1.0.0)" in error.message
    assert len(error.spans) == 2


def test_what_was_refused_stays_refused_when_asked_to_refresh(root: Path) -> None:
    promise(root, quality=[])
    assert run(root, refresh=True)["shop.table"].status == "failed"
    promise(root)
    assert run(root)["shop.table"].status == "unchanged", "with the promise back there is nothing to do"


def test_the_measure_is_what_is_served_after_a_rollback(root: Path) -> None:
    promise(root, "2.0.0", quality=[])
    publish(root)
    promise(root, "2.0.0")
    roll_back(root, "shop.table", 1)
    assert publish(root)["shop.table"].status == "published"
    promise(root, "2.0.0", quality=[])
    failed(root, "shop.table", "breaking-change")


# sources that change


def test_the_next_contract_keeps_what_was_said_and_takes_over_what_changed(tmp_path: Path) -> None:
    root = write_mesh(tmp_path / "mesh")
    file = write_rows(tmp_path / "in.parquet", id=[1, 2], value=[10, 20])
    write_source(root, "shop.raw", file)
    value = {
        "physicalType": "integer",
        "logicalType": "integer",
        "description": "Pieces.",
        "tags": ["x"],
        "unique": True,
    }
    old = {"physicalType": "varchar", "description": "Gone soon."}
    write_product(
        root, "shop.table", {"id": "bigint", "old": old, "value": value}, source="raw", version="1.2.0"
    )
    found = propose_update("shop.table", root)
    properties = found.contract["schema"][0]["properties"]
    assert [p["name"] for p in properties] == ["id", "value"]
    assert properties[1] == {**value, "name": "value", "physicalType": "bigint"}
    assert found.notes == (
        "old is gone from the source",
        "value is bigint in the source; the contract promises integer",
    )
    assert [c.grade for c in found.compared.comparison.changes] == ["minor", "major"]
    assert found.contract["version"] == "2.0.0"
    write_rows(file, id=[1, 2], value=[10, 20], old=["x", "y"], new=[True, False])
    found = propose_update("shop.table", root)
    assert [p["name"] for p in found.contract["schema"][0]["properties"]] == ["id", "old", "value", "new"]
    assert found.contract["version"] == "1.3.0"


def test_declared_columns_of_a_text_file_keep_their_type(tmp_path: Path) -> None:
    root = write_mesh(tmp_path / "mesh")
    (tmp_path / "in.csv").write_text("code,extra\n0017,5\n0018,6\n", encoding="utf-8")
    write_source(root, "shop.raw", tmp_path / "in.csv", "csv", columns=[{"name": "code", "type": "varchar"}])
    write_product(root, "shop.table", {"code": "varchar"}, source="raw")
    found = propose_update("shop.table", root)
    kinds = [(p["name"], p["physicalType"]) for p in found.contract["schema"][0]["properties"]]
    assert kinds == [("code", "varchar"), ("extra", "bigint")]
    assert any("raw.yaml declares its columns" in note for note in found.notes)


def test_a_product_with_a_transform_has_no_source_to_follow(root: Path) -> None:
    with pytest.raises(UsageError, match="made by a transform"):
        propose_update("shop.table", root)


@pytest.mark.parametrize(
    ("promised", "seen", "expected"),
    [
        ("bigint", "integer", True),
        ("integer", "bigint", False),
        ("decimal(18,2)", "integer", True),
        ("decimal(18,2)", "decimal(10,2)", True),
        ("decimal(18,2)", "decimal(18,3)", False),
        ("double", "integer", True),
        ("varchar", "integer", False),
        ("struct(a bigint)", "struct(a integer)", True),
        ("struct(a bigint)", "struct(a integer, b integer)", False),
        ("bigint[]", "integer[]", True),
        ("map(varchar, bigint)", "map(varchar, integer)", True),
    ],
)
def test_a_promise_holds_what_can_be_stored_without_change(promised: str, seen: str, expected: bool) -> None:
    types = parse_physical(promised), parse_physical(seen)
    assert types[0] is not None
    assert types[1] is not None
    assert holds(types[0].type, types[1].type) is expected

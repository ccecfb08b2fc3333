"""Schemas that change over versions: what is free, what needs a new major version, what old readers see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import columns, current, publish, roll_back, rows, run, settings_of, staged, write_rows
from meshes import write_mesh, write_product, write_source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def table(root: Path, sql: str, version: str = "1.0.0", /, **promised: Any) -> None:
    write_product(root, "shop.table", promised, sql=sql, version=version)


def field_ids(root: Path) -> dict[str, int]:
    with raymesh.Mesh.load(root) as mesh:
        schema = mesh._workspace.tables.schema("shop.table")
    assert schema is not None
    return {f.name: f.id for f in schema}


def refused(root: Path, *parts: str) -> None:
    """The next run refuses a breaking change, saying these parts, and serves what it served."""
    before = rows(root, "shop.table")
    report = run(root)["shop.table"]
    assert report.status == "failed", report
    assert report.error is not None
    assert report.error.code == "breaking-change"
    assert report.error.exit_code == 3
    for part in parts:
        assert part in report.error.message
    assert "major version" in (report.error.hint or "")
    assert rows(root, "shop.table") == before
    assert staged(root, "shop.table") == set()


def test_a_new_column_is_added_and_old_versions_do_not_have_it(root: Path) -> None:
    table(root, "SELECT 1 AS a", a="integer")
    publish(root)
    table(root, "SELECT 'new' AS b, 1 AS a", "1.1.0", a="integer", b="varchar")
    publish(root)
    assert columns(root, "shop.table") == ["a int32", "b string"]
    assert columns(root, "shop.table", 1) == ["a int32"]
    assert (rows(root, "shop.table"), rows(root, "shop.table", 1)) == ([(1, "new")], [(1,)])


@pytest.mark.parametrize("how", ["renamedFrom", "id"])
def test_a_renamed_column_keeps_its_field(root: Path, how: str) -> None:
    integer = {"physicalType": "integer", "logicalType": "integer"}
    before: dict[str, Any] = {**integer, **({"id": "the_a"} if how == "id" else {})}
    after: dict[str, Any] = {
        **integer,
        **({"id": "the_a"} if how == "id" else {"customProperties": settings_of(renamedFrom="a")}),
    }
    table(root, "SELECT 1 AS a", a=before)
    publish(root)
    ids = field_ids(root)
    table(root, "SELECT 1 AS b", "1.1.0", b=after)
    publish(root)
    assert field_ids(root) == {"b": ids["a"]}
    assert (columns(root, "shop.table"), columns(root, "shop.table", 1)) == (["b int32"], ["a int32"])
    assert rows(root, "shop.table", 1) == [(1,)]
    table(root, "SELECT 2 AS b", "1.1.0", b=after)
    publish(root)
    assert field_ids(root) == {"b": ids["a"]}, "a contract may keep saying where a column came from"


@pytest.mark.parametrize(
    ("narrow", "wide", "value", "types"),
    [
        ("integer", "bigint", 2**40, ("int32", "int64")),
        ("float", "double", 0.1, ("float", "double")),
        ("decimal(9,2)", "decimal(18,2)", 12345678901.25, ("decimal128(9, 2)", "decimal128(18, 2)")),
    ],
)
def test_a_widened_column_keeps_its_field(
    root: Path, narrow: str, wide: str, value: float, types: tuple[str, str]
) -> None:
    table(root, f"SELECT 1::{narrow} AS a", a=narrow)
    publish(root)
    ids = field_ids(root)
    table(root, f"SELECT {value}::{wide} AS a", "1.1.0", a=wide)
    publish(root)
    assert field_ids(root) == ids
    assert columns(root, "shop.table") == [f"a {types[1]}"]
    assert columns(root, "shop.table", 1) == [f"a {types[0]}"]
    assert [float(v) for (v,) in rows(root, "shop.table")] == [value]


def test_columns_in_another_order_keep_their_fields(root: Path) -> None:
    table(root, "SELECT 1 AS a, 'x' AS b", a="integer", b="varchar")
    publish(root)
    ids = field_ids(root)
    table(root, "SELECT 1 AS a, 'x' AS b", "1.0.1", b="varchar", a="integer")
    publish(root)
    assert field_ids(root) == ids
    assert (rows(root, "shop.table"), rows(root, "shop.table", 1)) == ([("x", 1)], [(1, "x")])


@pytest.mark.parametrize(
    ("promised", "sql", "part"),
    [
        ({"a": "bigint"}, "SELECT 1::bigint AS a", "b (string) is gone"),
        ({"a": "integer", "b": "varchar"}, "SELECT 1 AS a, 'x' AS b", "a was long and becomes int"),
        ({"a": "varchar", "b": "varchar"}, "SELECT '1' AS a, 'x' AS b", "a was long and becomes string"),
    ],
    ids=["dropped", "narrowed", "retyped"],
)
def test_a_breaking_change_needs_a_new_major_version(
    root: Path, promised: dict[str, str], sql: str, part: str
) -> None:
    table(root, "SELECT 1::bigint AS a, 'x' AS b", a="bigint", b="varchar")
    publish(root)
    for version in ("1.0.0", "1.9.0"):
        table(root, sql, version, **promised)
        refused(root, part)
    table(root, sql, "2.0.0", **promised)
    assert publish(root)["shop.table"].version == 2
    assert current(root, "shop.table").contract_version == "2.0.0"
    assert rows(root, "shop.table", 1) == [(1, "x")]
    assert columns(root, "shop.table", 1) == ["a int64", "b string"]


def test_members_of_a_struct_evolve_like_columns(root: Path) -> None:
    table(root, "SELECT {'x': 1} AS a", a="struct(x integer)")
    publish(root)
    table(root, "SELECT {'y': 'new', 'x': 1} AS a", "1.1.0", a="struct(x bigint, y varchar)")
    publish(root)
    assert rows(root, "shop.table") == [({"x": 1, "y": "new"},)]
    assert rows(root, "shop.table", 1) == [({"x": 1},)]
    table(root, "SELECT {'y': 'new'} AS a", "1.2.0", a="struct(y varchar)")
    refused(root, "a.x")


def test_a_rollback_brings_back_the_old_schema_and_the_way_forward_stays_open(root: Path) -> None:
    table(root, "SELECT 1 AS a", a="integer")
    publish(root)
    table(root, "SELECT 1 AS a, 2 AS b", "1.1.0", a="integer", b="integer")
    publish(root)
    old = field_ids(root)
    roll_back(root, "shop.table", 1)
    assert columns(root, "shop.table") == ["a int32"]
    assert publish(root)["shop.table"].status == "published"
    assert rows(root, "shop.table") == [(1, 2)]
    assert rows(root, "shop.table", 2) == [(1, 2)]
    assert field_ids(root)["b"] != old["a"]


def test_appended_files_of_every_schema_read_together(root: Path, tmp_path: Path) -> None:
    """Old files stay as they were written; a changed contract rebuilds, so a table has one schema."""
    write_rows(tmp_path / "in" / "1.parquet", id=[1], value=[10])
    write_source(root, "shop.arrivals", f"{tmp_path}/in/*.parquet")
    settings = {"mode": "append", "incrementalColumn": "id"}
    write_product(root, "shop.table", {"id": "bigint"}, sql="SELECT id FROM source.arrivals", **settings)
    publish(root)
    write_product(
        root,
        "shop.table",
        {"id": "bigint", "value": "bigint"},
        sql="SELECT id, value FROM source.arrivals",
        version="1.1.0",
        **settings,
    )
    write_rows(tmp_path / "in" / "2.parquet", id=[2], value=[20])
    publish(root)
    write_rows(tmp_path / "in" / "3.parquet", id=[3], value=[30])
    publish(root)
    assert rows(root, "shop.table") == [(1, 10), (2, 20), (3, 30)]
    assert rows(root, "shop.table", 1) == [(1,)]


def test_downstream_sees_a_renamed_input_column_under_its_new_name(root: Path) -> None:
    table(root, "SELECT 1 AS a", a="integer")
    write_product(root, "shop.copy", {"x": "integer"}, sql="SELECT a AS x FROM shop.table")
    publish(root)
    renamed = {"physicalType": "integer", "customProperties": settings_of(renamedFrom="a")}
    table(root, "SELECT 5 AS b", "1.1.0", b=renamed)
    write_product(root, "shop.copy", {"x": "integer"}, sql="SELECT b AS x FROM shop.table")
    publish(root)
    assert rows(root, "shop.copy") == [(5,)]

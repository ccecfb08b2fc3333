"""Append mode: only new rows are built and judged; anything but new input builds the whole table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import (
    KEY,
    NEEDED,
    checks,
    current,
    events,
    failed,
    file_states,
    foreign_append,
    publish,
    roll_back,
    rows,
    run,
    staged,
    write_rows,
)
from meshes import write_mesh, write_product


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


@pytest.fixture
def arrivals(tmp_path: Path) -> Path:
    """The folder of the growing source, with ids 1 to 3."""
    write_rows(tmp_path / "arrivals" / "1.parquet", id=[1, 2, 3], value=[1, 1, 1])
    return tmp_path / "arrivals"


def test_a_source_that_grew_by_a_file_adds_its_rows_only(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    publish(root)
    before = file_states(root)
    write_rows(arrivals / "2.parquet", id=[4, 5], value=[2, 2])
    report = publish(root)["shop.events"]
    assert (report.status, report.version, report.rows) == ("published", 2, 5)
    after = file_states(root)
    assert before.items() <= after.items(), "published files and their states stay as they are"
    assert len(after) == len(before) + 1
    assert [i for i, _ in rows(root, "shop.events")] == [1, 2, 3, 4, 5]
    assert [i for i, _ in rows(root, "shop.events", 1)] == [1, 2, 3]
    assert current(root, "shop.events").watermark == 5


def test_only_new_files_are_judged_row_by_row_and_counts_add_up(root: Path, arrivals: Path) -> None:
    write_rows(arrivals / "1.parquet", id=[1, 2, 3], value=[1, None, 1])
    quality = [{"name": "few", "metric": "nullValues", "mustBeLessThan": 4, "severity": "error"}]
    column = {"physicalType": "bigint", "logicalType": "integer", "quality": quality}
    events(root, arrivals)
    write_product(
        root,
        "shop.events",
        {"id": KEY, "value": column},
        sql="SELECT id, value FROM source.arrivals",
        mode="append",
        incrementalColumn="id",
    )
    publish(root)
    write_rows(arrivals / "2.parquet", id=[4, 5, 6], value=[None, None, 1])
    report = publish(root)["shop.events"]
    nulls = next(c for c in checks(root, report.run_id).values() if "few" in c.check_id)
    assert (nulls.status, nulls.value) == ("pass", 3)


def test_a_key_that_comes_again_blocks_the_append(root: Path, arrivals: Path) -> None:
    unique = {"physicalType": "bigint", "logicalType": "integer", "unique": True}
    events(root, arrivals)
    write_product(
        root,
        "shop.events",
        {"id": KEY, "value": unique},
        sql="SELECT id, id * 10 % 50 AS value FROM source.arrivals",
        mode="append",
        incrementalColumn="id",
    )
    publish(root)
    write_rows(arrivals / "2.parquet", id=[4, 6], value=[0, 0])
    report = run(root)["shop.events"]
    assert report.status == "blocked", report
    assert current(root, "shop.events").number == 1
    assert staged(root, "shop.events") == set()
    write_rows(arrivals / "2.parquet", id=[4], value=[0])
    assert publish(root)["shop.events"].rows == 4


def test_an_append_without_new_rows_keeps_rows_and_watermark(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    publish(root)
    write_rows(arrivals / "2.parquet", id=[2], value=[9])
    report = publish(root)["shop.events"]
    assert (report.status, report.rows) == ("published", 3)
    assert current(root, "shop.events").watermark == 3
    assert publish(root)["shop.events"].status == "unchanged"


@pytest.mark.parametrize("first", [True, False], ids=["first build", "append"])
def test_rows_without_the_incremental_column_are_refused_and_never_dropped(
    root: Path, arrivals: Path, first: bool
) -> None:
    events(root, arrivals, sql="SELECT id AS at, value AS id, value FROM source.arrivals")
    write_product(
        root,
        "shop.events",
        {"at": "bigint", "value": "bigint"},
        sql="SELECT id AS at, value FROM source.arrivals",
        mode="append",
        incrementalColumn="at",
    )
    if not first:
        publish(root)
    write_rows(arrivals / "2.parquet", id=[4, None], value=[2, 2])
    error = failed(root, "shop.events", "conform")
    assert "'at'" in error.message
    assert "NULL" in error.message
    assert error.hint is not None


@pytest.mark.parametrize("kind", ["batch", "dataset"])
def test_python_products_append_new_rows_only(root: Path, arrivals: Path, kind: str) -> None:
    python = {
        "batch": "import pyarrow as pa\nfrom raymesh import batch\n\n"
        "@batch(input='source.arrivals')\ndef transform(rows: pa.Table) -> pa.Table:\n    return rows\n",
        "dataset": "import pyarrow as pa\nfrom raymesh import product\n\n"
        "@product(inputs={'rows': 'source.arrivals'})\ndef transform(rows: pa.Table) -> pa.Table:\n    return rows\n",
    }[kind]
    events(root, arrivals)
    write_product(
        root,
        "shop.events",
        {"id": KEY, "value": NEEDED},
        python=python,
        mode="append",
        incrementalColumn="id",
    )
    publish(root)
    write_rows(arrivals / "2.parquet", id=[4], value=[2])
    assert publish(root)["shop.events"].rows == 4
    assert len(file_states(root)) == 2
    write_rows(arrivals / "3.parquet", id=[None, 6], value=[3, 3])
    error = failed(root, "shop.events", "conform")
    assert "'id'" in error.message
    assert "NULL" in error.message


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("transform", {"sql": "SELECT id, value + 1 AS value FROM source.arrivals"}),
        ("settings", {"sortBy": ["id"]}),
        ("contract", {"quality": [{"name": "some", "metric": "rowCount", "mustBeGreaterThan": 0}]}),
    ],
)
def test_any_other_change_builds_the_whole_table(
    root: Path, arrivals: Path, reason: str, change: dict[str, Any]
) -> None:
    events(root, arrivals)
    publish(root)
    old = file_states(root).keys()
    write_rows(arrivals / "2.parquet", id=[4], value=[1])
    events(root, arrivals, **change)
    report = publish(root)["shop.events"]
    assert (report.status, report.rows) == ("published", 4)
    assert reason in report.reason
    assert file_states(root).keys().isdisjoint(old)


def test_refresh_builds_the_whole_table(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    publish(root)
    old = file_states(root).keys()
    assert publish(root, refresh=True)["shop.events"].rows == 3
    assert file_states(root).keys().isdisjoint(old)


def test_after_a_rollback_the_whole_table_is_built(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    publish(root)
    write_rows(arrivals / "2.parquet", id=[4], value=[1])
    publish(root)
    roll_back(root, "shop.events", 1)
    assert len(rows(root, "shop.events")) == 3
    assert publish(root)["shop.events"].rows == 4
    assert [i for i, _ in rows(root, "shop.events")] == [1, 2, 3, 4]


def test_rows_of_another_program_are_not_appended_to(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    publish(root)
    foreign_append(root, "shop.events", id=[100], value=[1])
    write_rows(arrivals / "2.parquet", id=[4], value=[1])
    report = publish(root)["shop.events"]
    assert report.reason == "another program changed the table"
    assert [i for i, _ in rows(root, "shop.events")] == [1, 2, 3, 4]
    with raymesh.Mesh.load(root) as mesh:
        scan = mesh._workspace.tables.scan("shop.events")
    assert scan.rows == 4, "the table and the index of its files hold the same"


def test_late_rows_within_the_lookback_are_taken_once(root: Path, arrivals: Path) -> None:
    events(root, arrivals, lookback=2)
    write_rows(arrivals / "1.parquet", id=[1, 3, 5], value=[1, 1, 1])
    publish(root)
    write_rows(arrivals / "2.parquet", id=[2, 4, 6], value=[2, 2, 2])
    report = publish(root)["shop.events"]
    assert report.status == "published", report
    assert [i for i, _ in rows(root, "shop.events")] == [1, 3, 4, 5, 6], "2 is too late, 5 is not doubled"
    assert current(root, "shop.events").watermark == 6


def test_a_downstream_append_reads_the_whole_input(root: Path, arrivals: Path) -> None:
    events(root, arrivals)
    write_product(
        root,
        "shop.later",
        {"id": KEY, "value": NEEDED},
        sql="SELECT id, value FROM shop.events",
        mode="append",
        incrementalColumn="id",
    )
    publish(root)
    write_rows(arrivals / "2.parquet", id=[4], value=[1])
    reports = publish(root)
    assert [r.rows for r in reports.values()] == [4, 4]
    assert len(file_states(root, "shop.later")) == 2


def test_nan_in_the_incremental_column_is_refused(root: Path) -> None:
    """Nothing is greater than NaN: as a watermark it would end the table's growth for ever."""
    sql = "SELECT range AS id, CASE WHEN range = 1 THEN 'nan'::double ELSE range::double END AS at FROM range(3)"
    columns = {"id": "bigint", "at": "double"}
    write_product(root, "shop.readings", columns, sql=sql, mode="append", incrementalColumn="at")
    with raymesh.Mesh.load(root) as mesh:
        report = mesh.run().reports[0]
        assert mesh.product("shop.readings").version is None
    assert report.status == "failed"
    assert "NaN in the incremental column 'at'" in report.reason

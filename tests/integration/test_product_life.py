"""The life of a product: built, unchanged, changed in every part, rolled back, changed by somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh
from lives import (
    KEY,
    NEEDED,
    ONE,
    checks,
    current,
    foreign_append,
    numbers,
    publish,
    roll_back,
    rows,
    run,
    versions,
    write_rows,
)
from meshes import write_mesh, write_product, write_source
from raymesh.actions.inspect import diff
from raymesh.actions.plan import plan
from raymesh.actions.read import pin
from raymesh.errors import NotFoundError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def test_a_first_build_publishes_rows_evidence_and_a_version(root: Path) -> None:
    numbers(root, ONE.format(7))
    report = publish(root)["shop.numbers"]
    assert (report.status, report.reason, report.version, report.rows) == ("published", "first build", 1, 1)
    assert rows(root, "shop.numbers") == [(1, 7)]
    assert {c.status for c in checks(root, report.run_id).values()} == {"pass"}
    assert report.checks["pass"] == len(checks(root, report.run_id))
    assert report.quality_score == 1.0


def test_a_second_run_builds_nothing_and_says_what_is_served(root: Path) -> None:
    numbers(root, ONE.format(7))
    first = publish(root)["shop.numbers"]
    second = publish(root)["shop.numbers"]
    assert (second.status, second.version, second.rows) == ("unchanged", 1, 1)
    assert second.snapshot_id == first.snapshot_id
    assert len(versions(root, "shop.numbers")) == 1
    with raymesh.Mesh.load(root) as mesh:
        assert [r.status for r in mesh._workspace.state.runs()] == ["published"]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("transform", {"sql": ONE.format(8)}),
        ("contract", {"quality": [{"name": "some", "metric": "rowCount", "mustBeGreaterThan": 0}]}),
        ("settings", {"sortBy": ["id"]}),
    ],
)
def test_a_change_of_one_part_rebuilds_and_names_the_part(
    root: Path, part: str, change: dict[str, object]
) -> None:
    columns = {"id": KEY, "value": NEEDED}
    write_product(root, "shop.numbers", columns, sql=ONE.format(7))
    publish(root)
    write_product(root, "shop.numbers", columns, **{"sql": ONE.format(7), **change})
    report = publish(root)["shop.numbers"]
    assert (report.status, report.version) == ("published", 2)
    assert part in report.reason


@pytest.mark.parametrize(
    "change", [{"timeout": "10m"}, {"resources": {"memory": "1GB"}}, {"snapshots": {"keep": 3}}]
)
def test_settings_that_cannot_change_rows_rebuild_nothing(root: Path, change: dict[str, object]) -> None:
    numbers(root, ONE.format(7))
    publish(root)
    numbers(root, ONE.format(7), **change)
    assert publish(root)["shop.numbers"].status == "unchanged"


def test_a_changed_source_rebuilds_what_reads_it_and_its_downstream_only(root: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "in.parquet", id=[1, 2], value=[10, 20])
    write_source(root, "shop.raw", file)
    numbers(root, "SELECT * FROM source.raw")
    write_product(root, "shop.total", {"total": "bigint"}, sql="SELECT sum(value) AS total FROM shop.numbers")
    write_product(root, "shop.other", {"x": "integer"}, sql="SELECT 1 AS x")
    publish(root)
    write_rows(file, id=[1, 2, 3], value=[10, 20, 30])
    reports = publish(root)
    assert {p: r.status for p, r in reports.items()} == {
        "shop.numbers": "published",
        "shop.total": "published",
        "shop.other": "unchanged",
    }
    assert "inputs" in reports["shop.numbers"].reason
    assert rows(root, "shop.total") == [(60,)]


def test_a_run_reads_the_input_version_that_it_records(root: Path) -> None:
    numbers(root, ONE.format(7))
    write_product(root, "shop.copy", {"id": "bigint", "value": "bigint"}, sql="SELECT * FROM shop.numbers")
    report = publish(root)["shop.copy"]
    with raymesh.Mesh.load(root) as mesh:
        (pinned,) = mesh._workspace.state.inputs(report.run_id or "")
        edges = {
            (e.column, e.source, e.source_column) for e in mesh._workspace.state.lineage(report.run_id or "")
        }
    assert (pinned.input, pinned.version) == ("shop.numbers", 1)
    assert ("value", "shop.numbers", "value") in edges


def test_refresh_builds_what_is_unchanged(root: Path) -> None:
    numbers(root, ONE.format(7))
    publish(root)
    report = publish(root, refresh=True)["shop.numbers"]
    assert (report.status, report.version, report.reason) == ("published", 2, "refresh asked for")


def test_old_versions_stay_readable(root: Path) -> None:
    for value in (1, 2, 3):
        numbers(root, ONE.format(value))
        publish(root)
    assert [rows(root, "shop.numbers", n) for n in (1, 2, 3)] == [[(1, 1)], [(1, 2)], [(1, 3)]]
    with pytest.raises(NotFoundError, match="no readable version 4") as error:
        rows(root, "shop.numbers", 4)
    assert error.value.hint is not None
    assert "1, 2, 3" in error.value.hint


def test_a_rollback_serves_the_old_rows_as_a_new_version_until_the_next_run(root: Path) -> None:
    for value in (1, 2):
        numbers(root, ONE.format(value))
        publish(root)
    rolled = roll_back(root, "shop.numbers", 1)
    assert (rolled.number, rolled.kind, rolled.of_version) == (3, "rollback", 1)
    assert rows(root, "shop.numbers") == [(1, 1)]
    assert rows(root, "shop.numbers", 2) == [(1, 2)]
    with raymesh.Mesh.load(root) as mesh:
        assert not pin(mesh._workspace.storage, "shop.numbers").foreign
        (step,) = plan(mesh._workspace, ["shop.numbers"])
        assert "rollback" in step.reason
    report = publish(root)["shop.numbers"]
    assert (report.status, report.version) == ("published", 4)
    assert rows(root, "shop.numbers") == [(1, 2)]


def test_a_rollback_rebuilds_downstream_from_the_old_rows(root: Path) -> None:
    write_product(root, "shop.copy", {"id": "bigint", "value": "bigint"}, sql="SELECT * FROM shop.numbers")
    for value in (1, 2):
        numbers(root, ONE.format(value))
        publish(root)
    roll_back(root, "shop.numbers", 1)
    assert publish(root, "shop.copy")["shop.copy"].status == "published"
    assert rows(root, "shop.copy") == [(1, 1)]


@pytest.mark.parametrize("to", [0, 9])
def test_a_rollback_to_no_version_changes_nothing(root: Path, to: int) -> None:
    numbers(root, ONE.format(1))
    publish(root)
    with pytest.raises(NotFoundError, match=f"no readable version {to}") as error:
        roll_back(root, "shop.numbers", to)
    assert error.value.hint == "readable: 1"
    assert current(root, "shop.numbers").number == 1


def test_a_rollback_of_what_was_never_published_says_how_to_publish_it(root: Path) -> None:
    numbers(root, ONE.format(1))
    with pytest.raises(NotFoundError, match="no published version") as error:
        roll_back(root, "shop.numbers", 1)
    assert error.value.hint == "raymesh run +shop.numbers builds it"


def test_diff_shows_columns_and_row_counts(root: Path) -> None:
    write_product(root, "shop.numbers", {"id": KEY, "value": NEEDED}, sql=ONE.format(1))
    publish(root)
    more = {"id": KEY, "value": NEEDED, "note": "varchar"}
    sql = "SELECT range AS id, 1::bigint AS value, 'x' AS note FROM range(3)"
    write_product(root, "shop.numbers", more, sql=sql, version="1.1.0")
    publish(root)
    with raymesh.Mesh.load(root) as mesh:
        before, after, found = diff(mesh._workspace.storage, "shop.numbers", None, None)
        assert (before.number, after.number, before.rows, after.rows) == (1, 2, 1, 3)
        assert "+ column note string" in [str(c) for c in found.changes]
        assert found.rows == 2
        with pytest.raises(NotFoundError):
            diff(mesh._workspace.storage, "shop.numbers", 7, None)


def test_rows_that_another_program_added_are_read_and_announced(root: Path) -> None:
    numbers(root, ONE.format(7))
    publish(root)
    foreign_append(root, "shop.numbers", id=[2], value=[8])
    with raymesh.Mesh.load(root) as mesh:
        assert pin(mesh._workspace.storage, "shop.numbers").foreign
    assert rows(root, "shop.numbers") == [(1, 7), (2, 8)]
    assert rows(root, "shop.numbers", 1) == [(1, 7)], "a version is what was published"


def test_a_rollback_takes_back_what_another_program_wrote(root: Path) -> None:
    numbers(root, ONE.format(7))
    publish(root)
    foreign_append(root, "shop.numbers", id=[2], value=[8])
    assert roll_back(root, "shop.numbers", 1).number == 2
    with raymesh.Mesh.load(root) as mesh:
        assert not pin(mesh._workspace.storage, "shop.numbers").foreign
        assert mesh._workspace.tables.scan("shop.numbers").rows == 1
    assert rows(root, "shop.numbers") == [(1, 7)]


def test_a_run_replaces_what_another_program_wrote(root: Path) -> None:
    numbers(root, ONE.format(7))
    publish(root)
    foreign_append(root, "shop.numbers", id=[2], value=[8])
    report = publish(root)["shop.numbers"]
    assert (report.status, report.version) == ("published", 2)
    assert report.reason == "another program changed the table"
    assert rows(root, "shop.numbers") == [(1, 7)]
    assert publish(root)["shop.numbers"].status == "unchanged"


def test_downstream_reads_what_another_program_wrote(root: Path) -> None:
    numbers(root, ONE.format(7))
    write_product(root, "shop.total", {"total": "bigint"}, sql="SELECT sum(value) AS total FROM shop.numbers")
    publish(root)
    foreign_append(root, "shop.numbers", id=[2], value=[8])
    assert publish(root, "shop.total")["shop.total"].status == "published"
    assert rows(root, "shop.total") == [(15,)]
    assert publish(root, "shop.total")["shop.total"].status == "unchanged"


def test_a_product_whose_folder_is_removed_leaves_the_rest_at_work(root: Path) -> None:
    numbers(root, ONE.format(7))
    write_product(root, "shop.other", {"x": "integer"}, sql="SELECT 1 AS x")
    publish(root)
    folder = root / "domains" / "shop" / "products" / "other"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert {p: r.status for p, r in run(root).items()} == {"shop.numbers": "unchanged"}
    assert rows(root, "shop.other") == [(1,)], "what is published is published"

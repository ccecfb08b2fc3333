"""Maintenance: few large files instead of many small ones, old versions gone by policy, nothing a reader needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import raymesh
from lives import (
    ONE,
    current,
    events,
    file_states,
    foreign_append,
    look_after,
    numbers,
    publish,
    roll_back,
    rows,
    rows_of,
    run,
    versions,
    write_rows,
)
from meshes import write_mesh, write_product
from raymesh.actions.maintain import expirable
from raymesh.actions.read import pin
from raymesh.errors import NotFoundError
from raymesh.spec.mesh import SnapshotPolicy

ALL = [(i, 1) for i in range(1, 6)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


@pytest.fixture
def small_files(root: Path, tmp_path: Path) -> Path:
    """`shop.events` after five appends of one row each; returns the folder of its source."""
    folder = tmp_path / "arrivals"
    events(root, folder)
    for i in range(1, 6):
        write_rows(folder / f"{i}.parquet", id=[i], value=[1])
        publish(root)
    return folder


def stored(root: Path, table: str) -> set[str]:
    with raymesh.Mesh.load(root) as mesh:
        return {path for path, _ in mesh._workspace.tables.list_files(table)}


def test_compaction_keeps_rows_and_check_states_in_fewer_files(root: Path, small_files: Path) -> None:
    before = file_states(root, "shop.events")
    (done,) = look_after(root, "shop.events", expiry=False)
    assert (done.compacted_from, done.compacted_to) == (5, 1)
    after = file_states(root, "shop.events")
    assert len(after) == 1
    (state,) = after.values()
    counts = [dict(s["violations"]) for s in before.values()]
    assert counts[0], "the promise about `value` is counted per file"
    assert state["violations"] == {k: sum(c[k] for c in counts) for k in counts[0]}
    assert state["rows"] == 5
    assert rows(root, "shop.events") == ALL
    version = current(root, "shop.events")
    assert (version.number, version.kind, version.of_version, version.rows) == (6, "maintain", 5, 5)
    assert [len(rows(root, "shop.events", n)) for n in range(1, 6)] == [1, 2, 3, 4, 5]


def test_after_compaction_a_run_is_unchanged_and_an_append_appends(root: Path, small_files: Path) -> None:
    write_product(root, "shop.total", {"total": "bigint"}, sql="SELECT sum(value) AS total FROM shop.events")
    publish(root)
    look_after(root, "shop.events")
    assert {r.status for r in publish(root).values()} == {"unchanged"}, "downstream: the rows are the same"
    write_rows(small_files / "6.parquet", id=[6], value=[1])
    assert {r.status for r in publish(root).values()} == {"published"}
    assert len(file_states(root, "shop.events")) == 2
    assert rows(root, "shop.events") == [*ALL, (6, 1)]
    assert rows(root, "shop.total") == [(6,)]


def test_keys_are_judged_after_compaction_as_before(root: Path, small_files: Path) -> None:
    look_after(root, "shop.events")
    write_rows(small_files / "6.parquet", id=[6, 6], value=[1, 1])
    report = run(root)["shop.events"]
    assert report.status == "blocked", report
    assert rows(root, "shop.events") == ALL


@pytest.mark.parametrize("policy", [{"keep": 2}, {"keep": 1}])
def test_versions_beyond_the_policy_expire_with_their_files(root: Path, policy: dict[str, int]) -> None:
    for value in (1, 2, 3, 4):
        numbers(root, ONE.format(value), snapshots=policy)
        publish(root)
    before = stored(root, "shop.numbers")
    (done,) = look_after(root, "shop.numbers")
    kept = policy["keep"]
    assert done.expired_versions == tuple(range(1, 5 - kept))
    assert done.removed_files > 0
    assert len(stored(root, "shop.numbers")) < len(before)
    data = [f for f in stored(root, "shop.numbers") if f.endswith(".parquet")]
    assert len(data) == kept
    assert rows(root, "shop.numbers") == [(1, 4)]
    for number in range(5 - kept, 5):
        assert rows(root, "shop.numbers", number) == [(1, number)]
    with pytest.raises(NotFoundError, match="no readable version 1") as error:
        rows(root, "shop.numbers", 1)
    assert "readable: " + ", ".join(map(str, range(5 - kept, 5))) in (error.value.hint or "")
    with pytest.raises(NotFoundError, match="no readable version 1"):
        roll_back(root, "shop.numbers", 1)
    assert [v.number for v in versions(root, "shop.numbers")] == [1, 2, 3, 4], "the evidence stays"
    with raymesh.Mesh.load(root) as mesh:
        assert not pin(mesh._workspace.storage, "shop.numbers").foreign
    assert publish(root)["shop.numbers"].status == "unchanged"


def test_young_versions_stay(root: Path) -> None:
    for value in (1, 2, 3):
        numbers(root, ONE.format(value), snapshots={"keep": 1, "maxAge": "1h"})
        publish(root)
    (done,) = look_after(root, "shop.numbers")
    assert done.expired_versions == ()
    found = versions(root, "shop.numbers")
    policy = SnapshotPolicy.model_validate({"keep": 1, "maxAge": "1h"})
    later = datetime.now(UTC) + timedelta(hours=2)
    assert [v.number for v in expirable(found, policy, later)] == [2, 1]


def test_a_version_that_a_rollback_serves_keeps_its_snapshot(root: Path) -> None:
    for value in (1, 2, 3):
        numbers(root, ONE.format(value), snapshots={"keep": 1})
        publish(root)
    roll_back(root, "shop.numbers", 1)
    (done,) = look_after(root, "shop.numbers")
    assert done.expired_versions == (2, 3)
    assert rows(root, "shop.numbers") == rows(root, "shop.numbers", 1) == [(1, 1)]


def test_maintaining_twice_does_nothing_the_second_time(root: Path, small_files: Path) -> None:
    events(root, small_files, snapshots={"keep": 2})
    publish(root)
    (first,) = look_after(root, "shop.events")
    assert first.compacted_to or first.expired_versions
    before = stored(root, "shop.events"), current(root, "shop.events")
    (second,) = look_after(root, "shop.events")
    assert second == type(second)("shop.events")
    assert (stored(root, "shop.events"), current(root, "shop.events")) == before


def test_a_dry_run_only_tells(root: Path, small_files: Path) -> None:
    before = stored(root, "shop.events")
    (told,) = look_after(root, "shop.events", dry_run=True)
    assert (told.compacted_from, told.compacted_to) == (5, 1)
    assert stored(root, "shop.events") == before
    assert current(root, "shop.events").number == 5


def test_files_that_nothing_names_are_removed(root: Path, small_files: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        place = mesh._workspace.tables.location("shop.events")
    stray = write_rows(Path(place.removeprefix("file://")) / "left-behind.parquet", id=[1])
    size = stray.stat().st_size
    (done,) = look_after(root, "shop.events", compaction=False, expiry=False)
    assert (done.removed_files, done.removed_bytes) == (1, size)
    assert not stray.exists()
    assert rows(root, "shop.events") == ALL


def test_a_reader_that_pinned_a_retained_version_reads_on(root: Path, small_files: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        old = mesh.read("shop.events", version=3)
        now = mesh.read("shop.events")
        look_after(root, "shop.events")
        write_rows(small_files / "6.parquet", id=[6], value=[1])
        publish(root)
        look_after(root, "shop.events")
        assert sorted(rows_of(old.to_arrow())) == ALL[:3]
        assert sorted(rows_of(now.to_arrow())) == ALL


def test_maintenance_does_not_hide_what_another_program_wrote(root: Path, small_files: Path) -> None:
    events(root, small_files, snapshots={"keep": 1})
    publish(root)
    foreign_append(root, "shop.events", id=[100], value=[1])
    (done,) = look_after(root, "shop.events")
    assert done.compacted_from == 0
    assert done.expired_versions == (1, 2, 3, 4)
    with raymesh.Mesh.load(root) as mesh:
        assert pin(mesh._workspace.storage, "shop.events").foreign
    assert rows(root, "shop.events") == [*ALL, (100, 1)]
    assert publish(root)["shop.events"].reason == "another program changed the table"
    assert rows(root, "shop.events") == ALL


def test_a_product_that_was_never_published_needs_no_maintenance(root: Path) -> None:
    numbers(root, ONE.format(1))
    assert look_after(root, "shop.numbers") == []

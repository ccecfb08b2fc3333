"""Rows that break a promise with `onViolation: quarantine` are set aside; the rest is published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import (
    KEY,
    NEEDED,
    checks,
    current,
    look_after,
    publish,
    rows,
    rows_of,
    run,
    settings_of,
    staged,
    versions,
    write_rows,
)
from meshes import write_mesh, write_product, write_source
from raymesh.actions.ids import new_id
from raymesh.actions.quarantine import Replayed, listing, replay
from raymesh.errors import CommitUnknownError
from raymesh.spi import faults
from raymesh.spi.state import Run

GOOD = "SELECT range::bigint AS id, range::bigint AS value FROM range(20)"
BAD = "SELECT range::bigint AS id, CASE WHEN range % 10 = 3 THEN NULL ELSE range END::bigint AS value FROM range(20)"
ASIDE = "shop.numbers__quarantine"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def numbers(root: Path, sql: str = BAD, columns: dict[str, Any] | None = None, **settings: Any) -> Path:
    given = {"onViolation": "quarantine", **settings}
    return write_product(root, "shop.numbers", columns or {"id": KEY, "value": NEEDED}, sql=sql, **given)


def arrivals(root: Path, columns: dict[str, Any] | None = None, **settings: Any) -> Path:
    """Product `shop.numbers` that appends what arrives in a folder; the folder."""
    folder = root.parent / "arrivals"
    write_source(root, "shop.arrivals", f"{folder}/*.parquet")
    given: dict[str, Any] = {"mode": "append", "incrementalColumn": "id", "quarantineLimit": 1, **settings}
    numbers(root, "SELECT id, value FROM source.arrivals", columns, **given)
    return folder


def held(root: Path) -> dict[str, dict[str, int]]:
    """Rows by rule of every quarantine."""
    with raymesh.Mesh.load(root) as mesh:
        return {h.table: dict(h.rules) for h in listing(mesh._workspace.storage)}


def aside(root: Path, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of the rows set aside, sorted."""
    with raymesh.Mesh.load(root) as mesh:
        return sorted(rows_of(mesh.read(ASIDE).to_arrow().select(list(names))), key=repr)


def replayed(root: Path) -> Replayed:
    from lives import invocation

    with invocation(root, refresh=True) as opened:
        return replay(opened, "shop.numbers")


def test_bad_rows_are_set_aside_and_good_ones_published(root: Path) -> None:
    numbers(root)
    report = publish(root)["shop.numbers"]
    assert (report.rows, report.quarantined) == (18, 2)
    assert [i for i, _ in rows(root, "shop.numbers")] == [i for i in range(20) if i % 10 != 3]
    told = aside(root, "id", "value", "raymesh_rules", "raymesh_reasons", "raymesh_run_id")
    assert told == [(i, None, ["value.required"], ["value is never NULL"], report.run_id) for i in (13, 3)]
    check = checks(root, report.run_id)["value.required"]
    assert (check.status, check.value) == ("warn", 2)
    assert "2 rows set aside" in check.detail["message"]
    assert {s["id"] for s in check.detail["sample"]} == {3, 13}
    assert report.checks["fail"] == 0
    assert held(root) == {ASIDE: {"value.required": 2}}


def test_both_tables_are_versions_of_one_run_and_one_moment(root: Path) -> None:
    numbers(root)
    report = publish(root)["shop.numbers"]
    product, quarantine = current(root, "shop.numbers"), current(root, ASIDE)
    assert product.run_id == quarantine.run_id == report.run_id
    assert product.published_at == quarantine.published_at
    assert (product.number, quarantine.number, quarantine.rows) == (1, 1, 2)
    [(at,)] = set(aside(root, "raymesh_quarantined_at"))
    assert at.tzinfo is not None
    assert abs((product.published_at - at).total_seconds()) < 60
    with raymesh.Mesh.load(root) as mesh:
        tables = mesh._workspace.tables
        assert tables.find_run("shop.numbers", product.run_id) is not None
        found = tables.find_run(ASIDE, product.run_id)
        assert found is not None
        assert found.snapshot_id == quarantine.snapshot_id


def test_nothing_bad_costs_no_table_and_no_rebuild(root: Path) -> None:
    numbers(root, GOOD)
    report = publish(root)["shop.numbers"]
    assert (report.rows, report.quarantined) == (20, 0)
    assert versions(root, "shop.numbers", "quarantine") == []
    assert held(root) == {}
    assert publish(root)["shop.numbers"].status == "unchanged"
    with pytest.raises(raymesh.MeshError, match="quarantine"):
        rows(root, ASIDE)


def test_an_unchanged_product_with_a_quarantine_stays_unchanged(root: Path) -> None:
    numbers(root)
    publish(root)
    assert publish(root)["shop.numbers"].status == "unchanged"
    numbers(root, quarantineLimit=0.5)
    assert publish(root)["shop.numbers"].status == "unchanged", "the limit says nothing about rows"


def test_a_whole_build_replaces_what_is_set_aside_and_empties_it(root: Path) -> None:
    numbers(root)
    publish(root)
    numbers(root, BAD.replace("= 3", "= 4"))
    publish(root)
    assert [i for (i,) in aside(root, "id")] == [14, 4]
    numbers(root, GOOD)
    publish(root)
    assert rows(root, ASIDE) == []
    assert len(rows(root, ASIDE, 1)) == 2
    assert [v.rows for v in versions(root, "shop.numbers", "quarantine")] == [2, 2, 0]
    numbers(root, GOOD.replace("20", "21"))
    publish(root)
    assert len(versions(root, "shop.numbers", "quarantine")) == 3, "an empty one is not emptied again"


def test_a_product_that_gives_up_quarantine_keeps_no_old_rows(root: Path) -> None:
    numbers(root)
    publish(root)
    numbers(root, GOOD, onViolation="fail")
    publish(root)
    assert rows(root, ASIDE) == []


def test_one_rule_sets_aside_while_others_block(root: Path) -> None:
    rule = {
        "name": "small",
        "metric": "invalidValues",
        "arguments": {"validValues": list(range(19))},
        "mustBe": 0,
        "customProperties": settings_of(onViolation="quarantine"),
    }
    value = {**NEEDED, "quality": [rule]}
    numbers(root, GOOD, {"id": KEY, "value": value}, onViolation="fail")
    assert publish(root)["shop.numbers"].rows == 19
    assert held(root) == {ASIDE: {"value.quality.small": 1}}
    numbers(root, BAD, {"id": KEY, "value": value}, onViolation="fail")
    report = run(root)["shop.numbers"]
    assert (report.status, report.failing) == ("blocked", ("value.required",))
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()
    assert current(root, "shop.numbers").number == current(root, ASIDE).number == 1


def test_a_row_names_every_rule_that_it_breaks(root: Path) -> None:
    value = {**NEEDED, "logicalTypeOptions": {"maximum": 15}}
    sql = BAD.replace("ELSE range END", "WHEN range = 19 THEN 99 ELSE range % 10 END")
    other = {**NEEDED, "logicalTypeOptions": {"maximum": 18}}
    numbers(root, sql, {"id": {**other, "primaryKey": True}, "value": value}, quarantineLimit=0.5)
    publish(root)
    assert aside(root, "id", "raymesh_rules") == [
        (13, ["value.required"]),
        (19, ["id.maximum", "value.maximum"]),
        (3, ["value.required"]),
    ]


def test_more_than_the_limit_blocks_and_leaves_nothing(root: Path) -> None:
    numbers(root, BAD.replace("% 10", "% 5"))
    report = run(root)["shop.numbers"]
    assert report.status == "blocked"
    assert "4 of 20 rows of shop.numbers would go to quarantine" in report.reason
    assert "10 percent" in report.reason
    assert report.failing == ("value.required",)
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()
    numbers(root, BAD.replace("% 10", "% 5"), quarantineLimit=0.2)
    assert publish(root)["shop.numbers"].rows == 16


def test_all_rows_may_be_bad_when_the_limit_says_so(root: Path) -> None:
    numbers(root, "SELECT 1::bigint AS id, NULL::bigint AS value", quarantineLimit=1)
    report = publish(root)["shop.numbers"]
    assert (report.rows, report.quarantined) == (0, 1)
    assert rows(root, "shop.numbers") == []
    assert held(root) == {ASIDE: {"value.required": 1}}


def test_keys_and_table_rules_are_judged_on_what_is_published(root: Path) -> None:
    sql = f"{GOOD} UNION ALL SELECT 3, NULL"
    count = {"name": "rows", "metric": "rowCount", "mustBe": 20}
    given = {"id": KEY, "value": NEEDED}
    write_product(root, "shop.numbers", given, sql=sql, quality=[count], onViolation="quarantine")
    report = publish(root)["shop.numbers"]
    found = checks(root, report.run_id)
    assert (found["primaryKey"].status, found["quality.rows"].status) == ("pass", "pass")
    write_product(
        root,
        "shop.numbers",
        given,
        sql=f"{GOOD} WHERE range <> 6 UNION ALL SELECT 5, 5",
        quality=[count],
        onViolation="quarantine",
    )
    report = run(root)["shop.numbers"]
    assert (report.status, report.failing) == ("blocked", ("primaryKey",))
    assert staged(root, ASIDE) == set()


def test_a_share_that_grows_when_rows_go_is_judged_again(root: Path) -> None:
    share = {"name": "few", "metric": "nullValues", "mustBeLessThan": 15, "unit": "percent"}
    columns = {
        "id": {**KEY, "logicalTypeOptions": {"maximum": 9}},
        "value": {"physicalType": "bigint", "quality": [share]},
    }
    sql = "SELECT range::bigint AS id, CASE WHEN range IN (3, 5) THEN NULL ELSE range END::bigint AS value FROM range(20)"
    numbers(root, sql, columns, quarantineLimit=1)
    report = publish(root)["shop.numbers"]
    assert (report.rows, report.quarantined) == (8, 12)
    assert held(root) == {ASIDE: {"id.maximum": 10, "value.quality.few": 2}}
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()


def test_nested_columns_are_set_aside_whole(root: Path) -> None:
    address = {
        "physicalType": "struct(zip varchar, lines varchar[])",
        "logicalType": "object",
        "properties": [
            {"name": "zip", "logicalType": "string", "physicalType": "varchar", "required": True},
            {"name": "lines", "physicalType": "varchar[]", "logicalType": "array"},
        ],
    }
    sql = (
        "SELECT range::bigint AS id, {'zip': CASE WHEN range <> 7 THEN 'x' END, 'lines': ['a', 'b']} AS address, "
        "MAP {'k': range::integer} AS tags FROM range(20)"
    )
    columns = {
        "id": KEY,
        "address": address,
        "tags": {"physicalType": "map(varchar, integer)", "logicalType": "object"},
    }
    columns["tags"].pop("logicalType")
    numbers(root, sql, columns)
    assert publish(root)["shop.numbers"].rows == 19
    [found] = aside(root, "id", "address", "tags", "raymesh_rules")
    assert found == (7, {"zip": None, "lines": ["a", "b"]}, [("k", 7)], ["address.zip.required"])


@pytest.mark.parametrize("layout", [{"sortBy": ["value"]}, {"partitionBy": ["part"]}])
def test_good_rows_keep_the_layout(root: Path, layout: dict[str, Any]) -> None:
    sql = f"SELECT id, value, id % 2 AS part FROM ({BAD})"
    numbers(root, sql, {"id": KEY, "value": NEEDED, "part": "bigint"}, **layout)
    assert publish(root)["shop.numbers"].rows == 18
    with raymesh.Mesh.load(root) as mesh:
        files = mesh._workspace.state.files(current(root, "shop.numbers"))
        values = mesh.read("shop.numbers").to_arrow()["value"].to_pylist()
    assert len(files) == (2 if "partitionBy" in layout else 1)
    assert sorted(values) == values if "sortBy" in layout else len(values) == 18
    assert len(aside(root, "part")) == 2


def test_python_products_set_rows_aside_too(root: Path) -> None:
    python = "import pyarrow as pa\nfrom raymesh import batch\n\n@batch()\ndef transform(rows: pa.Table) -> pa.Table:\n    return rows\n"
    given = {"id": KEY, "value": NEEDED}
    write_product(root, "shop.numbers", given, sql=BAD, python=python, onViolation="quarantine")
    assert publish(root)["shop.numbers"].quarantined == 2


def test_appends_add_to_what_is_set_aside(root: Path) -> None:
    folder = arrivals(root)
    write_rows(folder / "1.parquet", id=[1, 2, 3], value=[1, None, 3])
    publish(root)
    write_rows(folder / "2.parquet", id=[4, 5], value=[4, None])
    report = publish(root)["shop.numbers"]
    assert (report.rows, report.quarantined) == (3, 1)
    assert rows(root, "shop.numbers") == [(1, 1), (3, 3), (4, 4)]
    assert [i for (i,) in aside(root, "id")] == [2, 5]
    assert [v.rows for v in versions(root, "shop.numbers", "quarantine")] == [1, 2]
    assert len(rows(root, ASIDE, 1)) == 1
    assert current(root, "shop.numbers").watermark == 5, "what was set aside is not read again"
    write_rows(folder / "3.parquet", id=[6], value=[6])
    publish(root)
    assert [i for (i,) in aside(root, "id")] == [2, 5]
    assert len(versions(root, "shop.numbers", "quarantine")) == 2


def test_late_rows_that_were_set_aside_are_not_taken_again_but_corrected_ones_are(root: Path) -> None:
    folder = arrivals(root, lookback=5)
    write_rows(folder / "1.parquet", id=[1, 2, 3], value=[1, None, 3])
    publish(root)
    write_rows(folder / "2.parquet", id=[2, 4], value=[22, 4])
    publish(root)
    assert rows(root, "shop.numbers") == [(1, 1), (2, 22), (3, 3), (4, 4)]
    assert aside(root, "id", "value") == [(2, None)]


def test_a_quarantine_that_another_program_changed_is_built_anew(root: Path) -> None:
    from test_product_life import foreign_append

    numbers(root)
    publish(root)
    foreign_append(root, ASIDE, id=[1, 2], value=[1, 2])
    assert len(rows(root, ASIDE)) == 4
    assert publish(root)["shop.numbers"].reason == "another program changed the table"
    assert len(rows(root, ASIDE)) == 2


@pytest.mark.parametrize("point", ["files_synced", "metadata_written", "before_commit"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_between_the_two_tables_leaves_neither(
    root: Path, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    numbers(root)
    publish(root)
    before = rows(root, "shop.numbers"), rows(root, ASIDE)
    numbers(root, BAD.replace("= 3", "= 4"))
    reached = []

    def fail(at: str) -> None:
        if at == point:
            reached.append(at)
            if len(reached) == times:
                raise OSError("the disk is gone")

    monkeypatch.setattr(faults, "observer", fail)
    report = run(root)["shop.numbers"]
    monkeypatch.undo()
    assert report.status == ("failed" if len(reached) >= times else "published")
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()
    if report.status == "failed":
        assert (rows(root, "shop.numbers"), rows(root, ASIDE)) == before
        publish(root)
    assert [i for (i,) in aside(root, "id")] == [14, 4]


def test_maintenance_looks_after_what_is_set_aside(root: Path) -> None:
    folder = arrivals(root)
    for n in range(3):
        write_rows(folder / f"{n}.parquet", id=[2 * n, 2 * n + 1], value=[n, None])
        publish(root)
    found = {m.table: m for m in look_after(root, "shop.numbers")}
    assert (found[ASIDE].compacted_from, found[ASIDE].compacted_to) == (3, 1)
    assert [i for (i,) in aside(root, "id")] == [1, 3, 5]
    assert held(root) == {ASIDE: {"value.required": 3}}
    write_rows(folder / "3.parquet", id=[6, 7], value=[6, None])
    publish(root)
    assert len(aside(root, "id")) == 4


def test_a_replay_publishes_what_passes_now_and_keeps_the_rest(root: Path) -> None:
    narrow = {"id": KEY, "value": {**NEEDED, "logicalTypeOptions": {"maximum": 10}}}
    wide = {"id": KEY, "value": {**NEEDED, "logicalTypeOptions": {"maximum": 100}}}
    folder = arrivals(root, narrow)
    write_rows(folder / "1.parquet", id=[1, 2, 3], value=[1, 50, None])
    first = publish(root)["shop.numbers"]
    before = aside(root, "id", "raymesh_quarantined_at")
    assert replayed(root).advice == "every row still breaks a promise"
    arrivals(root, wide, version="2.0.0")
    found = replayed(root)
    assert (found.rows, found.passed) == (2, 1)
    assert found.report is not None
    assert found.report.status == "published", found.report
    assert rows(root, "shop.numbers") == [(1, 1), (2, 50)]
    assert aside(root, "id", "raymesh_rules", "raymesh_run_id") == [(3, ["value.required"], first.run_id)]
    assert aside(root, "id", "raymesh_quarantined_at") == before[1:], "it stays since when it was"
    product, quarantine = current(root, "shop.numbers"), current(root, ASIDE)
    assert product.run_id == quarantine.run_id == found.report.run_id
    assert product.watermark == 3
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()
    assert run(root)["shop.numbers"].status == "unchanged", "all rows were judged by the contract of today"
    write_rows(folder / "2.parquet", id=[4], value=[4])
    assert publish(root)["shop.numbers"].rows == 3


def test_a_replay_of_everything_empties_the_quarantine(root: Path) -> None:
    folder = arrivals(root)
    write_rows(folder / "1.parquet", id=[1, 2], value=[1, None])
    publish(root)
    arrivals(root, {"id": KEY, "value": "bigint"}, version="2.0.0")
    assert replayed(root).passed == 1
    assert rows(root, "shop.numbers") == [(1, 1), (2, None)]
    assert (rows(root, ASIDE), held(root)) == ([], {})
    assert replayed(root).advice == "nothing is set aside"


def test_a_replay_that_would_double_a_key_is_blocked(root: Path) -> None:
    folder = arrivals(root, lookback=5)
    write_rows(folder / "1.parquet", id=[1, 2], value=[1, None])
    publish(root)
    write_rows(folder / "2.parquet", id=[2], value=[22])
    publish(root)
    arrivals(root, {"id": KEY, "value": "bigint"}, lookback=5, version="2.0.0")
    report = replayed(root).report
    assert report is not None
    assert (report.status, report.failing) == ("blocked", ("primaryKey",))
    assert (rows(root, "shop.numbers"), aside(root, "id")) == ([(1, 1), (2, 22)], [(2,)])
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()


def test_a_whole_product_needs_no_replay(root: Path) -> None:
    numbers(root)
    publish(root)
    found = replayed(root)
    assert found.report is None
    assert "raymesh run --refresh shop.numbers" in found.advice
    numbers(root, columns={"id": KEY, "value": "bigint"}, version="2.0.0")
    publish(root)
    assert len(rows(root, "shop.numbers")) == 20
    assert rows(root, ASIDE) == []


def test_values_of_masked_columns_are_in_no_reason_and_no_sample(root: Path) -> None:
    email = {
        "physicalType": "varchar",
        "logicalType": "string",
        "tags": ["pii.direct.email"],
        "logicalTypeOptions": {"pattern": "^[^@]+@[^@]+$"},
    }
    sql = "SELECT range::bigint AS id, CASE WHEN range = 3 THEN 'hidden' ELSE 'a@b.de' END AS email FROM range(20)"
    numbers(root, sql, {"id": KEY, "email": email})
    report = publish(root)["shop.numbers"]
    assert report.quarantined == 1
    assert "hidden" not in repr(checks(root, report.run_id))
    assert "hidden" not in repr(aside(root, "raymesh_reasons"))
    with raymesh.Mesh.load(root) as mesh:
        state = mesh._workspace.state
        assert "hidden" not in repr(
            [f.state for f in state.files(state.current(["shop.numbers"])["shop.numbers", "quarantine"])]
        )


def test_every_port_has_a_quarantine_of_its_own(root: Path) -> None:
    from test_ports import with_port

    folder = with_port(root, 1)
    bad = "SELECT range::bigint AS id, nullif(range, 3)::bigint AS value FROM range(20)"
    (folder / "transforms" / "old.sql").write_text(bad)
    contract = folder / "contracts" / "old.yaml"
    settings = {"customProperties": settings_of(onViolation="quarantine")}
    contract.write_text(json.dumps(json.loads(contract.read_text()) | settings))
    report = publish(root)["shop.table"]
    assert held(root) == {"shop.table__old__quarantine": {"value.required": 1}}
    quarantine = versions(root, "shop.table", "old__quarantine")
    assert [(v.run_id, v.rows) for v in quarantine] == [(report.run_id, 1)]
    assert rows(root, "shop.table") == [(1, 1)]


def test_what_a_killed_builder_set_aside_is_removed(root: Path) -> None:
    numbers(root)
    publish(root)
    with raymesh.Mesh.load(root) as mesh:
        run_id = new_id()
        workspace = mesh._workspace
        workspace.state.start_run(Run(run_id, run_id, "shop.numbers", "local", datetime.now(UTC)))
        left = Path(workspace.tables.location(ASIDE)) / f"{run_id}-quarantine-1-0.parquet"
    left.write_bytes(b"half")
    assert staged(root, ASIDE) == {str(left)}
    publish(root, refresh=True)
    assert not left.exists()


def test_a_commit_that_was_lost_leaves_neither_table(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers(root)

    def lose(point: str) -> None:
        if point == "before_commit":
            raise CommitUnknownError("the answer was lost")

    monkeypatch.setattr(faults, "observer", lose)
    report = run(root)["shop.numbers"]
    monkeypatch.undo()
    assert report.status == "failed"
    assert "did not take effect" in report.reason
    assert staged(root, "shop.numbers") == staged(root, ASIDE) == set()
    assert publish(root)["shop.numbers"].quarantined == 2

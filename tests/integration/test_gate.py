"""The gate: what a broken promise does to a build, and what stays as evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import KEY, NEEDED, checks, current, publish, rows, run, settings_of, staged
from meshes import write_mesh, write_product

GOOD = "SELECT range AS id, range AS value FROM range(4)"
BAD = "SELECT range AS id, nullif(range, 2) AS value FROM range(4)"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def product(root: Path, sql: str, **more: Any) -> None:
    columns = more.pop("columns", {"id": KEY, "value": NEEDED})
    write_product(root, "shop.gated", columns, sql=sql, **more)


def result(root: Path, run_id: str | None, part: str) -> Any:
    """The one recorded result whose id has `part`."""
    (found,) = [c for c in checks(root, run_id).values() if part in c.check_id]
    return found


def blocked(root: Path) -> Any:
    """The next run is blocked; nothing it staged is left, and what served serves on. The report."""
    with raymesh.Mesh.load(root) as mesh:
        before = mesh._workspace.state.current()
    report = run(root)["shop.gated"]
    assert report.status == "blocked", report
    with raymesh.Mesh.load(root) as mesh:
        assert mesh._workspace.state.current() == before
        kept = [r for r in mesh._workspace.state.runs() if r.run_id == report.run_id]
    assert [r.status for r in kept] == ["blocked"]
    assert kept[0].reason == report.reason
    assert staged(root, "shop.gated") == set()
    return report


def test_a_broken_promise_blocks_and_the_last_good_version_serves(root: Path) -> None:
    product(root, GOOD)
    publish(root)
    product(root, BAD)
    report = blocked(root)
    broken = result(root, report.run_id, "value.required")
    assert (broken.status, broken.value, broken.blocking) == ("fail", 1, True)
    assert report.failing == (broken.check_id,)
    assert broken.check_id in report.reason
    assert broken.detail["sample"][0]["id"] == 2
    assert "contract.yaml" in broken.detail["place"]
    assert rows(root, "shop.gated") == [(i, i) for i in range(4)]
    assert current(root, "shop.gated").number == 1


def test_a_first_build_that_is_blocked_publishes_nothing_and_the_repaired_one_does(root: Path) -> None:
    product(root, BAD)
    blocked(root)
    product(root, GOOD)
    assert publish(root)["shop.gated"].version == 1


def test_a_blocked_run_exits_with_4_and_a_second_one_tries_again(root: Path) -> None:
    product(root, BAD)
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().exit_code == 4
        assert mesh.run().reports[0].status == "blocked"
        assert len(mesh._workspace.state.runs()) == 2


@pytest.mark.parametrize(
    "rule",
    [
        {"severity": "warning"},
        {"severity": "info"},
        {"customProperties": settings_of(onViolation="warn")},
    ],
    ids=["warning", "info", "onViolation"],
)
def test_a_promise_that_only_warns_publishes_with_a_warning(root: Path, rule: dict[str, Any]) -> None:
    quality = [{"name": "few", "metric": "rowCount", "mustBeLessThan": 3, **rule}]
    product(root, GOOD, quality=quality)
    report = publish(root)["shop.gated"]
    assert report.checks["warn"] == 1
    warned = result(root, report.run_id, "few")
    assert (warned.status, warned.value, warned.blocking) == ("warn", 4, False)


def test_the_setting_warn_of_a_product_lets_every_promise_warn(root: Path) -> None:
    product(root, BAD, onViolation="warn")
    report = publish(root)["shop.gated"]
    assert result(root, report.run_id, "value.required").status == "warn"
    assert report.quality_score is not None
    assert report.quality_score < 1


def test_a_score_below_the_minimum_blocks(root: Path) -> None:
    quality = [{"name": "few", "metric": "rowCount", "mustBeLessThan": 3, "severity": "warning"}]
    product(root, GOOD, quality=quality, minimumQuality=0.99)
    report = blocked(root)
    assert "below the minimum 0.99" in report.reason
    assert report.failing == ()
    product(root, GOOD, quality=quality, minimumQuality=0.1)
    score = publish(root)["shop.gated"].quality_score
    assert score is not None
    assert 0.1 <= score < 0.99


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("SELECT count(*) FROM {object} WHERE nonsense = 1", "nonsense"),
        ("SELECT id, value FROM {object}", ""),
        ("SELECT error('no answer')", "no answer"),
        ("SELECT count(*) FROM '/etc/passwd'", ""),
    ],
    ids=["unknown column", "two columns", "raises", "reads files"],
)
def test_a_rule_that_cannot_be_measured_never_publishes(root: Path, query: str, part: str) -> None:
    product(root, GOOD)
    publish(root)
    product(root, GOOD, quality=[{"name": "odd", "type": "sql", "query": query, "mustBe": 0}])
    report = blocked(root)
    odd = result(root, report.run_id, "odd")
    assert odd.status in ("error", "not_executed")
    assert odd.detail["message"]
    assert part in odd.detail["message"]


def test_a_rule_in_words_is_skipped_and_publishes(root: Path) -> None:
    product(root, GOOD, quality=[{"name": "words", "type": "text", "description": "values look plausible"}])
    report = publish(root)["shop.gated"]
    assert report.checks["skip"] == 1
    assert result(root, report.run_id, "words").status == "skip"


def test_a_rule_of_an_engine_that_is_not_there_blocks_and_says_so(root: Path) -> None:
    custom = {"name": "other", "type": "custom", "engine": "other", "implementation": "missing_count(id) = 0"}
    product(root, GOOD, quality=[custom])
    report = blocked(root)
    found = result(root, report.run_id, "other")
    assert found.status == "not_executed"
    assert "other" in found.detail["message"]


def test_a_service_level_is_recorded_and_keeps_nothing_back(root: Path) -> None:
    import json

    product(root, GOOD)
    file = root / "domains/shop/products/gated/contract.yaml"
    contract = json.loads(file.read_text())
    contract["slaProperties"] = [{"property": "latency", "value": 4, "unit": "h"}]
    file.write_text(json.dumps(contract))
    assert publish(root)["shop.gated"].status == "published"


def test_a_contract_that_promises_nothing_keeps_no_gate_and_is_refused(root: Path) -> None:
    product(root, "SELECT 1 AS a, 'x' AS b", columns={})
    report = blocked(root)
    assert report.failing == ("contract.promises",)
    assert result(root, report.run_id, "contract.promises").status == "not_executed"


def test_no_rows_are_published_with_a_warning(root: Path) -> None:
    product(root, GOOD)
    publish(root)
    product(root, GOOD + " WHERE false")
    report = publish(root)["shop.gated"]
    assert (report.version, report.rows) == (2, 0)
    unlike = {i: c.status for i, c in checks(root, report.run_id).items() if c.status != "pass"}
    assert unlike == {"table.rows": "warn"}, "no rows are worth a word"
    with raymesh.Mesh.load(root) as mesh:
        table = mesh.read("shop.gated").to_arrow()
    assert (table.num_rows, table.column_names) == (0, ["id", "value"])
    write_product(root, "shop.copy", {"id": "bigint"}, sql="SELECT id FROM shop.gated")
    assert publish(root)["shop.copy"].rows == 0


def test_no_rows_break_a_promise_of_rows(root: Path) -> None:
    product(root, GOOD + " WHERE false", quality=[{"metric": "rowCount", "mustBeGreaterThan": 0}])
    report = blocked(root)
    assert len(report.failing) == 1


def test_rows_that_do_not_fit_the_promised_type_are_refused_with_the_column(root: Path) -> None:
    product(root, GOOD)
    publish(root)
    product(root, "SELECT range AS id, 'x' || range AS value FROM range(4)")
    report = run(root)["shop.gated"]
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.code, report.error.exit_code) == ("conform", 4)
    assert "'value'" in report.error.message
    assert staged(root, "shop.gated") == set()


def test_downstream_of_a_blocked_product_is_skipped_with_the_reason(root: Path) -> None:
    write_product(root, "shop.copy", {"id": "bigint"}, sql="SELECT id FROM shop.gated")
    product(root, GOOD)
    publish(root)
    product(root, BAD)
    report = run(root)["shop.copy"]
    assert (report.status, report.reason) == ("skipped", "its input shop.gated was blocked")

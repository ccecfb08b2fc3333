"""ls, show, lineage, history: what a person sees."""

from __future__ import annotations

from xml.etree import ElementTree as ET


def test_ls_lists_products_with_versions(cli, built):
    lines = cli("ls").out.splitlines()
    assert lines[0].split()[:3] == ["product", "version", "rows"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["shop.orders", "1", "3"],
        ["shop.large", "1", "2"],
        ["shop.totals", "1", "1"],
    ]
    assert len(cli("ls", "shop.large").out.splitlines()) == 2


def test_ls_says_never_built(cli, shop):
    assert cli("ls").out.count("never built") == 3


def test_show_tells_purpose_columns_and_checks(cli, built):
    out = cli("show", "shop.orders").out
    assert "made from: shop.source.raw_orders" in out or "made from: source.raw_orders" in out
    assert "version 1, 3 rows" in out
    assert "pii.direct.email" in out
    assert "pass    primaryKey" in out
    assert "FAILED" not in out


def test_show_finds_a_run_by_its_first_characters(cli, built):
    run = cli("history", "shop.orders", "--output", "json").json["runs"][0]["run_id"]
    assert f"checks of run {run[:13]}" in cli("show", "shop.orders", "--run", run[:13]).out


def test_lineage_in_every_form(cli, built):
    text = cli("lineage", "shop.large").out
    assert "made from\n└─ shop.orders" in text
    assert "goes into\n└─ shop.totals" in text
    assert "raw_orders" in cli("lineage", "shop.totals", "--hops", "3").out
    column = cli("lineage", "shop.totals", "--column", "amount").out
    assert column.index("shop.large.amount") < column.index("shop.orders.amount")
    assert "shop.totals.amount" in cli("lineage", "shop.orders", "--column", "amount", "--down").out
    assert ET.fromstring(cli("lineage", "shop.large", "--format", "svg").out).tag.endswith("svg")
    assert cli("lineage", "shop.large", "--format", "mermaid").out.startswith(("flowchart", "graph"))


def test_lineage_needs_no_storage(cli, shop):
    assert cli("lineage", "shop.large").code == 0
    assert not (shop / ".raymesh").exists()


def test_history_lists_versions_then_runs(cli, built):
    out = cli("history", "shop.orders").out
    versions, runs = out.split("\n\n")
    assert "publish" in versions
    assert "first build" in runs

"""plan and run: what is told, on which stream, with which exit code."""

from __future__ import annotations

import json

import pytest

from meshes import write_product, write_source
from shops import promise


def statuses(answer):
    return {p["product"]: p["status"] for p in answer.json["products"]}


def test_a_first_run_publishes_everything_and_a_second_nothing(cli, shop):
    planned = cli("plan")
    assert planned.code == 0
    assert "3 to build, 0 unchanged" in planned.out
    first = cli("run")
    assert first.code == 0
    assert "3 published in" in first.out
    assert "✓ shop.totals: 1 rows, version 1" in first.err
    assert "next: raymesh read shop.totals" in first.err
    second = cli("run")
    assert second.code == 0
    assert "3 unchanged in" in second.out
    assert "0 to build, 3 unchanged" in cli("plan").out


def test_a_selection_builds_only_what_it_names(cli, shop):
    assert statuses(cli("run", "+shop.large", "--output", "json", "--quiet")) == {
        "shop.orders": "published",
        "shop.large": "published",
    }


def test_a_blocked_product_ends_with_4_and_show_says_which_promise_broke(cli, shop):
    cli("run", "--quiet")
    promise(shop, logicalTypeOptions={"maximum": 4})
    answer = cli("run")
    assert answer.code == 4
    assert "1 blocking check did not pass: amount.maximum" in answer.out
    assert "next: raymesh show shop.large" in answer.err
    assert "skipped, its input shop.large was blocked" in answer.err
    shown = cli("show", "shop.large")
    assert shown.code == 0
    assert "version 1" in shown.out
    assert "FAILED amount.maximum (blocks publishing)" in shown.out
    assert "amount is at most 4: 1 of 2 rows, must be 0" in shown.out
    assert "measured: 1; promised: must be 0" in shown.out
    assert "--> domains/shop/products/large/contract.yaml:" in shown.out
    assert "amount=4.5" in shown.out
    assert "readers still get version 1" in shown.err
    assert cli("read", "shop.large", "--format", "csv").out.splitlines()[1:] == ["2,3.5", "3,4.5"]


def test_a_failed_product_ends_with_1_and_shows_its_own_traceback(cli, shop):
    code = "from raymesh import product\n\n@product(inputs={'o': 'shop.orders'})\ndef transform(o):\n    raise ValueError('no \\x1b[31mluck')\n"
    write_product(shop, "shop.odd", {"id": "bigint"}, python=code)
    answer = cli("run", "+shop.odd")
    assert answer.code == 1
    assert "error[transform]" in answer.err
    assert "transform.py" in answer.err
    assert "\x1b" not in answer.err + answer.out
    assert "next: repair it, then raymesh run shop.odd+" in answer.err
    shown = cli("show", "shop.odd").out
    assert "never published" in shown
    assert "last run" in shown
    assert "no \\x1b[31mluck" in shown


def test_invalid_documents_end_with_3_before_anything_is_built(cli, shop):
    (shop / "domains/shop/products/large/transform.sql").write_text("SELEC id FROM shop.orders")
    answer = cli("run")
    assert (answer.code, answer.out) == (3, "")
    assert "domains/shop/products/large/transform.sql:1:" in answer.err
    assert not (shop / ".raymesh").exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", "shop.lrge"), 1, "did you mean `shop.large`?"),
        (("run", "+"), 2, "is no selection"),
        (("run", "domain:shp"), 1, "did you mean `shop`?"),
        (("run", "tag:pi"), 1, "did you mean `pii`?"),
        (("run", "stat:changed"), 2, "did you mean `state`?"),
        (("run", "--jobs", "0"), 2, "--jobs"),
        (("run", "--engine", "spark"), 2, "spark"),
        (("plan", "shop.lrge"), 1, "did you mean `shop.large`?"),
    ],
)
def test_a_selection_that_names_nothing_asks_what_was_meant(cli, shop, words, code, told):
    answer = cli(*words)
    assert answer.code == code
    assert told in answer.err
    assert answer.out == ""


def test_plan_says_what_keeps_a_product_from_being_built(cli, shop):
    answer = cli("plan", "shop.large")
    assert answer.code == 0
    assert "1 cannot be built" in answer.out
    assert "raymesh run +shop.large builds what it needs first" in answer.err
    write_source(shop, "shop.raw_orders", "gone.csv", "csv")
    answer = cli("plan")
    assert "no files at gone.csv" in answer.err
    assert answer.code == 0


def test_an_input_that_was_never_published_fails_with_the_way_out(cli, shop):
    answer = cli("run", "shop.large")
    assert answer.code == 1
    assert "raymesh run +shop.large builds what it needs first" in answer.err


def test_quiet_says_only_the_result(cli, shop):
    answer = cli("run", "shop.orders", "--quiet", "--output", "json")
    assert answer.err == ""
    assert statuses(answer) == {"shop.orders": "published"}


def test_refresh_rebuilds_what_is_unchanged(cli, shop):
    cli("run", "shop.orders", "--quiet")
    answer = cli("run", "shop.orders", "--refresh", "--output", "json")
    assert [(p["version"], p["reason"]) for p in answer.json["products"]] == [(2, "refresh asked for")]


def test_a_mesh_without_products_runs_and_says_what_to_do(cli, empty):
    cli("init", "--name", "nothing")
    answer = cli("run")
    assert answer.code == 0
    assert "nothing to do" in answer.out
    assert "raymesh new product" in answer.err
    assert "no products yet" in cli("ls").err


def test_versions_come_back_and_go(cli, shop):
    cli("run", "--quiet")
    assert "has only one version" in cli("diff", "shop.orders").err
    (shop / "orders.csv").write_text("id,amount,email,day\n9,9.5,,2024-01-09\n", encoding="utf-8")
    assert cli("run", "--quiet").code == 0
    changed = cli("diff", "shop.orders")
    assert "version 1 → 2" in changed.out
    assert "rows  3 → 1 (-2)" in changed.out
    back = cli("rollback", "shop.orders", "--to", "1")
    assert back.code == 0
    assert "serves version 3, the rows of version 1 (3 rows)" in back.out
    assert "next: " in back.err
    history = cli("history", "shop.orders").out
    assert "rollback to 1" in history
    assert len(cli("read", "shop.orders", "--format", "csv").out.splitlines()) == 4
    assert len(cli("read", "shop.orders", "--version", "2", "--format", "csv").out.splitlines()) == 2
    missing = cli("rollback", "shop.orders", "--to", "7")
    assert missing.code == 1
    assert "readable: " in missing.err
    assert cli("rollback", "shop.orders").code == 2
    plain = cli("maintain", "--dry-run", "shop.orders")
    assert plain.code == 0
    assert cli("maintain", "--output", "json").json["schema"] == "raymesh/maintain/1"
    assert json.loads(cli("rollback", "shop.orders", "--to", "2", "--output", "json").out)["version"] >= 4

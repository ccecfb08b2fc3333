"""`raymesh quarantine`, and where other verbs mention it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli_documents import conforms

from meshes import write_product
from shops import Cli, write_shop

ALSO = {"id": "bigint", "amount": {"physicalType": "double", "logicalType": "number"}}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built shop in the working directory, whose shop.large has set one of its two rows aside."""
    root = write_shop(tmp_path)
    small = {**ALSO, "amount": {**ALSO["amount"], "logicalTypeOptions": {"maximum": 4}}}  # type: ignore[dict-item]
    sql = "SELECT id, amount FROM shop.orders WHERE amount > 3"
    write_product(root, "shop.large", small, sql=sql, onViolation="quarantine", quarantineLimit=0.5)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def built(shop: Path, cli: Cli) -> Path:
    assert cli("run").code == 0
    return shop


def test_a_run_says_what_to_type_to_see_rows_set_aside(shop: Path, cli: Cli) -> None:
    answer = cli("run")
    assert answer.code == 0
    assert "raymesh quarantine show shop.large" in answer.err
    shown = cli("run", "--refresh", "--output", "json").json
    assert {p["product"]: p["quarantined"] for p in shown["products"]} == {
        "shop.orders": 0,
        "shop.large": 1,
        "shop.totals": 0,
    }


def test_show_tells_of_the_quarantine(built: Path, cli: Cli) -> None:
    answer = cli("show", "shop.large")
    assert "quarantine: 1 rows set aside; raymesh quarantine show shop.large" in answer.out
    assert "amount.maximum" in answer.out
    assert "1 row set aside" in answer.out
    assert cli("show", "shop.large", "--output", "json").json["quarantined"] == 1
    assert "quarantine" not in cli("show", "shop.orders").out


def test_ls_lists_rows_and_rules(built: Path, cli: Cli) -> None:
    answer = cli("quarantine", "ls")
    assert answer.code == 0
    header, line = answer.out.splitlines()
    assert header.split() == ["product", "rows", "rules", "since"]
    assert line.split()[:4] == ["shop.large", "1", "amount.maximum", "(1)"]
    document = cli("quarantine", "ls", "--output", "json").json
    conforms(document)
    assert document["schema"] == "raymesh/quarantine-ls/1"
    [held] = document["quarantines"]
    assert (held["table"], held["rules"]) == ("shop.large__quarantine", {"amount.maximum": 1})


def test_ls_says_when_nothing_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    monkeypatch.chdir(write_shop(tmp_path))
    answer = cli("quarantine", "ls")
    assert (answer.code, answer.out) == (0, "")
    assert "no rows are set aside" in answer.err


def test_show_prints_rows_and_reasons(built: Path, cli: Cli) -> None:
    answer = cli("quarantine", "show", "shop.large")
    assert answer.code == 0
    assert "4.5" in answer.out
    assert "amount.maximum" in answer.out
    document = cli("quarantine", "show", "shop.large", "--rule", "amount.maximum", "--output", "json").json
    conforms(document)
    assert [r["id"] for r in document["rows"]] == [3]
    other = cli("quarantine", "show", "shop.large", "--rule", "id.required", "--output", "json").json
    assert (other["rows"], other["total"]) == ([], 1)


@pytest.mark.parametrize("name", ["shop.orders", "shop.large__quarantine"])
def test_show_of_a_product_that_never_set_rows_aside_is_an_error(built: Path, cli: Cli, name: str) -> None:
    answer = cli("quarantine", "show", name)
    assert answer.code == 1
    assert "set aside" in answer.err


def test_show_of_an_unknown_product_names_close_ones(built: Path, cli: Cli) -> None:
    assert "shop.large" in cli("quarantine", "show", "shop.lage").err


def test_replay_of_a_whole_product_says_what_does_it(built: Path, cli: Cli) -> None:
    answer = cli("quarantine", "replay", "shop.large")
    assert answer.code == 0
    assert "raymesh run --refresh shop.large" in answer.out
    document = cli("quarantine", "replay", "shop.large", "--output", "json").json
    conforms(document)
    assert (document["rows"], document["passed"], document["status"]) == (1, 0, None)


def test_replay_publishes_what_passes_now(shop: Path, cli: Cli) -> None:
    growing = {"mode": "append", "incrementalColumn": "id", "onViolation": "quarantine", "quarantineLimit": 1}
    sql = "SELECT id, amount FROM shop.orders"
    for maximum, version in ((3, "1.0.0"), (4, "2.0.0")):
        columns = {**ALSO, "amount": {**ALSO["amount"], "logicalTypeOptions": {"maximum": maximum}}}  # type: ignore[dict-item]
        write_product(shop, "shop.large", columns, sql=sql, version=version, **growing)
        if version == "1.0.0":
            assert cli("run", "+shop.large").code == 0
    document = cli("quarantine", "replay", "shop.large", "--output", "json").json
    conforms(document)
    assert (document["rows"], document["passed"], document["status"]) == (2, 1, "published")
    assert cli("read", "shop.large", "--format", "csv").out.splitlines()[1:] == ["1,2.5", "2,3.5"]
    answer = cli("quarantine", "replay", "shop.large")
    assert (answer.code, answer.out.strip()) == (0, "shop.large: every row still breaks a promise")


def test_the_quarantine_is_read_and_queried_like_a_port(built: Path, cli: Cli) -> None:
    assert "4.5" in cli("read", "shop.large__quarantine").out
    answer = cli("sql", "SELECT unnest(raymesh_rules) AS rule FROM shop.large__quarantine")
    assert "amount.maximum" in answer.out

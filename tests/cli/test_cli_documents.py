"""`--output json`: one document per call, with exactly the keys raymesh.cli.documents declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from meshes import write_product
from raymesh.cli.documents import DOCUMENTS
from shops import promise


def paths(value: Any, keys: dict[str, str], at: str = "") -> Iterator[str]:
    """The declared paths a document uses, and what it says that nobody declared, as it stands."""
    if f"{at}.*" in keys:
        yield f"{at}.*"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, keys, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        if not value:
            yield from (k for k in keys if k.startswith(f"{at}[]"))
        for item in value:
            yield from paths(item, keys, f"{at}[]")
    elif value is None and at not in keys:
        yield from (k for k in keys if k.startswith(f"{at}."))  # an object that is not there this time
    else:
        yield at


def conforms(document: Any, *, optional: tuple[str, ...] = ()) -> None:
    name = document["schema"].removeprefix("raymesh/")
    keys = DOCUMENTS[name]
    found = set(paths({k: v for k, v in document.items() if k != "schema"}, keys))
    assert found <= keys.keys(), found - keys.keys()
    missing = {k for k in keys.keys() - found if not any(re.fullmatch(o, k) for o in optional)}
    assert not missing


LOOKS = [
    ("ls",),
    ("show", "shop.large"),
    ("history", "shop.large"),
    ("plan",),
    ("validate",),
    ("check", "shop.large"),
    ("doctor",),
    ("infer", "shop.raw_orders"),
    ("read", "shop.orders"),
    ("sql", "select * from shop.totals"),
]


@pytest.mark.parametrize("words", LOOKS, ids=lambda words: words[0])
def test_looking_is_one_declared_document(cli, built, words):
    answer = cli(*words, "--output", "json")
    assert answer.code == 0
    assert answer.json["schema"] == f"raymesh/{words[0]}/1"
    conforms(answer.json)


def test_lineage_has_a_product_form_and_a_column_form(cli, built):
    product = cli("lineage", "shop.large", "--output", "json").json
    column = cli("lineage", "shop.large", "--column", "amount", "--format", "json").json
    both = set(product) | set(column)
    conforms(product, optional=(r"table|column|direction|edges\[\]\.(table|column|source_column|kind)",))
    conforms(column, optional=(r"product|hops|nodes.*|edges\[\]\.target",))
    assert both == {
        "schema",
        "product",
        "hops",
        "nodes",
        "edges",
        "table",
        "column",
        "direction",
    }


def test_a_run_of_every_outcome_is_one_declared_document(cli, shop):
    promise(shop, logicalTypeOptions={"maximum": 4})
    write_product(
        shop, "shop.broken", {"id": "bigint"}, sql="SELECT error('no')::bigint AS id FROM shop.orders"
    )
    answer = cli("run", "--output", "json")
    assert answer.code == 1
    conforms(answer.json)
    found = {p["product"]: p for p in answer.json["products"]}
    assert {n: p["status"] for n, p in found.items()} == {
        "shop.orders": "published",
        "shop.large": "blocked",
        "shop.totals": "skipped",
        "shop.broken": "failed",
    }
    assert found["shop.large"]["failing"] == ["amount.maximum"]
    assert found["shop.large"]["checks"]["fail"] == 1
    assert found["shop.broken"]["error"]["code"] == "transform"
    assert all(list(p) == list(found["shop.orders"]) for p in found.values())
    for name in ("shop.large", "shop.broken", "shop.totals"):
        conforms(cli("show", name, "--output", "json").json)
    conforms(cli("history", "shop.broken", "--output", "json").json)
    assert cli("show", "shop.broken", "--output", "json").json["last_run"]["status"] == "failed"


def test_changing_verbs_answer_with_declared_documents(cli, shop):
    conforms(cli("new", "domain", "finance", "--output", "json").json)
    cli("run", "--quiet")
    (shop / "orders.csv").write_text("id,amount,email,day\n9,9.5,,2024-01-09\n", encoding="utf-8")
    promise(shop, description="In euro.")
    cli("run", "--quiet")
    conforms(cli("diff", "shop.large", "--output", "json").json)
    conforms(cli("rollback", "shop.orders", "--to", "1", "--output", "json").json)
    conforms(cli("maintain", "--dry-run", "--output", "json").json)


def test_an_error_is_a_document_too(cli, shop):
    answer = cli("read", "shop.ordrs", "--output", "json")
    assert answer.code == answer.json["exit_code"] == 1
    conforms(answer.json, optional=(r"diagnostics.*",))
    assert answer.json["hint"] == "did you mean `shop.orders`?"
    assert "error[not-found]" in answer.err
    contract = shop / "domains/shop/products/large/contract.yaml"
    contract.write_text(json.dumps({**json.loads(contract.read_text()), "naem": "x"}))
    for words in (("run",), ("ls",), ("plan",)):
        answer = cli(*words, "--output", "json")
        assert (answer.code, answer.json["code"]) == (3, "documents-invalid")
        assert answer.json["diagnostics"][0]["code"] == "unknown-key"
        conforms(answer.json)
    answer = cli("validate", "--output", "json")
    assert (answer.code, answer.json["valid"]) == (3, False)
    conforms(answer.json)


def test_every_verb_that_answers_has_a_declared_document():
    import click

    from raymesh.cli.app import VERBS, cli

    context = click.Context(cli)
    commands = {name: command for name in VERBS if (command := cli.get_command(context, name)) is not None}
    for name, command in list(commands.items()):
        if isinstance(command, click.Group) and name != "new":  # all kinds of new documents answer alike
            commands |= {f"{name}-{part}": below for part, below in command.commands.items()}
    with_json = {
        name for name, command in commands.items() if any(p.name == "output" for p in command.params)
    }
    acts = ("request", "approve", "deny", "revoke", "renew")  # each answers with the agreement
    same = {"demo": "run", "init": "new", **{f"access-{act}": "access" for act in acts}}
    always = {"new/1", "error/1", "audit-prove/1", "audit-growth/1"}  # a proof is a document, never a table
    assert {f"{same.get(name, name)}/1" for name in with_json} | always == DOCUMENTS.keys()

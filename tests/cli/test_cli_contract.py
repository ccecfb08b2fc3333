"""contract diff, the contract in plan, and infer --update, as users see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_cli_documents import conforms

from meshes import write_product
from shops import ORDERS

CONTRACT = "domains/shop/products/orders/contract.yaml"
NEXT = {
    "id": ORDERS["id"],
    "amount": {**ORDERS["amount"], "logicalTypeOptions": {"minimum": 0}, "description": "Euro, net."},
    "day": "date",
}


def rewrite(root: Path, version: str = "1.0.0", columns: dict[str, Any] | None = None) -> None:
    write_product(root, "shop.orders", columns or NEXT, version=version, source="raw_orders")


def test_what_breaks_comes_first_with_its_readers(cli, shop):
    assert cli("run", "--quiet").code == 0
    rewrite(shop, columns={k: v for k, v in NEXT.items() if k != "amount"})
    answer = cli("contract", "diff", "shop.orders@1", "shop.orders")
    assert answer.code == 0
    assert answer.out == (
        "shop.orders@1 → shop.orders\n"
        "  contract 1.0.0: major, 2 of 2 changes breaking\n"
        "  breaking (major)\n"
        "    - amount (double) is gone; who reads it fails\n"
        "        read by shop.large\n"
        "    - email (string) is gone; who reads it fails\n"
        "  readers of the product: shop.large\n"
        "  a new major version is needed: 2.0.0\n"
    )
    assert cli("contract", "diff", "shop.orders").out == answer.out, "published against documents, by default"


def test_files_are_compared_without_a_mesh(cli, shop, tmp_path, monkeypatch):
    old = (shop / CONTRACT).read_text()
    rewrite(shop, "2.0.0")
    for name, text in (("old.yaml", old), ("new.yaml", (shop / CONTRACT).read_text())):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    answer = cli("contract", "diff", "old.yaml", "new.yaml")
    assert answer.out == (
        "old.yaml → new.yaml\n"
        "  contract 1.0.0 → 2.0.0: major, 1 of 3 changes breaking\n"
        "  breaking (major)\n"
        "    - email (string) is gone; who reads it fails\n"
        "  worth knowing (minor)\n"
        "    + values of amount keep narrower limits (minimum not said → 0)\n"
        "  wording (patch)\n"
        "    ~ description of amount changed (Euro. → Euro, net.)\n"
    )
    same = cli("contract", "diff", "old.yaml", "old.yaml")
    assert (same.code, same.out) == (0, "old.yaml → old.yaml\n  contract 1.0.0: no difference\n")
    standard = cli("contract", "diff", "old.yaml", "new.yaml", "--output", "omds")
    assert "kind: MetadataDifference" in standard.out
    assert "  major: 1\n  minor: 1\n  patch: 1\n" in standard.out
    assert "Euro" not in standard.out
    assert "Euro" in cli("contract", "diff", "old.yaml", "new.yaml", "--output", "omds", "--values").out
    assert cli("contract", "diff", "old.yaml", "new.yaml", "--values").code == 2


def test_the_json_document_is_declared(cli, built):
    document = cli("contract", "diff", "shop.orders@1", "shop.large", "--output", "json").json
    conforms(document)
    assert (document["grade"], document["suggested_version"]) == ("major", "2.0.0")
    gone = next(c for c in document["changes"] if c["column"] == "email")
    assert (gone["consumer"], gone["producer"], gone["direction"]) == ("loses", "gains", "loosens")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("shop.orders@9", "shop.orders"), 1, "no version 9"),
        (("shop.orders@x", "shop.orders"), 2, "x is no version number"),
        (("shop.ordrs", "shop.orders"), 1, "there is no product `shop.ordrs`"),
        (("shop.orders@1",), 2, "be compared with"),
        (("nothing.yaml", "shop.orders"), 1, "there is no file nothing.yaml"),
        (("mesh.yaml", "shop.orders"), 3, "mesh.yaml"),
    ],
)
def test_what_cannot_be_compared_is_said(cli, built, words, code, said):
    answer = cli("contract", "diff", *words)
    assert answer.code == code
    assert said in answer.err


def test_plan_shows_changes_and_refuses_what_breaks(cli, shop):
    assert cli("run", "--quiet").code == 0
    rewrite(shop, columns={**ORDERS, "note": "varchar"})
    assert "shop.orders: contract 1.0.0: minor, 1 change\n" in cli("plan").out
    rewrite(shop)
    answer = cli("plan")
    assert "shop.orders: contract 1.0.0: major, 1 of 3 changes breaking" in answer.out
    assert "1 cannot be built" in answer.out
    assert "error[breaking-change]: shop.orders: 1 change breaks readers of version 1" in answer.err
    assert f"--> {CONTRACT}:" in answer.err
    assert "2.0.0" in answer.err
    conforms(cli("plan", "--output", "json").json)
    rewrite(shop, "2.0.0")
    announced = cli("plan")
    assert "contract 1.0.0 → 2.0.0: major" in announced.out
    assert "breaking-change" not in announced.err


def test_a_changed_source_names_the_command_that_proposes_the_next_contract(cli, shop):
    assert cli("run", "--quiet").code == 0
    (shop / "orders.csv").write_text(
        "id,amount,day,note\n" + "".join(f"{n},{n}.5,2024-01-01,x{n}\n" for n in range(80)), encoding="utf-8"
    )
    answer = cli("run", "shop.orders")
    assert answer.code == 1
    assert "column 'email' is promised but the source does not have it" in answer.err
    assert "column 'note' of the source is not in the contract" in answer.err
    assert "raymesh infer --update shop.orders" in answer.err

    proposed = cli("infer", "--update", "shop.orders", "--to", "next.yaml")
    assert proposed.code == 0, proposed
    assert "email is gone from the source" in proposed.err
    assert "note is new in the source (varchar)" in proposed.err
    assert "contract 1.0.0 → 2.0.0: major, 1 of 2 changes breaking" in proposed.err
    assert cli("contract", "diff", "shop.orders", "next.yaml").out.count("\n") > 3
    text = (shop / "next.yaml").read_text()
    assert "description: Euro." in text
    assert "version: 2.0.0" in text
    (shop / CONTRACT).write_text(text)
    product = shop / "domains/shop/products/orders/product.yaml"
    product.write_text(product.read_text().replace("1.0.0", "2.0.0"))
    assert cli("run", "shop.orders", "--quiet").code == 0
    again = cli("infer", "--update", "shop.orders", "--output", "json")
    assert again.json["update"]["changes"] == []
    assert "nothing to change" in again.err
    conforms(again.json)


def test_only_products_without_a_transform_follow_a_source(cli, built):
    answer = cli("infer", "--update", "shop.large")
    assert answer.code == 2
    assert "is made by a transform" in answer.err
    assert cli("infer", "--update", "--id", "x", "shop.orders").code == 2


def test_contracts_are_json_as_well_as_yaml(cli, shop):
    document = json.loads((shop / CONTRACT).read_text())
    document["schema"][0]["properties"][1]["required"] = True
    (shop / "other.yaml").write_text(json.dumps(document))
    assert "amount is never NULL any more" in cli("contract", "diff", CONTRACT, "other.yaml").out

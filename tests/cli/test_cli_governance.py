"""classify, facts and governance report on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli_documents import conforms

from meshes import write_product, write_source
from shops import Cli

COMMENTED = """\
apiVersion: v3.2.0
kind: DataContract
id: shop.people
version: 1.0.0
schema:
  - name: people
    properties:
      # who it is
      - name: id          # a number
        physicalType: bigint
      - {name: mail, physicalType: varchar}   # how to write to them
      - name: phone
        physicalType: varchar
        tags: [restricted]  # careful
"""


@pytest.fixture
def people(shop: Path) -> Path:
    """shop.people with e-mail addresses and telephone numbers, published."""
    rows = "\n".join(f"{n},p{n}@example.com,+49 30 {n:07d}" for n in range(100))
    (shop / "people.csv").write_text(f"id,mail,phone\n{rows}\n", encoding="utf-8")
    write_source(shop, "shop.raw_people", "people.csv", "csv")
    folder = write_product(shop, "shop.people", {"id": "bigint", "mail": "varchar"}, source="raw_people")
    (folder / "contract.yaml").write_text(COMMENTED, encoding="utf-8")
    return shop


def test_a_proposal_shows_evidence_and_no_value(cli: Cli, people: Path) -> None:
    assert cli("run", "shop.people").code == 0
    answer = cli("classify", "shop.people")
    assert "pii.direct.email" in answer.out
    assert "100% of 100 different values are e-mail addresses" in answer.out
    assert "@example.com" not in answer.out + answer.err
    assert "2 columns not classified" in answer.err


def test_proposals_as_a_document(cli: Cli, people: Path) -> None:
    cli("run", "shop.people")
    answer = cli("classify", "shop.people", "--output", "json")
    conforms(answer.json, optional=(r"(open|acts)\[\].*",))
    found = {c["column"]: [p["tag"] for p in c["proposed"]] for c in answer.json["columns"]}
    assert found == {"id": [], "mail": ["pii.direct.email"], "phone": ["pii.direct.phone"]}


def test_confirming_classifies(cli: Cli, people: Path) -> None:
    cli("run", "shop.people")
    answer = cli(
        "classify", "shop.people", "--confirm", "--column", "mail", "--as", "anna", "--output", "json"
    )
    conforms(answer.json, optional=(r"open\[\].*",))
    assert [(a["column"], a["tags"], a["actor"]) for a in answer.json["acts"]] == [
        ("mail", ["pii.direct.email"], "anna")
    ]
    now = {
        c["column"]: c["classified"]
        for c in cli("classify", "shop.people", "--output", "json").json["columns"]
    }
    assert now == {"id": False, "mail": True, "phone": True}
    cli("classify", "shop.people", "--tag", "id=", "--as", "anna")
    assert "not classified" not in cli("classify", "shop.people").err


def test_writing_adds_tags_and_keeps_every_comment(cli: Cli, people: Path) -> None:
    cli("run", "shop.people")
    assert cli("classify", "shop.people", "--write").code == 0
    file = people / "domains/shop/products/people/contract.yaml"
    expected = COMMENTED.replace(
        "physicalType: varchar}", "tags: [pii.direct.email], physicalType: varchar}", 1
    )
    expected = expected.replace("tags: [restricted]", "tags: [restricted, pii.direct.phone]")
    assert file.read_text() == expected
    assert cli("validate").code == 0


def test_a_column_that_begins_a_block_gets_a_line(cli: Cli, people: Path) -> None:
    file = people / "domains/shop/products/people/contract.yaml"
    block = COMMENTED.replace(
        "- {name: mail, physicalType: varchar}   # how", "- name: mail   # how"
    ).replace("to them\n", "to them\n        physicalType: varchar\n")
    file.write_text(block, encoding="utf-8")
    cli("run", "shop.people")
    assert cli("classify", "shop.people", "--write", "--column", "mail").code == 0
    assert "- name: mail   # how to write to them\n        tags: [pii.direct.email]\n" in file.read_text()


def test_two_ways_at_once_are_refused(cli: Cli, people: Path) -> None:
    assert cli("classify", "shop.people", "--confirm", "--write").code == 2


def test_taking_a_tag_away_is_asked_and_answered(cli: Cli, people: Path) -> None:
    cli("run", "shop.people")
    cli("classify", "shop.people", "--confirm", "--as", "anna")
    words = ("classify", "shop.people", "--declassify", "mail", "--as", "anna")
    assert cli(*words).code == 2, "without a reason"
    asked = cli(*words, "--reason", "test data", "--output", "json").json["acts"][0]
    assert f"proposal {asked['id']}: anna wants pii.direct.email" in cli("classify", "shop.people").err
    assert cli("classify", "shop.people", "--agree", str(asked["id"]), "--as", "anna").code == 4
    answer = cli("classify", "shop.people", "--agree", str(asked["id"]), "--as", "ben", "--output", "json")
    conforms(answer.json, optional=(r"open\[\].*",))
    tags = {
        c["column"]: c["tags"] for c in cli("classify", "shop.people", "--output", "json").json["columns"]
    }
    assert tags["mail"] == []
    assert cli("classify", "shop.people", "--refuse", str(asked["id"]), "--as", "ben").code == 1


def test_facts_as_documents(cli: Cli, people: Path) -> None:
    listed = cli("facts", "--output", "json")
    conforms(listed.json, optional=(r"(rows|columns)\[\].*",))
    assert "versions" in {t["table"] for t in listed.json["tables"]}
    answer = cli("facts", "select product from products", "--output", "json")
    conforms(answer.json, optional=(r"facts_version|tables\[\].*",))
    assert len(answer.json["rows"]) == 4


def test_the_report_as_a_document(cli: Cli, people: Path) -> None:
    said = {"rule": "gdpr-records", "products": ["shop.*"], "reason": "r", "approvedBy": ["a", "b"]}
    document = {
        "apiVersion": "raymesh/v1",
        "kind": "Standards",
        "version": "3",
        "security": {"piiProtection": True},
        "compliance": {"gdprCompliance": True},
        "rules": {
            "gdpr-purpose": {
                "lifecycle": "grace until 2099-01-01",
                "scope": {"domains": ["shop"], "products": ["shop.*"], "tags": ["pii"]},
            }
        },
        "exceptions": [{**said, "expires": "2099-01-01"}],
    }
    (people / "governance").mkdir()
    (people / "governance/standards.yaml").write_text(json.dumps(document))
    answer = cli("governance", "report", "--output", "json")
    assert answer.code == 4
    conforms(answer.json)
    states = {r["rule"]: r["state"] for r in answer.json["rules"]}
    assert (states["gdpr-records"], states["pii-protection"]) == ("excepted", "broken")
    text = cli("governance", "report")
    assert "excepted until 2099-01-01" in text.out
    assert "never" not in text.err

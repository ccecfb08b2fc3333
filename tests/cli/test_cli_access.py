"""`raymesh access`, `audit`, `token` and `bundle` as people use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from test_cli_documents import conforms

from raymesh.cli.app import VERBS
from shops import Cli

USERS = [
    {"name": "anna", "groups": ["analysts"], "purposes": ["reporting"]},
    {"name": "bea", "groups": ["shop-team"]},
    {"name": "carl", "groups": ["shop-team"]},
]


def governed(root: Path) -> None:
    (root / "governance").mkdir()
    users = {"apiVersion": "raymesh/v1", "kind": "Users", "users": USERS}
    (root / "governance/users.yaml").write_text(json.dumps(users))


@pytest.fixture
def asked(cli: Cli, shop: Path) -> str:
    """A request of anna's on shop.orders that waits; its id."""
    governed(shop)
    assert cli("run", "shop.orders", "--quiet").code == 0
    words = ("--purpose", "reporting", "--for", "30d", "--reason", "monthly report", "--as", "anna")
    answer = cli("access", "request", "shop.orders", "--columns", "id, email", *words, "--output", "json")
    assert answer.code == 0, answer.err
    conforms(answer.json)
    return str(answer.json["agreement"])


def test_access_from_the_request_to_its_end(cli, asked):
    found = cli("access", "list")
    assert asked in found.out
    assert "requested" in found.out
    assert f"raymesh access show {asked}" in found.err
    first = cli("access", "approve", asked, "--reason", "fine", "--as", "bea")
    assert "requested, 1 approved so far" in first.out
    assert "raymesh access approve" in first.err
    second = cli("access", "approve", asked, "--reason", "fine", "--as", "carl")
    assert re.search(r"granted until 20\d\d-", second.out)
    assert "raymesh read shop.orders --as anna --purpose reporting" in second.err
    shown = cli("access", "show", asked)
    assert "bea, carl" in shown.out
    assert "monthly report" in shown.out
    conforms(cli("access", "show", asked, "--output", "json").json)
    conforms(cli("access", "list", "--output", "json").json)
    assert cli("access", "renew", asked, "--for", "8w", "--reason", "more", "--as", "anna").code == 0
    assert cli("access", "deny", asked, "--reason", "no", "--as", "carl").out.startswith(f"{asked}: granted")
    assert cli("access", "revoke", asked, "--reason", "gone", "--as", "bea").out == f"{asked}: revoked\n"
    assert asked in cli("access", "list", "--status", "revoked", "--product", "shop.orders").out
    assert "there are none" in cli("access", "list", "--status", "granted").err


def test_a_refusal_says_who_decides(cli, asked):
    answer = cli("access", "approve", asked, "--reason", "fine", "--as", "anna")
    assert answer.code == 6
    assert "anna does not decide" in answer.err
    assert "group shop-team" in answer.err


def test_nobody_named_is_denied(cli, asked):
    assert cli("access", "approve", asked, "--reason", "fine").code == 6


def test_a_duration_needs_a_unit(cli, asked):
    answer = cli("access", "renew", asked, "--for", "30", "--reason", "x", "--as", "anna")
    assert answer.code == 2
    assert "no duration" in answer.err


def test_an_agreement_is_exported_in_the_words_of_the_standard(cli, asked):
    cli("access", "approve", asked, "--reason", "fine", "--as", "bea")
    cli("access", "approve", asked, "--reason", "fine", "--as", "carl")
    document = yaml.safe_load(cli("access", "export", asked, "--output", "oaas").out)
    conforms(cli("access", "export", asked, "--output", "json").json)
    assert list(document)[:2] == ["apiVersion", "kind"]
    assert (document["apiVersion"], document["kind"], document["status"]) == (
        "v0.9.0",
        "AccessAgreement",
        "approved",
    )
    assert document["provider"] == {
        "teamId": "shop-team",
        "dataProductId": "shop.orders",
        "outputPortId": "orders",
        "dataContractId": "shop.orders",
        "dataContractVersion": "1.0.0",
    }
    assert document["consumer"] == {"userId": "anna"}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["endTimestamp"])
    assert {p["vendor"] for p in document["customProperties"]} == {"raymesh"}
    said = {p["property"]: p["value"] for p in document["customProperties"]}
    assert said["approvedColumns"] == ["id", "email"]
    assert said["approvers"] == ["bea", "carl"]


def test_rights_nobody_uses_are_listed(cli, asked):
    assert "everything granted was read" in cli("access", "unused").err
    cli("access", "approve", asked, "--reason", "fine", "--as", "bea")
    cli("access", "approve", asked, "--reason", "fine", "--as", "carl")
    answer = cli("access", "unused")
    assert "id, email" in answer.out
    assert f"raymesh access revoke {asked}" in answer.err
    conforms(cli("access", "unused", "--output", "json").json)


def test_the_log_is_shown_verified_and_proved(cli, asked, tmp_path):
    answer = cli("audit", "tail", "--kind", "grant")
    assert "request" in answer.out
    assert "monthly report" not in answer.out
    assert "monthly report" in cli("audit", "tail", "--private", "--principal", "anna").out
    conforms(cli("audit", "tail", "--output", "json").json, optional=(r"records\[\]\.private",))
    assert cli("audit", "tail", "--product", "shop.orders", "-n", "1").out.count("\n") == 2
    assert "no record" in cli("audit", "tail", "--principal", "nobody").err
    verified = cli("audit", "verify")
    assert verified.code == 0
    assert "✓" in verified.out
    conforms(cli("audit", "verify", "--output", "json").json, optional=(r"findings.*",))
    conforms(cli("audit", "prove", "0").json)
    assert cli("audit", "prove", "99").code == 1
    conforms(cli("audit", "prove", "--since", "1").json)
    assert cli("audit", "prove").code == cli("audit", "prove", "1", "--since", "1").code == 2
    witness = tmp_path / "witness"
    assert cli("audit", "checkpoint", "--to", str(witness)).code == 0
    assert json.loads(cli("audit", "checkpoint").out) == json.loads(witness.read_text())
    assert cli("audit", "verify", "--against", str(witness)).code == 0
    answer = cli("audit", "erase", "anna", "--reason", "left", "--as", "bea", "--output", "json")
    conforms(answer.json)
    assert answer.json["erased"] == 1
    assert "monthly report" not in cli("audit", "tail", "--private").out
    assert cli("audit", "verify").code == 0


def test_a_log_that_was_changed_ends_with_four(cli, asked, shop):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(shop / ".raymesh/mesh.db")) as db:
        db.execute("update raymesh_audit set principal = 'eve' where number = 0")
        db.commit()
    answer = cli("audit", "verify")
    assert answer.code == 4
    assert "✗ edit: record 0" in answer.out
    found = cli("audit", "verify", "--output", "json").json
    assert found["findings"][0]["first"] == 0
    conforms(found)


def test_a_token_is_made_once(cli, asked):
    answer = cli("token", "new", "anna")
    assert re.fullmatch(r"rmt_[\w-]{43}\n", answer.out)
    assert "token: sha256:" in answer.err
    conforms(cli("token", "new", "anna", "--output", "json").json)
    assert cli("token", "new", "nobody").code == 1


def test_bundles_are_signed_verified_and_listed(cli, asked, shop):
    assert "1" in cli("bundle", "show").out
    conforms(cli("bundle", "show", "--output", "json").json)
    key = cli("bundle", "key", str(shop / "key")).out.strip()
    assert cli("bundle", "key", str(shop / "key")).out.strip() == key
    conforms(cli("bundle", "sign", "--key", str(shop / "key"), "--output", "json").json)
    conforms(cli("bundle", "verify", "--output", "json").json)
    lost = cli("bundle", "sign", "--key", str(shop / "missing"))
    assert (lost.code, f"raymesh bundle key {shop / 'missing'} makes one" in lost.err) == (1, True)
    (shop / "short").write_text("abc")
    (shop / "short").chmod(0o600)
    assert "secrets.token_hex(32)" in cli("bundle", "sign", "--key", str(shop / "short")).err


def test_verbs_are_listed():
    assert {"access", "audit", "bundle", "token"} <= VERBS.keys()

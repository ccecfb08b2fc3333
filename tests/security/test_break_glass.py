"""Values without masks: only by an agreement for them, for two people's word, for hours, in a class of record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from meshes import write_mesh, write_product, write_source
from shops import Cli

USERS = [
    {"name": "anna", "groups": ["analysts"], "purposes": ["reporting"]},
    {"name": "bea", "groups": ["shop-team"]},
    {"name": "carl", "groups": ["shop-team"]},
]
POLICIES = [
    {
        "name": "analysts-read",
        "effect": "grant",
        "who": {"groups": ["analysts"]},
        "what": {"products": ["shop.people"]},
    },
    {"name": "hide-mail", "effect": "mask", "what": {"tags": ["pii"]}, "mask": {"partial": {"last": 3}}},
]


@pytest.fixture
def cli(capsys, tmp_path: Path, monkeypatch) -> Cli:
    write_mesh(tmp_path)
    (tmp_path / "d.csv").write_text("id,email\n1,ann@example.com\n")
    write_source(tmp_path, "shop.raw", "d.csv", "csv")
    email = {"physicalType": "varchar", "logicalType": "string", "tags": ["pii.direct.email"]}
    columns = {"id": {"physicalType": "bigint", "tags": ["public"]}, "email": email}
    write_product(tmp_path, "shop.people", columns, sql="select id::bigint as id, email from source.raw")
    (tmp_path / "governance/policies").mkdir(parents=True)
    for name, kind, key, content in (
        ("users.yaml", "Users", "users", USERS),
        ("policies/a.yaml", "Policies", "policies", POLICIES),
    ):
        said = {"apiVersion": "raymesh/v1", "kind": kind, key: content}
        (tmp_path / "governance" / name).write_text(json.dumps(said))
    monkeypatch.chdir(tmp_path)
    typed = Cli(capsys)
    assert typed("run", "--quiet").code == 0
    return typed


def test_clear_values_are_read_by_agreement_and_recorded_apart(cli):
    who = ("--as", "anna", "--purpose", "reporting")
    masked = cli("read", "shop.people", *who)
    assert masked.code == 0, masked.err
    assert "ann@" not in masked.out
    denied = cli("read", "shop.people", *who, "--clear")
    assert denied.code == 6
    assert "ann@" not in denied.out + denied.err
    words = ("--for", "2h", "--reason", "incident 9", "--columns", "id,email", "--clear")
    asked = cli("access", "request", "shop.people", *who, *words)
    agreement = re.match(r"ag-\w+", asked.out)[0]
    for approver in ("bea", "carl"):
        assert cli("read", "shop.people", *who, "--clear").code == 6
        assert cli("access", "approve", agreement, "--reason", "incident 9", "--as", approver).code == 0
    assert "ann@" not in cli("read", "shop.people", *who).out, "nobody sees more without asking for it"
    assert "ann@example.com" in cli("read", "shop.people", *who, "--clear").out
    records = cli("audit", "tail", "--kind", "break-glass", "--output", "json").json["records"]
    assert [r["outcome"] for r in records] == [
        "denied",
        "request",
        "denied",
        "approval",
        "denied",
        "approval",
        "grant",
        "allowed",
    ]
    assert cli("access", "revoke", agreement, "--reason", "over", "--as", "bea").code == 0
    assert cli("read", "shop.people", *who, "--clear").code == 6
    assert cli("audit", "verify").code == 0

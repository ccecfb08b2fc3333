"""The page on federated governance works as written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pages import ROOT, blocks
from policy_meshes import BASE, governed_mesh, policies
from raymesh.spec.kinds import KINDS
from raymesh.spec.yaml import read_yaml
from shops import Cli

PAGE = ROOT / "docs/governance/federated-governance.md"


def documents() -> list[tuple[dict[str, Any], str]]:
    """Every whole document of the page with its text."""
    texts = [b.text for b in blocks(PAGE) if b.language == "yaml"]
    return [(found, t) for t in texts if "kind" in (found := read_yaml(t.encode(), PAGE.name).value)]


def test_every_document_on_the_page_is_one() -> None:
    found = documents()
    assert [d["kind"] for d, _ in found] == ["Users", "Policies", "PolicyTests", "Policies", "Policies"]
    for document, _ in found:
        KINDS[document["kind"]].model_validate(document)


@pytest.fixture
def page_mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    users, rules, cases, *_ = (text for _, text in documents())
    files: dict[str, str | None] = {
        "governance/users.yaml": users,
        "governance/policies/base.yaml": rules,
        "governance/policies/tests/customers.yaml": cases,
        "domains/orders/policies/own.yaml": None,
    }
    monkeypatch.chdir(governed_mesh(tmp_path, files))
    return tmp_path


def test_the_policies_of_the_page_do_what_it_says(
    page_mesh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = Cli(capsys)
    assert cli("validate").code == 0
    assert cli("policy", "test").out.splitlines()[-1] == "2 passed, 0 failed"
    out = cli("policy", "explain", "customer.households", "--as", "anna", "--purpose", "reporting").out
    shown = next(b.text for b in blocks(PAGE) if b.language == "text" and "anna reads" in b.text)
    for line in shown.splitlines():
        if line.startswith(("household_id", "email", "region", "birth_date", "  rows:")):
            words = " ".join(line.split()).replace("customers.yaml", "base.yaml")
            assert words in [" ".join(told.split()) for told in out.splitlines()]


def test_the_last_two_documents_are_global_policies(tmp_path: Path) -> None:
    *_, (_, delegation), (_, exception) = documents()
    text = BASE.replace("name: orders-may-grant", "name: customers-may-grant")
    extra = {
        "governance/policies/base.yaml": policies(text.replace("domains: [orders]", "domains: [customer]")),
        "governance/policies/delegation.yaml": delegation,
        "governance/policies/exception.yaml": exception,
    }
    from raymesh.actions.validate import validate

    found = validate(governed_mesh(tmp_path, dict(extra)), bind=False).diagnostics
    assert {d.code for d in found} == {"unknown-group"}  # nobody is in the group of the migration yet

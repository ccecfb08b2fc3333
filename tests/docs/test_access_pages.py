"""The Python blocks of the pages on agreements and on the audit log run as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from meshes import write_domain, write_mesh, write_product
from pages import ROOT, blocks

AGREEMENTS = ROOT / "docs/governance/agreements.md"
POLICY = (
    "apiVersion: raymesh/v1\nkind: Policies\npolicies:\n"
    "  - {name: team, effect: grant, who: {groups: [orders-team]}, what: {domains: [orders]}}\n"
)
AUDIT = ROOT / "docs/security/identity-and-audit.md"


def python(page: Path) -> list[str]:
    return [b.text for b in blocks(page) if b.language == "python"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """orders.baskets, with the people of the page on agreements."""
    root = write_mesh(tmp_path / "mesh")
    write_domain(root, "orders")
    columns = {"id": {"physicalType": "bigint", "tags": ["public"]}}
    write_product(root, "orders.baskets", columns, sql="SELECT unnest([1, 2]) AS id")
    users = next(b.text for b in blocks(AGREEMENTS) if b.language == "yaml" and "kind: Users" in b.text)
    (root / "governance/policies").mkdir(parents=True)
    (root / "governance/policies/base.yaml").write_text(POLICY, encoding="utf-8")
    (root / "governance/users.yaml").write_text(users, encoding="utf-8")
    with raymesh.Mesh.load(root) as mesh:
        assert [r.status for r in mesh.run().reports] == ["published"]
    monkeypatch.chdir(root)
    return root


def test_access_from_python_and_what_the_log_has_of_it(shop: Path) -> None:
    (code,) = python(AGREEMENTS)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["rows"].num_rows == 2
    with raymesh.Mesh.load() as mesh:
        (agreement,) = mesh.access.list("orders.baskets", status="revoked")
        assert agreement.id == names["asked"].id
        assert mesh.access.show(agreement.id) == agreement
        told = [r["outcome"] for r in mesh.audit.tail(kind="grant")]
    assert told == ["request", "approval", "grant", "renewal", "denial", "revocation"]


def test_the_audit_log_from_python(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(python(AGREEMENTS)[0], {})
    (code,) = python(AUDIT)
    names: dict[str, Any] = {}
    exec(code, names)
    assert "orders.baskets allowed" in capsys.readouterr().out
    assert names["proof"]["index"] == 0


def test_who_acts_is_whom_the_mesh_was_loaded_for(shop: Path) -> None:
    from raymesh.errors import AccessDeniedError, UsageError

    terms = {"purpose": "reporting", "duration": "30d", "reason": "monthly report"}
    with raymesh.Mesh.load(as_="anna") as mesh:
        asked = mesh.access.request("orders.baskets", **terms)
        assert asked.requester.endswith("anna")
        with pytest.raises(AccessDeniedError, match="does not decide"):
            mesh.access.approve(asked.id, reason="me")
        with pytest.raises(UsageError, match="no duration"):
            mesh.access.request("orders.baskets", **(terms | {"duration": "soon"}))
        granted = mesh.access.approve(asked.id, reason="fine", as_="bea")
        assert granted.granted is not None
        with pytest.raises(UsageError, match="already"):
            mesh.access.renew(asked.id, duration="1d", reason="less")

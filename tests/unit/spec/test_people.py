"""Names of people, groups and purposes in documents, checked against those the mesh knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshes import write_mesh
from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.spec.load import load_mesh

ANNA = {"name": "anna", "groups": ["analysts"], "purposes": ["reporting"]}


def write(root: Path, name: str, kind: str, **content: Any) -> None:
    path = root / "governance" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "raymesh/v1", "kind": kind, **content}))


def access(root: Path, **said: Any) -> None:
    path = root / "domains/shop/domain.yaml"
    path.write_text(json.dumps({**yaml.safe_load(path.read_text()), "access": said}))


def problems(root: Path) -> list[Diagnostic]:
    """What is wrong, besides that the mesh has no products."""
    try:
        found = load_mesh(root, {}).diagnostics
    except DocumentsInvalidError as error:
        found = error.diagnostics
    return [d for d in found if d.code != "no-products"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mesh(tmp_path)
    write(tmp_path, "users.yaml", "Users", users=[ANNA])
    return tmp_path


def test_known_names_are_fine(root):
    write_mesh(root, identity={"default": "anna"})
    write(root, "classifications.yaml", "Classifications", purposes=[{"name": "reporting"}])
    access(
        root,
        approvers={"groups": ["analysts"], "principals": ["anna"]},
        autoApprove=[{"purposes": ["reporting"]}],
    )
    assert problems(root) == []


def test_a_default_reader_who_is_no_user_is_an_error(root):
    write_mesh(root, identity={"default": "ana"})
    (found,) = problems(root)
    assert (found.code, found.severity) == ("unknown-user", "error")
    assert "anna" in (found.help or "")
    assert found.span is not None
    assert found.span.file == "mesh.yaml"


def test_purposes_are_registered_once_any_is(root):
    access(root, autoApprove=[{"purposes": ["fraud"]}])
    assert problems(root) == []
    write(root, "classifications.yaml", "Classifications", purposes=[{"name": "billing"}])
    found = problems(root)
    assert {(d.code, d.span.file) for d in found if d.span} == {
        ("unknown-purpose", "governance/users.yaml"),
        ("unknown-purpose", "domains/shop/domain.yaml"),
    }


def test_approvers_nobody_knows_are_a_warning(root):
    access(root, approvers={"groups": ["analyst"], "principals": ["bob"]})
    found = problems(root)
    assert [(d.code, d.severity) for d in found] == [
        ("unknown-group", "warning"),
        ("unknown-user", "warning"),
    ]
    oidc = {"issuer": "https://login.example.com", "audience": "raymesh"}
    write_mesh(root, identity={"oidc": oidc})
    access(root, approvers={"groups": ["nobody-here"]})
    assert problems(root) == []

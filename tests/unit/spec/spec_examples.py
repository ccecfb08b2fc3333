"""Documents and small helpers that the tests of the documents share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.spec.kinds import KINDS
from raymesh.spec.load import load_mesh
from raymesh.spec.reading import Reader
from raymesh.spec.yaml import read_yaml

if TYPE_CHECKING:
    from raymesh.spec.documents import MeshDocuments

FIXTURES = Path(__file__).parent / "fixtures"

MESH = "apiVersion: raymesh/v1\nkind: Mesh\nname: retail\n"
DOMAIN = "apiVersion: raymesh/v1\nkind: Domain\nname: orders\nowner: {team: orders-team}\n"
SOURCE = "apiVersion: raymesh/v1\nkind: Source\nname: lines\ntype: parquet\nlocation: lines.parquet\n"
PRODUCT = """\
apiVersion: v1.1.0
kind: DataProduct
id: order-lines
name: order_lines
domain: orders
outputPorts:
  - {name: order_lines, contractId: order-lines, version: "1.0.0"}
"""
CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: order-lines
version: "1.0.0"
schema:
  - name: order_lines
    properties:
      - {name: line_id, logicalType: integer, physicalType: bigint}
      - {name: day, logicalType: date}
"""


def content(text: str) -> Any:
    """The plain value of a YAML text that has no problems."""
    read = read_yaml(text.encode(), "example.yaml")
    assert read.diagnostics == ()
    return read.value


def problems(folder: Path, text: str, env: dict[str, str] | None = None) -> list[Diagnostic]:
    """All diagnostics of one document, whose kind says how it is read."""
    (folder / "example.yaml").write_text(text, encoding="utf-8")
    reader = Reader(folder, env or {})
    kind = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("kind:"))
    reader.document("example.yaml", KINDS[kind])
    return reader.diagnostics


def codes(found: list[Diagnostic] | tuple[Diagnostic, ...]) -> list[str]:
    return [d.code for d in found]


def write_mesh(root: Path, files: dict[str, str | None] | None = None) -> Path:
    """A mesh of one product, with `files` in place of (or, with None, without) its own."""
    product = "domains/orders/products/order_lines"
    everything: dict[str, str | None] = {
        "mesh.yaml": MESH,
        "domains/orders/domain.yaml": DOMAIN,
        "domains/orders/sources/lines.yaml": SOURCE,
        f"{product}/product.yaml": PRODUCT,
        f"{product}/contract.yaml": CONTRACT,
        f"{product}/transform.sql": "SELECT * FROM source.lines",
    }
    for path, text in {**everything, **(files or {})}.items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return root


def loaded(root: Path, files: dict[str, str | None] | None = None) -> MeshDocuments:
    return load_mesh(write_mesh(root, files), {})


def refused(root: Path, files: dict[str, str | None] | None = None) -> tuple[Diagnostic, ...]:
    """The diagnostics of a mesh that must not load."""
    with pytest.raises(DocumentsInvalidError) as caught:
        loaded(root, files)
    return caught.value.diagnostics


def settings(*pairs: str) -> str:
    """Custom properties of ours: `settings("mode: append")`."""
    entries = [pair.partition(": ") for pair in pairs]
    lines = [f"  - {{property: {name}, value: {value}, vendor: raymesh}}\n" for name, _, value in entries]
    return "customProperties:\n" + "".join(lines)

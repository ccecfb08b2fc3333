"""mesh.yaml alone: all that reading published data needs, without the models of the other documents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.errors import DocumentsInvalidError
from raymesh.spec.mesh import MeshSpec
from raymesh.spec.reading import Reader

if TYPE_CHECKING:
    from raymesh.spec.documents import Document


def load_mesh_document(root: Path, env: Mapping[str, str]) -> Document[MeshSpec]:
    """mesh.yaml of the folder `root`, which exists. Raises DocumentsInvalidError with every problem of it."""
    reader = Reader(root, env)
    document = reader.document("mesh.yaml", MeshSpec)
    if document is None or any(d.severity == "error" for d in reader.diagnostics):
        raise DocumentsInvalidError(tuple(reader.diagnostics))
    return document

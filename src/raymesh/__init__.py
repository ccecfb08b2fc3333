"""raymesh: a data mesh that runs.

`Mesh.load(path)` opens a mesh; `batch` and `product` mark Python transforms. Everything else is a verb of
the command line or a module of `raymesh.actions`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.api import Domain, Lineage, Mesh, Product, Reading
    from raymesh.errors import MeshError
    from raymesh.mesh.decorators import batch, product

_HOMES = {
    "Mesh": "raymesh.api",
    "Domain": "raymesh.api",
    "Product": "raymesh.api",
    "Reading": "raymesh.api",
    "Lineage": "raymesh.api",
    "MeshError": "raymesh.errors",
    "batch": "raymesh.mesh.decorators",
    "product": "raymesh.mesh.decorators",
}

__all__ = ["Domain", "Lineage", "Mesh", "MeshError", "Product", "Reading", "batch", "product"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: importing raymesh costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'raymesh' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

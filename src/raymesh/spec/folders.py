"""Names of what lies in a mesh's folders, without reading a document: quick enough for every keystroke."""

from __future__ import annotations

from pathlib import Path


def nearest_mesh(start: Path) -> Path | None:
    """The folder of mesh.yaml: `start` or the nearest above it."""
    here = start.absolute()
    return next((f for f in (here, *here.parents) if (f / "mesh.yaml").is_file()), None)


def domain_names(root: Path) -> list[str]:
    """Domains with a folder, sorted."""
    return sorted(p.parent.name for p in root.glob("domains/*/domain.yaml"))


def product_names(root: Path) -> list[str]:
    """Products with a folder, as `domain.product`, sorted."""
    return sorted(f"{p.parts[-4]}.{p.parts[-2]}" for p in root.glob("domains/*/products/*/product.yaml"))


def source_names(root: Path) -> list[str]:
    """Sources with a document, as `domain.source`, sorted."""
    return sorted(f"{p.parts[-3]}.{p.stem}" for p in root.glob("domains/*/sources/*.yaml"))

"""Lineage of products and columns as text, SVG, Mermaid and JSON, from one picture."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from raymesh.mesh.lineage import Trace
from raymesh.render.lineage_svg import svg
from raymesh.render.lineage_text import mermaid, text
from raymesh.render.picture import Neighbour, Neighbourhood, neighbourhood

if TYPE_CHECKING:
    from raymesh.render.picture import Lineage

__all__ = ["Neighbour", "Neighbourhood", "mermaid", "neighbourhood", "svg", "text", "to_json"]


def to_json(found: Lineage) -> dict[str, Any]:
    """The lineage as plain values: of a product its nodes and edges, of a column its column edges."""
    if isinstance(found, Trace):
        return asdict(found)
    return {
        "product": found.product,
        "hops": found.hops,
        "nodes": [asdict(n) for n in found.nodes],
        "edges": [{"source": source, "target": target} for source, target in found.edges],
    }

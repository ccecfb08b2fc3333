"""Notebook representations: static HTML without scripts or outside addresses, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.mesh.model import Graph, Product

_STYLE = (
    "font-family:system-ui,sans-serif;font-size:13px;border:1px solid color-mix(in srgb,currentColor 25%,transparent);"
    "border-radius:6px;padding:10px 14px;max-width:960px"
)
_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"
SHOWN = 200
"""Rows of a table that a representation shows at most, to stay small."""


def mesh_card(graph: Graph, name: str) -> str:
    """A mesh: its products by domain."""
    rows = [
        (d.name, _owner_team(d), ", ".join(p.split(".", 1)[1] for p in d.products))
        for d in graph.domains.values()
    ]
    return card(f"Mesh {name}", "", table(("domain", "owner", "products"), rows))


def product_card(product: Product) -> str:
    """A product: purpose, inputs, columns."""
    description = product.documents.document.model.description
    purpose = description.purpose if description and description.purpose else ""
    columns = [
        (p.name, p.physical_type or p.logical_type or "", ", ".join(p.tags), p.description or "")
        for p in product.port().properties
    ]
    inputs = ", ".join(sorted({e.name for e in product.inputs})) or "nothing"
    body = f"<p>made from: {escape(inputs)}</p>" + table(("column", "type", "tags", "description"), columns)
    return card(product.name, purpose, body)


def card(title: str, text: str, body: str) -> str:
    """A framed block; `body` is HTML made by this module, the rest is plain text."""
    return f'<div style="{_STYLE}"><strong>{escape(title)}</strong><p>{escape(text)}</p>{body}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain table; every cell is escaped, rows beyond SHOWN are counted instead of shown."""
    all_rows = list(rows)
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(h)}</th>' for h in headers)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(str(cell))}</td>' for cell in row) + "</tr>"
        for row in all_rows[:SHOWN]
    )
    rest = len(all_rows) - SHOWN
    more = f"<p>and {rest} more</p>" if rest > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _owner_team(domain: Any) -> str:
    return str(domain.documents.document.model.owner.team)

"""What a lineage picture shows, before anybody draws it: nodes with rows, and lines between them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from raymesh.mesh.lineage import EVERY, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raymesh.mesh.lineage import Kind
    from raymesh.mesh.model import Graph

EVERY_COLUMN = "every column"
BUNDLE = 4


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A product or source near a product: `distance` is negative for what it is made from."""

    id: str
    kind: Literal["product", "source"]
    distance: int


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A product with everything up to `hops` steps away; `edges` are (from, to) between those shown, in the
    direction the data flows."""

    product: str
    hops: int
    nodes: tuple[Neighbour, ...]
    edges: tuple[tuple[str, str], ...]


Lineage = Neighbourhood | Trace


@dataclass(frozen=True, slots=True)
class Node:
    """A box: `name` in bold over `detail`, with rows for columns. `label` is what a screen reader says."""

    id: str
    name: str
    detail: str
    label: str
    kind: Literal["product", "source", "fold"]
    rows: tuple[str, ...] = ()
    focus: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """From one box, or a row of it, to another."""

    source: str
    target: str
    kind: Kind = "direct"
    source_row: str | None = None
    target_row: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    title: str
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]


def neighbourhood(graph: Graph, product: str, hops: int = 1) -> Neighbourhood:
    """A product, what it is made from and what is made from it, `hops` steps each way.

    Raises NotFoundError for an unknown product.
    """
    center = graph.product(product).name
    above = graph.ancestors([center], hops)
    below = graph.descendants([center], hops)
    distance = {name: -steps for name, steps in above.items()} | below
    nodes = [Neighbour(name, "product", steps) for name, steps in distance.items()]
    edges: dict[tuple[str, str], None] = {}
    sources: dict[str, int] = {}
    for name, steps in distance.items():
        for edge in graph.products[name].inputs:
            if edge.kind == "source" and -hops < steps <= 0:
                sources[edge.origin] = min(sources.get(edge.origin, 0), steps - 1)
            if edge.origin in distance or edge.origin in sources:
                edges[edge.origin, name] = None
    nodes += [Neighbour(name, "source", steps) for name, steps in sources.items()]
    nodes.sort(key=lambda n: (abs(n.distance), n.distance, n.id))
    return Neighbourhood(center, hops, tuple(nodes), tuple(sorted(edges)))


def picture(found: Lineage, limit: int = 60) -> Picture:
    """The picture of a neighbourhood or a trace with at most about `limit` boxes; what is furthest away is
    folded into boxes that say how much they stand for."""
    return _of_trace(found, limit) if isinstance(found, Trace) else _of_neighbourhood(found, limit)


# neighbourhoods


def _of_neighbourhood(found: Neighbourhood, limit: int) -> Picture:
    shown = {n.id: n for n in found.nodes[:limit]}
    folds = {n.id: "\0above" if n.distance < 0 else "\0below" for n in found.nodes[limit:]}
    ends = [(folds.get(a, a), folds.get(b, b)) for a, b in found.edges]
    lines = tuple(Line(a, b) for a, b in dict.fromkeys(ends) if a != b)
    nodes = [_neighbour(n, found) for n in shown.values()]
    nodes += [_fold(key, count) for key, count in sorted(Counter(folds.values()).items())]
    return Picture(f"Lineage of {found.product}", tuple(nodes), lines)


def _neighbour(node: Neighbour, found: Neighbourhood) -> Node:
    origins = [a for a, b in found.edges if b == node.id]
    label = f"{node.kind} {node.id}" + (f", made from {_listed(origins)}" if origins else "")
    domain, _, name = node.id.partition(".")
    if node.kind == "source":
        return Node(node.id, name.removeprefix("source."), f"source of {domain}", label, "source")
    return Node(node.id, name, domain, label, "product", focus=node.id == found.product)


def _fold(key: str, count: int) -> Node:
    side = "further up" if key == "\0above" else "further down"
    return Node(key, f"{count} more", side, f"{count} more products or sources {side}", "fold")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


# traces


def _of_trace(found: Trace, limit: int) -> Picture:
    rows: dict[str, dict[str, None]] = {found.table: {found.column: None}}
    for table, column in found.columns:
        rows.setdefault(table, {})[column] = None
    shown = dict(list(rows.items())[:limit])
    per_box = max(3, 4 * limit // max(1, len(shown)))
    kept = {table: _few(columns, per_box) for table, columns in shown.items()}
    lines = _bundled(
        Line(e.source, e.table, e.kind, kept[e.source].get(e.source_column), kept[e.table].get(e.column))
        for e in found.edges
        if e.source in kept and e.table in kept
    )
    nodes = [_table(table, columns, found) for table, columns in kept.items()]
    hidden = len(rows) - len(kept)
    if hidden:
        nodes.append(Node("\0more", f"{hidden} more", "further away", f"{hidden} more tables", "fold"))
    return Picture(f"Lineage of {found.table}.{found.column}", tuple(nodes), lines)


def _bundled(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Opaque lines that fan out to, or in from, many rows of a box become one line at the box itself."""
    found = list(dict.fromkeys(lines))
    for side in ("target_row", "source_row"):
        bare = [replace(line, **{side: None}) if line.kind == "opaque" else line for line in found]  # type: ignore[arg-type]
        many = {line for line, count in Counter(bare).items() if count >= BUNDLE}
        found = list(dict.fromkeys(b if b in many else line for line, b in zip(found, bare, strict=True)))
    return tuple(found)


def _few(columns: Iterable[str], most: int) -> Mapping[str, str]:
    """Column → the row that shows it; columns past the limit share one row."""
    names = list(columns)
    rows = {c: EVERY_COLUMN if c == EVERY else c for c in names}
    if len(names) > most:
        more = f"{len(names) - most + 1} more"
        rows |= dict.fromkeys(names[most - 1 :], more)
    return rows


def _table(table: str, rows: Mapping[str, str], found: Trace) -> Node:
    domain, _, name = table.partition(".")
    source = name.startswith("source.")
    detail = f"source of {domain}" if source else domain
    shown = tuple(dict.fromkeys(rows.values()))
    label = f"{'source' if source else 'product'} {table}: {_listed(list(shown))}"
    kind: Literal["source", "product"] = "source" if source else "product"
    return Node(table, name.removeprefix("source."), detail, label, kind, shown, table == found.table)

"""Lineage as a tree of text, and as Mermaid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.mesh.lineage import EVERY, Trace
from raymesh.render.picture import picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.render.picture import Lineage, Neighbourhood, Picture

    Tree = Mapping[str, Sequence[tuple[str, str]]]
    """Node → (node, remark) below it."""

_LINES = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}
_REMARKS = {"direct": "", "indirect": "  (decides the rows)", "opaque": "  (may come from it)"}
_AGAIN = "  (see above)"


def text(found: Lineage, *, unicode: bool = True) -> str:
    """A tree for people, one name per line; what was shown before is not unfolded again."""
    if isinstance(found, Trace):
        return _trace(found, unicode=unicode)
    return _neighbourhood(found, unicode=unicode)


def _neighbourhood(found: Neighbourhood, *, unicode: bool) -> str:
    above: dict[str, list[tuple[str, str]]] = {}
    below: dict[str, list[tuple[str, str]]] = {}
    for start, end in found.edges:
        above.setdefault(end, []).append((start, ""))
        below.setdefault(start, []).append((end, ""))
    out = [found.product]
    for title, tree in (("made from", above), ("goes into", below)):
        if found.product in tree:
            out += [title, *_branches(tree, found.product, unicode=unicode)]
    return "\n".join(out if len(out) > 1 else [found.product, "nothing is known around it"])


def _trace(found: Trace, *, unicode: bool) -> str:
    tree: dict[str, list[tuple[str, str]]] = {}
    for edge in found.edges:
        source, target = _column(edge.source, edge.source_column), _column(edge.table, edge.column)
        start, end = (target, source) if found.direction == "up" else (source, target)
        tree.setdefault(start, []).append((end, _REMARKS[edge.kind]))
    root = _column(found.table, found.column)
    nothing = "is made from no column" if found.direction == "up" else "goes into no column"
    return "\n".join([root, *_branches(tree, root, unicode=unicode)] if root in tree else [root, nothing])


def _column(table: str, column: str) -> str:
    return f"{table}.{column}" if column != EVERY else f"{table} (every column)"


def _branches(tree: Tree, root: str, *, unicode: bool) -> list[str]:
    """The lines below `root`; each node's own branches are written once."""
    fork, last, bar, gap = _LINES[unicode]
    out: list[str] = []
    seen = {root}
    stack = [(child, remark, "", i == 0) for i, (child, remark) in enumerate(reversed(tree.get(root, ())))]
    while stack:
        node, remark, indent, is_last = stack.pop()
        again = node in seen and bool(tree.get(node))
        out.append(f"{indent}{last if is_last else fork}{node}{remark}{_AGAIN if again else ''}")
        if node not in seen:
            seen.add(node)
            inner = indent + (gap if is_last else bar)
            below = enumerate(reversed(tree.get(node, ())))
            stack.extend((child, note, inner, i == 0) for i, (child, note) in below)
    return out


def mermaid(found: Lineage) -> str:
    """A Mermaid flowchart of the same picture."""
    drawn = picture(found)
    return "\n".join(["flowchart LR", *_boxes(drawn), *_arrows(drawn)])


def _boxes(drawn: Picture) -> list[str]:
    out: list[str] = []
    for index, node in enumerate(drawn.nodes):
        title = _quoted(node.id if not node.id.startswith("\0") else node.name)
        if node.rows:
            out.append(f"  subgraph n{index} [{title}]")
            out += [f"    n{index}r{i}[{_quoted(row)}]" for i, row in enumerate(node.rows)]
            out.append("  end")
        else:
            out.append(f"  n{index}[({title})]" if node.kind == "source" else f"  n{index}[{title}]")
        if node.focus:
            out.append(f"  style n{index} stroke-width:3px")
    return out


def _arrows(drawn: Picture) -> list[str]:
    ids: dict[tuple[str, str | None], str] = {}
    for index, node in enumerate(drawn.nodes):
        ids[node.id, None] = f"n{index}"
        ids |= {(node.id, row): f"n{index}r{i}" for i, row in enumerate(node.rows)}
    arrows = {"direct": "-->", "indirect": "-.->", "opaque": "-. ? .->"}
    return [
        f"  {ids[line.source, line.source_row]} {arrows[line.kind]} {ids[line.target, line.target_row]}"
        for line in drawn.lines
    ]


def _quoted(value: str) -> str:
    """A label in quotes; everything Mermaid or HTML would read as more than a letter becomes a number."""
    safe = "".join(c if c.isalnum() or c in " ._-:,()" else f"#{ord(c)};" for c in value)
    return f'"{safe}"'

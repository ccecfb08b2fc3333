"""Lineage as one self-contained SVG: no script, no address outside, readable without style sheets."""

from __future__ import annotations

import unicodedata
from html import escape
from typing import TYPE_CHECKING

from raymesh.render.layout import Placement, place
from raymesh.render.picture import Line, Node, Picture, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from raymesh.mesh.lineage import Kind
    from raymesh.render.picture import Lineage

    Link = Callable[[str], str | None]

MAX_BYTES = 50_000
_LIMITS = (60, 30, 15, 8, 4)
_CHARACTER, _ROW, _HEAD, _MARGIN, _LONGEST = 7.3, 18.0, 38.0, 12.0, 34
_STYLE = (
    ".rm-lineage{--rm-ink:#1f2933;--rm-soft:#52606d;--rm-paper:#fff;--rm-line:#7b8794;--rm-focus:#0b69c7;"
    "--rm-source:#f0f4f8;--rm-unsure:#b44d12}"
    "@media (prefers-color-scheme:dark){.rm-lineage{--rm-ink:#e4e7eb;--rm-soft:#9aa5b1;--rm-paper:#1f2933;"
    "--rm-line:#7b8794;--rm-focus:#66b2ff;--rm-source:#323f4b;--rm-unsure:#f0a35e}}"
    ".rm-lineage text{fill:var(--rm-ink)}.rm-lineage .rm-d{fill:var(--rm-soft)}"
    ".rm-lineage rect{fill:var(--rm-paper);stroke:var(--rm-line)}"
    ".rm-lineage .rm-source rect{fill:var(--rm-source)}"
    ".rm-lineage .rm-focus rect{stroke:var(--rm-focus);stroke-width:2.5}"
    ".rm-lineage path{stroke:var(--rm-line)}.rm-lineage .rm-opaque{stroke:var(--rm-unsure)}"
    ".rm-lineage a:focus rect,.rm-lineage a:hover rect{stroke:var(--rm-focus);stroke-width:2.5}"
)
_DASHES = {"direct": "", "indirect": ' stroke-dasharray="2 4"', "opaque": ' stroke-dasharray="7 4"'}
_KEY = {"direct": "computed from", "indirect": "decides the rows", "opaque": "may come from"}


def svg(found: Lineage, link: Link | None = None) -> str:
    """The picture as SVG of at most 50 KB; what does not fit is folded, furthest first.

    `link` gives the address behind a product or table, or None for no link. Colours are the CSS variables
    `--rm-ink`, `--rm-paper`, `--rm-line`, `--rm-focus` …, with values for light and dark of their own.
    """
    drawn = ""
    for limit in _LIMITS:
        drawn = "".join(_svg(picture(found, limit), link))
        if len(drawn.encode()) <= MAX_BYTES:
            break
    return drawn


def _svg(drawn: Picture, link: Link | None) -> Iterator[str]:
    sizes = {node.id: _size(node) for node in drawn.nodes}
    placed = place(sizes, [(line.source, line.target) for line in drawn.lines])
    kinds = sorted({line.kind for line in drawn.lines}) if any(n.rows for n in drawn.nodes) else []
    width = max(placed.width, 150.0 * len(kinds)) + 2 * _MARGIN
    height = placed.height + 2 * _MARGIN + (24 if kinds else 0)
    title = escape(_plain(drawn.title))
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rm-lineage" role="group" aria-label="{title}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="{-_MARGIN:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}" '
        'font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12" fill="none" stroke="none">'
    )
    yield f"<title>{title}</title><style>{_STYLE}</style>"
    yield from _lines(drawn, placed)
    for node in sorted(drawn.nodes, key=lambda n: (placed.boxes[n.id].x, placed.boxes[n.id].y)):
        yield from _node(node, placed, link)
    yield from _key(kinds, placed.height + _MARGIN)
    yield "</svg>"


def _size(node: Node) -> tuple[float, float]:
    widest = max(_width(_cut(t)) for t in (node.name, node.detail, *node.rows))
    rows = len(node.rows) * _ROW + (6.0 if node.rows else 0.0)
    return widest * _CHARACTER + 20, _HEAD + rows


def _width(value: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value)


def _cut(value: str) -> str:
    plain = _plain(value)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def _plain(value: str) -> str:
    """Text without the characters XML forbids."""
    return "".join(c if c.isprintable() else "�" for c in value[:200])


def _node(node: Node, placed: Placement, link: Link | None) -> Iterator[str]:
    box = placed.boxes[node.id]
    address = link(node.id) if link and node.kind != "fold" else None
    label = escape(_plain(node.label))
    classes = f"rm-{node.kind}" + (" rm-focus" if node.focus else "")
    yield f'<a href="{escape(address)}" aria-label="{label}">' if address else ""
    yield f'<g class="{classes}"' + (">" if address else f' role="img" aria-label="{label}">')
    yield f"<title>{label}</title>"
    yield (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="6" '
        'fill="none" stroke="currentColor"/>'
    )
    yield _text(node.name, box.x + 10, box.y + 16, ' font-weight="600"')
    yield _text(node.detail, box.x + 10, box.y + 31, ' class="rm-d" font-size="11"')
    for index, row in enumerate(node.rows):
        yield _text(row, box.x + 10, _row_middle(box.y, index) + 4)
    yield "</g>" + ("</a>" if address else "")


def _text(value: str, x: float, y: float, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="currentColor"{more}>{escape(_cut(value))}</text>'


def _row_middle(top: float, index: int) -> float:
    return top + _HEAD + index * _ROW + _ROW / 2


def _lines(drawn: Picture, placed: Placement) -> Iterator[str]:
    """One path per kind of line: many lines cost few bytes."""
    rows = {(n.id, row): i for n in drawn.nodes for i, row in enumerate(n.rows)}
    paths: dict[str, list[str]] = {}
    for line in drawn.lines:
        if (line.source, line.target) in placed.bends:
            paths.setdefault(line.kind, []).append(_path(line, placed, rows))
    for kind in sorted(paths):
        shape = "".join(paths[kind])
        yield f'<path class="rm-{kind}" d="{shape}" stroke="currentColor" stroke-width="1.3"{_DASHES[kind]}/>'


def _path(line: Line, placed: Placement, rows: dict[tuple[str, str], int]) -> str:
    start, end = placed.boxes[line.source], placed.boxes[line.target]
    from_y = (
        _row_middle(start.y, rows[line.source, line.source_row])
        if line.source_row
        else start.y + start.height / 2
    )
    to_y = (
        _row_middle(end.y, rows[line.target, line.target_row]) if line.target_row else end.y + end.height / 2
    )
    points = [
        (start.x + start.width, from_y),
        *placed.bends[line.source, line.target],
        (end.x, to_y),
    ]
    x, y = points[0]
    shape = f"M{x:.0f} {y:.0f}"
    for to_x, next_y in points[1:]:
        middle = (x + to_x) / 2
        shape += f"C{middle:.0f} {y:.0f} {middle:.0f} {next_y:.0f} {to_x:.0f} {next_y:.0f}"
        x, y = to_x, next_y
    return f"{shape}m-6-4l6 4l-6 4"


def _key(kinds: Sequence[Kind], y: float) -> Iterator[str]:
    for index, kind in enumerate(kinds):
        x = index * 150
        yield (
            f'<path class="rm-{kind}" d="M{x} {y:.0f}h28" stroke="currentColor" stroke-width="1.3"{_DASHES[kind]}/>'
        )
        yield _text(_KEY[kind], x + 34, y + 4, ' class="rm-d" font-size="11"')

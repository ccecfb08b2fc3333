"""Inputs dealt out to tasks: by files, and a single file by ranges of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from raymesh.engines.ray.exchange import Share
from raymesh.mesh.plan import Input, Scan, SourceScan
from raymesh.spec.types import Field, Primitive, TableSchema
from raymesh.spi import registry
from raymesh.spi.source import DivisibleSource, Division

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROW_NUMBER = "file_row_number"
_UNDIVIDED = "sources of its kind cannot be divided"
_GUESSED_ROW = 40
"""Bytes of one row of a source that nobody has counted."""


def dealt(content: Scan | SourceScan, shares: int, sized: Scan, root: str) -> list[Share]:
    """The content in about `shares` shares; `sized` are its columns and size. Never none. Raises SourceError."""
    if isinstance(content, Scan):
        return _scan(content, shares, sized)
    return [Share(piece) for piece in divided(content, shares, root).pieces]


def divided(source: SourceScan, parts: int, root: str) -> Division:
    """The source in about `parts` pieces, as far as its adapter can divide it. Raises SourceError."""
    adapter = registry.load("sources", source.type)()
    if parts < 2 or not isinstance(adapter, DivisibleSource):
        return Division((source,), "it is small" if is_divisible(source) else _UNDIVIDED)
    return adapter.divide(source, root, parts)


def is_divisible(source: SourceScan) -> bool:
    """Whether the kind of source can be divided at all."""
    return isinstance(registry.load("sources", source.type)(), DivisibleSource)


def _scan(scan: Scan, shares: int, sized: Scan) -> list[Share]:
    if len(scan.files) == 1 and shares > 1 and scan.view is None and _may_cut(sized):
        return [Share(scan, rows) for rows in _ranges(sized.rows, shares)]
    groups = _groups([(f, 1) for f in scan.files], shares)
    part = 1 / max(len(scan.files), 1)
    return [
        Share(
            replace(scan, files=g, rows=int(scan.rows * part * len(g)), bytes=int(scan.bytes * part * len(g)))
        )
        for g in groups
    ] or [Share(scan)]


def _may_cut(sized: Scan) -> bool:
    """Whether rows can be told by their number: a column of that name would be taken for it."""
    return sized.rows > 0 and all(f.name.casefold() != _ROW_NUMBER for f in sized.schema)


def _ranges(rows: int, shares: int) -> list[tuple[int, int]]:
    """Ranges over `rows` rows, the last one open: should the number be too small, no row is lost."""
    bounds = [rows * i // shares for i in range(shares)] + [2**62]
    return list(pairwise(bounds))


def _groups(weighed: Sequence[tuple[Any, int]], count: int) -> list[tuple[Any, ...]]:
    """Items in at most `count` groups of about the same weight, in their order inside each group."""
    groups: list[list[int]] = [[] for _ in range(min(count, len(weighed)))]
    weights = [0] * len(groups)
    for at in sorted(range(len(weighed)), key=lambda i: -weighed[i][1]):
        lightest = weights.index(min(weights))
        groups[lightest].append(at)
        weights[lightest] += max(weighed[at][1], 1)
    return [tuple(weighed[i][0] for i in sorted(g)) for g in groups]


def sized_inputs(inputs: Sequence[Input], root: str) -> Mapping[str, Scan]:
    """Columns, rows and bytes of every input. Sources are described where they lie; raises SourceError."""
    return {i.name: i.content if isinstance(i.content, Scan) else _described(i.content, root) for i in inputs}


def pinned_bytes(inputs: Sequence[Input]) -> int | None:
    """Bytes of all inputs as far as plans say without a look; None when one does not."""
    total = 0
    for item in inputs:
        if isinstance(item.content, Scan):
            total += item.content.bytes
        elif not item.content.pin.get("files"):
            return None
        else:
            total += sum(f[1] for f in item.content.pin["files"])
    return total


def source_size(source: SourceScan, root: str) -> tuple[int, int]:
    """Bytes and rows of a source; rows that nobody counted are guessed. Raises SourceError."""
    known = pinned_bytes((Input(source.name, source),))
    if known is not None:
        return known, known // _GUESSED_ROW
    sized = _described(source, root)
    return sized.bytes, sized.rows


def _described(source: SourceScan, root: str) -> Scan:
    found = registry.load("sources", source.type)().describe(source.spec, root)
    size = found.bytes or 0
    rows = found.rows if found.rows is not None else size // _GUESSED_ROW
    fields = tuple(Field(f.name, f.type, at) for at, f in enumerate(found.fields, 1))
    return Scan(TableSchema(fields or (Field("none", Primitive("int"), 1),)), (), rows, size)

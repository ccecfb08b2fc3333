"""Where the casts of a stage stand in the user's file: what DuckDB names when a value does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raymesh.engines.ray import syntax

if TYPE_CHECKING:
    import duckdb

    from raymesh.engines.ray.syntax import Tree

Places = tuple[tuple[int, int, int], ...]
"""(byte of a stage's text, line and column of the user's file), as far as they are known."""


def places(con: duckdb.DuckDBPyConnection, node: Tree, text: str, sql: str) -> Places:
    """The places of the casts of `text`, which was rendered from `node`, in the statement `sql` it was made of.

    DuckDB reads its own rendering back: cast for cast the two trees have to be of the same types, otherwise no
    place is known.
    """
    ours, told = list(_casts(node)), list(_casts(syntax.parse(con, text)))
    if [_type(c) for c in ours] != [_type(c) for c in told]:
        return ()
    pairs = ((t.get("query_location"), c.get("query_location")) for t, c in zip(told, ours, strict=True))
    return tuple((at, *_line(sql, place)) for at, place in pairs if at is not None and place is not None)


def _casts(tree: Any) -> Iterator[Tree]:
    if isinstance(tree, dict):
        if tree.get("class") == "CAST":
            yield tree
        for key in sorted(tree):
            yield from _casts(tree[key])
    elif isinstance(tree, list):
        for item in tree:
            yield from _casts(item)


def _type(cast: Tree) -> Any:
    return syntax.without_places(cast["type_expr"])


def _line(sql: str, place: int) -> tuple[int, int]:
    before = sql.encode()[:place].decode(errors="ignore")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1

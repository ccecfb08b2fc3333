"""Where the columns of one SELECT come from.

One walk over the scopes of the qualified query, children first, so its time grows with the query and not
with columns × depth. Importing this module loads sqlglot (0.1 s).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from raymesh.mesh.sql import NotOneSelectError, parse, read_sql
from raymesh.mesh.sql_scopes import EVERY, Origin, SqlColumn, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["EVERY", "Origin", "SqlColumn", "SqlLineage", "sql_lineage"]


@dataclass(frozen=True, slots=True)
class SqlLineage:
    """`columns` in output order; `rows` decide which rows there are, in which group or order: the columns of
    filters, joins, groups and sort orders. `wildcards` are tables of unknown columns that a `*` passes on.
    `opaque` holds the reason when the query cannot be followed; then only `tables` are known."""

    tables: tuple[str, ...]
    columns: tuple[SqlColumn, ...] = ()
    rows: frozenset[Origin] = frozenset()
    wildcards: frozenset[str] = frozenset()
    opaque: str | None = None


def sql_lineage(text: str, schemas: Mapping[str, Iterable[str]]) -> SqlLineage:
    """Lineage of one SELECT; `schemas` gives the columns of each table it names, as far as they are known.

    Direct is everything inside an output expression, conditions and window clauses included. Never raises:
    what sqlglot cannot follow comes back opaque. Results are kept in memory by text and schemas.
    """
    known = tuple(sorted((table, tuple(columns)) for table, columns in schemas.items()))
    return _lineage(text, known)


@lru_cache(maxsize=4096)
def _lineage(text: str, schemas: tuple[tuple[str, tuple[str, ...]], ...]) -> SqlLineage:
    tables = tuple(r.name for r in read_sql(text, "transform.sql").references)
    try:
        tree = parse(text)
        reason = _unfollowable(tree)
        if reason or not isinstance(tree, exp.Query):
            return SqlLineage(tables, opaque=reason)
        top = Walk(dict(schemas)).result(tree)
        return SqlLineage(tables, tuple(top.columns.values()), top.rows, top.wildcards)
    except (SqlglotError, NotOneSelectError) as problem:
        return SqlLineage(tables, opaque=_sentence(problem))
    except RecursionError:
        return SqlLineage(tables, opaque="the query is nested too deeply")


def _sentence(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0] or "the query cannot be followed"


def _unfollowable(tree: exp.Expr) -> str | None:
    if not isinstance(tree, exp.Query):
        return f"{tree.key.upper()} decides its columns from the data"
    for node in tree.find_all(exp.Pivot, exp.Columns, exp.Summarize, exp.Describe):
        return f"{node.key.upper()} decides its columns from the data"
    for star in tree.find_all(exp.Star):
        if not isinstance(star.parent, (exp.Select, exp.Column, exp.Func)):
            return "a pattern chooses the columns"
    return None

"""What a query over governed products may consist of: one SELECT of known parts, told by DuckDB's own parser.

Only what is listed passes. Functions that look at settings, statistics, files, other statements or the clock of
the machine are not listed; a function that a later DuckDB brings is not either.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.functions import FUNCTIONS, TABLE_FUNCTIONS
from raymesh.errors import AccessDeniedError, TransformError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import duckdb

_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLES = frozenset(
    {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF"}
)
_EXPRESSIONS = frozenset(
    [
        "BETWEEN",
        "CASE",
        "CAST",
        "COLLATE",
        "COLUMN_REF",
        "COMPARISON",
        "CONJUNCTION",
        "CONSTANT",
        "FUNCTION",
        "LAMBDA",
        "LAMBDA_REF",
        "OPERATOR",
        "POSITIONAL_REFERENCE",
        "STAR",
        "SUBQUERY",
        "WINDOW",
        "TYPE",
    ]
)
_OWN = ("", "main", "system")
_HINT = "a query over governed products is one SELECT over them with functions that only compute"
_DEEPEST = 400


def require_select(con: duckdb.DuckDBPyConnection, sql: str, names: Collection[str]) -> None:
    """Raise AccessDeniedError unless `sql` is one SELECT over `names` and nothing but known parts.

    `con` only parses. Raises TransformError for text that DuckDB itself takes for no SELECT.
    """
    answer = con.execute("SELECT json_serialize_sql(CAST(? AS VARCHAR))", [sql]).fetchall()[0][0]
    tree = json.loads(answer)
    if tree.get("error") is not False:
        raise TransformError("only a SELECT can be answered", hint=_HINT)
    statements = tree["statements"]
    if len(statements) != 1:
        raise TransformError(f"{len(statements)} statements where one is allowed", hint=_HINT)
    nodes = list(_nodes(statements[0], 0))
    known = {n.casefold() for n in names} | {c.casefold() for c in _steps(nodes)}
    for node in nodes:
        _check(node, known)


def _nodes(part: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > _DEEPEST:
        raise AccessDeniedError("the query is nested too deeply", hint=_HINT)
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _nodes(value, depth + 1)
    elif isinstance(part, list):
        for value in part:
            yield from _nodes(value, depth + 1)


def _steps(nodes: Collection[Mapping[str, Any]]) -> Iterator[str]:
    """The names that WITH gives."""
    for node in nodes:
        steps = node.get("cte_map")
        for entry in steps.get("map", ()) if isinstance(steps, dict) else ():
            yield str(entry["key"])
        if node.get("type") in ("RECURSIVE_CTE_NODE", "CTE_NODE") and "cte_name" in node:
            yield str(node["cte_name"])


def _check(node: Mapping[str, Any], known: Collection[str]) -> None:
    kind = node.get("type")
    if "class" in node and node["class"] not in _EXPRESSIONS:
        raise _refused(f"{str(node['class']).lower()} expressions")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _NODES:
        raise _refused("statements that change something")
    if "function_name" in node:
        _function(node, FUNCTIONS | TABLE_FUNCTIONS)
    if "sample" in node and "select_list" not in node:
        _table(node, str(kind), known)


def _function(node: Mapping[str, Any], allowed: Collection[str]) -> None:
    name = str(node["function_name"]).casefold()
    own = node.get("schema", "") in _OWN and node.get("catalog", "") in _OWN
    if name not in allowed or not own:
        raise _refused(f"the function {name}")


def _table(node: Mapping[str, Any], kind: str, known: Collection[str]) -> None:
    if kind not in _TABLES:
        raise _refused("such a table")
    if kind == "BASE_TABLE":
        name = ".".join(n for n in (node["schema_name"], node["table_name"]) if n)
        if node["catalog_name"] or node["at_clause"] is not None or name.casefold() not in known:
            raise _refused(f"the table {name}")
    if kind == "TABLE_FUNCTION":
        _function(node["function"], TABLE_FUNCTIONS)
    if kind == "SHOW_REF" and (node["query"] is None or node["show_type"] not in ("DESCRIBE", "SUMMARY")):
        raise _refused("SHOW")


def _refused(what: str) -> AccessDeniedError:
    return AccessDeniedError(f"{what} cannot be used in a query over governed products", hint=_HINT)

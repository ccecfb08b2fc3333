"""Which SQL rules add up: the value for a table is the sum of the values for its files.

Such a rule counts rows of the one judged table by what each row says, and nothing else: no other table, no
order, no distinct values, no chance, no clock. Its value is kept per file, and an append asks new files only.
What is not recognised for certain is asked of the whole table, as always.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import duckdb

_COUNTS = frozenset({"count", "count_star", "count_if", "countif"})
_PLAIN = frozenset({"COMPARISON", "CONJUNCTION", "BETWEEN", "CASE", "CAST", "TYPE"})
_OPERATORS = frozenset(
    {
        "OPERATOR_NOT",
        "OPERATOR_IS_NULL",
        "OPERATOR_IS_NOT_NULL",
        "OPERATOR_COALESCE",
        "OPERATOR_NULLIF",
        "COMPARE_IN",
        "COMPARE_NOT_IN",
        "ARRAY_EXTRACT",
        "STRUCT_EXTRACT",
    }
)
_PURE = frozenset(
    [
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "||",
        "~~",
        "!~~",
        "~~*",
        "!~~*",
        "abs",
        "ceil",
        "ceiling",
        "contains",
        "coalesce",
        "date_diff",
        "date_part",
        "date_trunc",
        "datediff",
        "day",
        "dayofweek",
        "ends_with",
        "even",
        "floor",
        "greatest",
        "hour",
        "ifnull",
        "ilike_escape",
        "isfinite",
        "isinf",
        "isnan",
        "least",
        "left",
        "len",
        "length",
        "like_escape",
        "list_contains",
        "lower",
        "lpad",
        "ltrim",
        "minute",
        "month",
        "not_ilike_escape",
        "not_like_escape",
        "nullif",
        "prefix",
        "quarter",
        "regexp_extract",
        "regexp_full_match",
        "regexp_matches",
        "regexp_replace",
        "replace",
        "right",
        "round",
        "rtrim",
        "second",
        "sign",
        "split_part",
        "starts_with",
        "strlen",
        "strpos",
        "substr",
        "substring",
        "suffix",
        "to_days",
        "to_hours",
        "to_minutes",
        "to_months",
        "to_seconds",
        "to_weeks",
        "to_years",
        "trim",
        "trunc",
        "upper",
        "week",
        "year",
        "~",
        "!~",
        "^@",
    ]
)
_CLOCK = frozenset({"now", "today", "tomorrow", "yesterday"})
_NODE = frozenset({"type", "cte_map", "select_list", "from_table", "where_clause", "aggregate_handling"})
_FROM = frozenset(
    {
        "type",
        "alias",
        "query_location",
        "query_location_length",
        "schema_name",
        "table_name",
        "qualified_name",
    }
)


def adds_up(
    con: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], columns: Iterable[str]
) -> bool:
    """Whether `sql` is a count over rows of one of `tables`, decided by their `columns` alone."""
    options = "skip_null := true, skip_empty := true, skip_default := true"
    written = con.execute(f"SELECT json_serialize_sql($sql, {options})", {"sql": sql}).fetchall()[0][0]
    read = json.loads(written)
    statements = read.get("statements", ())
    if read.get("error") or len(statements) != 1:
        return False
    node = statements[0].get("node", {})
    if node.get("type") != "SELECT_NODE" or not node.keys() <= _NODE or node.get("cte_map", {}).get("map"):
        return False
    if node.get("aggregate_handling", "STANDARD_HANDLING") != "STANDARD_HANDLING":
        return False
    source, selected = node.get("from_table", {}), node.get("select_list", ())
    known = _names(source, tables)
    if known is None or len(selected) != 1 or not _is_count(selected[0]):
        return False
    names = _Names(frozenset(c.casefold() for c in columns), known)
    parts = [*_inside(selected[0]), *([node["where_clause"]] if "where_clause" in node else ())]
    return all(names.pure(p) for p in parts)


def _names(source: dict[str, Any], tables: Collection[str]) -> frozenset[str] | None:
    """How columns may be qualified, None when `source` is not simply one of `tables`."""
    path = source.get("qualified_name", {}).get("path", ())
    if source.get("type") != "BASE_TABLE" or not source.keys() <= _FROM:
        return None
    if ".".join(path).casefold() not in {t.casefold() for t in tables}:
        return None
    return frozenset(n.casefold() for n in (*path, source.get("alias", "")))


def _is_count(item: dict[str, Any]) -> bool:
    return (
        item.get("class") == "FUNCTION"
        and item.get("function_name") in _COUNTS
        and not item.get("distinct")
        and not item.get("order_bys", {}).get("orders")
    )


class _Names:
    """What columns are called; everything else that looks like one may be the clock in disguise."""

    def __init__(self, columns: frozenset[str], tables: frozenset[str]) -> None:
        self.columns, self.tables = columns, tables

    def pure(self, item: dict[str, Any]) -> bool:
        """Whether an expression depends on nothing but columns of its row."""
        if item.get("class") == "COLUMN_REF":
            return self._is_column([n.casefold() for n in item.get("column_names", ())])
        return _is_pure(item) and all(self.pure(i) for i in _inside(item))

    def _is_column(self, path: list[str]) -> bool:
        while path and path[0] not in self.columns and path[0] in self.tables:
            path = path[1:]
        return bool(path) and path[0] in self.columns


def _is_pure(item: dict[str, Any]) -> bool:
    kind = item.get("class")
    if kind == "CONSTANT":
        literal = item.get("literal") or item.get("value") or {}
        text = literal.get("text") or literal.get("value")
        return not isinstance(text, str) or text.strip().casefold() not in _CLOCK
    if kind == "FUNCTION":
        plain = not (item.get("distinct") or item.get("filter") or item.get("order_bys", {}).get("orders"))
        return plain and item.get("function_name") in _PURE and not item.get("schema")
    return kind in _PLAIN or (kind == "OPERATOR" and item.get("type") in _OPERATORS)


def _inside(value: Any) -> list[dict[str, Any]]:
    """The expressions directly inside an expression."""
    found: list[dict[str, Any]] = []
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict) and "class" in inner:
            found.append(inner)
        elif isinstance(inner, dict | list):
            found += _inside(inner)
    return found

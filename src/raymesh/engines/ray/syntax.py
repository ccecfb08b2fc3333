"""DuckDB's own syntax trees as data: parsed, taken apart, put together and rendered by DuckDB itself.

Nothing in raymesh reads SQL text here, so there is no second opinion about what a statement means.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

Tree = dict[str, Any]

_NOWHERE = ("query_location", "query_location_length")
_CHILDREN: dict[str, tuple[str, ...]] = {
    "COLUMN_REF": (),
    "CONSTANT": (),
    "CAST": ("child",),
    "BETWEEN": ("input", "lower", "upper"),
    "COMPARISON": ("left", "right"),
    "CONJUNCTION": ("children",),
    "OPERATOR": ("children",),
    "CASE": ("case_checks", "else_expr"),
    "FUNCTION": ("arguments", "filter"),
    "WINDOW": (
        "arguments",
        "partitions",
        "orders",
        "start_expr",
        "end_expr",
        "offset_expr",
        "default_expr",
        "filter_expr",
    ),
    "SUBQUERY": ("child",),
    "STAR": (),
}
"""Where expressions lie inside expressions of each class that is understood."""


class NotASelectError(ValueError):
    """The text is not one SELECT that DuckDB can write down as a tree."""


def parse(con: duckdb.DuckDBPyConnection, sql: str) -> Tree:
    """The tree of exactly one SELECT, with the places of casts in the text: what DuckDB names when a value fails.

    Raises NotASelectError.
    """
    said = json.loads(con.execute("SELECT json_serialize_sql($sql::VARCHAR)", {"sql": sql}).fetchall()[0][0])
    if said["error"]:
        raise NotASelectError(said.get("error_message", "it cannot be written down as a tree"))
    if len(said["statements"]) != 1 or said["statements"][0].get("named_param_map"):
        raise NotASelectError("one SELECT without parameters is needed")
    node: Tree = without_places(said["statements"][0]["node"], keeping="CAST")
    return node


def render(con: duckdb.DuckDBPyConnection, node: Tree) -> str:
    """The SQL text of a query's tree."""
    whole = json.dumps({"error": False, "statements": [{"node": node, "named_param_map": []}]})
    text: str = con.execute("SELECT json_deserialize_sql($tree::JSON)", {"tree": whole}).fetchall()[0][0]
    return text


def without_places(value: Any, keeping: str = "") -> Any:
    """The same without places, those of expressions of the class `keeping` excepted."""
    if isinstance(value, dict):
        left_out = () if keeping and value.get("class") == keeping else _NOWHERE
        return {k: without_places(v, keeping) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [without_places(v, keeping) for v in value]
    return value


def parts(expression: Tree) -> Iterator[tuple[Tree, str | int]]:
    """Where the direct children of an expression are kept: (container, key) pairs.

    Raises KeyError for a class of expressions that is not understood.
    """
    for name in _CHILDREN[expression["class"]]:
        held = expression.get(name)
        if isinstance(held, dict):
            yield expression, name
        for at, item in enumerate(held if isinstance(held, list) else ()):
            yield from _in_list(held, at, item)


def _in_list(held: Any, at: int, item: Tree) -> Iterator[tuple[Any, str | int]]:
    if "class" in item:
        yield held, at
    else:  # arguments, orders and the branches of CASE wrap their expressions
        for key in ("expression", "when_expr", "then_expr"):
            if item.get(key) is not None:
                yield item, key


def children(expression: Tree) -> Iterator[Tree]:
    for held, key in parts(expression):
        yield held[key]  # type: ignore[index]


def walk(expression: Tree) -> Iterator[Tree]:
    """The expression and everything inside, subqueries excepted."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def mapped(expression: Tree, change: Callable[[Tree], Tree | None]) -> Tree:
    """A copy in which every outermost expression that `change` answers is replaced by its answer."""
    answer = change(expression)
    if answer is not None:
        return answer
    copied = shallow(expression)
    for held, key in parts(copied):
        held[key] = mapped(held[key], change)  # type: ignore[index]
    return copied


def shallow(expression: Tree) -> Tree:
    return copy.deepcopy(expression)


def nameless(expression: Tree) -> Tree:
    return {**expression, "alias": ""}


def same(first: Tree, second: Tree) -> bool:
    """Whether two expressions are the same text, whatever they are called and wherever they stand."""
    one, other = nameless(first), nameless(second)
    return one == other or bool(without_places(one) == without_places(other))


def column(alias: str, name: str, *deeper: str) -> Tree:
    return {
        "class": "COLUMN_REF",
        "type": "COLUMN_REF",
        "alias": "",
        "column_names": [alias, name, *deeper],
    }


def reference(expression: Tree) -> tuple[str, str] | None:
    """(alias, column) when the expression is a column and nothing else."""
    names = expression.get("column_names", ())
    if expression["class"] == "COLUMN_REF" and len(names) == 2:
        return names[0], names[1]
    return None


def references(expression: Tree) -> set[tuple[str, str]]:
    """All (alias, column) pairs an expression looks at."""
    return {
        (part["column_names"][0], part["column_names"][1])
        for part in walk(expression)
        if part["class"] == "COLUMN_REF"
    }


def call(function: str, *arguments: Tree, operator: bool = False) -> Tree:
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": "",
        "function_name": function,
        "schema": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": operator,
        "export_state": False,
        "catalog": "",
        "arguments": [{"name": "", "expression": a} for a in arguments],
        "qualified_name": {"path": [function]},
    }


def conjunction(terms: list[Tree]) -> Tree | None:
    if len(terms) < 2:
        return terms[0] if terms else None
    return {"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "children": terms}


def conjuncts(expression: Tree | None) -> list[Tree]:
    """The terms that must all be true."""
    if expression is None:
        return []
    if expression["class"] == "CONJUNCTION" and expression["type"] == "CONJUNCTION_AND":
        return [term for child in expression["children"] for term in conjuncts(child)]
    return [expression]


def equality(left: Tree, right: Tree) -> Tree:
    return comparison("EQUAL", left, right)


def comparison(kind: str, left: Tree, right: Tree) -> Tree:
    """`kind` is EQUAL, GREATERTHAN, DISTINCT_FROM …"""
    return {"class": "COMPARISON", "type": f"COMPARE_{kind}", "alias": "", "left": left, "right": right}


def coalesced(first: Tree, second: Tree) -> Tree:
    return {"class": "OPERATOR", "type": "OPERATOR_COALESCE", "alias": "", "children": [first, second]}


def table(name: str, alias: str = "") -> Tree:
    return {
        "type": "BASE_TABLE",
        "alias": alias,
        "sample": None,
        "schema_name": "",
        "table_name": name,
        "column_name_alias": [],
        "catalog_name": "",
        "at_clause": None,
        "qualified_name": {"path": [name]},
    }


def subquery(node: Tree, alias: str) -> Tree:
    return {
        "type": "SUBQUERY",
        "alias": alias,
        "sample": None,
        "subquery": {"node": node, "named_param_map": []},
        "column_name_alias": [],
    }


def nothing() -> Tree:
    return {"type": "EMPTY", "alias": "", "sample": None}


def join(left: Tree, right: Tree, kind: str, on: Tree | None) -> Tree:
    return {
        "type": "JOIN",
        "alias": "",
        "sample": None,
        "left": left,
        "right": right,
        "condition": on,
        "join_type": kind,
        "ref_type": "REGULAR" if on is not None else "CROSS",
        "using_columns": [],
        "delim_flipped": False,
        "duplicate_eliminated_columns": [],
        "is_implicit": False,
        "ranking_expression": None,
        "nearest_count": 1,
        "nearest_order_type": "ASCENDING",
        "nearest_approx": False,
    }


def star() -> Tree:
    return {
        "class": "STAR",
        "type": "STAR",
        "alias": "",
        "relation_name": "",
        "exclude_list": [],
        "replace_list": [],
        "columns": False,
        "expr": None,
        "qualified_exclude_list": [],
        "rename_list": [],
    }


def select(chosen: list[Tree], source: Tree) -> Tree:
    """A SELECT with nothing but its columns and where they come from."""
    return {
        "type": "SELECT_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "select_list": chosen,
        "from_table": source,
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": None,
        "sample": None,
        "qualify": None,
    }


def number(value: int) -> Tree:
    return _constant("INTEGER", str(value))


def text(value: str) -> Tree:
    return _constant("STRING", value)


def false() -> Tree:
    return _constant("BOOLEAN", "false")


def null(kind: str) -> Tree:
    return cast(_constant("NULL_LITERAL", ""), kind)


def _constant(kind: str, value: str) -> Tree:
    return {
        "class": "CONSTANT",
        "type": "VALUE_CONSTANT",
        "alias": "",
        "literal": {"kind": kind, "text": value},
    }


def cast(child: Tree, kind: str) -> Tree:
    """A cast to a type without members: `BIGINT`, `DECIMAL(9,2)`."""
    name, _, rest = kind.partition("(")
    sizes = [number(int(n)) for n in rest.rstrip(")").split(",")] if rest else []
    return {
        "class": "CAST",
        "type": "OPERATOR_CAST",
        "alias": "",
        "child": child,
        "try_cast": False,
        "type_expr": {
            "class": "TYPE",
            "type": "TYPE",
            "alias": "",
            "catalog": "",
            "schema": "",
            "type_name": name,
            "children": sizes,
            "qualified_name": {"path": [name]},
        },
    }


def first(orders: list[Tree], count: int, offset: int) -> list[Tree]:
    """The modifiers ORDER BY … LIMIT … OFFSET of a SELECT."""
    behind = number(offset) if offset else None
    return [
        {"type": "ORDER_MODIFIER", "orders": orders},
        {"type": "LIMIT_MODIFIER", "limit": number(count), "offset": behind},
    ]


def set_operation(kind: str, every: bool, members: list[Tree]) -> Tree:
    return {
        "type": "SET_OPERATION_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "setop_type": kind,
        "left": None,
        "right": None,
        "setop_all": every,
        "children": members,
    }

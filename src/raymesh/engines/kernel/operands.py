"""Operands of a predicate as typed SQL: columns, struct members, lengths, norms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.engines.kernel.comparisons import describe
from raymesh.engines.kernel.sqltext import quote, text
from raymesh.errors import UsageError
from raymesh.spec.expression import (
    Attribute,
    Column,
    DistinctLength,
    Length,
    MapKeys,
    MapValues,
    Norm,
    Operand,
    Present,
    Remainder,
    Value,
)
from raymesh.spec.types import Field, List, Map, Primitive, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

ITEM = "$item"
NUMERIC = ("int", "long", "float", "double")
_LONG = Primitive("long")


@dataclass(frozen=True, slots=True)
class Term:
    """SQL text with its type."""

    sql: str
    type: Type


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean: the columns of the table, and the item of the innermost list, if inside one.

    `row` is a prefix for columns (a table alias with its dot).
    """

    columns: Mapping[str, Field]
    row: str = ""
    item: Term | None = None
    depth: int = 0

    @classmethod
    def of(cls, schema: TableSchema, row: str = "") -> Scope:
        return cls({f.name: f for f in schema}, row)

    def inside(self, items: List) -> Scope:
        """The scope of a condition on the items of a list."""
        return Scope(self.columns, self.row, Term(f'"${self.depth}"', items.element), self.depth + 1)


def term(operand: Operand, scope: Scope) -> Term:
    """The operand as SQL; raises UsageError when a name does not exist or a type does not fit."""
    match operand:
        case Column(path):
            return _column(path, scope)
        case Length(of):
            return _length(term(of, scope))
        case DistinctLength(of):
            return _distinct(term(of, scope))
        case MapKeys() | MapValues():
            return _entries(operand, scope)
        case Norm(of):
            return _norm(term(of, scope))
        case Present(of):
            terms = [f"CAST({term(o, scope).sql} IS NOT NULL AS INTEGER)" for o in of]
            return Term("(" + " + ".join(terms or ["0"]) + ")", _LONG)
        case Attribute(name):
            raise UsageError(f"principal.{name} was never decided: no rows can be chosen by it")
        case Value() | Remainder():
            raise UsageError("a constant, or a remainder, stands only in a comparison")


def items_of(operand: Operand, scope: Scope) -> tuple[str, List]:
    """A list as SQL and its type."""
    found = term(operand, scope)
    if not isinstance(found.type, List):
        raise UsageError(f"a {describe(found.type)} has no items")
    return found.sql, found.type


def _column(path: tuple[str, ...], scope: Scope) -> Term:
    head, *members = path
    if head == ITEM and scope.item is not None:
        found = scope.item
    elif (field := scope.columns.get(head)) is not None:
        found = Term(scope.row + quote(head), field.type)
    else:
        raise UsageError(f"there is no column {head!r}")
    for name in members:
        found = _member(found, name)
    return found


def _member(of: Term, name: str) -> Term:
    if not isinstance(of.type, Struct):
        raise UsageError(f"a {describe(of.type)} has no member {name!r}")
    field = next((f for f in of.type.fields if f.name == name), None)
    if field is None:
        raise UsageError(f"there is no member {name!r}")
    return Term(f"struct_extract({of.sql}, {text(name)})", field.type)


def _length(of: Term) -> Term:
    match of.type:
        case Primitive("string"):
            return Term(f"length({of.sql})", _LONG)
        case Primitive("binary"):
            return Term(f"octet_length({of.sql})", _LONG)
        case List():
            return Term(f"len({of.sql})", _LONG)
        case Map():
            return Term(f"CAST(cardinality({of.sql}) AS BIGINT)", _LONG)
    raise UsageError(f"a {describe(of.type)} has no length")


def _distinct(of: Term) -> Term:
    if not isinstance(of.type, List):
        raise UsageError(f"a {describe(of.type)} has no items")
    nulls = f"CAST(list_count({of.sql}) < len({of.sql}) AS INTEGER)"
    return Term(f"(len(list_distinct({of.sql})) + {nulls})", _LONG)


def _entries(operand: MapKeys | MapValues, scope: Scope) -> Term:
    found = term(operand.of, scope)
    if not isinstance(found.type, Map):
        raise UsageError(f"a {describe(found.type)} has no keys")
    if isinstance(operand, MapKeys):
        return Term(f"map_keys({found.sql})", List(found.type.key))
    return Term(f"map_values({found.sql})", List(found.type.value))


def _norm(of: Term) -> Term:
    numeric = isinstance(of.type, List) and isinstance(of.type.element, Primitive)
    if not (numeric and str(of.type.element) in NUMERIC):  # type: ignore[union-attr]  # a List, just checked
        raise UsageError(f"a {describe(of.type)} is not a list of numbers")
    squares = f'list_transform({of.sql}, lambda "$x": CAST("$x" AS DOUBLE) * CAST("$x" AS DOUBLE))'
    return Term(f"sqrt(list_sum({squares}))", Primitive("double"))


def unlimited(of: Term) -> str:
    """The term for a join of rows of files, such that no file is skipped by its least and greatest value.

    Joins hand the range of one side to the scan of the other. The limits that files note of floating-point
    columns leave NaN out, so NaN would not be found; an expression is not handed on.
    """
    return f"({of.sql} + 0)" if str(of.type) in ("float", "double") else of.sql

"""A query as relations: every name resolved, every table under an alias of its own, nothing implied.

`names.resolved` makes these from DuckDB's trees; `placing` decides with them what can be computed apart.
Expressions in here refer to columns as (alias, column) only, and aliases are unique in the whole query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from raymesh.engines.ray.syntax import Tree, references, walk

Ref = tuple[str, str]
Member = tuple[Ref, ...]
"""Something rows can be placed by: one column, or the two sides of a full join's column (`coalesce(l, r)`)."""
Key = tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its DuckDB type in words."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """An input under an alias."""

    alias: str
    input: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """A query under an alias; `single` when it has one row at most."""

    alias: str
    query: Query
    single: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.query.columns


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """`kind` is INNER (without `on`: every pair), LEFT, RIGHT, FULL, SEMI or ANTI; `on` are its conjuncts."""

    left: Source
    right: Source
    kind: str
    on: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Top:
    """The first `count` rows behind `offset`: `orders` are DuckDB's, over the block's columns by position."""

    orders: tuple[Tree, ...]
    count: int
    offset: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One SELECT. `names` are its columns' names, `chosen` their expressions, in order.

    `asides` are the subqueries inside its expressions, each as a table of its own. With `partial`, it may be
    computed of any share of its rows: whoever reads it combines what the shares say. `sets` are those of GROUP BY
    ROLLUP, CUBE and GROUPING SETS, as places in `keys`; without, all keys are the one set.
    """

    source: Source
    names: tuple[str, ...]
    chosen: tuple[Tree, ...]
    columns: tuple[Column, ...]
    where: tuple[Tree, ...] = ()
    keys: tuple[Tree, ...] = ()
    aggregated: bool = False
    having: Tree | None = None
    qualify: Tree | None = None
    distinct: bool = False
    asides: tuple[Derived, ...] = ()
    partial: bool = False
    shared: bool = False
    top: Top | None = None
    sets: tuple[tuple[int, ...], ...] = ()

    @property
    def common(self) -> tuple[Tree, ...]:
        """The keys of every set: those that rows of one group have in common, and keep."""
        return tuple(k for at, k in enumerate(self.keys) if all(at in one for one in self.sets))

    @property
    def of_nothing(self) -> bool:
        """Whether it makes a row of no rows at all."""
        return self.aggregated and (() in self.sets or not self.keys)

    def expressions(self) -> Iterator[Tree]:
        """All expressions but the conditions of its joins."""
        yield from self.chosen
        yield from self.where
        yield from self.keys
        yield from (e for e in (self.having, self.qualify) if e is not None)

    def windows(self) -> Iterator[Tree]:
        for expression in self.expressions():
            yield from (part for part in walk(expression) if part["class"] == "WINDOW")


@dataclass(frozen=True, slots=True, eq=False)
class Union:
    """A set operation: `kind` is UNION, EXCEPT or INTERSECT, with `every` row or distinct ones."""

    kind: str
    every: bool
    members: tuple[Derived, ...]
    columns: tuple[Column, ...]
    shared: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A query that runs as it stands in one task over whole `inputs`, because of `why`."""

    node: Tree
    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    why: str
    shared: bool = False


Query: TypeAlias = Block | Union | Opaque
Source: TypeAlias = Base | Derived | Join


@dataclass(slots=True)
class Aliases:
    """Aliases that no other table of the query has: t1, t2, …"""

    prefix: str = "t"
    last: int = field(default=0)

    def fresh(self) -> str:
        self.last += 1
        return f"{self.prefix}{self.last}"


def leaves(source: Source) -> Iterator[Base | Derived]:
    if isinstance(source, Join):
        yield from leaves(source.left)
        yield from leaves(source.right)
    else:
        yield source


def aliases(source: Source) -> set[str]:
    return {leaf.alias for leaf in leaves(source)}


def joins(source: Source) -> Iterator[Join]:
    if isinstance(source, Join):
        yield source
        yield from joins(source.left)
        yield from joins(source.right)


def wanted(block: Block) -> set[Ref]:
    """Every column of its tables that a block looks at."""
    found: set[Ref] = set()
    for expression in block.expressions():
        found |= references(expression)
    for join in joins(block.source):
        for term in join.on:
            found |= references(term)
    return found


def member_of(expression: Tree) -> Member | None:
    """The expression as something rows can be placed by, when it is such a thing."""
    names = expression.get("column_names")
    if expression["class"] == "COLUMN_REF" and names is not None and len(names) == 2:
        return ((names[0], names[1]),)
    if expression["class"] == "OPERATOR" and expression["type"] == "OPERATOR_COALESCE":
        inside = [member_of(child) for child in expression["children"]]
        if len(inside) == 2 and all(m is not None and len(m) == 1 for m in inside):
            return tuple(m[0] for m in inside if m is not None)
    return None


def family(type_: str) -> str:
    """Types whose values are equal exactly when the values they hash by are equal share a family.

    Empty for types rows cannot be placed by.
    """
    if type_ in _EXACT or type_.startswith("DECIMAL("):
        return "exact"
    if type_ in ("FLOAT", "DOUBLE"):
        return "float"
    return type_ if type_ in _ALONE else ""


_EXACT = frozenset(
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
)
_ALONE = frozenset(
    ("BOOLEAN", "VARCHAR", "BLOB", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "UUID")
)
_HASHED = {"exact": "HUGEINT", "float": "DOUBLE"}


_STAY = re.compile(r"\b(UHUGEINT|BIT|BIGNUM|VARINT|UNION|VARIANT|ENUM|GEOMETRY|NULL)\b|TIME WITH TIME ZONE")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def travels(type_: str) -> bool:
    """Whether values of a type come out of an Arrow table as they went in."""
    bare = _QUOTED.sub("", type_)
    return type_ != '"NULL"' and not _STAY.search(bare.replace("TIMESTAMP WITH TIME ZONE", ""))


def hashed(column_sql: str, type_: str) -> str:
    """The SQL value a column is hashed by: equal for equal values, whatever their types in one family.

    Whole numbers and decimals of any scale meet as rounded whole numbers; DuckDB's hash takes -0.0 for 0.0 and
    all NaN for one.
    """
    kind = _HASHED.get(family(type_))
    return f"CAST({column_sql} AS {kind})" if kind else column_sql

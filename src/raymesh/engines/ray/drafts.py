"""Stages in the making: what is read, what it would cost, and trees that stand for a query's parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from raymesh.engines.ray import syntax
from raymesh.engines.ray.relations import Block, Column, Derived, Join, Ref, Source
from raymesh.engines.ray.stages import How, Runs
from raymesh.engines.ray.syntax import Tree

ALONE = 8.0
"""A byte in a task of its own keeps all others waiting, and has to fit one machine."""
FIXED = 64 * 1024.0
"""What a stage costs before its first byte."""
_WIDTHS = {
    "BOOLEAN": 1,
    "INTEGER": 4,
    "SMALLINT": 2,
    "DATE": 4,
    "FLOAT": 4,
    "VARCHAR": 20,
    "BLOB": 40,
    "HUGEINT": 16,
    "UUID": 16,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What the planner reckons with: tasks that run side by side, the largest table (bytes in memory) every
    task may be given, and sizes of inputs (rows, bytes)."""

    parallel: int = 2
    whole_bytes: float = 256 * 1024 * 1024
    sizes: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Size:
    rows: float
    width: float

    @property
    def bytes(self) -> float:
        return self.rows * self.width

    def times(self, share: float) -> Size:
        return Size(self.rows * share, self.width)


def width(columns: Iterable[Column]) -> float:
    """Bytes one row takes in memory, roughly."""
    return 1 + sum(
        _WIDTHS.get(c.type, 24 if "(" in c.type and not c.type.startswith("DECIMAL") else 8) for c in columns
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A read in the making. `draft` makes its rows unless `input` holds them."""

    alias: str
    how: How
    columns: tuple[Column, ...]
    size: Size
    input: str = ""
    draft: Draft | None = None
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Something that can be computed in tasks: its tree over tables named by alias, and what these read.

    `moved` says which columns of the tables are now called otherwise. `cost` is in bytes moved, roughly.
    """

    tree: Tree
    reads: tuple[Reading, ...]
    cost: float
    size: Size
    moved: Mapping[Ref, Ref] = field(default_factory=dict)

    def changed(self, tree: Tree) -> Placed:
        return replace(self, tree=tree)


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A stage in the making."""

    node: Tree
    reads: tuple[Reading, ...]
    runs: Runs
    columns: tuple[Column, ...]
    size: Size
    cost: float
    why: str
    spread: tuple[str, ...] = ()


def alone(placed: Placed) -> float:
    """What it costs to do all of it in one task."""
    return placed.cost + sum(r.size.bytes for r in placed.reads) * ALONE + FIXED


@dataclass(frozen=True, slots=True)
class Around:
    """The block around a source: what it looks at there, and the conditions that hold for rows it keeps. With `once`
    it only asks whether there is a row, not how many."""

    block: Block
    needs: frozenset[Ref]
    terms: tuple[Tree, ...]
    once: bool = False

    def under(self, terms: Sequence[Tree]) -> Around:
        return replace(self, terms=tuple(terms))


def moved(expression: Tree, names: Mapping[Ref, Ref]) -> Tree:
    """The expression with columns that moved named where they are now."""
    if not names:
        return expression

    def change(part: Tree) -> Tree | None:
        if part["class"] != "COLUMN_REF":
            return None
        path = part["column_names"]
        to = names.get((path[0], path[1]))
        return None if to is None else {**part, "column_names": [*to, *path[2:]]}

    return syntax.mapped(expression, change)


def block_tree(block: Block, placed: Placed) -> Tree:
    """The SELECT of a block over its placed tables."""
    names = placed.moved
    node = syntax.select([moved(e, names) for e in block.chosen], placed.tree)
    node["where_clause"] = syntax.conjunction([moved(t, names) for t in block.where])
    node["group_expressions"] = [moved(k, names) for k in block.keys]
    every = (
        [list(range(len(block.keys)))] if block.aggregated else []
    )  # without keys: one row, whatever is chosen
    node["group_sets"] = [list(one) for one in block.sets] or every
    node["having"] = None if block.having is None else moved(block.having, names)
    node["qualify"] = None if block.qualify is None else moved(block.qualify, names)
    if block.distinct:
        node["modifiers"] = [{"type": "DISTINCT_MODIFIER", "distinct_on_targets": []}]
    if block.top is not None:
        node["modifiers"] += syntax.first(list(block.top.orders), block.top.count, block.top.offset)
    return node


def join_tree(join: Join, left: Placed, right: Placed) -> Tree:
    names = {**left.moved, **right.moved}
    on = syntax.conjunction([moved(t, names) for t in join.on])
    return syntax.join(left.tree, right.tree, join.kind, on)


def plain_tree(source: Source) -> Tree:
    """The FROM of tables as they are, each under its alias."""
    if isinstance(source, Join):
        on = syntax.conjunction(list(source.on))
        return syntax.join(plain_tree(source.left), plain_tree(source.right), source.kind, on)
    return syntax.table(source.alias)


def joined(kind: str, left: Size, right: Size) -> Size:
    """How much a join makes: keys are taken for keys."""
    if kind in ("SEMI", "ANTI"):
        return left.times(0.5)
    return Size(max(left.rows, right.rows), left.width + right.width)


def pruned(derived: Derived, names: set[str]) -> Derived:
    """A derived table that makes only the columns `names`, where leaving out others changes nothing."""
    query = derived.query
    if not isinstance(query, Block) or query.distinct or query.shared or query.top:
        return derived
    keep = [i for i, name in enumerate(query.names) if name in names]
    if not keep:
        keep = [0]
    if len(keep) == len(query.names) or (query.aggregated and not query.keys):
        return derived
    fewer = replace(
        query,
        names=tuple(query.names[i] for i in keep),
        chosen=tuple(query.chosen[i] for i in keep),
        columns=tuple(query.columns[i] for i in keep),
    )
    return Derived(derived.alias, fewer)

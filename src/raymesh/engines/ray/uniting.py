"""Set operations apart: all members placed by the same columns, UNION ALL in any way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.engines.ray import syntax
from raymesh.engines.ray.drafts import FIXED, Around, Draft, Placed, Size, alone, block_tree, width
from raymesh.engines.ray.relations import Block, family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.engines.ray.placing import Placer
    from raymesh.engines.ray.relations import Derived, Union
    from raymesh.engines.ray.stages import Runs


def union_draft(placer: Placer, union: Union) -> Draft:
    names = [c.name for i, c in enumerate(union.columns) if _placeable(union, i)]
    what = f"{union.kind.lower()} of {len(union.members)}"
    found: list[Draft] = []
    for key in dict.fromkeys((None, tuple(names), *((n,) for n in names[:6]))):
        placed = union_placed(placer, union, key) if key != () else None
        if placed is not None:
            how = f"of rows that share {', '.join(key)}" if key else "by files"
            found.append(_drafted(union, placed, f"{what} {how}"))
    if found:
        return min(found, key=lambda d: d.cost)
    placed = _together(union, [placer.all_of(m, _all_of(m)) for m in union.members])
    why = f"one task: {what} over columns that rows cannot be placed by"
    return Draft(placed.tree, placed.reads, "one", union.columns, placed.size, alone(placed), why)


def _placeable(union: Union, at: int) -> bool:
    kind = family(union.columns[at].type)
    return bool(kind) and all(family(m.columns[at].type) == kind for m in union.members)


def union_placed(placer: Placer, union: Union, names: tuple[str, ...] | None) -> Placed | None:
    """A set operation with the rows of its members placed by its columns `names`."""
    if names is None and (union.kind != "UNION" or not union.every):
        return None
    at = [[c.name for c in union.columns].index(n) for n in names or ()]
    if not all(_placeable(union, i) for i in at):
        return None
    members: list[Placed] = []
    for member in union.members:
        placer.learn(member)
        key = None if names is None else tuple(((member.alias, member.columns[i].name),) for i in at)
        placed = placer.source(member, key, _all_of(member))
        if placed is None:
            return None
        members.append(placed)
    return _together(union, members)


def _together(union: Union, members: Sequence[Placed]) -> Placed:
    trees = [block_tree(_all_of(m).block, p) for m, p in zip(union.members, members, strict=True)]
    return Placed(
        syntax.set_operation(union.kind, union.every, trees),
        tuple(r for p in members for r in p.reads),
        sum(p.cost for p in members),
        Size(sum(p.size.rows for p in members), width(union.columns)),
    )


def _all_of(member: Derived) -> Around:
    """What a set operation looks at of a member: everything."""
    names = tuple(c.name for c in member.columns)
    chosen = tuple({**syntax.column(member.alias, n), "alias": n} for n in names)
    refs = frozenset((member.alias, n) for n in names)
    return Around(Block(member, names, chosen, member.columns), refs, ())


def _drafted(union: Union, placed: Placed, why: str) -> Draft:
    runs: Runs = "partitions" if any(r.how == "exchange" for r in placed.reads) else "files"
    return Draft(placed.tree, placed.reads, runs, union.columns, placed.size, placed.cost + FIXED, why)

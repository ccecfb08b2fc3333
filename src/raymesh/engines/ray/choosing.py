"""Which stage makes the rows of a query at the least cost, and the reason in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.engines.ray.drafts import ALONE, FIXED, Draft, Reading, Size, alone, width
from raymesh.engines.ray.grouping import by_sets
from raymesh.engines.ray.relations import Join, aliases, leaves
from raymesh.engines.ray.sharing import candidate_keys, whole_allowed

if TYPE_CHECKING:
    from raymesh.engines.ray.drafts import Placed
    from raymesh.engines.ray.placing import Placer
    from raymesh.engines.ray.relations import Block, Key, Opaque, Source, Union
    from raymesh.engines.ray.stages import Runs


def opaque_draft(placer: Placer, query: Opaque) -> Draft:
    reads, cost = [], 0.0
    for name in query.inputs:
        rows, size = placer.terms.sizes.get(name, (0, 0))
        reads.append(Reading(name, "whole", (), Size(rows, size / rows if rows else 0), input=name))
        cost += size * ALONE
    most = max((r.size.rows for r in reads), default=1)
    made = Size(most, width(query.columns))
    return Draft(query.node, tuple(reads), "one", query.columns, made, cost + FIXED, f"one task: {query.why}")


def block_draft(placer: Placer, block: Block) -> Draft:
    found: list[Draft] = []
    forms = placer.forms(block)
    for form in forms:
        for key in (None, *candidate_keys(placer.facts, form)):
            placed = placer.block(form, key)
            if placed is not None:
                found.append(stage(form, placed, key))
    if block.sets and (told := by_sets(forms[1], placer.made)) is not None:
        found.append(_together(placer, *told))
    last = forms[1] if len(forms) == 3 else block  # states, not rows, meet in the one task
    found.append(_one(placer, last))
    return min(found, key=lambda d: d.cost)


def _together(placer: Placer, union: Union, read: Block) -> Draft:
    """A union whose members all `read` the same, which is made once."""
    made = placer.draft(union)
    return replace(made, cost=made.cost - (len(union.members) - 1) * placer.draft(read).cost)


def stage(block: Block, placed: Placed, key: Key | None) -> Draft:
    exchanged = [r for r in placed.reads if r.how == "exchange"]
    runs: Runs = "partitions" if exchanged else "files"
    spread = () if key is None else _spreadable(block, placed)
    why = _why(block, placed, key)
    return Draft(
        placed.tree, placed.reads, runs, block.columns, placed.size, placed.cost + FIXED, why, spread
    )


def _why(block: Block, placed: Placed, key: Key | None) -> str:
    whole = [r.alias for r in placed.reads if r.how == "whole"]
    given = f"; every task is given {', '.join(_called(w, placed) for w in whole)}" if whole else ""
    if key is None:
        does = "aggregates its share of the files" if block.partial else "reads its share of the files"
        does = "keeps the different rows of its share of the files" if block.distinct else does
        does = "keeps the first rows of its share" if block.top is not None else does
        return f"each task {does}{given}"
    names = ", ".join("/".join(n for _, n in m) for m in key)
    what = [w for w, is_ in (("groups", block.aggregated), ("windows", any(block.windows()))) if is_]
    what += ["joins"] if isinstance(block.source, Join) else []
    what += ["makes distinct"] if block.distinct else []
    return f"{' and '.join(what) or 'reads'} rows that share {names}{given}"


def _called(alias: str, placed: Placed) -> str:
    return next((r.input or alias for r in placed.reads if r.alias == alias), alias)


def _spreadable(block: Block, placed: Placed) -> tuple[str, ...]:
    """Reads whose rows may be dealt out further, the rest of the partition given whole."""
    if (block.aggregated and not block.partial) or block.distinct or any(block.windows()) or block.top:
        return ()
    own = {leaf.alias for leaf in leaves(block.source)}
    return tuple(
        r.alias
        for r in placed.reads
        if r.how == "exchange" and r.alias in own and _dealt(block.source, r.alias)
    )


def _one(placer: Placer, block: Block) -> Draft:
    placed = placer.whole_block(block)
    return Draft(
        placed.tree,
        placed.reads,
        "one",
        block.columns,
        placed.size,
        alone(placed),
        f"one task: {_undivided(placer, block)}",
    )


def _undivided(placer: Placer, block: Block) -> str:
    if not all(placer.small(a) for a in block.asides):
        return "the answer of a subquery is too large to be given to every task"
    if block.aggregated and not block.keys:
        return "it makes one row of all"
    if block.sets and not block.common:
        return "it groups by sets of keys that share none"
    if block.top is not None:
        return "it takes the first of the first rows of every share"
    if any(block.windows()):
        return "its windows look at rows that share no column"
    return "its rows cannot be told apart by a column, or moving them would cost more"


def _dealt(source: Source, alias: str) -> bool:
    """Whether the rows of one table may be dealt out while all others are whole."""
    if not isinstance(source, Join):
        return True
    left_whole, right_whole = whole_allowed(source.kind)
    if alias in aliases(source.left):
        return right_whole and _dealt(source.left, alias)
    return left_whole and _dealt(source.right, alias)

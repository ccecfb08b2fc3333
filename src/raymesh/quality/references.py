"""Checks from relationships: values that must exist in another table, or in the same one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.quality.frame import Frame, Loc, Target, chosen
from raymesh.quality.model import Check
from raymesh.spec.expression import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raymesh.quality.part import Part
    from raymesh.spec.contract_schema import Relationship, SchemaObject

SELF = ""
"""The target of a relationship within one table."""


def part_references(part: Part, frame: Frame) -> Iterator[Check]:
    """The relationships of a column; ids are `<label>.reference`."""
    for n, relationship in enumerate(part.item.relationships):
        if part.path is None:
            check = _check(relationship, (), "a part of a list or map cannot refer to another table", frame)
        else:
            check = _check(relationship, (part.path,), None, frame)
        named = _named(check, f"{part.label}.reference", (part.column,))
        made = frame.check(named, (*part.where, "relationships", n))
        yield frame.soften(made, chosen(relationship.custom_properties))


def object_references(table: SchemaObject, where: Loc, frame: Frame) -> Iterator[Check]:
    """The relationships of a table, composite ones too; ids are `reference.<columns>`."""
    for n, relationship in enumerate(table.relationships):
        keys = tuple(Column(_own_path(r, frame)) for r in relationship.from_)
        columns = tuple(k.path[0] for k in keys)
        check = _check(relationship, keys, None, frame)
        named = _named(check, f"reference.{relationship.id or '-'.join(columns)}", columns)
        made = frame.check(named, (*where, "relationships", n))
        yield frame.soften(made, chosen(relationship.custom_properties))


def _named(check: Check, name: str, columns: tuple[str, ...]) -> Check:
    return replace(check, id=name, columns=columns)


def _check(relationship: Relationship, keys: tuple[Column, ...], refused: str | None, frame: Frame) -> Check:
    target = _target(relationship.to, frame)
    if refused is None and target is None:
        refused = f"there is no table behind {', '.join(relationship.to)}"
    if refused is None and target is not None and len(target[1]) != len(keys):
        refused = f"{len(keys)} columns cannot refer to {len(target[1])}"
    return Check(
        "",
        "reference",
        "foreignKey",
        keys=keys,
        target=target,
        dimension="consistency",
        description=f"exists in {', '.join(relationship.to)}",
        unsupported=refused,
    )


def _target(references: Sequence[str], frame: Frame) -> Target | None:
    """The table and columns meant: this table, or what the mesh knows by that name."""
    split = [r.rsplit(".", 1) for r in references]
    if all(len(s) == 2 and s[0] in frame.names for s in split):
        return SELF, tuple(s[1] for s in split)
    return frame.resolve(references)


def _own_path(reference: str, frame: Frame) -> tuple[str, ...]:
    """`orders.address.street` of the table `orders` as a path: `address`, `street`."""
    for name in frame.names:
        if reference.startswith(name + "."):
            return tuple(reference[len(name) + 1 :].split("."))
    return tuple(reference.split("."))

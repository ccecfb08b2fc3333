"""Checks that follow from the description of a column, or of a part of one: type, required, unique, enum."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raymesh.quality.fit import is_text
from raymesh.quality.formats import moment
from raymesh.quality.frame import Frame, chosen, refused, row_check
from raymesh.quality.model import Check
from raymesh.quality.options import option_checks
from raymesh.quality.temporal import moment_of
from raymesh.spec.expression import And, Compare, Expression, In, IsNull, Length, Not, Or, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.quality.part import Part


def part_checks(part: Part, frame: Frame) -> Iterator[Check]:
    """Every promise of one part but its quality rules; ids begin with the part's label."""
    for check, where in _promises(part):
        made = frame.check(check, (*part.where, *where))
        yield made if check.kind == "type" else frame.soften(made, chosen(part.item.custom_properties))


def _promises(part: Part) -> Iterator[tuple[Check, tuple[str | int, ...]]]:
    item = part.item
    for check, key in type_checks(part):
        yield check, (key,) if key else ()
    if item.required:
        yield _required(part), ("required",)
    if item.primary_key:
        yield _in_key(part), ("primaryKey",)
    if item.unique:
        yield _unique(part), ("unique",)
    if item.enum:
        yield _enumerated(part), ("enum",)
    for check, option in option_checks(part):
        yield check, ("logicalTypeOptions", option)


def type_checks(part: Part) -> Iterator[tuple[Check, str]]:
    """The promised types with the key of the document each comes from; without any, that the part exists."""
    item = part.item
    if item.logical_type:
        promise: dict[str, Any] = {"logical": item.logical_type}
        if item.physical_type:
            promise["physical"] = item.physical_type
        yield _type(part, "logicalType", promise, item.logical_type), "logicalType"
    if item.physical_type:
        check = _type(part, "physicalType", {"physical": item.physical_type}, item.physical_type)
        if part.physical is None:
            check = replace(check, unsupported=f"{item.physical_type!r} is no type raymesh knows")
        yield check, "physicalType"
    if not (item.logical_type or item.physical_type):
        yield _type(part, "exists", {}, "any type"), ""
    yield from ((c, "physicalType") for c in _stored(part))


def _type(part: Part, rule: str, promise: dict[str, Any], shown: str) -> Check:
    return Check(
        f"{part.label}.{rule}",
        "type",
        rule,
        columns=(part.column,),
        arguments={**promise, "steps": list(part.steps)},
        dimension="conformity",
        description=f"{part.label} is {shown}" if promise else f"{part.label} is there",
    )


def _stored(part: Part) -> Iterator[Check]:
    """What the physical type says beyond the stored type: `varchar(18)`, `smallint`, `float[3]`."""
    physical = part.physical
    if physical is None:
        return
    limits: list[Expression] = []
    if physical.minimum is not None:
        limits.append(Compare("<", part.operand, Value(physical.minimum)))
    if physical.maximum is not None:
        limits.append(Compare(">", part.operand, Value(physical.maximum)))
    if physical.max_length is not None:
        limits.append(Compare(">", Length(part.operand), Value(physical.max_length)))
    if physical.items is not None:
        limits.append(Compare("<>", Length(part.operand), Value(physical.items)))
    if limits:
        text = f"fits {part.item.physical_type or 'its physical type'}"
        yield row_check(
            part, "physicalType.size", Or(tuple(limits)), dimension="conformity", description=text
        )


def absent(part: Part) -> Expression:
    """The part is NULL although what holds it is not."""
    if part.parent is None:
        return IsNull(part.operand)
    return And((Not(IsNull(part.parent)), IsNull(part.operand)))


def _required(part: Part) -> Check:
    return row_check(part, "required", absent(part), dimension="completeness", description="is never NULL")


def _in_key(part: Part) -> Check:
    if part.path is None:
        return refused(part, "primaryKey", "a part of a list or map cannot be in a primary key")
    return row_check(
        part,
        "primaryKey",
        IsNull(part.operand),
        dimension="completeness",
        description="is never NULL, as part of the primary key",
    )


def _unique(part: Part) -> Check:
    if part.path is None:
        reason = "unique says nothing about a part of a list or map; use uniqueItems"
        return refused(part, "unique", reason, dimension="uniqueness")
    return Check(
        f"{part.label}.unique",
        "key",
        "unique",
        columns=(part.column,),
        keys=(part.path,),
        dimension="uniqueness",
        description=f"{part.label} has no value twice",
    )


def _enumerated(part: Part) -> Check:
    values = tuple(e.value for e in part.item.enum if e.value is not None)
    try:
        known = typed(part, values)
    except ValueError as problem:
        return refused(part, "enum", str(problem))
    shown = ", ".join(str(v) for v in values[:5]) + (", …" if len(values) > 5 else "")
    return row_check(
        part, "enum", Not(In(part.operand, known)), dimension="conformity", description=f"is one of {shown}"
    )


def typed(part: Part, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Constants of the document as values of the part: texts of dates and times become such.

    Raises ValueError for a text that is none.
    """
    logical = part.item.logical_type
    if logical not in ("date", "time", "timestamp") or (part.physical and is_text(part.physical.type)):
        return values
    return tuple(_moment(part, v) if isinstance(v, str) else v for v in values)


def _moment(part: Part, text: str) -> Any:
    if part.item.logical_type == "timestamp":
        return moment_of(part, text)
    found = moment(text, (part.item.logical_type_options or {}).get("format"))
    if found is None:
        raise ValueError(f"{text!r} is no {part.item.logical_type}")
    return found

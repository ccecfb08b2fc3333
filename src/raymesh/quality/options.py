"""Checks that follow from `logicalTypeOptions`: one for every member of every logical type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from raymesh.quality.formats import ADVISORY_FORMATS, STRING_FORMATS
from raymesh.quality.frame import advice, refused, row_check
from raymesh.quality.model import Check
from raymesh.quality.part import Part
from raymesh.quality.pattern import PatternError, re2_pattern
from raymesh.quality.temporal import temporal_check
from raymesh.spec.expression import (
    And,
    Column,
    Compare,
    Constant,
    DistinctLength,
    Expression,
    IsNaN,
    IsNull,
    Length,
    Matches,
    Norm,
    Not,
    Or,
    Present,
    Remainder,
    Value,
)

Maker: TypeAlias = Callable[[Part, str, Any], Check]

NORM_TOLERANCE = 1e-3
"""How far from 1 the length of a normalised vector may be; half precision needs about this much."""

_FLOAT32_MAX = 3.4028234663852886e38


def option_checks(part: Part) -> Iterator[tuple[Check, str]]:
    """A check per option, with the option's name; options nobody knows end not executed."""
    logical = part.item.logical_type or ""
    for option, value in (part.item.logical_type_options or {}).items():
        make = MAKERS.get(logical, {}).get(option)
        if make is not None:
            yield make(part, option, value), option
        elif logical == "boolean":
            yield advice(part, option, "the standard defines no option for booleans"), option
        else:
            yield refused(part, option, f"{logical or 'no logicalType'} has no option {option}"), option


def _conform(part: Part, option: str, violates: Expression, description: str) -> Check:
    return row_check(part, option, violates, dimension="conformity", description=description)


def _size(part: Part, option: str, value: Any) -> Check:
    """minLength maxLength minItems maxItems dimensions."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        return refused(part, option, f"{value!r} is no size")
    operator, words = _SIZES[option]
    return _conform(
        part, option, Compare(operator, Length(part.operand), Value(value)), f"has {words} {value}"
    )


_SIZES: dict[str, tuple[Any, str]] = {
    "minLength": ("<", "a length of at least"),
    "maxLength": (">", "a length of at most"),
    "minItems": ("<", "a number of items of at least"),
    "maxItems": (">", "a number of items of at most"),
    "dimensions": ("<>", "a number of dimensions of exactly"),
}


def _pattern(part: Part, option: str, value: Any) -> Check:
    try:
        pattern = re2_pattern(str(value))
    except PatternError as problem:
        return refused(part, option, f"the pattern needs what RE2 does not have: {problem}")
    return _conform(part, option, Not(Matches(part.operand, pattern)), f"matches {value}")


def _format(part: Part, option: str, value: Any) -> Check:
    if value in ADVISORY_FORMATS:
        return advice(part, option, f"format {value} says {ADVISORY_FORMATS[value]}")
    if value not in STRING_FORMATS:
        return refused(part, option, f"nobody says what format {value!r} is; use pattern")
    return _conform(part, option, Not(Matches(part.operand, STRING_FORMATS[value])), f"is {value}")


BOUNDS: dict[str, tuple[Any, str]] = {
    "minimum": ("<", "at least"),
    "exclusiveMinimum": ("<=", "more than"),
    "maximum": (">", "at most"),
    "exclusiveMaximum": (">=", "less than"),
}


def _bound(part: Part, option: str, value: Any) -> Check:
    if isinstance(value, bool):
        return _old_exclusive(part, option, value)
    if not isinstance(value, int | float):
        return refused(part, option, f"{value!r} is no number")
    operator, words = BOUNDS[option]
    outside: Expression = Compare(operator, part.operand, Value(value))
    violates = Or((outside, IsNaN(part.operand)))
    return _conform(part, option, violates, f"is {words} {value}")


def _old_exclusive(part: Part, option: str, value: bool) -> Check:
    """Until 3.0 `exclusiveMinimum: true` made `minimum` exclusive."""
    plain = option.replace("exclusiveM", "m")
    limit = (part.item.logical_type_options or {}).get(plain)
    if not value:
        return advice(part, option, f"{plain} is inclusive")
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        return refused(part, option, f"{option}: true needs {plain}")
    return _bound(part, option, limit)


def _multiple(part: Part, option: str, value: Any) -> Check:
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return refused(part, option, f"{value!r} is no divisor")
    violates = Compare("<>", Remainder(part.operand, Value(value)), Value(0))
    return _conform(part, option, violates, f"is a multiple of {value}")


def _width(part: Part, option: str, value: Any) -> Check:
    """i8 … u128: the values fit, however they are stored."""
    kind, bits = str(value)[:1], str(value)[1:]
    if kind not in ("i", "u") or bits not in ("8", "16", "32", "64", "128"):
        return refused(part, option, f"{value!r} is no integer format")
    top = 2 ** (int(bits) - (kind == "i")) - 1
    bottom = -top - 1 if kind == "i" else 0
    outside = (Compare("<", part.operand, Value(bottom)), Compare(">", part.operand, Value(top)))
    return _conform(part, option, Or(outside), f"fits {value}")


def _precision(part: Part, option: str, value: Any) -> Check:
    """f32: finite values stay finite in single precision; f64 holds everything stored."""
    if value == "f64":
        return _conform(part, option, Constant(value=False), "fits f64")
    if value != "f32":
        return refused(part, option, f"{value!r} is no number format")
    above = And(
        (
            Compare(">", part.operand, Value(_FLOAT32_MAX)),
            Compare("<", part.operand, Value(float("inf"))),
        )
    )
    below = And(
        (
            Compare("<", part.operand, Value(-_FLOAT32_MAX)),
            Compare(">", part.operand, Value(float("-inf"))),
        )
    )
    return _conform(part, option, Or((above, below)), "fits f32")


def _distinct_items(part: Part, option: str, value: Any) -> Check:
    if value is not True:
        return advice(part, option, "items may repeat")
    violates = Compare("<", DistinctLength(part.operand), Length(part.operand))
    return _conform(part, option, violates, "has no item twice")


def _members(part: Part, option: str, value: Any) -> Check:
    """minProperties maxProperties: members that are not NULL."""
    names = [p.name for p in part.item.properties]
    if not isinstance(value, int) or isinstance(value, bool):
        return refused(part, option, f"{value!r} is no number of members")
    if not names or not isinstance(part.operand, Column):
        return refused(part, option, "the members of the object are not described")
    path = part.operand.path
    count = Present(tuple(Column((*path, name)) for name in names))
    least = option == "minProperties"
    wrong = Compare("<", count, Value(value)) if least else Compare(">", count, Value(value))
    violates = And((Not(IsNull(part.operand)), wrong))
    words = "at least" if least else "at most"
    return _conform(part, option, violates, f"has {words} {value} members")


def _required_members(part: Part, _option: str, value: Any) -> Check:
    if not isinstance(value, list | tuple) or not isinstance(part.operand, Column):
        return refused(part, "requiredMembers", "a list of names is expected")
    path = part.operand.path
    missing: tuple[Expression, ...] = tuple(IsNull(Column((*path, str(name)))) for name in value)
    violates = And((Not(IsNull(part.operand)), Or(missing)))
    return _conform(part, "requiredMembers", violates, "has " + ", ".join(map(str, value)))


def _normalized(part: Part, option: str, value: Any) -> Check:
    if value is not True:
        return advice(part, option, "vectors may have any length")
    norm = Norm(part.operand)
    outside = (
        Compare("<", norm, Value(1 - NORM_TOLERANCE)),
        Compare(">", norm, Value(1 + NORM_TOLERANCE)),
    )
    return _conform(part, option, Or(outside), f"has length 1 within {NORM_TOLERANCE}")


def _typed(key: str) -> Maker:
    def make(part: Part, option: str, value: Any) -> Check:
        return Check(
            f"{part.label}.{option}",
            "type",
            option,
            columns=(part.column,),
            arguments={key: value, "steps": list(part.steps)},
            dimension="conformity",
            description=f"{part.label} {option} {value}",
        )

    return make


def _words(part: Part, option: str, value: Any) -> Check:
    return advice(part, option, f"{option} {value}")


_BOUNDED: dict[str, Maker] = {**dict.fromkeys(BOUNDS, _bound), "multipleOf": _multiple}
_TEMPORAL: dict[str, Maker] = {**dict.fromkeys(BOUNDS, temporal_check), "format": temporal_check}
_ZONED: dict[str, Maker] = {**_TEMPORAL, "timezone": _typed("zone"), "defaultTimezone": _words}

MAKERS: dict[str, dict[str, Maker]] = {
    "string": {"minLength": _size, "maxLength": _size, "pattern": _pattern, "format": _format},
    "integer": {**_BOUNDED, "format": _width},
    "number": {**_BOUNDED, "format": _precision},
    "date": _TEMPORAL,
    "time": _ZONED,
    "timestamp": _ZONED,
    "array": {"minItems": _size, "maxItems": _size, "uniqueItems": _distinct_items},
    "object": {"minProperties": _members, "maxProperties": _members, "required": _required_members},
    "vector": {
        "dimensions": _size,
        "elementType": _typed("element"),
        "normalized": _normalized,
        "distanceMetric": _words,
        "embeddingModel": _words,
        "embeddingModelVersion": _words,
    },
}
"""How each option is executed, by logical type: the reference table of the documentation is made from this."""

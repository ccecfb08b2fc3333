"""What `logicalType` demands of the keys beside it."""

import re
from collections.abc import Iterator
from typing import Any, get_args

from raymesh.spec.contract_schema import LogicalType
from raymesh.spec.physical import TYPE_WORDS, logical_accepts, parse_physical
from raymesh.spec.problems import Problem, mapping
from raymesh.spec.types import Primitive, Type
from raymesh.spec.wording import described, did_you_mean, listed, shortened
from raymesh.spec.yaml import Loc

Option = tuple[str, tuple[str, ...]]

_TEXT: Option = ("text", ())
_BOOLEAN: Option = ("true or false", ())
_NATURAL: Option = ("a whole number from 0", ())
_COUNT: Option = ("a whole number from 1", ())
_NUMBER: Option = ("a number", ())
_POSITIVE: Option = ("a number above 0", ())
_NAMES: Option = ("a list of names", ())

_TIME_BOUNDS = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _TEXT)
_NUMBER_BOUNDS = dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER)
_ZONED = {"format": _TEXT, **_TIME_BOUNDS, "timezone": _BOOLEAN, "defaultTimezone": _TEXT}
INTEGER_FORMATS = ("i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128")
NUMBER_FORMATS = ("f32", "f64")

OPTIONS: dict[str, dict[str, Option]] = {
    "string": {"minLength": _NATURAL, "maxLength": _NATURAL, "pattern": _TEXT, "format": _TEXT},
    "date": {"format": _TEXT, **_TIME_BOUNDS},
    "timestamp": _ZONED,
    "time": _ZONED,
    "integer": {"multipleOf": _POSITIVE, **_NUMBER_BOUNDS, "format": ("", INTEGER_FORMATS)},
    "number": {"multipleOf": _POSITIVE, **_NUMBER_BOUNDS, "format": ("", NUMBER_FORMATS)},
    "object": {"minProperties": _NATURAL, "maxProperties": _NATURAL, "required": _NAMES},
    "array": {"minItems": _NATURAL, "maxItems": _NATURAL, "uniqueItems": _BOOLEAN},
    "vector": {
        "dimensions": _COUNT,
        "elementType": ("", ("bfloat16", "binary", "float16", "float32", "float64", "int8", "uint8")),
        "distanceMetric": ("", ("cosine", "dotProduct", "euclidean", "hamming", "manhattan")),
        "embeddingModel": _TEXT,
        "embeddingModelVersion": _TEXT,
        "normalized": _BOOLEAN,
    },
}
"""Options of each logical type that has some: (what the value must be, the words it must be one of)."""

_BOUND_PAIRS = (("minLength", "maxLength"), ("minimum", "maximum"), ("minItems", "maxItems"), ("minProperties", "maxProperties"))  # fmt: skip
_CHILDREN = {"properties": "object", "items": "array", "map": "map"}


def type_problems(item: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    """Problems between `logicalType`, its options and the nested parts of one value."""
    logical = item.get("logicalType")
    for key, wanted in _CHILDREN.items():
        if key in item and (logical != wanted and (logical is not None or key == "map")):
            message = f"`{key}` belongs to `logicalType: {wanted}`"
            yield Problem((*loc, key), "logical-type", message, None, "key")
    if logical == "map" and "map" not in item:
        way = "add `map: {key: {…}, value: {…}}`"
        yield Problem((*loc, "map"), "missing-key", "a map needs `map` with its key and value", way, "key")
    if isinstance(item.get("physicalType"), str):
        yield from _physical_problems(item["physicalType"], logical, (*loc, "physicalType"))
    options = item.get("logicalTypeOptions")
    if isinstance(options, dict) or logical == "vector":
        yield from _option_problems(logical, mapping(options), (*loc, "logicalTypeOptions"))


def _physical_problems(text: str, logical: Any, loc: Loc) -> Iterator[Problem]:
    physical = parse_physical(text)
    if physical is None:
        words = re.findall(r"[a-z_]\w*", text.lower())
        way = did_you_mean(words[0], TYPE_WORDS) if words and words[0] not in TYPE_WORDS else None
        if text.count("(") > text.count(")"):
            way = "put the type in quotes: inside `{…}` a comma ends a value"
        way = (
            way
            or "write a DuckDB type such as bigint, decimal(18,2), timestamp, struct(a integer), integer[]"
        )
        message = f"`{shortened(text)}` is no type raymesh knows, so it fixes nothing"
        yield Problem(loc, "physical-type", message, way, severity="warning")
    elif isinstance(logical, str) and logical in LOGICAL_TYPES and not _may_store(logical, physical.type):
        message = f"`physicalType: {shortened(text)}` cannot hold values of `logicalType: {logical}`"
        yield Problem(loc, "logical-type", message)


def _may_store(logical: str, stored: Type) -> bool:
    return stored in _AS_TEXT or logical_accepts(logical, stored)


_AS_TEXT = (Primitive("string"), Primitive("binary"))
LOGICAL_TYPES: tuple[str, ...] = get_args(LogicalType)


def _option_problems(logical: Any, options: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    if logical is None:
        if options:
            message = "options have a meaning only beside a `logicalType`"
            yield Problem(loc, "logical-type", message, "add `logicalType`", "key")
        return
    if logical == "map" and options:
        yield Problem(loc, "logical-type", "a map has no options", "remove them", "key")
    if logical == "vector" and "dimensions" not in options:
        way = "add `logicalTypeOptions: {dimensions: …}`"
        yield Problem((*loc, "dimensions"), "missing-key", "a vector needs its `dimensions`", way, "key")
    known = OPTIONS.get(logical) if isinstance(logical, str) else None
    if known is None:
        return
    for name, value in options.items():
        if name not in known:
            way = did_you_mean(name, known) or f"it has {listed(known)}"
            message = f"`logicalType: {logical}` has no option `{name}`"
            yield Problem((*loc, name), "unknown-key", message, way, "key")
        elif not _fits(value, known[name]):
            yield _wrong_option(name, value, known[name], (*loc, name))
    yield from _bound_problems(options, loc)


def _wrong_option(name: str, value: Any, option: Option, loc: Loc) -> Problem:
    wanted, words = option
    if words:
        way = did_you_mean(value, words) if isinstance(value, str) else None
        return Problem(loc, "wrong-value", f"`{name}` must be {listed(words)}, not {described(value)}", way)
    way = None
    if name.startswith("exclusive") and isinstance(value, bool):
        way = "since ODCS 3.1 it is the bound itself"
    code = "wrong-value" if isinstance(value, int | float) and not isinstance(value, bool) else "wrong-type"
    return Problem(loc, code, f"`{name}` must be {wanted}, not {described(value)}", way)


def _fits(value: Any, option: Option) -> bool:
    wanted, words = option
    if words:
        return value in words
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = number and isinstance(value, int)
    return {
        _TEXT[0]: isinstance(value, str),
        _BOOLEAN[0]: isinstance(value, bool),
        _NATURAL[0]: whole and value >= 0,
        _COUNT[0]: whole and value >= 1,
        _NUMBER[0]: number,
        _POSITIVE[0]: number and value > 0,
        _NAMES[0]: isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value),
    }[wanted]


def _bound_problems(options: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    for low, high in _BOUND_PAIRS:
        least, most = options.get(low), options.get(high)
        numbers = all(isinstance(v, int | float) for v in (least, most))
        if numbers and least > most:  # type: ignore[operator]  # both are numbers
            message = f"nothing can have `{low}` {least} and `{high}` {most}"
            yield Problem((*loc, high), "wrong-value", message)

"""Masks as people write them (`token`, `{partial: {last: 4}}`) and as people read them."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from raymesh.spec import mask as m
from raymesh.spec.problems import RULE
from raymesh.spec.wording import described, did_you_mean

WORDS: dict[str, m.Mask] = {
    "raw": m.Raw(),
    "token": m.Token(""),
    "hide": m.Null(),
    "absent": m.Absent(),
}
"""A token's context is not written: it follows from the column, the purpose and the domain."""
KEYS = ("partial", "truncate", "bucket", "constant")
EXAMPLES = "token, hide, absent, {partial: {last: 4}}, {truncate: month}, {bucket: 10}, {constant: …} or raw"


def mask_of(value: Any) -> m.Mask | None:
    """The mask that a document's value means; None when it means none."""
    if isinstance(value, m.Mask):
        return value
    if isinstance(value, str):
        return WORDS.get(value)
    if isinstance(value, dict) and len(value) == 1:
        ((key, argument),) = value.items()
        return _parametrised(key, argument)
    return None


def _parametrised(key: Any, argument: Any) -> m.Mask | None:
    if key == "partial" and isinstance(argument, dict) and set(argument) <= {"first", "last"}:
        counts = argument.values()
        if all(type(n) is int and 0 <= n <= 1000 for n in counts) and any(counts):
            return m.Partial(**argument)
    if key == "truncate" and argument in m.UNITS:
        return m.Truncate(argument)
    if key == "bucket" and type(argument) in (int, float) and 0 < argument < float("inf"):
        return m.Bucket(Fraction(repr(argument)))
    if key == "constant" and type(argument) in (str, int, bool):
        return m.Literally(argument)
    return None


def mask_text(mask: m.Mask) -> str:
    """The mask in the words of a document, on one line."""
    match mask:
        case m.Partial(first, last):
            kept = [f"{k}: {n}" for k, n in (("first", first), ("last", last)) if n]
            return "{partial: {" + ", ".join(kept) + "}}"
        case m.Truncate(unit):
            return f"{{truncate: {unit}}}"
        case m.Bucket(width):
            return f"{{bucket: {width.numerator if width.denominator == 1 else float(width)}}}"
        case m.Literally(value):
            return f"{{constant: {value!r}}}"
        case m.Token():
            return "token"
    return next(word for word, known in WORDS.items() if known == mask)


def _validated(value: Any) -> m.Mask:
    found = mask_of(value)
    if found is None:
        text = f"a mask is {EXAMPLES}, not {_told(value)}"
        context = {"text": text, "help": _help(value), "at": "value"}
        raise PydanticCustomError(f"{RULE}wrong-value", "{text}", context)
    return found


def _told(value: Any) -> str:
    return f"`{next(iter(value))}` with that value" if isinstance(value, dict) and value else described(value)


def _help(value: Any) -> str | None:
    if value == "null":
        return "write `hide`, which shows NULL in place of every value"
    if isinstance(value, str):
        return did_you_mean(value, (*WORDS, *KEYS))
    if isinstance(value, dict) and value:
        key = str(next(iter(value)))
        if key == "truncate":
            return f"it takes {', '.join(m.UNITS)}"
        return None if key in KEYS else did_you_mean(key, KEYS)
    return None


def _object(key: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: argument},
        "required": [key],
        "additionalProperties": False,
    }


_COUNT = {"type": "integer", "minimum": 0, "maximum": 1000}
_KEPT = {
    "type": "object",
    "properties": {"first": _COUNT, "last": _COUNT},
    "additionalProperties": False,
    "anyOf": [{"required": [k], "properties": {k: {"minimum": 1}}} for k in ("first", "last")],
}
_SCHEMA = {
    "anyOf": [
        {"enum": list(WORDS)},
        _object("partial", _KEPT),
        _object("truncate", {"enum": list(m.UNITS)}),
        _object("bucket", {"type": "number", "exclusiveMinimum": 0}),
        _object("constant", {"type": ["string", "integer", "boolean"]}),
    ]
}

MaskWord = Annotated[Any, PlainValidator(_validated), WithJsonSchema(_SCHEMA)]
"""A mask in a document; a spec.mask.Mask in Python."""

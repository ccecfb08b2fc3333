"""Whether a type is the one a contract promises. Types are compared; no value is ever cast to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raymesh.spec.physical import logical_accepts, parse_physical
from raymesh.spec.types import List, Map, Primitive, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

_ELEMENTS: dict[str, tuple[str, ...]] = {
    "float16": ("float", "double"),
    "bfloat16": ("float", "double"),
    "float32": ("float", "double"),
    "float64": ("double",),
    "int8": ("int", "long"),
    "uint8": ("int", "long"),
    "binary": ("boolean", "int", "long"),
}


def found_type(schema: TableSchema, steps: tuple[str, ...]) -> Type | None:
    """The type at a path (`("lines", "[]", "sku")`), None when there is nothing there."""
    field = schema.find(steps[0])
    found = field.type if field else None
    for step in steps[1:]:
        found = _inner(found, step)
    return found


def type_problem(promise: Mapping[str, Any], found: Type | None) -> str | None:
    """Why `found` is not what a type check promises (its `arguments`), or None when it is.

    The promise is one of `logical` (with `physical` beside it when the contract says how it is stored),
    `physical` alone, `zone` (timestamps with or without), `element` (of a vector), or nothing: any type.
    """
    if found is None:
        return "it is missing"
    if "zone" in promise:
        return _zone_problem(promise["zone"], found)
    if "element" in promise:
        return _element_problem(promise["element"], found)
    if "logical" in promise:
        return _logical_problem(promise["logical"], promise.get("physical"), found)
    return _physical_problem(promise["physical"], found) if "physical" in promise else None


def same_shape(have: Type, want: Type) -> bool:
    """Whether two types are the same but for field ids and documentation."""
    match have, want:
        case Struct(), Struct():
            names = [f.name for f in have.fields] == [f.name for f in want.fields]
            return names and all(
                same_shape(a.type, b.type) for a, b in zip(have.fields, want.fields, strict=True)
            )
        case List(), List():
            return same_shape(have.element, want.element)
        case Map(), Map():
            return same_shape(have.key, want.key) and same_shape(have.value, want.value)
    return have == want


def is_text(physical: Type | None) -> bool:
    """Whether values are kept as text or bytes, whatever they mean."""
    return physical in (Primitive("string"), Primitive("binary"))


def _inner(of: Type | None, step: str) -> Type | None:
    match of, step:
        case List(element), "[]":
            return element
        case Map(key, _), "{key}":
            return key
        case Map(_, value), "{value}":
            return value
        case Struct(fields), _:
            return next((f.type for f in fields if f.name == step), None)
    return None


def _logical_problem(logical: str, physical: str | None, found: Type) -> str | None:
    stored = parse_physical(physical) if physical else None
    if stored is not None and is_text(stored.type) and found == stored.type:
        return None  # the contract itself says that it is kept as text
    if logical_accepts(logical, found):
        return None
    return f"it is {found}, not {logical}"


def _physical_problem(physical: str, found: Type) -> str | None:
    stored = parse_physical(physical)
    if stored is None:
        return f"{physical} is no type raymesh knows"
    return None if same_shape(found, stored.type) else f"it is {found}, not {stored.type} ({physical})"


def _zone_problem(zoned: bool, found: Type) -> str | None:
    want = "timestamptz" if zoned else "timestamp"
    if str(found) == want or (not zoned and str(found) == "time"):
        return None
    return f"it is {found}, {'without' if zoned else 'not without'} a time zone"


def _element_problem(element: str, found: Type) -> str | None:
    if isinstance(found, List) and str(found.element) in _ELEMENTS.get(element, ()):
        return None
    return f"it is {found}, not a list of {element}"

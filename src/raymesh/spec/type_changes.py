"""What changed about the type of a value: wider, narrower, another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from raymesh.spec.change import Change, Direction, Grade, Place, Raw, arrow, kind_of, mapping
from raymesh.spec.contract_schema import Item
from raymesh.spec.physical import Physical, declared_type, logical_accepts, parse_physical
from raymesh.spec.types import List, Map, Struct, Type, widens

_TYPE_KEYS = ("physicalType", "logicalType", "logicalTypeOptions")


@dataclass(frozen=True, slots=True)
class _Difference:
    """One difference between two stored types; `path` is below the column."""

    path: str
    words: str
    grade: Grade
    direction: Direction


def described_type(entry: Raw) -> str:
    """The type for people: the stored one when the contract fixes it, otherwise what it says."""
    stored = stored_type(entry)
    return str(stored) if stored else str(entry.get("physicalType") or entry.get("logicalType") or "")


def type_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Changes of `logicalType`, `physicalType` and of options that decide about the stored type."""
    before, after = stored_type(old), stored_type(new)
    field = _field(old, new)
    at = place.key(field)
    kind = kind_of(old.get(field), new.get(field)) if field in old or field in new else "change"
    more: dict[str, Any] = {"old": old.get(field), "new": new.get(field)}
    if before is not None and after is not None:
        found = tuple(_differences(before, after, place.column))
        for d in found:
            yield at.change(kind, field, d.grade, d.words, direction=d.direction, **more)
        if not found:
            yield from _written(old, new, place)
    elif not all(old.get(key) == new.get(key) for key in ("physicalType", "logicalType")):
        d = _vaguely(old, new, place.column)
        detail = arrow(described_type(old) or None, described_type(new) or None)
        yield at.change(kind, field, d.grade, d.words, direction=d.direction, detail=detail, **more)


def _field(old: Raw, new: Raw) -> str:
    """The key that says the difference."""
    return next((key for key in _TYPE_KEYS if old.get(key) != new.get(key)), "physicalType")


def _differences(old: Type, new: Type, path: str) -> Iterator[_Difference]:
    match old, new:
        case Struct(before), Struct(after):
            yield from _members(Struct(before), Struct(after), path)
        case List(before_item), List(after_item):
            yield from _differences(before_item, after_item, f"{path}.element")
        case Map(key, value), Map(new_key, new_value) if str(key) == str(new_key):
            yield from _differences(value, new_value, f"{path}.value")
        case _ if old != new:
            yield _step(old, new, path)


def _members(old: Struct, new: Struct, path: str) -> Iterator[_Difference]:
    before = {f.name: f for f in old.fields}
    for field in new.fields:
        where, known = f"{path}.{field.name}", before.pop(field.name, None)
        if known is None:
            yield _Difference(where, f"{where} is new ({field.type})", "minor", "tightens")
        else:
            yield from _differences(known.type, field.type, where)
    for gone in before.values():
        where = f"{path}.{gone.name}"
        words = f"{where} ({gone.type}) is gone; who reads it fails"
        yield _Difference(where, words, "major", "loosens")


def _step(old: Type, new: Type, path: str) -> _Difference:
    words = f"{path} was {old} and becomes {new}"
    if widens(old, new):
        return _Difference(path, f"{words}, which holds every old value", "minor", "loosens")
    direction: Direction = "tightens" if widens(new, old) else "both"
    return _Difference(path, f"{words}; it is another column to readers", "major", direction)


def _written(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """The stored type is the same; what else the two types say."""
    yield from _meant(old.get("logicalType"), new.get("logicalType"), place)
    texts = old.get("physicalType"), new.get("physicalType")
    if texts[0] == texts[1]:
        return
    at, kind = place.key("physicalType"), kind_of(*texts)
    direction = _room(*(parse_physical(str(t or "")) for t in texts))
    more: dict[str, Any] = {"direction": direction, "old": texts[0], "new": texts[1], "detail": arrow(*texts)}
    if direction is None:
        yield at.change(
            kind, "physicalType", "patch", f"the type of {place.column} is written otherwise", **more
        )
    elif direction == "tightens":
        yield at.change(kind, "physicalType", "minor", f"{place.column} has less room for values", **more)
    else:
        reason = f"{place.column} has other room for values; readers may meet longer or larger ones"
        yield at.change(kind, "physicalType", "major", reason, **more)


def _meant(old: Any, new: Any, place: Place) -> Iterator[Change]:
    if old == new:
        return
    at, kind = place.key("logicalType"), kind_of(old, new)
    more: dict[str, Any] = {"old": old, "new": new}
    if kind == "change":
        reason = f"{place.column} was {old} and becomes {new}, stored alike"
        yield at.change(kind, "logicalType", "major", reason, direction="both", **more)
    elif kind == "add":
        reason = f"{place.column} is called {new}; its stored type stays"
        yield at.change(kind, "logicalType", "minor", reason, direction="tightens", **more)
    else:
        reason = f"{place.column} is no longer called {old}; its stored type stays"
        yield at.change(kind, "logicalType", "minor", reason, direction="loosens", **more)


def _room(old: Physical | None, new: Physical | None) -> Direction | None:
    """How lengths and ranges of two types with one stored type differ."""
    if old is None or new is None:
        return None
    fewer = more = False
    for before, after, sign in (
        (old.max_length, new.max_length, 1),
        (old.maximum, new.maximum, 1),
        (old.minimum, new.minimum, -1),
    ):
        if before != after:
            larger = after is None or (before is not None and (after > before) is (sign > 0))
            more, fewer = more or larger, fewer or not larger
    if old.items != new.items:
        fewer, more = fewer or new.items is not None, more or old.items is not None
    return "both" if fewer and more else "tightens" if fewer else "loosens" if more else None


def _vaguely(old: Raw, new: Raw, path: str) -> _Difference:
    """The difference when at least one contract leaves the stored type to the data."""
    before, after = stored_type(old), stored_type(new)
    was, said = (mapping(x).get("logicalType") for x in (old, new))
    if not _says(old):
        return _Difference(path, f"the type of {path} is promised", "minor", "tightens")
    if not _says(new):
        return _Difference(path, f"the type of {path} is no longer promised", "major", "loosens")
    if was and after is not None and logical_accepts(str(was), after) and said in (was, None):
        return _Difference(path, f"{path} is always stored as {after}", "minor", "tightens")
    if said and before is not None and logical_accepts(str(said), before) and was in (said, None):
        return _Difference(path, f"{path} may be stored otherwise than as {before}", "major", "loosens")
    if was == said and None in (old.get("physicalType"), new.get("physicalType")):
        return _Difference(path, f"how {path} is stored is said otherwise", "major", "undetermined")
    direction: Direction = "both" if was != said else "undetermined"
    return _Difference(path, f"{path} has another type", "major", direction)


def _says(entry: Raw) -> bool:
    return bool(entry.get("physicalType") or entry.get("logicalType"))


def stored_type(entry: Raw) -> Type | None:
    """The stored type the contract fixes, None when it leaves it to the data or cannot be understood."""
    try:
        return declared_type(Item.model_validate(_only_types(entry)))
    except ValidationError:
        return None


def _only_types(entry: Raw) -> dict[str, Any]:
    out: dict[str, Any] = {key: entry[key] for key in _TYPE_KEYS if entry.get(key) is not None}
    if isinstance(entry.get("properties"), list | tuple):
        out["properties"] = [
            {"name": m.get("name"), **_only_types(m)} for m in map(mapping, entry["properties"])
        ]
    if isinstance(entry.get("items"), dict):
        out["items"] = _only_types(entry["items"])
    if isinstance(entry.get("map"), dict):
        out["map"] = {part: _only_types(mapping(entry["map"].get(part))) for part in ("key", "value")}
    return out

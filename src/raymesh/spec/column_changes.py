"""What changed about the columns of a table, at every depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from raymesh.spec.change import Change, Place, Raw, canonical, entries, kind_of, mapping, same
from raymesh.spec.note_changes import access_changes, duty_changes, name_changes, text_changes
from raymesh.spec.option_changes import option_changes
from raymesh.spec.rule_changes import rule_changes
from raymesh.spec.settings import setting_values
from raymesh.spec.type_changes import described_type, type_changes

STRUCTURAL = frozenset({"properties", "items", "map", "name", "physicalType", "logicalType"})
"""Fields of changes that say another shape."""
_OF_TABLE = {"primaryKey", "primaryKeyPosition"}
_HANDLED = _OF_TABLE | {
    "name", "id", "properties", "items", "map", "physicalType", "logicalType", "logicalTypeOptions", "required",
    "unique", "enum", "quality", "relationships", "classification", "tags", "deprecated", "physicalName",
    "encryptedName", "criticalDataElement",
}  # fmt: skip

Pair = tuple[int | None, int | None]


def paired(old: Sequence[Raw], new: Sequence[Raw]) -> list[Pair]:
    """Indexes of the same entry before and after: by name, by `renamedFrom`, by `id`; gone ones come last."""
    names, ids = ({e.get(key): j for j, e in enumerate(old) if _text(e.get(key))} for key in ("name", "id"))
    found: dict[int, int] = {}
    used: set[int] = set()
    for index, wanted in ((names, _name), (names, _renamed_from), (ids, _id)):
        for i, entry in enumerate(new):
            key = wanted(entry)
            hit = index.get(key) if _text(key) else None
            if hit is not None and i not in found and hit not in used:
                found[i] = hit
                used.add(hit)
    gone = ((j, None) for j in range(len(old)) if j not in used)
    return [*((found.get(i), i) for i in range(len(new))), *gone]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(entry: Raw) -> Any:
    return entry.get("name")


def _id(entry: Raw) -> Any:
    return entry.get("id")


def _renamed_from(entry: Raw) -> Any:
    return setting_values(entry.get("customProperties")).get("renamedFrom")


def member_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Changes of everything in the lists `properties` of two tables or structs."""
    before, after = entries(old.get("properties")), entries(new.get("properties"))
    for i, j in paired(before, after):
        entry = after[j] if j is not None else before[i or 0]
        name = str(entry.get("name"))
        column = f"{place.column}.{name}" if place.column else name
        where = place.entry("properties", ("name", name), (i, j), column)
        if i is None:
            yield _added(entry, where)
        elif j is None:
            yield _removed(entry, where)
        else:
            yield from _column(before[i], entry, where)


def _added(entry: Raw, where: Place) -> Change:
    reason = f"{where.column} is new" + _typed(entry)
    return where.change("add", "properties", "minor", reason, direction="tightens", new=entry)


def _removed(entry: Raw, where: Place) -> Change:
    reason = f"{where.column}{_typed(entry)} is gone; who reads it fails"
    return where.change("remove", "properties", "major", reason, direction="loosens", old=entry)


def _typed(entry: Raw) -> str:
    kind = described_type(entry)
    return f" ({kind})" if kind else ""


def _column(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    if old.get("name") != new.get("name"):
        reason = f"{place.column} was called {old.get('name')}; who reads it by name fails"
        yield place.key("name").change(
            "change", "name", "major", reason, direction="both", old=old.get("name"), new=new.get("name")
        )
    yield from item_changes(old, new, place)


def item_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Changes of one value: a column, a member, the items of a list, the key or value of a map."""
    nested = tuple(_nested(old, new, place))
    types = tuple(type_changes(old, new, place))
    if not any(c.field in STRUCTURAL for c in nested):
        yield from types
    yield from nested
    retyped = any(c.field in ("logicalType", "physicalType") and c.direction == "both" for c in types)
    if not retyped:
        typed = any(c.field == "logicalTypeOptions" for c in types)
        yield from option_changes(old, new, place, typed=typed)
    yield from _nulls(old, new, place)
    yield from _unique(old, new, place)
    yield from _enum(old, new, place)
    yield from relationship_changes(old, new, place)
    yield from rule_changes(old, new, place)
    yield from access_changes(old, new, place)
    yield from name_changes(old, new, place)
    yield from duty_changes(old, new, place)
    yield from text_changes(old, new, place, _HANDLED)


def _nested(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    if old.get("properties") or new.get("properties"):
        yield from member_changes(old, new, place)
    before, after = mapping(old.get("items")), mapping(new.get("items"))
    if before and after:
        yield from item_changes(before, after, _inner(place, ("items",), "element"))
    before, after = mapping(old.get("map")), mapping(new.get("map"))
    for part in ("key", "value"):
        if before and after:
            inner = _inner(place, ("map", part), part)
            yield from item_changes(mapping(before.get(part)), mapping(after.get(part)), inner)


def _inner(place: Place, keys: tuple[str, ...], name: str) -> Place:
    for key in keys:
        place = place.key(key)
    return replace(place, column=f"{place.column}.{name}")


def _nulls(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    before, after = bool(old.get("required")), bool(new.get("required"))
    if before == after:
        return
    at, kind = place.key("required"), kind_of(before, after)
    if after and old.get("primaryKey"):
        yield at.change(kind, "required", "patch", f"{place.column} says required; its key said so already")
    elif before and new.get("primaryKey"):
        yield at.change(kind, "required", "patch", f"{place.column} leaves out required; its key says it")
    elif after:
        reason = f"{place.column} is never NULL any more"
        yield at.change(kind, "required", "minor", reason, direction="tightens")
    else:
        reason = f"{place.column} may be NULL now; readers may meet NULLs"
        yield at.change(kind, "required", "major", reason, direction="loosens")


def _unique(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    before, after = bool(old.get("unique")), bool(new.get("unique"))
    if before == after:
        return
    at, kind = place.key("unique"), kind_of(before, after)
    if after:
        yield at.change(
            kind, "unique", "minor", f"no value of {place.column} comes twice", direction="tightens"
        )
    else:
        reason = f"values of {place.column} may come twice now; joins on it may multiply rows"
        yield at.change(kind, "unique", "major", reason, direction="loosens")


def _enum(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    before, after = (_values(x.get("enum")) for x in (old, new))
    at, values = place.key("enum"), {"old": old.get("enum"), "new": new.get("enum")}
    if before.keys() == after.keys():
        if not same(old.get("enum"), new.get("enum")):
            reason = f"the words about values of {place.column} changed"
            yield at.change("change", "enum", "patch", reason, **values)
        return
    if not before:
        reason = f"{place.column} is one of {len(after)} values now"
        yield at.change("add", "enum", "minor", reason, direction="tightens", **values)
    elif not after:
        reason = f"{place.column} may have any value now; it was one of {len(before)}"
        yield at.change("remove", "enum", "major", reason, direction="loosens", **values)
    else:
        yield _listed(before, after, at, values)


def _listed(before: dict[str, Any], after: dict[str, Any], at: Place, values: dict[str, Any]) -> Change:
    came = [after[k] for k in after if k not in before]
    went = [before[k] for k in before if k not in after]
    detail = ", ".join([*(f"+{v}" for v in came[:5]), *(f"-{v}" for v in went[:5])])
    if came and went:
        reason = (
            f"{at.column} has {len(came)} new and {len(went)} fewer values; readers may meet unknown ones"
        )
        return at.change("change", "enum", "major", reason, direction="both", detail=detail, **values)
    if came:
        reason = f"{at.column} may have {len(came)} more values, unknown to whoever lists them all"
        return at.change("add", "enum", "major", reason, direction="loosens", detail=detail, **values)
    reason = f"{at.column} never has {len(went)} of its values any more"
    return at.change("remove", "enum", "minor", reason, direction="tightens", detail=detail, **values)


def _values(enum: Any) -> dict[str, Any]:
    return {canonical(e.get("value")): e.get("value") for e in entries(enum)}


def relationship_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Foreign keys that came or went."""
    before, after = (
        {_ends(r): (i, r) for i, r in enumerate(entries(x.get("relationships")))} for x in (old, new)
    )
    for key in (k for k in after if k not in before):
        index, found = after[key]
        at = place.entry("relationships", ("to", _target(found)), (None, index))
        reason = f"every value of {place.subject} has a partner in {_target(found)}"
        yield at.change("add", "relationships", "minor", reason, direction="tightens", new=found)
    for key in (k for k in before if k not in after):
        index, found = before[key]
        at = place.entry("relationships", ("to", _target(found)), (index, None))
        reason = f"values of {place.subject} may lack a partner in {_target(found)} now"
        yield at.change("remove", "relationships", "major", reason, direction="loosens", old=found)


def _ends(relationship: Raw) -> str:
    both = (relationship.get("from"), relationship.get("to"))
    return canonical([list(end) if isinstance(end, list | tuple) else [end] if end else [] for end in both])


def _target(relationship: Raw) -> str:
    to = relationship.get("to")
    return ", ".join(map(str, to)) if isinstance(to, list | tuple) else str(to)

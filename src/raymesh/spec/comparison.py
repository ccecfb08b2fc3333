"""Compares two contracts: every difference, graded for those who read the product, and the next version.

The grade says what a change means to a program that relies on the old contract:

major   it can fail or meet what it never met: a promise is looser, a column gone, renamed or of another kind
minor   it goes on, and there is something to know: a promise is new or stricter, a type wider, access may change
patch   words for people

Gentler than the tables of the metadata difference standard (OMDS), which know no direction: `required` and `unique`
that are promised, a type that is wider, list entries that are taken from `enum`, the end of a sentence or a tag.
`raymesh.spec.omds` raises those to what the tables say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raymesh.spec.change import Change, Direction, Grade, Place, Raw, entries, highest, joined, kind_of, same
from raymesh.spec.column_changes import Pair, member_changes, paired, relationship_changes
from raymesh.spec.contract import Contract
from raymesh.spec.contract_version import major_of, raised
from raymesh.spec.note_changes import access_changes, duty_changes, name_changes, text_changes
from raymesh.spec.rule_changes import rule_changes
from raymesh.spec.settings import setting_values
from raymesh.spec.sla_changes import sla_changes

_OF_OBJECT = {
    "name", "id", "properties", "quality", "relationships", "tags", "deprecated", "physicalName", "physicalType",
    "logicalType",
}  # fmt: skip
_SECTIONS = {
    "apiVersion": "fundamentals", "kind": "fundamentals", "id": "fundamentals", "name": "fundamentals",
    "status": "fundamentals", "tenant": "fundamentals", "domain": "fundamentals", "dataProduct": "fundamentals",
    "tags": "fundamentals", "description": "fundamentals", "context": "fundamentals",
    "authoritativeDefinitions": "fundamentals", "contractCreatedTs": "fundamentals",
}  # fmt: skip
_ENDING = ("deprecated", "retired")
_OFFERS = ("servers", "roles", "price")
"""Sections readers may depend on though they promise nothing about data."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How `new` differs from `old`; `changes` stand in the order of the new contract, what is gone behind.

    `grade` is the highest of all changes, None when there is none. `suggested_version` is the old version raised by
    the grade.
    """

    old_version: str
    new_version: str
    changes: tuple[Change, ...] = ()

    @property
    def grade(self) -> Grade | None:
        return highest(c.grade for c in self.changes)

    @property
    def suggested_version(self) -> str:
        return raised(self.old_version, self.grade)

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that need a new major version."""
        return tuple(c for c in self.changes if c.grade == "major")

    @property
    def announced(self) -> bool:
        """Whether the version says that something breaks: its major part is higher than before."""
        return major_of(self.new_version) > major_of(self.old_version)

    def to_json(self) -> dict[str, Any]:
        return {
            "old_version": self.old_version,
            "new_version": self.new_version,
            "grade": self.grade,
            "suggested_version": self.suggested_version,
            "changes": [c.to_json() for c in self.changes],
        }


def compare(old: Contract | Raw, new: Contract | Raw) -> Comparison:
    """Every difference between two contracts, models or documents as written; `version` itself is none."""
    before, after = _raw(old), _raw(new)
    return Comparison(str(before.get("version")), str(after.get("version")), tuple(_changes(before, after)))


def _raw(contract: Contract | Raw) -> Raw:
    if isinstance(contract, Contract):
        return contract.model_dump(by_alias=True, exclude_unset=True)
    return contract


def _changes(old: Raw, new: Raw) -> Iterator[Change]:
    before, after = entries(old.get("schema")), entries(new.get("schema"))
    for i, j in _tables(before, after):
        table = after[j] if j is not None else before[i or 0]
        place = Place("schema").entry("schema", ("name", str(table.get("name"))), (i, j))
        if i is None:
            yield place.change(
                "add", "schema", "minor", f"the table {table.get('name')} is new", direction="tightens"
            )
        elif j is None:
            reason = f"the table {table.get('name')} is gone; who reads it fails"
            yield place.change("remove", "schema", "major", reason, direction="loosens")
        else:
            yield from _table_changes(before[i], table, place)
    yield from sla_changes(old, new)
    yield from _root_changes(old, new)


def _tables(old: Sequence[Raw], new: Sequence[Raw]) -> list[Pair]:
    """The same tables; one that is left on each side is one that was renamed."""
    pairs = paired(old, new)
    came, gone = [j for i, j in pairs if i is None], [i for i, j in pairs if j is None]
    if len(came) == len(gone) == 1:
        return [*(p for p in pairs if None not in p), (gone[0], came[0])]
    return pairs


def _table_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    for key in ("name", "logicalType", "physicalType"):
        yield from _kind_of_table(old.get(key), new.get(key), key, place)
    yield from _key_changes(old, new, place)
    yield from member_changes(old, new, place)
    yield from relationship_changes(old, new, place)
    yield from rule_changes(old, new, place)
    yield from access_changes(old, new, place)
    yield from name_changes(old, new, place)
    yield from duty_changes(old, new, place)
    yield from text_changes(old, new, place, _OF_OBJECT)


def _kind_of_table(old: Any, new: Any, key: str, place: Place) -> Iterator[Change]:
    before, after = old or _PLAIN.get(key), new or _PLAIN.get(key)
    if before == after:
        return
    at, more = place.key(key), {"old": old, "new": new}
    if key == "physicalType":
        reason = f"the table is kept as {after or 'nobody says what'}, was {before or 'not said'}"
        yield at.change(kind_of(old, new), key, "minor", reason, direction="undetermined", **more)
    else:
        words = "is called" if key == "name" else "holds"
        reason = f"the table {words} {after}, was {before}; who relies on that fails"
        yield at.change(kind_of(old, new), key, "major", reason, direction="both", **more)


_PLAIN = {"logicalType": "object"}


def _key_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """The primary key as a whole; its columns under the names they have today."""
    before, after = entries(old.get("properties")), entries(new.get("properties"))
    today = {
        i: str(after[j].get("name")) for i, j in paired(before, after) if i is not None and j is not None
    }
    was = _key((c, today.get(i, str(c.get("name")))) for i, c in enumerate(before))
    now = _key((c, str(c.get("name"))) for c in after)
    at, more = place.key("primaryKey"), {"old": list(was), "new": list(now)}
    if set(was) == set(now):
        if was != now:
            yield at.change(
                "change", "primaryKey", "patch", "the columns of the key are in another order", **more
            )
        return
    directions: list[Direction | None] = [
        _uniqueness(set(was), set(now)),
        *_nulls_of_key(before, after, today),
    ]
    direction = joined(directions)
    kind = kind_of(was, now)
    detail = f"{', '.join(was) or 'none'} → {', '.join(now) or 'none'}"
    reason = {
        "tightens": "the primary key promises more",
        "loosens": "rows that were one per key may be several, or lack a key",
        "both": "the primary key is another; joins on the old one may fail",
        "undetermined": "the primary key changed",
        None: "the primary key is written otherwise",
    }[direction]
    grade: Grade = "major" if direction in ("loosens", "both") else "minor" if direction else "patch"
    yield at.change(kind, "primaryKey", grade, reason, direction=direction, detail=detail, **more)


def _key(columns: Iterator[tuple[Raw, str]] | Any) -> tuple[str, ...]:
    found = [
        (c.get("primaryKeyPosition") or 0, n, name)
        for n, (c, name) in enumerate(columns)
        if c.get("primaryKey")
    ]
    return tuple(name for *_, name in sorted(found))


def _uniqueness(was: set[str], now: set[str]) -> Direction:
    """Fewer columns that identify a row promise more."""
    if not was or not now:
        return "tightens" if now else "loosens"
    return "tightens" if now < was else "loosens" if was < now else "both"


def _nulls_of_key(
    old: Sequence[Raw], new: Sequence[Raw], today: dict[int, str]
) -> Iterator[Direction | None]:
    """Whether columns that enter or leave the key gain or lose that they are never NULL."""
    after = {str(c.get("name")): c for c in new}
    for i, name in today.items():
        before, now = old[i], after[name]
        if before.get("primaryKey") and not (
            now.get("primaryKey") or before.get("required") or now.get("required")
        ):
            yield "loosens"
        elif now.get("primaryKey") and not (
            before.get("primaryKey") or before.get("required") or now.get("required")
        ):
            yield "tightens"


# everything beside tables


def _root_changes(old: Raw, new: Raw) -> Iterator[Change]:
    for key in sorted((old.keys() | new.keys()) - {"version", "schema", "slaProperties"}):
        before, after = old.get(key), new.get(key)
        if same(before, after):
            continue
        place = Place(_SECTIONS.get(key, key)).key(key)
        if key == "customProperties":
            yield from _setting_changes(before, after, place)
        else:
            yield _root_change(key, before, after, place)


def _root_change(key: str, old: Any, new: Any, place: Place) -> Change:
    kind, more = kind_of(old, new), {"old": old, "new": new}
    if key == "id":
        reason = "the contract has another id; who refers to it finds nothing"
        return place.change(kind, key, "major", reason, direction="both", **more)
    if key == "status" and new in _ENDING:
        return place.change(
            kind, key, "minor", f"the contract is {new}; readers should look for another", **more
        )
    if key in _OFFERS and kind != "add":
        return place.change(kind, key, "minor", f"{key} changed; readers may depend on the old ones", **more)
    return place.change(kind, key, "patch", f"{key} of the contract {_HOW[kind]}", **more)


_HOW = {"add": "is said", "remove": "is no longer said", "change": "changed"}


def _setting_changes(old: Any, new: Any, place: Place) -> Iterator[Change]:
    """Settings that weaken the gate break promises, all others are the producer's own business."""
    before, after = setting_values(old), setting_values(new)
    more = {"old": old, "new": new}
    findings = [_gate(before, after), _minimum(before, after)]
    direction = joined(findings)
    if direction is None:
        yield place.change(
            kind_of(old, new), "customProperties", "patch", "custom properties changed", **more
        )
        return
    looser = direction in ("loosens", "both")
    reason = f"versions are published on {'weaker' if looser else 'other'} terms"
    yield place.change(
        kind_of(old, new),
        "customProperties",
        "major" if looser else "minor",
        reason,
        direction=direction,
        **more,
    )


def _gate(old: dict[str, Any], new: dict[str, Any]) -> Direction | None:
    before, after = (str(x.get("onViolation") or "fail") for x in (old, new))
    if before == after:
        return None
    if "warn" not in (before, after):
        return "undetermined"
    return "loosens" if after == "warn" else "tightens"


def _minimum(old: dict[str, Any], new: dict[str, Any]) -> Direction | None:
    before, after = (x.get("minimumQuality") or 0 for x in (old, new))
    if before == after or not all(isinstance(v, int | float) for v in (before, after)):
        return None
    return "tightens" if after > before else "loosens"

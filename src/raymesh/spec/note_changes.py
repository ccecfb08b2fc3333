"""What changed of the words around a value: who may see it, how it is stored, what people are told."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from raymesh.spec.change import Change, Place, Raw, absent, arrow, entries, kind_of, same
from raymesh.spec.model import VENDOR

_NOTHING = {"semanticType": "column", "partitionKeyPosition": -1}
"""Values that say what an absent key says."""
_LEVELS = ("public", "internal", "confidential", "restricted")


def access_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Classification and tags: how sensitive the values are called; other tags are words."""
    before, after = old.get("classification"), new.get("classification")
    if not same(before, after):
        low, high = _level(before), _level(after)
        step = f"{before or 'not classified'} → {after or 'not classified'}"
        known = low is not None and high is not None and low != high
        direction = ("tightens" if (high or 0) > (low or 0) else "loosens") if known else "undetermined"
        reason = f"{place.subject} is classified otherwise ({step}); {_OUTLOOK[direction]}"
        more: dict[str, Any] = {"direction": direction, "old": before, "new": after}
        yield place.key("classification").change(
            kind_of(before, after), "classification", "minor", reason, **more
        )
    yield from _tags(old, new, place)


_OUTLOOK = {
    "tightens": "it may be masked for readers who see it today",
    "loosens": "more readers may see it",
    "both": "who may see it can change",
    "undetermined": "who may see it can change",
}


def _level(word: Any) -> int | None:
    if absent(word):
        return -1
    return _LEVELS.index(word) if word in _LEVELS else None


def _tags(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    before, after = (tuple(map(str, x.get("tags") or ())) for x in (old, new))
    if set(before) == set(after):
        return
    at, kind = place.key("tags"), kind_of(before, after)
    came = [t for t in after if t not in before and _sensitive(t)]
    went = [t for t in before if t not in after and _sensitive(t)]
    more: dict[str, Any] = {"old": before, "new": after, "detail": arrow(", ".join(before), ", ".join(after))}
    if came or went:
        direction = "both" if came and went else "tightens" if came else "loosens"
        reason = f"{place.subject} is tagged otherwise; {_OUTLOOK[direction]}"
        yield at.change(kind, "tags", "minor", reason, direction=direction, **more)
    else:
        yield at.change(kind, "tags", "patch", f"tags of {place.subject} changed", **more)


def _sensitive(tag: str) -> bool:
    return tag.startswith("pii.") or tag in _LEVELS[2:]


def name_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Names data goes by where it is stored."""
    for key in ("physicalName", "encryptedName"):
        before, after = old.get(key), new.get(key)
        if same(before, after) or (key == "physicalName" and _by_name(old) == _by_name(new)):
            continue
        if absent(before) and key == "encryptedName":
            reason, grade = f"{place.subject} has an encrypted column beside it", "minor"
        else:
            reason, grade = (
                f"{place.subject} is stored under another name; who reads it by that fails",
                "major",
            )
        more: dict[str, Any] = {
            "direction": "both",
            "old": before,
            "new": after,
            "detail": arrow(before, after),
        }
        yield place.key(key).change(kind_of(before, after), key, grade, reason, **more)  # type: ignore[arg-type]


def _by_name(value: Raw) -> Any:
    return value.get("physicalName") or value.get("name")


def duty_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Notices about a value: that it will go, that it is critical."""
    for key, came, went in (
        ("deprecated", "is deprecated; readers should look for another", "is no longer deprecated"),
        ("criticalDataElement", "is a critical data element now", "is no longer a critical data element"),
    ):
        before, after = bool(old.get(key)), bool(new.get(key))
        if before != after:
            notice = (after and key == "deprecated") or (before and key == "criticalDataElement")
            reason = f"{place.subject} {came if after else went}"
            yield place.key(key).change(kind_of(before, after), key, "minor" if notice else "patch", reason)


def text_changes(old: Raw, new: Raw, place: Place, handled: Collection[str]) -> Iterator[Change]:
    """Everything else a value says: words for people and notes of the producer."""
    for key in sorted((old.keys() | new.keys()) - set(handled)):
        before, after = (_said(x, key) for x in (old, new))
        if same(before, after):
            continue
        reason = f"{key} of {place.subject} {_HOW[kind_of(before, after)]}"
        detail = "" if isinstance(before or after, list | tuple | dict) else arrow(before, after)
        at = place.key(key)
        yield at.change(kind_of(before, after), key, "patch", reason, old=before, new=after, detail=detail)


_HOW = {"add": "is said", "remove": "is no longer said", "change": "changed"}


def _said(value: Raw, key: str) -> Any:
    """What a value says; a default and the note where a column came from say nothing."""
    found = value.get(key)
    if key == "customProperties":
        return [c for c in entries(found) if (c.get("property"), c.get("vendor")) != ("renamedFrom", VENDOR)]
    return None if found == _NOTHING.get(key) else found

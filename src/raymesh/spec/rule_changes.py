"""What changed about quality rules: thresholds compared by the measurements they let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from raymesh.spec.accepted import Span, accepted, relation, whole_numbers
from raymesh.spec.change import (
    Change,
    Direction,
    Grade,
    Place,
    Raw,
    canonical,
    entries,
    joined,
    mapping,
    same,
)
from raymesh.spec.contract_quality import OPERATORS
from raymesh.spec.quality_rules import rule_kind
from raymesh.spec.settings import setting_values
from raymesh.spec.wording import shortened

SOFT = ("info", "warning")
"""Severities that never keep a version from being published."""
_GRADES: dict[Direction, Grade] = {
    "tightens": "minor", "loosens": "major", "both": "major", "undetermined": "minor",
}  # fmt: skip
"""A rule nobody can compare (a rewritten query) is not taken for a broken promise: it is still there, and judged."""

Pair = tuple[int | None, int | None]


def rule_changes(old: Raw, new: Raw, place: Place) -> Iterator[Change]:
    """Changes of the `quality` of a table or a value, one per rule."""
    before, after = entries(old.get("quality")), entries(new.get("quality"))
    for i, j in _paired(before, after):
        rule = after[j] if j is not None else before[i or 0]
        at = place.entry("quality", ("name", _name(rule)), (i, j))
        said = f"rule {_name(rule)}" + (f" of {place.column}" if place.column else "")
        if i is None:
            direction = "tightens" if _strength(rule) else None
            yield at.change("add", "quality", "minor", f"{said} is new", direction=direction, new=rule)
        elif j is None:
            yield _removed(rule, at, said)
        else:
            yield from _changed(before[i], rule, at, said)


def _removed(rule: Raw, at: Place, said: str) -> Change:
    if not _strength(rule):
        reason = f"{said} is gone; it kept nothing from being published"
        return at.change("remove", "quality", "minor", reason, old=rule)
    reason = f"{said} is gone; readers may meet what it kept away"
    return at.change("remove", "quality", "major", reason, direction="loosens", old=rule)


def _changed(old: Raw, new: Raw, at: Place, said: str) -> Iterator[Change]:
    parts: dict[str, Direction | None] = {
        "threshold": _threshold(old, new),
        "arguments": _arguments(old, new),
        "query": None if _query(old) == _query(new) else "undetermined",
        "effect": _effect(old, new),
    }
    direction = joined(parts.values())
    more: dict[str, Any] = {"direction": direction, "old": old, "new": new}
    if direction is None:
        if any(not same(old.get(k), new.get(k)) for k in (old.keys() | new.keys())):
            yield at.change("change", "quality", "patch", f"the words of {said} changed", **more)
        return
    what = " and ".join(name for name, part in parts.items() if part)
    soft = not _strength(old)
    grade = "minor" if soft else _GRADES[direction]
    reason = f"{said}: {what} {_SENTENCES[direction]}"
    more["direction"] = None if soft and not _strength(new) else direction
    yield at.change("change", "quality", grade, reason, detail=_detail(old, new), **more)


_SENTENCES = {
    "tightens": "is stricter",
    "loosens": "is looser; readers may meet what it kept away",
    "both": "is another; readers may meet what it kept away",
    "undetermined": "changed in a way that cannot be compared",
}


def _detail(old: Raw, new: Raw) -> str:
    before, after = (next((f"{o} {r[o]}" for o in OPERATORS if o in r), "") for r in (old, new))
    return f"{before} → {after}" if before != after else ""


def _paired(old: Sequence[Raw], new: Sequence[Raw]) -> list[Pair]:
    """Indexes of the same rule before and after: by id, name, what it measures; a nameless one
    also when it is the only one of its kind."""
    left, found = dict(enumerate(old)), dict[int, int]()
    keys: tuple[Callable[[Raw], str | None], ...] = (_id, _said_name, _signature, _nameless)
    for at, key in enumerate(keys):
        lonely = at == len(keys) - 1
        waiting = [(j, key(r)) for j, r in enumerate(new) if j not in found]
        for j, value in waiting:
            hits = [i for i, r in left.items() if value is not None and key(r) == value]
            alone = len(hits) == 1 and sum(v == value for _, v in waiting) == 1
            if hits and (alone or not lonely):
                found[j] = hits[0]
                del left[hits[0]]
    return [*((found.get(j), j) for j in range(len(new))), *((i, None) for i in left)]


def _id(rule: Raw) -> str | None:
    return rule.get("id")


def _said_name(rule: Raw) -> str | None:
    return rule.get("name")


def _signature(rule: Raw) -> str:
    return canonical([_measured(rule), rule.get("arguments"), _query(rule)])


def _nameless(rule: Raw) -> str | None:
    return None if rule.get("id") or rule.get("name") else _measured(rule)


def _measured(rule: Raw) -> str:
    """What kind of rule it is and what it measures: `library rowCount`."""
    return f"{rule_kind(dict(rule))} {rule.get('metric') or rule.get('rule') or rule.get('engine') or ''}".strip()


def _name(rule: Raw) -> str:
    return shortened(
        str(
            rule.get("name")
            or rule.get("id")
            or rule.get("metric")
            or rule.get("rule")
            or rule_kind(dict(rule))
        )
    )


def _query(rule: Raw) -> str:
    """What the rule asks, without regard to line breaks."""
    asked = rule.get("query") if "query" in rule else rule.get("implementation")
    if rule_kind(dict(rule)) == "text":
        return ""
    return " ".join(asked.split()) if isinstance(asked, str) else canonical(asked)


def _strength(rule: Raw) -> int:
    """2 for a rule that blocks, 1 for one that sets rows aside, 0 for one that only tells."""
    severity = str(rule.get("severity") or "error").lower()
    wanted = setting_values(rule.get("customProperties")).get("onViolation")
    if rule_kind(dict(rule)) == "text" or severity in SOFT or wanted == "warn":
        return 0
    return 1 if wanted == "quarantine" else 2


def _effect(old: Raw, new: Raw) -> Direction | None:
    before, after = _strength(old), _strength(new)
    if before == after:
        return None
    if 0 not in (before, after):
        return "undetermined"  # what is set aside never reaches readers, and is missing from what does
    return "tightens" if after > before else "loosens"


def _threshold(old: Raw, new: Raw) -> Direction | None:
    before, after = (_operator(r) for r in (old, new))
    units = [str(r.get("unit") or "rows") for r in (old, new)]
    if before == after and (units[0] == units[1] or before in (("mustBe", 0), ("mustBeLessOrEqualTo", 0))):
        return None
    sets = [_accepted(r, unit) for r, unit in zip((old, new), units, strict=True)]
    if units[0] != units[1] or sets[0] is None or sets[1] is None:
        return "undetermined"
    return relation(sets[0], sets[1])


def _operator(rule: Raw) -> tuple[str, Any] | None:
    return next(((o, rule[o]) for o in OPERATORS if o in rule), None)


def _accepted(rule: Raw, unit: str) -> tuple[Span, ...] | None:
    """The measurements the rule lets pass; a metric counts rows (whole, from 0) or is a share (from 0)."""
    found = _operator(rule)
    spans = accepted(*found) if found else None
    if spans is None or rule_kind(dict(rule)) != "library":
        return spans
    return whole_numbers(spans) if unit == "rows" else tuple(s.above(Fraction(0)) for s in spans)


def _arguments(old: Raw, new: Raw) -> Direction | None:
    before, after = (mapping(r.get("arguments")) for r in (old, new))
    if same(before, after):
        return None
    changed = {k for k in before.keys() | after.keys() if not same(before.get(k), after.get(k))}
    lists = {k: [{canonical(v) for v in x.get(k) or ()} for x in (before, after)] for k in changed & _LISTS}
    if changed - _LISTS or not all(_at_most(r) for r in (old, new)):
        return "undetermined"
    return joined(_listed(key, *sets) for key, sets in lists.items())


_LISTS = frozenset({"validValues", "missingValues", "properties"})


def _at_most(rule: Raw) -> bool:
    """Whether the rule limits its metric from above only."""
    found = _operator(rule)
    spans = accepted(*found) if found else None
    return spans is not None and len(spans) == 1 and (spans[0].low is None or spans[0].low <= 0)


def _listed(key: str, old: set[str], new: set[str]) -> Direction | None:
    """Fewer valid values, more missing values or a smaller key make a stricter rule."""
    if old == new:
        return None
    smaller, larger = new < old, old < new
    if not old and key == "validValues":
        return "tightens"
    if key == "missingValues":
        smaller, larger = larger, smaller
    return "tightens" if smaller else "loosens" if larger else "both"

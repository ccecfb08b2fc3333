"""One difference between two contracts, graded from the side of those who read the product."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from raymesh.spec.wording import shortened
from raymesh.spec.yaml import Loc

Raw = Mapping[str, Any]
Grade = Literal["patch", "minor", "major"]
Kind = Literal["add", "remove", "change"]
Direction = Literal["tightens", "loosens", "both", "undetermined"]
Effect = Literal["gains", "loses", "both", "undetermined", "none"]

GRADES: tuple[Grade, ...] = ("patch", "minor", "major")
"""From harmless to breaking."""
BY_DIRECTION: dict[Direction, Grade] = {
    "tightens": "minor",
    "loosens": "major",
    "both": "major",
    "undetermined": "major",
}
"""The grade of a changed promise about values: readers may meet what they never met once it is looser."""
ACCESS = ("classification", "tags")
"""Keys that say who may see values, not which values there are."""

_SIGNS: dict[Kind, str] = {"add": "+", "remove": "-", "change": "~"}
_FOR_CONSUMERS: dict[Direction, Effect] = {
    "tightens": "gains",
    "loosens": "loses",
    "both": "both",
    "undetermined": "undetermined",
}
_OPPOSITE: dict[Effect, Effect] = {"gains": "loses", "loses": "gains"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `reason` is a sentence without values, `detail` shows values.

    `direction` says what happened to the promise: it tightens when fewer data keep it, None when it is no
    promise about data. `column` is the column's path today (`address.zip`), the old one of a removed column, empty
    for the table. `path` and `field` are those of OMDS; `old_loc` and `new_loc` lead to the place in each document.
    """

    kind: Kind
    section: str
    field: str
    path: str
    grade: Grade
    reason: str
    direction: Direction | None = None
    column: str = ""
    old: Any = None
    new: Any = None
    detail: str = ""
    old_loc: Loc | None = None
    new_loc: Loc | None = None

    @property
    def consumer(self) -> Effect:
        """What readers get: they gain by a tighter promise, and lose by stricter access."""
        if self.direction is None:
            return "none"
        effect = _FOR_CONSUMERS[self.direction]
        return _OPPOSITE.get(effect, effect) if self.field in ACCESS else effect

    @property
    def producer(self) -> Effect:
        """What the builder of the data gets: a tighter promise is harder to keep."""
        if self.direction is None or self.field in ACCESS:
            return "none"
        effect = _FOR_CONSUMERS[self.direction]
        return _OPPOSITE.get(effect, effect)

    def __str__(self) -> str:
        shown = f" ({self.detail})" if self.detail else ""
        return f"{_SIGNS[self.kind]} {self.reason}{shown}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "grade": self.grade,
            "column": self.column,
            "field": self.field,
            "path": self.path,
            "reason": self.reason,
            "detail": self.detail,
            "direction": self.direction,
            "consumer": self.consumer,
            "producer": self.producer,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where the two documents say something: OMDS path, column, and the way there in each."""

    section: str
    path: str = ""
    column: str = ""
    old: Loc | None = ()
    new: Loc | None = ()

    def key(self, name: str) -> Place:
        return replace(
            self, path=f"{self.path}/{name}", old=_deeper(self.old, name), new=_deeper(self.new, name)
        )

    def entry(
        self,
        key: str,
        named: tuple[str, str],
        indexes: tuple[int | None, int | None],
        column: str | None = None,
    ) -> Place:
        """The entry of the list at `key` where (name of a key, its value) is `named`."""
        at = self.key(key)
        old, new = (
            None if loc is None or index is None else (*loc, index)
            for loc, index in zip((at.old, at.new), indexes, strict=True)
        )
        where = f"{at.path}[{named[0]}={named[1]}]"
        return replace(at, path=where, old=old, new=new, column=self.column if column is None else column)

    @property
    def subject(self) -> str:
        return self.column or "the table"

    def change(self, kind: Kind, field: str, grade: Grade, reason: str, **more: Any) -> Change:
        return Change(
            kind,
            self.section,
            field,
            self.path,
            grade,
            reason,
            column=self.column,
            old_loc=self.old,
            new_loc=self.new,
            **more,
        )


def _deeper(loc: Loc | None, key: str) -> Loc | None:
    return None if loc is None else (*loc, key)


def highest(grades: Iterable[Grade]) -> Grade | None:
    """The most breaking of them, None of none."""
    return max(grades, key=GRADES.index, default=None)


def joined(directions: Iterable[Direction | None]) -> Direction | None:
    """What several directions are together; None stands for no difference."""
    found = {d for d in directions if d is not None}
    if "undetermined" in found:
        return "undetermined"
    return found.pop() if len(found) == 1 else "both" if found else None


def kind_of(old: Any, new: Any) -> Kind:
    """Whether a value came, went or changed; what is empty is not there."""
    return "add" if absent(old) else "remove" if absent(new) else "change"


def absent(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | list | tuple | dict) and not value)


def same(old: Any, new: Any) -> bool:
    """Whether two values say the same; True is not 1, and what is empty is what is absent."""
    return (absent(old) and absent(new)) or canonical(old) == canonical(new)


def canonical(value: Any) -> str:
    """The same text for the same value, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def arrow(old: Any, new: Any) -> str:
    """`old → new` for people, each cut to a short line."""
    return f"{_told(old)} → {_told(new)}"


def _told(value: Any) -> str:
    if value is None:
        return "not said"
    return shortened(value if isinstance(value, str) else canonical(value))


def mapping(value: Any) -> Raw:
    return value if isinstance(value, Mapping) else {}


def entries(value: Any) -> list[Raw]:
    """The mappings in a list; others are left out as empty ones so that indexes stay."""
    return [mapping(v) for v in value] if isinstance(value, list | tuple) else []

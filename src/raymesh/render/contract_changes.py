"""Differences between contracts as lines of text: what breaks first, with those who read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from raymesh.spec.change import GRADES

if TYPE_CHECKING:
    from raymesh.spec.change import Change, Grade
    from raymesh.spec.comparison import Comparison

ReadBy = Callable[["Change"], tuple[str, ...]]

_HEADINGS: dict[Grade, str] = {"major": "breaking", "minor": "worth knowing", "patch": "wording"}
FEW = 8
"""Most readers that are named."""


def headline(comparison: Comparison) -> str:
    """`contract 1.2.0 → 2.0.0: major, 1 breaking change of 3`."""
    old, new, total = comparison.old_version, comparison.new_version, len(comparison.changes)
    versions = f"contract {old} → {new}" if old != new else f"contract {old}"
    if comparison.grade is None:
        return f"{versions}: no difference"
    breaking = len(comparison.breaking)
    counted = f"{total} change{'s' if total > 1 else ''}"
    return f"{versions}: {comparison.grade}, " + (
        f"{breaking} of {counted} breaking" if breaking else counted
    )


def lines(comparison: Comparison, read_by: ReadBy, *, indent: str = "  ") -> Iterator[str]:
    """The changes by grade, major first; under each breaking one who reads it."""
    for grade in reversed(GRADES):
        found = [c for c in comparison.changes if c.grade == grade]
        if found:
            yield f"{indent}{_HEADINGS[grade]} ({grade})"
        for change in found:
            yield f"{indent}  {change}"
            readers = read_by(change) if grade == "major" else ()
            if readers:
                yield f"{indent}      read by {_few(readers)}"


def advice(comparison: Comparison) -> str | None:
    """What the version should be when it does not say enough; None when it does, or nothing changed."""
    if comparison.grade is None or comparison.new_version == comparison.suggested_version:
        return None
    if comparison.breaking and not comparison.announced:
        return f"a new major version is needed: {comparison.suggested_version}"
    if comparison.old_version == comparison.new_version:
        return f"suggested version: {comparison.suggested_version}"
    return None


def _few(names: tuple[str, ...]) -> str:
    rest = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {rest} more" if rest > 0 else "")

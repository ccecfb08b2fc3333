"""Files that cannot hold a key, proven by the least and greatest values that evidence has of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raymesh.quality.state import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.engines.kernel.keys import Key
    from raymesh.quality.model import FileState
    from raymesh.spec.types import Field

Range = tuple[Any, Any]
_EXACT = frozenset(ORDER) - {"float"}
"""Kinds whose limits cover every value; those of floating-point columns leave NaN out."""


def near_files(
    key: Key, new: Iterable[str], kept: Sequence[str], states: Mapping[str, FileState]
) -> tuple[str, ...]:
    """The `kept` files in which a key of the `new` ones may be; where nothing is known, it may.

    One column whose ranges do not meet is enough: then no two keys are equal.
    """
    fresh = [states.get(f) for f in new]
    near = tuple(kept)
    for field in key.fields:
        mine = [_range(field, state) for state in fresh]
        near = tuple(f for f in near if _may_meet(_range(field, states.get(f)), mine))
    return near


def _may_meet(theirs: Range | bool | None, mine: Iterable[Range | bool | None]) -> bool:
    return any(_touch(theirs, m) for m in mine)


def _touch(a: Range | bool | None, b: Range | bool | None) -> bool:
    """False only when both are known and apart, or one of them holds no value at all."""
    if a is None or b is None:
        return True
    if isinstance(a, bool) or isinstance(b, bool):
        return False
    return bool(a[0] <= b[1] and b[0] <= a[1])


def _range(field: Field, state: FileState | None) -> Range | bool | None:
    """Least and greatest value in an order of their own, None when unknown, False when there is no value."""
    profile = state.columns.get(field.name) if state else None
    if profile is None or state is None:
        return None
    kind = str(profile.get("type"))
    if profile.get("id") != field.id or kind not in _EXACT or not {"min", "max"} <= profile.keys():
        return None
    low, high = profile["min"], profile["max"]
    if low is None and high is None:
        return False if profile.get("nulls") == state.rows else None
    if low is None or high is None:
        return None
    order = ORDER[kind]
    try:
        return order(low), order(high)
    except (ValueError, ArithmeticError, TypeError):
        return None  # evidence that cannot be read proves nothing

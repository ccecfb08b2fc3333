"""Check states of data files: how they merge, and how they are kept.

Merging counts and profiles is associative and commutative, and `FileState()` changes nothing: the state of a table is the
merge over its files in any order and grouping. What one file with rows does not know, the merge does
not know either; a missing count is never read as zero.
"""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

from raymesh.quality.model import FileState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def merge(a: FileState, b: FileState) -> FileState:
    """The state of the rows of both."""
    known = [k for k in a.violations.keys() | b.violations.keys() if _same_count(k, a, b)]
    return FileState(
        a.rows + b.rows,
        {k: a.violations.get(k, 0) + b.violations.get(k, 0) for k in sorted(known)},
        _merge_columns(a, b),
        {k: basis for k in sorted(known) if (basis := _basis(k, a, b)) is not None},
    )


def total(states: Iterable[FileState]) -> FileState:
    """The merge of all; `FileState()` for none."""
    return reduce(merge, states, FileState())


def file_state_to_json(state: FileState) -> dict[str, Any]:
    """The state as a JSON value."""
    return {
        "rows": state.rows,
        "violations": dict(state.violations),
        "columns": {name: dict(profile) for name, profile in state.columns.items()},
        "basis": dict(state.basis),
        "whole": {name: list(noted) for name, noted in state.whole.items()},
        "seen": {name: list(files) for name, files in state.seen.items()},
    }


def file_state_from_json(value: Mapping[str, Any]) -> FileState | None:
    """The state, or None for a value that is none: it must be measured again."""
    try:
        rows, violations = value["rows"], dict(value["violations"])
        columns, basis = dict(value.get("columns", {})), dict(value.get("basis", {}))
        whole = {k: (str(digest), int(n)) for k, (digest, n) in value.get("whole", {}).items()}
        seen = {k: tuple(map(str, files)) for k, files in value.get("seen", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    counts = [rows, *violations.values()]
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts):
        return None
    return FileState(rows, violations, columns, basis, whole, seen)


def _same_count(key: str, a: FileState, b: FileState) -> bool:
    """Whether every state with rows has counted `key`, and counted the same thing."""
    if any(s.rows and key not in s.violations for s in (a, b)):
        return False
    return not (a.rows and b.rows) or a.basis.get(key) == b.basis.get(key)


def _basis(key: str, a: FileState, b: FileState) -> str | None:
    with_rows = [s for s in (a, b) if s.rows]
    found = [s.basis[key] for s in with_rows or (a, b) if key in s.basis]
    return min(found, default=None)


def _merge_columns(a: FileState, b: FileState) -> dict[str, Mapping[str, Any]]:
    if not a.rows:
        return dict(b.columns) if b.rows else {}
    if not b.rows:
        return dict(a.columns)
    both = sorted(a.columns.keys() & b.columns.keys())
    merged = {name: _merge_profiles(a.columns[name], b.columns[name]) for name in both}
    return {name: profile for name, profile in merged.items() if profile is not None}


def _merge_profiles(a: Mapping[str, Any], b: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Counts add; a limit is known when both sides know theirs. None: not the same column."""
    same = ("id", "type")
    if any(a.get(k) != b.get(k) for k in same):
        return None
    merged: dict[str, Any] = {k: a[k] for k in same if k in a}
    merged["nulls"] = a["nulls"] + b["nulls"]
    read = ORDER.get(str(a.get("type")))
    for limit, choose in (("min", min), ("max", max)):
        if read is None or limit not in a or limit not in b:
            continue
        known = [v for v in (a[limit], b[limit]) if v is not None]
        merged[limit] = choose(known, key=read) if known else None
    return merged


ORDER: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "string": str,
    "date": str,
    "time": str,
    "timestamp": str,
    "boolean": bool,
}
"""How limits of a profile compare, by the kind of their column; dates are ISO texts with four-digit years."""

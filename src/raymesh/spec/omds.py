"""A comparison as a Bitol OMDS document: the metadata difference of two contracts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from raymesh.spec.change import GRADES, Change, Grade, Raw, highest
from raymesh.spec.comparison import Comparison
from raymesh.spec.contract_version import raised

_WEIGHTY = frozenset(
    {"name", "physicalName", "logicalType", "physicalType", "required", "unique", "criticalDataElement"}
)
"""Keys whose change the standard calls major."""
_ADDED = _WEIGHTY | {"properties", "quality", "schema"}
"""Keys whose addition the standard calls minor."""


def omds(old: Raw, new: Raw, comparison: Comparison, *, values: bool = False) -> dict[str, Any]:
    """The document; `old` and `new` are the contracts as written.

    The impact of a change is its grade, raised to what the tables of the standard say without regard to
    direction. Values can be sensitive, so they are left out unless `values` asks for them.
    """
    impacts = [impact(c) for c in comparison.changes]
    counts = Counter(impacts)
    return {
        "apiVersion": "v1.0.0",
        "kind": "MetadataDifference",
        "sourceKind": "DataContract",
        "source1": _source(old),
        "source2": _source(new),
        "scope": "all",
        "impact": {grade: counts[grade] for grade in reversed(GRADES)},
        "suggestedVersion": raised(comparison.old_version, highest(impacts)),
        "diffs": [_diff(c, i, values) for c, i in zip(comparison.changes, impacts, strict=True)],
    }


def impact(change: Change) -> Grade:
    """The grade of a change, never below the tables of the standard."""
    return max(change.grade, _by_table(change), key=GRADES.index)


def _by_table(change: Change) -> Grade:
    if change.section != "schema":
        if change.kind == "add" or change.field == "contractCreatedTs":
            return "minor" if change.kind == "remove" else "patch"
        return "minor"
    if change.kind == "remove":
        return "major"
    if change.kind == "change":
        return "major" if change.field in _WEIGHTY else "minor" if change.field == "quality" else "patch"
    return "minor" if change.field in _ADDED else "patch"


def _diff(change: Change, level: Grade, values: bool) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": change.kind.upper(),
        "section": change.section,
        "field": change.field,
        "path": change.path,
    }
    if values and change.kind != "add":
        out["value1"] = change.old
    if values and change.kind != "remove":
        out["value2"] = change.new
    return {**out, "message": change.reason, "impactLevel": level.upper()}


def _source(contract: Raw) -> dict[str, Any]:
    out = {"id": str(contract.get("id")), "version": str(contract.get("version"))}
    definitions = contract.get("authoritativeDefinitions")
    for entry in definitions if isinstance(definitions, list | tuple) else ():
        if isinstance(entry, dict) and entry.get("type") == "canonicalUrl":
            out["canonicalUrl"] = str(entry.get("url"))
    return out

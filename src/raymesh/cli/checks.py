"""The checks of a run as people read them: what was broken first, then everything else in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raymesh.cli.report import printable, put, put_table

if TYPE_CHECKING:
    from raymesh.spi.state import CheckRecord

_ORDER = {"fail": 0, "error": 1, "not_executed": 2, "warn": 3, "skip": 4, "pass": 5}
_WORDS = {"fail": "FAILED", "error": "ERROR", "not_executed": "NOT EXECUTED", "warn": "WARNING"}


def put_checks(checks: Sequence[CheckRecord]) -> None:
    """Each broken promise with what was measured, its line in the contract and sample rows; the rest as a table."""
    ordered = sorted(checks, key=lambda c: (_ORDER.get(c.status, 9), not c.blocking, c.check_id))
    for check in (c for c in ordered if c.status in _WORDS):
        _broken(check)
    kept = [c for c in ordered if c.status not in _WORDS]
    if kept:
        put("")
        put_table(("status", "check", "promise"), [(c.status, c.check_id, _sentence(c)) for c in kept])


def _sentence(check: CheckRecord) -> str:
    return str(check.detail.get("message") or "")


def _broken(check: CheckRecord) -> None:
    blocks = " (blocks publishing)" if check.blocking else ""
    put(f"\n{_WORDS[check.status]} {check.check_id}{blocks}")
    put(f"  {printable(_sentence(check))}")
    if check.kind not in ("type", "text") and check.value is not None:
        put(f"  measured: {check.value}{_unit(check)}; promised: {_promised(check.detail)}")
    if place := check.detail.get("place"):
        put(f"  --> {place}")
    sample = [row for row in check.detail.get("sample") or () if isinstance(row, Mapping)]
    if sample:
        put("  such as:")
        for row in sample:
            put("    " + ", ".join(f"{printable(str(k))}={_value(v)}" for k, v in row.items()))


def _unit(check: CheckRecord) -> str:
    return " percent" if check.unit == "percent" else ""


def _promised(detail: Mapping[str, Any]) -> str:
    from raymesh.quality.model import Threshold
    from raymesh.quality.threshold import words

    return words(Threshold(str(detail.get("operator")), detail.get("threshold")))


def _value(value: Any) -> str:
    return "∅" if value is None else printable(str(value))

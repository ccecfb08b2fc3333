"""Results of checks: as text for people, and in plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raymesh.quality.threshold import words

if TYPE_CHECKING:
    from raymesh.quality.model import Check, CheckResult
    from raymesh.quality.report import CheckReport

ORDER = ("fail", "error", "not_executed", "warn", "skip", "pass")
_WORDS = {
    "fail": "FAIL",
    "error": "ERROR",
    "not_executed": "NOT EXECUTED",
    "warn": "WARNING",
    "skip": "skip",
    "pass": "pass",
}
_COUNTED = ("row", "key", "count", "reference")
_HEADERS = ("status", "promise", "measured", "promised", "unit", "dimension", "severity", "line")


def text(reports: Sequence[CheckReport]) -> str:
    """Every promise with what was measured, the broken ones explained; then what it all means."""
    return "\n\n".join(_report(r) for r in reports)


def to_json(reports: Sequence[CheckReport]) -> dict[str, Any]:
    """The content of the JSON document: every result in full."""
    return {"passed": all(r.passed for r in reports), "reports": [_report_json(r) for r in reports]}


def one_line(value: str) -> str:
    r"""Text of others on one line: control characters are written as `\n`, `\x1b`."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def promised(check: Check) -> str:
    """What a check demands, in words; nothing for one that demands nothing measurable."""
    if check.kind == "type":
        kind = check.arguments.get("physical") if check.rule == "physicalType" else None
        return str(kind or check.arguments.get("logical") or "")
    if check.kind in ("text", "sla"):
        return ""
    return words(check.threshold)


def unit_of(check: Check) -> str:
    """rows, percent, or nothing for a value that has no unit."""
    if check.unit == "percent":
        return "percent"
    return "rows" if check.kind in _COUNTED else ""


def place(result: CheckResult) -> str:
    """`contract.yaml:12`, nothing when the contract has no place for it."""
    span = result.check.span
    return f"{span.file}:{span.line}" if span else ""


def _report(report: CheckReport) -> str:
    results = sorted(report.verdict.results, key=lambda r: (ORDER.index(r.status), not r.check.blocking))
    lines = [_title(report)]
    if report.sampled is not None:
        lines.append(f"only a sample was looked at: {report.sampled:,} rows of more")
    if results:
        lines += ["", *_table([_HEADERS, *(_row(r) for r in results)])]
    for result in results:
        if result.status != "pass":
            lines += ["", *_explained(result)]
    if report.extra:
        lines += ["", "not in the contract: " + ", ".join(one_line(f"{n} ({t})") for n, t in report.extra)]
    return "\n".join([*lines, "", *_summary(report)])


def _title(report: CheckReport) -> str:
    contract = f"contract {report.contract_id} {report.contract_version}"
    return one_line(f"{report.table} ({contract}): {report.data}, {report.rows:,} rows")


def _row(result: CheckResult) -> tuple[str, ...]:
    check = result.check
    return (
        _WORDS[result.status],
        check.id,
        "" if result.value is None else str(result.value),
        promised(check),
        unit_of(check),
        check.dimension or "",
        check.severity if check.blocking else f"{check.severity}, does not block",
        place(result),
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[_short(one_line(c)) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def _short(cell: str) -> str:
    return cell if len(cell) <= 60 else cell[:59] + "…"


def _explained(result: CheckResult) -> list[str]:
    lines = [f"{_WORDS[result.status]} {one_line(result.check.id)}: {one_line(result.message)}"]
    if where := place(result):
        lines.append(f"  --> {where}")
    if result.sample:
        lines += ["  such as:", *(f"    {_shown(row)}" for row in result.sample)]
    return lines


def _shown(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{one_line(str(k))}={'∅' if v is None else one_line(str(v))}" for k, v in row.items())


def _summary(report: CheckReport) -> list[str]:
    counts = report.verdict.counts
    told = ", ".join(f"{counts[s]} {s.replace('_', ' ')}" for s in reversed(ORDER) if counts[s])
    decided, declared = report.coverage
    lines = [f"{declared} promise{'s' if declared != 1 else ''}: {told or 'none'}; {decided} decided"]
    if report.verdict.score is not None:
        lines[0] += f"; quality {report.verdict.score:.3f}"
    if report.shortfall:
        lines.append(report.shortfall)
    blocked = len(report.verdict.blocked)
    outcome = "passed" if report.passed else "not passed"
    because = f": {blocked} blocking promise{'s' if blocked != 1 else ''} did not pass" if blocked else ""
    return [*lines, f"{one_line(report.table)} {outcome}{because}"]


def _report_json(report: CheckReport) -> dict[str, Any]:
    decided, declared = report.coverage
    return {
        "table": report.table,
        "contract": {"id": report.contract_id, "version": report.contract_version},
        "data": report.data,
        "at": report.at.isoformat(),
        "rows": report.rows,
        "sampled": report.sampled,
        "passed": report.passed,
        "quality_score": report.verdict.score,
        "minimum_quality": report.minimum,
        "coverage": {"decided": decided, "declared": declared},
        "counts": report.verdict.counts,
        "extra_columns": [{"name": n, "type": t} for n, t in report.extra],
        "results": [_result_json(r) for r in report.verdict.results],
    }


def _result_json(result: CheckResult) -> dict[str, Any]:
    check, span = result.check, result.check.span
    return {
        "id": check.id,
        "kind": check.kind,
        "rule": check.rule,
        "columns": list(check.columns),
        "status": result.status,
        "blocking": check.blocking,
        "value": result.value,
        "operator": check.threshold.operator if check.kind not in ("type", "text", "sla") else None,
        "threshold": check.threshold.value if check.kind not in ("type", "text", "sla") else promised(check),
        "unit": unit_of(check) or None,
        "dimension": check.dimension,
        "severity": check.severity,
        "message": result.message,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "sample": [dict(row) for row in result.sample],
    }

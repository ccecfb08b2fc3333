"""Results of checks as a Bitol observability document (OORS, RFC 0018).

A promise that was not executed has no word of its own there: it is `skip` with the reason, and a metric tells
how many of the declared promises were executed. Rows and values of rows never enter the document.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raymesh.render.checks import unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.quality.model import CheckResult
    from raymesh.quality.report import CheckReport

API_VERSION = "v0.1.0"
_WITHOUT_MEASURE = ("text", "sla")


def oors(reports: Sequence[CheckReport], *, identifier: str, process: str = "check") -> str:
    """One document about one contract, as JSON. `identifier` is unique per document; `reports` has one at least."""
    first = reports[0]
    document = {
        "apiVersion": API_VERSION,
        "kind": "ObservabilityResults",
        "id": identifier,
        "observedAt": first.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": {"process": process, "runID": identifier, "vendor": "raymesh"},
        "contract": {
            "contractID": first.contract_id,
            "standard": "ODCS",
            "version": first.contract_version,
        },
        "results": [entry for report in reports for entry in _entries(report)],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def _entries(report: CheckReport) -> list[dict[str, Any]]:
    return [*(_entry(report, r) for r in report.verdict.results), _coverage(report)]


def _entry(report: CheckReport, result: CheckResult) -> dict[str, Any]:
    check = result.check
    entry: dict[str, Any] = {
        "id": f"{report.table}.{check.id}",
        "type": "check",
        "name": check.description or check.id,
        "status": "skip" if result.status == "not_executed" else result.status,
        "severity": check.severity,
    }
    if check.dimension:
        entry["dimension"] = check.dimension
    columns = [f"{report.table}.{c}" for c in check.columns]
    entry["target"] = {
        "resourceType": "column" if columns else "table",
        "resourceIdentifier": columns[0] if len(columns) == 1 else columns or report.table,
    }
    if check.kind not in _WITHOUT_MEASURE:
        entry["measure"] = _measure(result)
    return {**entry, "message": _message(report, result)}


def _measure(result: CheckResult) -> dict[str, Any]:
    check = result.check
    measure: dict[str, Any] = {"metric": check.rule}
    if result.value is not None:
        measure["value"] = result.value
    if check.kind != "type":
        measure["threshold"] = {check.threshold.operator: check.threshold.value}
    if unit := unit_of(check):
        measure["unit"] = unit
    return measure


def _message(report: CheckReport, result: CheckResult) -> str:
    """In our own words where those of the data or of the database could hold a value of a row."""
    shown = result.check.description or result.check.id
    if result.status == "not_executed":
        return f"not executed: {result.message or shown}"
    if result.status == "error":
        return f"no verdict: {shown} could not be measured"
    if result.check.kind == "type" and result.status != "pass":
        return f"{shown}: found {result.value}" if result.value else f"{shown}: it is missing"
    if result.check.kind == "text":
        return result.message
    return result.message if result.value is not None else f"{shown}: {result.status}, {report.rows:,} rows"


def _coverage(report: CheckReport) -> dict[str, Any]:
    executed = sum(r.status not in ("not_executed", "skip", "error") for r in report.verdict.results)
    declared = len(report.verdict.results)
    share = round(100 * executed / declared, 4) if declared else 0
    return {
        "id": f"{report.table}.coverage",
        "type": "metric",
        "name": "share of the declared promises that were executed",
        "status": "pass" if executed == declared else "warn",
        "severity": "info",
        "dimension": "coverage",
        "target": {"resourceType": "table", "resourceIdentifier": report.table},
        "measure": {"metric": "coverage", "value": share, "unit": "percent"},
        "message": f"{executed} of {declared} declared promises were executed",
    }

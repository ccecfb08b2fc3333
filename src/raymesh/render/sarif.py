"""Results of checks as SARIF 2.1.0: what did not pass, with its line in the contract."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.errors import SourceSpan
    from raymesh.quality.model import CheckResult
    from raymesh.quality.report import CheckReport

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(reports: Sequence[CheckReport], *, version: str, folder: str = "") -> str:
    """One run; `folder` is where the contract's file names start, `version` that of raymesh.

    Passed and skipped promises are only counted. A promise that does not block is a warning or a note.
    """
    found = [(report, r) for report in reports for r in report.verdict.results if _level(r)]
    rules = {_rule(report, r): r for report, r in found}
    driver = {
        "name": "raymesh",
        "version": version,
        "rules": [
            {"id": rule, "shortDescription": {"text": r.check.description or rule}}
            for rule, r in rules.items()
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, r, list(rules), folder) for report, r in found],
        "properties": {"counts": {report.table: report.verdict.counts for report in reports}},
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def _rule(report: CheckReport, result: CheckResult) -> str:
    return f"{report.table}/{result.check.id}"


def _level(result: CheckResult) -> str | None:
    if result.status in ("pass", "skip"):
        return None
    if result.check.blocking:
        return "error"
    return "warning" if result.status in ("warn", "error") else "note"


def _result(report: CheckReport, result: CheckResult, rules: list[str], folder: str) -> dict[str, Any]:
    rule = _rule(report, result)
    found: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": _level(result),
        "message": {"text": result.message or result.check.description or rule},
        "partialFingerprints": {"promise/v1": rule},
        "properties": {
            "status": result.status,
            "value": result.value,
            "dimension": result.check.dimension,
            "severity": result.check.severity,
        },
    }
    if result.check.span is not None:
        found["locations"] = [_location(result.check.span, folder)]
    return found


def _location(span: SourceSpan, folder: str) -> dict[str, Any]:
    region = {"startLine": span.line, "startColumn": span.column}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.file, folder)}, "region": region}}


def _uri(file: str, folder: str) -> str:
    path = PurePath(folder, file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())

"""Results of checks as GitHub workflow commands: annotations at the lines of the contract."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from raymesh.render.checks import ORDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.quality.model import CheckResult
    from raymesh.quality.report import CheckReport


def github(reports: Sequence[CheckReport], *, folder: str = "") -> str:
    """One annotation per promise that did not pass, worst first; `folder` is where the file names start."""
    lines: list[str] = []
    for report in reports:
        results = sorted(report.verdict.results, key=lambda r: (not r.check.blocking, ORDER.index(r.status)))
        lines += [_annotation(report, r, folder) for r in results if r.status not in ("pass", "skip")]
        lines.append(_summary(report))
    return "\n".join(lines)


def _annotation(report: CheckReport, result: CheckResult, folder: str) -> str:
    span = result.check.span
    properties = {"title": f"{report.table}: {result.check.id} {result.status.replace('_', ' ')}"}
    if span is not None:
        file = PurePath(folder, span.file).as_posix()
        properties = {"file": file, "line": str(span.line), "col": str(span.column), **properties}
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_command(result)} {said}::{_message(result.message or result.check.description)}"


def _command(result: CheckResult) -> str:
    if result.check.blocking:
        return "error"
    return "notice" if result.status == "not_executed" else "warning"


def _summary(report: CheckReport) -> str:
    counts = report.verdict.counts
    level = "notice" if report.passed else "error"
    outcome = "passed" if report.passed else "not passed"
    told = ", ".join(f"{counts[s]} {s.replace('_', ' ')}" for s in reversed(ORDER) if counts[s])
    more = f"; {report.shortfall}" if report.shortfall else ""
    title = _property(f"{report.table}: {outcome}")
    return f"::{level} title={title}::{_message((told or 'no promises') + more)}"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")

"""Results of checks as JUnit XML: one suite per table, one case per promise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from raymesh.render.checks import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raymesh.quality.model import CheckResult
    from raymesh.quality.report import CheckReport

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(reports: Sequence[CheckReport]) -> str:
    """A blocking promise that could not be executed is an error, never a skipped case; a warning passes and
    says so in its output."""
    suites = "\n".join(_suite(r) for r in reports)
    outcomes = [_outcome(r) for report in reports for r in report.verdict.results]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{_counts(outcomes)}>\n{suites}\n</testsuites>'


def _suite(report: CheckReport) -> str:
    outcomes = [_outcome(r) for r in report.verdict.results]
    started = _attribute("timestamp", report.at.replace(tzinfo=None).isoformat(timespec="seconds"))
    head = f"  <testsuite{_attribute('name', report.table)}{_counts(outcomes)}{started}>"
    cases = [line for r in report.verdict.results for line in _case(report, r)]
    return "\n".join([head, *cases, "  </testsuite>"])


def _case(report: CheckReport, result: CheckResult) -> Iterator[str]:
    names = _attribute("classname", f"{report.contract_id}.{report.table}")
    names += _attribute("name", result.check.id)
    if span := result.check.span:
        names += _attribute("file", span.file) + _attribute("line", str(span.line))
    outcome, kind = _outcome(result), _attribute("type", result.status)
    if result.status == "pass":
        yield f"    <testcase{names}/>"
        return
    yield f"    <testcase{names}>"
    if outcome == "passed":
        yield f"      <system-out>warning: {_text(result.message)}</system-out>"
    elif outcome == "skipped":
        yield f"      <skipped{_attribute('message', result.message)}/>"
    else:
        message = _attribute("message", result.message)
        yield f"      <{outcome}{message}{kind}>{_text(_detail(result))}</{outcome}>"
    yield "    </testcase>"


def _outcome(result: CheckResult) -> str:
    if result.status == "fail":
        return "failure"
    if result.status == "error" or (result.status == "not_executed" and result.check.blocking):
        return "error"
    return "skipped" if result.status in ("skip", "not_executed") else "passed"


def _detail(result: CheckResult) -> str:
    rows = [", ".join(f"{k}={v}" for k, v in row.items()) for row in result.sample]
    return "\n".join(line for line in (result.message, place(result), *rows) if line)


def _counts(outcomes: Sequence[str]) -> str:
    return (
        f' tests="{len(outcomes)}" failures="{outcomes.count("failure")}" '
        f'errors="{outcomes.count("error")}" skipped="{outcomes.count("skipped")}"'
    )


def _attribute(name: str, value: str) -> str:
    return f" {name}={quoteattr(_clean(value), {chr(10): '&#10;', chr(13): '&#13;', chr(9): '&#9;'})}"


def _text(value: str) -> str:
    return escape(_clean(value))


def _clean(value: str) -> str:
    """Without the characters that no XML document may hold."""
    return _NOT_XML.sub("\ufffd", value)

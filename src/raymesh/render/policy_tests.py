"""Results of policy tests as JUnit XML: one suite per file, one case per test."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raymesh.governance.cases import CaseResult

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[CaseResult]) -> str:
    """The whole document."""
    suites = "\n".join(_suite(file, list(cases)) for file, cases in groupby(results, key=lambda r: r.file))
    body = f"\n{suites}\n" if suites else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites{_counts(results)}>{body}</testsuites>'


def _suite(file: str, cases: Sequence[CaseResult]) -> str:
    head = f"  <testsuite name={_quoted(file)}{_counts(cases)}>"
    return "\n".join([head, *(_case(c) for c in cases), "  </testsuite>"])


def _case(case: CaseResult) -> str:
    names = f"classname={_quoted(case.file)} name={_quoted(case.name)} file={_quoted(case.file)}"
    head = f'    <testcase {names} line="{case.span.line}"'
    if case.passed:
        return f"{head}/>"
    text = escape(_clean("\n".join(case.failures)))
    return f"{head}>\n      <failure message={_quoted(case.failures[0])}>{text}</failure>\n    </testcase>"


def _counts(cases: Iterable[CaseResult]) -> str:
    passed = [c.passed for c in cases]
    return f' tests="{len(passed)}" failures="{passed.count(False)}"'


def _quoted(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _clean(text: str) -> str:
    """Without the characters that no XML document may hold."""
    return _NOT_XML.sub("\ufffd", text)

"""Results of checks in every format: exactly as they were agreed, and safe whatever the data says."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from raymesh.errors import SourceSpan
from raymesh.quality.model import Check, CheckResult, Threshold, Verdict
from raymesh.quality.report import CheckReport
from raymesh.render import checks
from raymesh.render.github import github
from raymesh.render.junit import junit
from raymesh.render.oors import oors
from raymesh.render.sarif import sarif

GOLDEN = Path(__file__).parent / "fixtures"
NASTY = 'a "b" <c> & \x1b[31m\x00 100%\r\n::error::x, y: z ]]> é😀'


def at(line: int) -> SourceSpan:
    return SourceSpan("contracts/my orders.yaml", line, 9)


def promise(identifier: str, kind: str, line: int, **more: object) -> Check:
    rule = identifier.rpartition(".")[2]
    return Check(identifier, kind, rule, columns=("id",), span=at(line), **more)  # type: ignore[arg-type]


RESULTS = (
    CheckResult(
        promise("id.logicalType", "type", 4, arguments={"logical": "integer"}, dimension="conformity", description="id is integer"),
        "pass", "long", "id is integer: found long",
    ),
    CheckResult(
        promise("id.required", "row", 5, dimension="completeness", description="id is never NULL"),
        "fail", 3, "id is never NULL: 3 of 41,002 rows, must be 0", ({"id": None, "email": "***"},),
    ),
    CheckResult(
        promise("id.quality.share", "row", 6, unit="percent", severity="warning", blocking=False, threshold=Threshold("mustBeLessThan", 5), dimension="accuracy", description="share of odd ids"),
        "warn", 12.5, "share of odd ids: 5,125 of 41,002 rows (12.5 percent), must be less than 5 percent",
    ),
    CheckResult(promise("id.quality.sql", "sql", 7, description="SELECT x"), "error", None, "no column x"),
    CheckResult(promise("id.pattern", "row", 8, unsupported="RE2 has no lookahead", description="id matches"), "not_executed", None, "RE2 has no lookahead"),
    CheckResult(promise("quality.text", "text", 9, blocking=False, description="Ask finance."), "skip", None, "Ask finance."),
    CheckResult(
        replace(promise("sla.latency", "sla", 10, blocking=False, dimension="timeliness", description="latency 1 d"), columns=()),
        "not_executed", None, "decided by evidence over time",
    ),
)  # fmt: skip
REPORT = CheckReport(
    "orders",
    "sales.orders",
    "1.2.0",
    Verdict(RESULTS, 0.75),
    41_002,
    "data/orders.parquet",
    datetime(2026, 11, 1, 9, tzinfo=UTC),
    extra=(("more", "string"),),
)
PASSED = replace(REPORT, table="customers", verdict=Verdict(RESULTS[:1], 1.0), extra=())
BOTH = (REPORT, PASSED)

OUTPUTS = {
    "check.txt": checks.text(BOTH),
    "check.json": json.dumps(checks.to_json(BOTH), indent=2),
    "check.junit.xml": junit(BOTH),
    "check.sarif.json": sarif(BOTH, version="1.0.0", folder="repo"),
    "check.github.txt": github(BOTH, folder="repo"),
    "check.oors.json": oors(BOTH, identifier="8f5d1c2a-4b3e-4a91-9d7c-6e2f0a1b3c4d"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_each_format_is_written_as_agreed(name):
    file = GOLDEN / name
    assert file.read_text(encoding="utf-8") == OUTPUTS[name] + "\n", f"if the change is meant, rewrite {file}"


def hostile() -> CheckReport:
    check = replace(RESULTS[1].check, id=NASTY, description=NASTY, span=SourceSpan("a,b:c.yaml", 3))
    broken = CheckResult(check, "fail", 1, NASTY, ({NASTY: NASTY},))
    return replace(REPORT, table=NASTY, contract_id=NASTY, data=NASTY, verdict=Verdict((broken,), 0.0))


def test_junit_stays_well_formed_whatever_a_message_holds():
    case = ET.fromstring(junit([hostile()])).find("testsuite/testcase")
    assert case is not None
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["message"].replace("\ufffd", "?") == NASTY.replace("\x00", "?").replace("\x1b", "?")


def test_junit_counts_what_its_cases_say():
    suites = ET.fromstring(junit(BOTH))
    for suite in [suites, *suites]:
        found = {kind: len(list(suite.iter(kind))) for kind in ("testcase", "failure", "error", "skipped")}
        told = [suite.attrib[k] for k in ("tests", "failures", "errors", "skipped")]
        assert told == [str(n) for n in found.values()]


def test_a_blocking_promise_that_was_not_executed_is_an_error_in_junit_and_never_skipped():
    cases = {c.attrib["name"]: c for c in ET.fromstring(junit(BOTH)).iter("testcase")}
    assert cases["id.pattern"].find("error") is not None
    assert cases["sla.latency"].find("skipped") is not None


def test_a_message_cannot_start_a_github_command_of_its_own():
    lines = github([hostile()]).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error ") for line in lines)
    assert "file=a%2Cb%3Ac.yaml,line=3,col=1,title=" in lines[0]
    assert "100%25%0D%0A%3A%3Aerror" in lines[0].partition("title=")[2]


def test_the_text_holds_no_control_characters_of_others():
    assert not any(c in checks.text([hostile()]) for c in "\x1b\x00\r")


def test_sarif_places_every_result_by_an_address_relative_to_the_repository():
    (run,) = json.loads(OUTPUTS["check.sarif.json"])["runs"]
    places = [r["locations"][0]["physicalLocation"] for r in run["results"]]
    assert {p["artifactLocation"]["uri"] for p in places} == {"repo/contracts/my%20orders.yaml"}
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert [r["level"] for r in run["results"]] == ["error", "warning", "error", "error", "note"]


def test_oors_holds_no_rows_and_no_words_of_the_database():
    leaky = replace(RESULTS[3], message="Could not convert 'ann@x.de'")
    misread = replace(RESULTS[0], status="fail", message="o.csv, line 3: 'ann@x.de' is no integer")
    sampled = replace(RESULTS[1], sample=({"id": "ann@x.de"},))
    told = oors([replace(REPORT, verdict=Verdict((leaky, misread, sampled), None))], identifier="1")
    assert "ann@x.de" not in told


def test_oors_uses_only_its_five_words_and_tells_how_much_was_executed():
    results = json.loads(OUTPUTS["check.oors.json"])["results"]
    assert {r["status"] for r in results} <= {"pass", "fail", "warn", "error", "skip"}
    assert len({r["id"] for r in results}) == len(results)
    by_id = {r["id"]: r for r in results}
    assert by_id["orders.id.pattern"]["message"] == "not executed: RE2 has no lookahead"
    coverage = by_id["orders.coverage"]
    assert (coverage["type"], coverage["message"]) == ("metric", "3 of 7 declared promises were executed")

"""Every element of the standard that is a promise is executed: kept by good rows, broken by bad ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts import contract, judged, schema_of
from promises import EXAMPLES, Example, elements
from raymesh.quality.compile import compile_checks
from raymesh.quality.completeness import promised_places, unjudged
from raymesh.quality.model import Check, CheckResult


def checks_of(example: Example) -> dict[str, Check]:
    """The checks of the example's contract."""
    more = dict(example.more)
    others = more.pop("columns", [])
    columns = [] if others is None else [{"name": "c", **example.column}, *others]
    return {c.id: c for c in compile_checks(contract(*columns, **more), table="orders")}


def test_every_element_of_the_standard_has_an_example():
    assert list(dict.fromkeys(elements())) == list(elements())
    assert set(elements()) == set(EXAMPLES)


@pytest.mark.parametrize("element", EXAMPLES)
def test_a_promise_is_kept_by_good_rows_and_broken_by_bad_ones(element: str, tmp_path: Path) -> None:
    example = EXAMPLES[element]
    checks = checks_of(example)
    with duckdb.connect() as con:
        good = judged(con, tmp_path, schema_of(**example.types), example.rows(example.good), checks)
        types = example.bad_types or example.types
        rows = (
            [{next(iter(types)): v["c"]} for v in example.rows(example.bad)]
            if example.bad_types
            else example.rows(example.bad)
        )
        bad = judged(con, tmp_path, schema_of(**types), rows, checks)
    assert good[example.check].status == example.kept, good[example.check]
    assert bad[example.check].status == example.broken, bad[example.check]


def _document(example: Example) -> dict[str, Any]:
    more = dict(example.more)
    others = more.pop("columns", [])
    columns = [] if others is None else [{"name": "c", **example.column}, *others]
    table = {
        "name": "orders",
        "properties": columns,
        "quality": more.pop("quality", []),
        "relationships": more.pop("relationships", []),
    }
    return {"schema": [table], **more}


@pytest.mark.parametrize("element", EXAMPLES)
def test_no_promise_of_the_document_is_without_a_check(element: str) -> None:
    checks = tuple(checks_of(EXAMPLES[element]).values())
    results = [CheckResult(c, "pass") for c in checks]
    assert unjudged(_document(EXAMPLES[element]), checks, results) == ()


@pytest.mark.parametrize("element", EXAMPLES)
def test_a_check_that_is_lost_is_missed(element: str) -> None:
    """Whatever was promised at a place that only the lost check was made from is named by its place."""
    checks = tuple(checks_of(EXAMPLES[element]).values())
    results = [CheckResult(c, "pass") for c in checks]
    for n, lost in enumerate(checks):
        assert lost.id in unjudged(_document(EXAMPLES[element]), checks, results[:n] + results[n + 1 :])
        rest = checks[:n] + checks[n + 1 :]
        places = set(promised_places(_document(EXAMPLES[element])))
        if lost.where in places - {c.where for c in rest}:
            found = unjudged(_document(EXAMPLES[element]), rest, results[:n] + results[n + 1 :])
            assert ".".join(map(str, lost.where)) in found
    assert unjudged(_document(EXAMPLES[element]), (), ())

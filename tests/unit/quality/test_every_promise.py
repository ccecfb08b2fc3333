"""Every element of the standard that is a promise is executed: kept by good rows, broken by bad ones."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from contracts import contract, judged, schema_of
from promises import EXAMPLES, Example, elements
from raymesh.quality.compile import compile_checks
from raymesh.quality.model import Check


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

"""An append reads no more than it must, and says what a look at everything says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts import checks_of, schema_of, write
from raymesh.engines.kernel.additive import adds_up
from raymesh.engines.kernel.keys import key_of
from raymesh.engines.kernel.measure import measure
from raymesh.engines.kernel.ranges import near_files
from raymesh.engines.kernel.rows import Table
from raymesh.mesh.plan import Scan
from raymesh.quality.judge import judge
from raymesh.quality.model import Check, FileState, Measurements
from raymesh.quality.state import file_state_from_json, file_state_to_json


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 2, "python_enable_replacements": False}) as connection:
        connection.execute("SET TimeZone='UTC'")
        yield connection


COUNTS = [
    "SELECT count(*) FROM orders WHERE a < 0 AND lower(b) LIKE 'a%'",
    "SELECT count(*) FILTER (WHERE a IN (1, 2)) FROM sales.orders AS q WHERE q.a > 1 AND orders.b = 'x'",
    "SELECT count_if(a BETWEEN 1 AND 2) FROM orders;",
    "SELECT count(*) FROM orders WHERE b NOT SIMILAR TO 'x' AND TRY_CAST(b AS INT) IS NULL",
    "SELECT count(*) FROM orders WHERE (CASE WHEN a > 1 THEN 1 ELSE 2 END) = 1 OR d > DATE '2020-01-01'",
    "SELECT count(b) FROM orders",
]
OTHERS = [
    "SELECT count(DISTINCT a) FROM orders",
    "SELECT count(*) FROM orders TABLESAMPLE 10%",
    "WITH orders AS (SELECT 1 AS a) SELECT count(*) FROM orders",
    "SELECT count(*) FROM orders WHERE rowid = 1",
    "SELECT count(*) FROM orders WHERE d < current_date",
    "SELECT count(*) FROM orders WHERE d < 'today'",
    "SELECT count(*) FROM orders WHERE d < now()",
    "SELECT count(*) FROM orders WHERE random() < 0.5",
    "SELECT count(*) + 1 FROM orders",
    "SELECT count(*) FROM orders LIMIT 0",
    "SELECT DISTINCT count(*) FROM orders",
    "SELECT sum(a) FROM orders",
    "SELECT max(a) FROM orders",
    "SELECT count(*) FROM orders WHERE a IN (SELECT a FROM orders)",
    "SELECT count(*) FROM orders, orders AS o",
    "SELECT count(*) FROM orders GROUP BY a",
    "SELECT count(*) FROM orders HAVING count(*) > 1",
    "SELECT count(*) FROM orders UNION ALL SELECT count(*) FROM orders",
    "SELECT count(*) FROM others",
    "SELECT 1; SELECT count(*) FROM orders",
    "SELECT count(*) OVER () FROM orders",
    "SELECT count(*) FROM orders AT (VERSION => 1)",
    "no query",
]


@pytest.mark.parametrize("query", COUNTS)
def test_counts_of_rows_by_what_they_say_add_up(con: Any, query: str) -> None:
    assert adds_up(con, query, ("orders", "sales.orders"), "abd")


@pytest.mark.parametrize("query", OTHERS)
def test_everything_else_is_asked_of_the_whole_table(con: Any, query: str) -> None:
    assert not adds_up(con, query, ("orders", "sales.orders"), "abd")


RULES = [
    {
        "type": "sql",
        "query": "SELECT count(*) FROM {table} WHERE n % 5 = 0",
        "mustBeLessThan": 100,
        "id": "counts",
    },
    {"type": "sql", "query": "SELECT max(n) FROM {table}", "mustBeLessThan": 1000, "id": "whole"},
]
PROPERTIES = [
    {"name": "n", "logicalType": "integer", "unique": True, "relationships": [{"to": "orders.n"}]},
    {"name": "s", "logicalType": "string", "quality": [{"metric": "duplicateValues", "mustBeLessThan": 50}]},
]
SCHEMA = schema_of(n="long", s="string")


def _rows(numbers: range) -> list[dict[str, Any]]:
    return [{"n": n, "s": f"t{n % 40}"} for n in numbers]


def _verdict(checks: Mapping[str, Check], found: Measurements) -> dict[str, Any]:
    return {r.check.id: (r.status, r.value) for r in judge(tuple(checks.values()), found).results}


def _states(found: Measurements) -> dict[str, FileState | None]:
    return {p: file_state_from_json(file_state_to_json(s)) for p, s in found.files.items()}


@pytest.mark.parametrize("second", [range(50, 90), range(30, 60), range(0), range(49, 50)])
def test_an_append_says_what_a_look_at_everything_says(con: Any, tmp_path: Path, second: range) -> None:
    checks = checks_of(*PROPERTIES, quality=RULES)
    some = tuple(checks.values())
    one = write(tmp_path / "1.parquet", SCHEMA, _rows(range(30)))
    two = write(tmp_path / "2.parquet", SCHEMA, _rows(range(30, 50)))
    new = write(tmp_path / "3.parquet", SCHEMA, _rows(second))
    before = measure(con, [one, two], SCHEMA, some, profiled=True)
    kept = Scan(SCHEMA, (one, two))
    again = measure(con, [new], SCHEMA, some, kept=kept, kept_states=_states(before), profiled=True)
    whole = measure(con, [one, two, new], SCHEMA, some)
    assert _verdict(checks, again) == _verdict(checks, whole)


def test_rules_that_add_up_and_references_do_not_read_kept_files(con: Any, tmp_path: Path) -> None:
    checks = checks_of(*PROPERTIES[:1], quality=RULES[:1])
    some = tuple(checks.values())
    old = write(tmp_path / "1.parquet", SCHEMA, _rows(range(30)))
    states = _states(measure(con, [old], SCHEMA, some))
    new = write(tmp_path / "2.parquet", SCHEMA, _rows(range(100, 110)))
    kept = Scan(SCHEMA, (old,))
    wrong = write(Path(old), SCHEMA, _rows(range(5, 25)))  # who reads it now would count otherwise
    assert wrong == old
    found = measure(con, [new], SCHEMA, some, kept=kept, kept_states=states)
    assert found.values["quality.counts"] == 6 + 2
    assert found.values["n.reference"] == 0


def test_a_reference_is_counted_anew_when_the_other_table_lost_a_file(con: Any, tmp_path: Path) -> None:
    def table(*names: int) -> Scan:
        return Scan(SCHEMA, tuple(str(tmp_path / f"target{n}.parquet") for n in names))

    for n in (1, 2):
        write(tmp_path / f"target{n}.parquet", SCHEMA, _rows(range(n * 10, n * 10 + 10)))
    checks = checks_of({"name": "n", "logicalType": "integer", "relationships": [{"to": "sales.targets.n"}]})
    some = tuple(checks.values())
    old = write(tmp_path / "1.parquet", SCHEMA, _rows(range(10, 30)))
    first = measure(con, [old], SCHEMA, some, inputs={"sales.targets": table(1, 2)})
    assert first.values["n.reference"] == 0
    new = write(tmp_path / "2.parquet", SCHEMA, _rows(range(10, 12)))
    kept = Scan(SCHEMA, (old,))
    for now, wanted in ((table(1, 2), 0), (table(1), 10)):
        found = measure(
            con, [new], SCHEMA, some, kept=kept, kept_states=_states(first), inputs={"sales.targets": now}
        )
        assert found.values["n.reference"] == wanted


def test_files_whose_values_lie_apart_are_not_near(con: Any, tmp_path: Path) -> None:
    checks = checks_of({"name": "n", "logicalType": "integer", "unique": True})
    some = tuple(checks.values())
    files = [write(tmp_path / f"{n}.parquet", SCHEMA, _rows(range(n * 10, n * 10 + 10))) for n in range(4)]
    states = measure(con, files, SCHEMA, some).files
    key = key_of(checks["n.unique"], Table(con, SCHEMA, ()))
    assert near_files(key, files[3:], files[:3], states) == ()
    assert near_files(key, files[1:2], files, states) == (files[1],)
    unknown = {**states, files[0]: FileState(10)}
    assert near_files(key, files[3:], files[:3], unknown) == (files[0],)


@pytest.mark.parametrize("values", [[float("nan"), 1.0], [-0.0, 1.0]])
def test_nan_and_zeros_are_looked_up_whatever_limits_say(
    con: Any, tmp_path: Path, values: list[float]
) -> None:
    schema = schema_of(x="double")
    checks = checks_of({"name": "x", "logicalType": "number", "unique": True})
    some = tuple(checks.values())
    old = write(tmp_path / "1.parquet", schema, [{"x": v} for v in values])
    new = write(tmp_path / "2.parquet", schema, [{"x": abs(values[0])}])
    states = _states(measure(con, [old], schema, some))
    found = measure(con, [new], schema, some, kept=Scan(schema, (old,)), kept_states=states)
    assert found.values["x.unique"] == 1

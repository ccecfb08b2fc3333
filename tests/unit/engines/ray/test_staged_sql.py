"""Staged queries give the rows of the whole query: random ones, and the ones that are easy to get wrong."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as Number
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from random_sql import (
    DATE,
    DOUBLE,
    EAGER,
    GENEROUS,
    INT,
    LONG,
    STRING,
    in_stages,
    ordered,
    table,
    whole,
    world,
    written,
)
from raymesh.engines.ray.analyse import Chances
from raymesh.errors import SourceSpan, TransformError
from raymesh.mesh.plan import Scan
from raymesh.spec.types import Decimal

SAMPLED = 5
PER_WORLD = 12
NAN = float("nan")


def agree(sql: str, inputs: dict[str, Scan], folder: Path, **settings: Any) -> bool:
    """Whether the query ran in stages; fails when its rows are not those of the whole query."""
    expected = whole(sql, inputs, folder)
    staged, found, _ = in_stages(sql, inputs, folder, **settings)
    if found is None:
        return False
    assert found.schema == expected.schema, sql
    assert ordered(found) == ordered(expected), (sql, [(s.name, s.runs, s.sql) for s in staged.stages])
    return True


def _seeds() -> list[Any]:
    return [*range(SAMPLED), *(pytest.param(s, marks=pytest.mark.slow) for s in range(SAMPLED, 250))]


@pytest.mark.parametrize("seed", _seeds())
def test_random_queries_give_the_same_rows_in_stages(
    seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if seed >= SAMPLED and not request.config.getoption("--complete"):
        pytest.skip("the complete matrix runs with --complete")
    inputs, queries = world(seed, tmp_path)
    taken = 0
    for at in range(PER_WORLD):
        chances = (EAGER, GENEROUS, Chances(parallel=3, small=0))[at % 3]
        taken += agree(queries.statement(), inputs, tmp_path, chances=chances)
    assert taken >= PER_WORLD // 2  # otherwise nothing was compared


def test_keys_of_different_types_meet(tmp_path: Path) -> None:
    values: list[Any] = [None, *range(-20, 21)]
    kinds = {
        "int": INT,
        "long": LONG,
        "narrow": Decimal(9, 2),
        "wide": Decimal(30, 10),
        "whole": Decimal(38, 0),
    }
    inputs = {
        f"shop.{name}": written(tmp_path, name, table(k=kind), [(v,) for v in values], 3)
        for name, kind in kinds.items()
    }
    for left in kinds:
        for right in kinds:
            sql = f"SELECT l.k FROM shop.{left} AS l FULL JOIN shop.{right} AS r ON l.k = r.k"
            assert agree(sql, inputs, tmp_path), sql


@pytest.mark.parametrize("chances", [GENEROUS, EAGER])
@pytest.mark.parametrize("larger", ["a", "b"])
@pytest.mark.parametrize("kind", ["", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
def test_joins_of_a_small_and_a_large_table(kind: str, larger: str, chances: Chances, tmp_path: Path) -> None:
    counts = {"a": 15, "b": 15, larger: 200}
    inputs = {
        f"shop.{name}": written(
            tmp_path,
            name,
            table(k=LONG, n=LONG),
            [(None if i % 7 == 0 else i % 23, i) for i in range(rows)],
            3,
        )
        for name, rows in counts.items()
    }
    alone = kind in ("SEMI", "ANTI")
    chosen = "a.n" if alone else "a.n, b.n AS m"
    wheres = ["", " WHERE a.n > 3", *([] if alone else [" WHERE b.n > 3", " WHERE b.n IS NULL"])]
    for condition in ("a.k = b.k", "a.k = b.k AND a.n <= b.n AND b.n <> 9 AND a.n <> 5"):
        for where in wheres:
            sql = f"SELECT {chosen} FROM shop.a {kind} JOIN shop.b ON {condition}{where}"
            assert agree(sql, inputs, tmp_path, chances=chances), sql


def test_zeros_nan_and_missing_keys_meet_as_in_one_database(tmp_path: Path) -> None:
    odd = [0.0, -0.0, NAN, -NAN, None, None, float("inf"), float("-inf"), 1.5, 5e-324]
    inputs = {
        "shop.a": written(tmp_path, "a", table(k=DOUBLE, n=LONG), [(v, i) for i, v in enumerate(odd * 3)], 3),
        "shop.b": written(tmp_path, "b", table(k=DOUBLE, m=LONG), [(v, i) for i, v in enumerate(odd)], 2),
    }
    for sql in (
        "SELECT n, m FROM shop.a JOIN shop.b USING (k)",
        "SELECT n, m FROM shop.a LEFT JOIN shop.b ON a.k = b.k",
        "SELECT n, m FROM shop.a FULL JOIN shop.b ON a.k = b.k",
        "SELECT n, m FROM shop.a JOIN shop.b ON a.k IS NOT DISTINCT FROM b.k",
        "SELECT count(*) AS n, min(n) AS first FROM shop.a GROUP BY k",
        "SELECT n FROM shop.a ANTI JOIN shop.b ON a.k = b.k",
        "SELECT n, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM shop.a",
        "SELECT isnan(k) AS nan, k IS NULL AS missing FROM (SELECT k FROM shop.a EXCEPT SELECT k FROM shop.b WHERE m < 3)",
    ):
        assert agree(sql, inputs, tmp_path), sql


def test_averages_are_equal_to_the_last_digit(tmp_path: Path) -> None:
    rows = [(i % 7, Number(i * 7919 % 100_003) / 100, i * 9_007_199_254_740_993 % 2**62) for i in range(3000)]
    schema = table(k=INT, d=Decimal(12, 2), n=LONG)
    inputs = {"shop.a": written(tmp_path, "a", schema, rows, 4)}
    for chosen in (
        "avg(d) AS a",
        "avg(d) AS a, sum(d) AS s, count(*) AS c",
        "avg(n) AS a, avg(k) AS b, sum(n) AS s",
    ):
        assert agree(f"SELECT k, {chosen} FROM shop.a GROUP BY k", inputs, tmp_path)
        assert agree(f"SELECT {chosen} FROM shop.a", inputs, tmp_path)


def test_an_aggregate_of_no_rows_has_its_one_row(tmp_path: Path) -> None:
    inputs = {"shop.a": written(tmp_path, "a", table(k=INT, d=Decimal(5, 1)), [], 2)}
    assert agree(
        "SELECT count(*) AS n, sum(d) AS s, avg(k) AS a, count(k) AS c FROM shop.a", inputs, tmp_path
    )
    assert agree("SELECT k, count(*) AS n FROM shop.a GROUP BY k", inputs, tmp_path)


SETS: dict[str, list[str]] = {
    "ROLLUP (k, s)": ["k", "s"],
    "CUBE (k, s)": ["k", "s"],
    "k, ROLLUP (s)": ["k", "s"],
    "GROUPING SETS ((k), (k, s), (s), ())": ["k", "s"],
    "GROUPING SETS ((k), (k))": ["k"],
    "GROUPING SETS (())": [],
    "ROLLUP (k + 1, s)": ["k + 1", "s"],
    "()": [],
}


@pytest.mark.parametrize("count", [0, 300])
def test_several_sets_of_keys(count: int, tmp_path: Path) -> None:
    rows = [
        (None if i % 10 == 0 else i % 7, i, [None, "a", "b"][i % 3], Number(i % 13) / 100)
        for i in range(count)
    ]
    schema = table(k=INT, n=LONG, s=STRING, d=Decimal(12, 2))
    inputs = {"shop.a": written(tmp_path, "a", schema, rows, 3)}
    exact, other = (
        "count(*) AS x, sum(n) AS y, avg(d) AS z, min(s) AS m",
        "count(DISTINCT n) AS x, median(d) AS y",
    )
    for at, (sets, keys) in enumerate(SETS.items()):
        chosen = [f"{key} AS c{at}" for at, key in enumerate(keys)]
        chosen += [f"GROUPING({', '.join(keys)}) AS g" for _ in keys[:1]]
        chosen += [f"coalesce(({key})::VARCHAR, 'all') AS every" for key in keys[:1]]
        for more in (exact, other)[: 1 + at % 2]:
            sql = f"SELECT {', '.join([*chosen, more])} FROM shop.a GROUP BY {sets}"
            assert agree(sql, inputs, tmp_path) or not (keys and count), sql
    for sql in (
        "SELECT k, count(*) AS x FROM shop.a GROUP BY ROLLUP (k) HAVING GROUPING(k) = 0 OR count(*) > 5",
        "SELECT DISTINCT k FROM shop.a GROUP BY CUBE (k, s)",
        "SELECT k FROM shop.a GROUP BY ROLLUP (k)",
        "SELECT q.k FROM (SELECT k, max(n) AS x FROM shop.a GROUP BY ROLLUP (k)) AS q",
        "SELECT k, sum(count(*)) OVER (PARTITION BY k, GROUPING(k)) AS w FROM shop.a GROUP BY ROLLUP (k, s)",
        "SELECT k, s, sum(count(*)) OVER (PARTITION BY s) AS w FROM shop.a GROUP BY k, ROLLUP (s)",
        "SELECT q.k, count(*) AS x FROM (SELECT k, s FROM shop.a GROUP BY k, ROLLUP (s)) AS q GROUP BY q.k",
        "SELECT q.n, median(q.m) AS x FROM (SELECT k, n, median(d) AS m FROM shop.a WHERE n = k GROUP BY k, ROLLUP (n)) AS q GROUP BY q.n",
        "SELECT k, n, max(median(d)) OVER (PARTITION BY n) AS w FROM shop.a WHERE n = k GROUP BY k, ROLLUP (n)",
        "SELECT k, s, count(*) AS x FROM shop.a WHERE k > (SELECT min(k) FROM shop.a) GROUP BY ROLLUP (k, s)",
    ):
        agree(sql, inputs, tmp_path)
    sql = "SELECT k, count(*) AS x FROM shop.a GROUP BY ROLLUP (k) ORDER BY k LIMIT 1"  # a missing k, or all of them
    assert not in_stages(sql, inputs, tmp_path)[0].stages


OUTER = [(i, None if i % 5 == 0 else i % 11, Number(i % 9)) for i in range(120)]
INNER = [(i % 13 if i % 4 else None, i % 3 or None, f"s{i % 5}") for i in range(90)] + [(3, 2, "s1")] * 400
RELATED = (
    "EXISTS (SELECT 1 FROM shop.b WHERE b.k = a.k)",
    "NOT EXISTS (SELECT * FROM shop.b WHERE b.k = a.k AND b.n < a.id)",
    "EXISTS (SELECT 1 FROM shop.b AS o WHERE o.k = a.k AND EXISTS (SELECT 1 FROM shop.b WHERE b.n = o.n AND b.k > o.k))",
    "NOT EXISTS (SELECT 1 FROM shop.b WHERE b.k IS NOT DISTINCT FROM a.k AND n = 2)",
    "EXISTS (SELECT 1 FROM shop.b WHERE a.id > 60)",
    "a.k IN (SELECT n FROM shop.b WHERE b.k = a.id)",
    "a.k NOT IN (SELECT n FROM shop.b WHERE b.k = a.id)",
    "a.k NOT IN (SELECT n FROM shop.b WHERE b.k = a.id AND n IS NOT NULL)",
    "a.d IN (SELECT n FROM shop.b)",
    "a.k NOT IN (SELECT n FROM shop.b)",
    "a.k NOT IN (SELECT n FROM shop.b WHERE n IS NOT NULL)",
    "a.k NOT IN (SELECT n FROM shop.b WHERE n > 100)",
    "NOT EXISTS (SELECT 1 FROM shop.b WHERE n > 100)",
    "a.id > (SELECT count(*) FROM shop.b WHERE b.k = a.k)",
    "a.id > (SELECT max(b.n) + a.k FROM shop.b WHERE a.k = b.k + 1 AND b.k = a.d)",
    "coalesce((SELECT sum(b.n) FROM shop.b WHERE a.k = b.k), -1) < 4",
    "(SELECT avg(b.n) FROM shop.b WHERE b.k IS NOT DISTINCT FROM a.k) IS NULL",
)


VALUES = (
    "count(*)",
    "count(b.n) + 1",
    "max(s)",
    "sum(n)",
    "avg(n)",
    "count(DISTINCT n) FILTER (WHERE n > 1)",
)


@pytest.mark.parametrize(("count", "chances"), [(490, EAGER), (490, GENEROUS), (0, EAGER)])
def test_subqueries_about_the_row_around(count: int, chances: Chances, tmp_path: Path) -> None:
    inputs = {
        "shop.a": written(tmp_path, "a", table(id=LONG, k=INT, d=Decimal(9, 2)), OUTER, 3),
        "shop.b": written(tmp_path, "b", table(k=LONG, n=INT, s=STRING), INNER[:count], 3),
    }
    every = count > 0 and chances is EAGER
    for condition in RELATED[:: 1 if every else 2]:
        sql = f"SELECT id, k FROM shop.a WHERE id <> 7 AND {condition}"
        taken = agree(sql, inputs, tmp_path, chances=chances, skew=2.0, skew_rows=20)
        assert taken or "a.id > 60" in condition, sql  # nothing that both sides share
    for value in VALUES[:: 1 if every else 3]:
        sql = f"SELECT id, (SELECT {value} FROM shop.b WHERE b.k = a.k AND s <> 's2') AS v, d FROM shop.a"
        assert agree(sql, inputs, tmp_path, chances=chances), sql


def test_equal_values_that_are_not_the_same_are_not_made_one(tmp_path: Path) -> None:
    signs = [(1, 0.0), (1, -0.0), (2, 0.0), (3, -0.0)]
    inputs = {
        "shop.a": written(
            tmp_path, "a", table(id=LONG, s=STRING), [(i, s) for i in range(4) for s in ("0.0", "-0.0")], 2
        ),
        "shop.b": written(tmp_path, "b", table(k=LONG, d=DOUBLE), signs, 1),
    }
    for kind in ("EXISTS", "NOT EXISTS"):
        sql = f"SELECT id, s FROM shop.a WHERE {kind} (SELECT 1 FROM shop.b WHERE k = id AND d::VARCHAR = s)"
        assert agree(sql, inputs, tmp_path), sql


@pytest.mark.parametrize("chances", [GENEROUS, EAGER])
def test_the_first_rows_are_the_first_of_the_first_of_every_share(chances: Chances, tmp_path: Path) -> None:
    rows = [(i % 90, None if i % 9 == 0 else i * 37 % 50, f"s{i % 7}") for i in range(600)]
    alone = [(i + (1000 if i % 4 else 0),) for i in range(200)]  # the first fifty lie in one file
    inputs = {
        "shop.a": written(tmp_path, "a", table(k=LONG, n=LONG, s=STRING), rows, 4),
        "shop.b": written(tmp_path, "b", table(k=LONG), alone, 4),
    }
    for sql in (
        "SELECT k FROM shop.b ORDER BY k LIMIT 5 OFFSET 30",
        "SELECT k, n FROM shop.a ORDER BY n DESC NULLS LAST, k LIMIT 7 OFFSET 3",
        "SELECT DISTINCT s, n FROM shop.a WHERE k > 4 ORDER BY ALL LIMIT 9",
        "SELECT DISTINCT s, n FROM shop.a WHERE k > 4 ORDER BY 2, 1 LIMIT 9",
        "SELECT k, sum(n) AS total, avg(n) AS mean FROM shop.a GROUP BY k ORDER BY total DESC, k LIMIT 5",
        "SELECT q.k, b.n FROM (SELECT k, s FROM shop.a ORDER BY k DESC, s LIMIT 4) AS q JOIN shop.a AS b USING (k)",
        "WITH w AS (SELECT k, n FROM shop.a ORDER BY n, k LIMIT 6) SELECT l.k FROM w AS l JOIN w AS r USING (k)",
    ):
        taken = agree(sql, inputs, tmp_path, chances=chances)
        assert taken or "ALL" in sql, sql
    whole_plans = (
        "SELECT k, s FROM shop.a ORDER BY n LIMIT 5",  # by no column of it
        "SELECT k, n FROM shop.a ORDER BY n LIMIT 5",  # rows that come first alike
        "SELECT k, avg(n) AS m FROM shop.a GROUP BY k ORDER BY m LIMIT 5",
        "SELECT k, n FROM shop.a ORDER BY n, k LIMIT (SELECT 5)",
        "SELECT k, n FROM shop.a LIMIT 5",
    )
    for sql in whole_plans:
        staged, _, _ = in_stages(sql, inputs, tmp_path, chances=chances)
        assert not staged.stages, sql


def skewed(folder: Path) -> dict[str, Scan]:
    rows = [(1 if i % 10 else i % 40, i) for i in range(4000)]
    return {
        "shop.sales": written(folder, "sales", table(k=LONG, n=LONG), rows, 4),
        "shop.names": written(folder, "names", table(k=LONG, s=STRING), [(i, str(i)) for i in range(50)], 2),
    }


def test_a_part_with_too_many_rows_is_shared_by_several_tasks(tmp_path: Path) -> None:
    inputs = skewed(tmp_path)
    sql = "SELECT n, s FROM shop.sales LEFT JOIN shop.names USING (k)"
    settings: dict[str, Any] = {"skew": 2.0, "skew_rows": 100, "unit_bytes": 20_000_000.0}
    _, found, outcome = in_stages(sql, inputs, tmp_path, **settings)
    assert found is not None
    assert outcome is not None
    assert ordered(found) == ordered(whole(sql, inputs, tmp_path))
    assert any("tasks share it" in note for note in outcome.notes)
    assert max(t.num_rows for t in outcome.results) < 3000


def test_a_part_that_cannot_be_shared_is_told(tmp_path: Path) -> None:
    inputs = skewed(tmp_path)
    sql = "SELECT n, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM shop.sales"
    _, found, outcome = in_stages(sql, inputs, tmp_path, skew=2.0, skew_rows=100, unit_bytes=5_000_000.0)
    assert found is not None
    assert outcome is not None
    assert any("one task does all of it" in note for note in outcome.notes)


def test_a_single_file_is_read_by_several_tasks(tmp_path: Path) -> None:
    rows = [(i, f"s{i}") for i in range(9000)]
    inputs = {"shop.a": written(tmp_path, "a", table(k=LONG, s=STRING), rows, 1)}
    staged, found, outcome = in_stages(
        "SELECT k + 1 AS k, upper(s) AS s FROM shop.a WHERE k % 3 = 0", inputs, tmp_path
    )
    assert [s.runs for s in staged.stages] == ["files"]
    assert outcome is not None
    assert sum(t.num_rows > 0 for t in outcome.results) > 1
    assert found is not None
    assert ordered(found) == ordered(
        whole("SELECT k + 1 AS k, upper(s) AS s FROM shop.a WHERE k % 3 = 0", inputs, tmp_path)
    )


def test_types_survive_the_exchange(tmp_path: Path) -> None:
    rows = [(i, Number(i), date(2024, 1, 1), "ä\u0308") for i in range(40)]
    inputs = {
        "shop.a": written(tmp_path, "a", table(k=LONG, d=Decimal(38, 0), t=DATE, s=STRING), rows, 3),
        "shop.b": written(tmp_path, "b", table(k=LONG), [(i,) for i in range(0, 40, 2)], 2),
    }
    sql = """SELECT k, sum(k) OVER (PARTITION BY k) AS huge, {'a b': d, 'n': [s]} AS st, map([k], [t]) AS m,
        t::TIMESTAMPTZ AS tz, encode(s) AS raw, k::UTINYINT AS small, d::HUGEINT AS h, NULL::TIME AS tm
        FROM shop.a JOIN shop.b USING (k)"""
    assert agree(sql, inputs, tmp_path)
    through = f"SELECT q.*, b.k AS other FROM ({sql}) AS q FULL JOIN shop.b ON q.k = b.k"
    assert agree(through, inputs, tmp_path)


def test_the_last_stage_reads_nothing_when_its_inputs_are_empty(tmp_path: Path) -> None:
    schema = table(k=LONG, s=STRING)
    inputs = {"shop.a": written(tmp_path, "a", schema, [], 1), "shop.b": Scan(schema, (), 0, 0)}
    _, found, _ = in_stages("SELECT a.k, b.s FROM shop.a LEFT JOIN shop.b USING (k)", inputs, tmp_path)
    assert found is not None
    assert found.num_rows == 0
    assert found.schema == pa.schema([("k", pa.int64()), ("s", pa.string())])


FAILING = """-- prices of what was sold: ä
WITH sold AS (
    SELECT k, CAST(s AS INTEGER) AS price, avg(CAST(k AS DECIMAL(9, 2))) AS mean,
    FROM shop.a
    GROUP BY ALL
)
SELECT q.k, mean, price, max(b.s::DOUBLE) AS most
FROM sold AS q JOIN shop.b USING (k) GROUP BY ALL
"""


@pytest.mark.parametrize("chances", [GENEROUS, EAGER])
@pytest.mark.parametrize(
    ("wrong", "line", "column"),
    [("a", 3, 15), ("b", 7, 33)],
    ids=["a stage before", "the last stage"],
)
def test_an_error_names_the_place_in_the_users_file(
    wrong: str, line: int, column: int, chances: Chances, tmp_path: Path
) -> None:
    inputs = {}
    for name in ("a", "b"):
        rows = [(i, "wrong" if i == 70 and name == wrong else str(i)) for i in range(100)]
        inputs[f"shop.{name}"] = written(tmp_path, name, table(k=LONG, s=STRING), rows, 3)
    with pytest.raises(TransformError, match="Could not convert string 'wrong'") as failed:
        in_stages(FAILING, inputs, tmp_path, chances=chances, file="shop/sold.sql")
    assert failed.value.spans == (SourceSpan("shop/sold.sql", line, column),)

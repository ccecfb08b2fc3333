"""What of a query is taken apart, by which key, and what is not and why."""

from __future__ import annotations

import pickle

import duckdb
import pytest

from random_sql import BOOLEAN, DATE, DOUBLE, EAGER, INT, LONG, NARROW, STRING, table
from raymesh.engines.ray import functions
from raymesh.engines.ray.analyse import Chances, analyse
from raymesh.engines.ray.stages import Stage, StagedQuery
from raymesh.mesh.plan import Scan

SALES = table(order_id=LONG, customer_id=LONG, amount=NARROW, rate=DOUBLE, day=DATE, note=STRING)
CUSTOMERS = table(id=LONG, name=STRING, region=STRING, active=BOOLEAN)
VISITS = table(customer=INT, pages=INT, at=DATE)
INPUTS = {
    "shop.sales": Scan(SALES, (), 10_000_000, 900_000_000),
    "shop.customers": Scan(CUSTOMERS, (), 500_000, 20_000_000),
    "source.visits": Scan(VISITS, (), 80_000_000, 700_000_000),
}


def plan(sql: str, chances: Chances = EAGER) -> StagedQuery:
    return analyse(sql, INPUTS, chances)


def keys(stage: Stage) -> dict[str, tuple[str, ...]]:
    return {r.alias: r.key for r in stage.exchanged}


def test_a_projection_and_a_filter_run_by_files() -> None:
    staged = plan("SELECT order_id, upper(note) AS note FROM shop.sales WHERE amount > 10 ORDER BY order_id")
    (stage,) = staged.stages
    assert (stage.runs, stage.reads[0].how) == ("files", "files")
    assert [c.name for c in stage.reads[0].columns] == ["order_id", "amount", "note"]


def test_a_join_exchanges_only_the_columns_and_rows_it_needs() -> None:
    staged = plan(
        "SELECT s.order_id, c.name FROM shop.sales s JOIN shop.customers c ON s.customer_id = c.id"
        " WHERE s.amount > 10 AND c.active AND s.order_id < c.id"
    )
    sales, customers, joined = staged.stages
    assert joined.runs == "partitions"
    assert sorted(keys(joined).values()) == [("customer_id",), ("id",)]
    assert [c.name for c in sales.columns] == ["order_id", "customer_id"]
    assert "amount > 10" in sales.sql
    assert "active" in customers.sql.split("WHERE")[1]


def test_a_filter_of_the_unmatched_side_is_not_applied_before_an_outer_join() -> None:
    staged = plan(
        "SELECT s.order_id, c.name FROM shop.sales s LEFT JOIN shop.customers c ON s.customer_id = c.id AND c.active"
        " WHERE c.region IS NULL"
    )
    customers = next(s for s in staged.stages if any(r.source == "shop.customers" for r in s.reads))
    assert "active" in customers.sql.split("WHERE")[1]
    assert "region IS NULL" not in customers.sql


def test_exact_aggregates_are_computed_before_the_exchange() -> None:
    first, second = plan(
        "SELECT customer_id, sum(amount) AS s, avg(amount) AS a, count(*) AS n, max(note) AS m FROM shop.sales GROUP BY ALL"
    ).stages
    assert first.runs == "files"
    assert "GROUP BY" in first.sql
    assert keys(second) == {second.reads[0].alias: ("customer_id",)}


@pytest.mark.parametrize("aggregate", ["sum(rate)", "avg(rate)", "count(DISTINCT note)", "median(amount)"])
def test_other_aggregates_meet_all_rows_of_a_group_in_one_task(aggregate: str) -> None:
    first, second = plan(f"SELECT customer_id, {aggregate} AS x FROM shop.sales GROUP BY customer_id").stages
    assert "GROUP BY" not in first.sql
    assert second.runs == "partitions"
    assert [r.key for r in second.exchanged] == [("customer_id",)]


def test_groups_and_joins_by_one_key_share_a_stage() -> None:
    staged = plan(
        """WITH spent AS (SELECT customer_id, sum(rate) AS total FROM shop.sales GROUP BY customer_id)
        SELECT c.name, total FROM shop.customers c LEFT JOIN spent ON spent.customer_id = c.id"""
    )
    assert [s.runs for s in staged.stages] == ["files", "files", "partitions"]


def test_joins_by_different_keys_exchange_twice() -> None:
    staged = plan(
        """SELECT c.name, v.pages, s.amount FROM shop.sales s
        JOIN shop.customers c ON c.id = s.customer_id JOIN source.visits v ON v.customer = s.order_id"""
    )
    assert [s.runs for s in staged.stages].count("partitions") == 2


def test_a_small_table_is_given_to_every_task() -> None:
    staged = plan(
        "SELECT v.pages, c.name FROM source.visits v JOIN shop.customers c ON v.customer = c.id",
        Chances(parallel=4, whole_bytes=1e9, small=0),
    )
    (stage,) = staged.stages
    assert {r.source: r.how for r in stage.reads} == {"source.visits": "files", "shop.customers": "whole"}


@pytest.mark.parametrize(
    "join",
    ["FULL JOIN", "RIGHT JOIN", "ANTI JOIN", "LEFT JOIN"],
)
def test_rows_that_may_stay_unmatched_are_never_given_whole(join: str) -> None:
    staged = plan(
        f"SELECT 1 AS one FROM shop.customers c {join} source.visits v ON v.customer = c.id",
        Chances(parallel=4, whole_bytes=1e12, small=0),
    )
    for stage in staged.stages:
        whole = {r.source for r in stage.reads if r.how == "whole"}
        assert stage.runs == "one" or "source.visits" not in whole or join in ("LEFT JOIN", "ANTI JOIN")
        assert stage.runs == "one" or "shop.customers" not in whole or join == "RIGHT JOIN"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT random() AS r FROM shop.sales", "random"),
        ("SELECT order_id FROM shop.sales WHERE day < current_date", "current_date"),
        ("SELECT uuid() AS u, order_id FROM shop.sales", "uuid"),
        ("SELECT order_id, now() AS t FROM (SELECT * FROM shop.sales)", "now"),
        ("SELECT order_id FROM shop.sales LIMIT 10", "limited"),
        ("SELECT order_id FROM shop.sales ORDER BY amount LIMIT 10 OFFSET 2", "ordered by something"),
        ("SELECT customer_id, list(note) AS l FROM shop.sales GROUP BY ALL", "list"),
        ("SELECT customer_id, string_agg(note, ',') AS l FROM shop.sales GROUP BY ALL", "string_agg"),
        ("SELECT customer_id, first(note) AS f FROM shop.sales GROUP BY ALL", "first"),
        ("SELECT customer_id, arg_max(note, amount) AS f FROM shop.sales GROUP BY ALL", "arg_max"),
        ("SELECT DISTINCT ON (customer_id) * FROM shop.sales", "DISTINCT ON"),
        ("SELECT order_id FROM shop.sales TABLESAMPLE 10%", "sample"),
        ("SELECT s.order_id FROM shop.sales s POSITIONAL JOIN shop.customers c", "positional"),
        ("SELECT order_id FROM shop.sales WHERE note COLLATE nocase = 'a'", "collate"),
        ("SELECT list_transform([amount], lambda x: x + 1) AS l FROM shop.sales", "list_transform"),
        ("PIVOT shop.sales ON note USING sum(amount) GROUP BY customer_id", "one"),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT r.n FROM r",
            "recursive",
        ),
        ("SELECT row_number() OVER (ORDER BY amount) AS n FROM shop.sales", "windows"),
        (
            "SELECT a.order_id FROM shop.sales a, shop.customers b WHERE a.order_id < b.id",
            "cannot be told apart",
        ),
        ("SELECT 1 AS one UNION BY NAME SELECT 2 AS two", "by name"),
        ("SELECT order_id, order_id FROM shop.sales", "same name"),
        ("SELECT nothing FROM shop.sales", "nothing"),
    ],
)
def test_what_is_not_proven_runs_in_one_task_and_says_why(sql: str, reason: str) -> None:
    staged = plan(sql)
    assert not staged.apart
    assert reason.lower() in staged.why.lower()
    assert staged.why.startswith("one task: ")


def test_a_part_that_is_not_understood_runs_in_one_task_and_the_rest_apart() -> None:
    staged = plan(
        """WITH best AS (SELECT customer_id FROM shop.sales ORDER BY amount DESC LIMIT 10)
        SELECT v.customer, count(*) AS n FROM source.visits v SEMI JOIN best ON v.customer = best.customer_id GROUP BY ALL"""
    )
    assert [s.runs for s in staged.stages].count("one") == 1
    assert staged.last.runs == "partitions"


def test_a_query_used_twice_is_computed_once() -> None:
    staged = plan(
        """WITH spent AS (SELECT customer_id, sum(rate) AS total FROM shop.sales GROUP BY customer_id)
        SELECT a.customer_id, b.total FROM spent a JOIN spent b ON a.customer_id = b.customer_id AND a.total < b.total"""
    )
    sources = [s for s in staged.stages if any(r.source == "shop.sales" for r in s.reads)]
    assert len(sources) == 1


def test_a_limited_query_that_is_used_twice_keeps_everything_together() -> None:
    staged = plan(
        """WITH some AS (SELECT * FROM shop.sales LIMIT 5), other AS (SELECT * FROM some ORDER BY 1 LIMIT 3)
        SELECT a.order_id FROM some a JOIN other b ON a.order_id = b.order_id"""
    )
    assert not staged.stages


def test_membership_in_a_query_is_a_semi_join() -> None:
    staged = plan(
        "SELECT order_id FROM shop.sales WHERE customer_id IN (SELECT id FROM shop.customers WHERE active)"
    )
    assert "SEMI JOIN" in staged.last.sql
    assert staged.last.runs == "partitions"


@pytest.mark.parametrize(
    ("condition", "how"),
    [
        ("EXISTS (SELECT * FROM shop.sales s WHERE s.customer_id = c.id AND s.note > c.name)", "SEMI"),
        ("NOT EXISTS (SELECT 1 FROM shop.sales WHERE customer_id = c.id AND amount > 1)", "ANTI"),
        ("name IN (SELECT note FROM shop.sales WHERE customer_id = id)", "SEMI"),
        ("name NOT IN (SELECT note FROM shop.sales WHERE customer_id = id)", "ANTI"),
        ("id < (SELECT 2 * avg(amount) FROM shop.sales WHERE customer_id = c.id AND amount > 1)", "LEFT"),
    ],
)
def test_a_subquery_about_the_row_around_it_is_a_join_by_what_they_share(condition: str, how: str) -> None:
    staged = plan(f"SELECT id, region FROM shop.customers c WHERE active AND {condition}")
    assert f"{how} JOIN" in staged.last.sql
    assert staged.last.runs == "partitions"
    assert any("id" in r.key for r in staged.last.exchanged)
    sales = next(s for s in staged.stages if any(r.source == "shop.sales" for r in s.reads))
    assert ("amount > 1" in sales.sql) == ("amount > 1" in condition)


@pytest.mark.parametrize(
    "chosen",
    [
        "(SELECT max(amount) FROM shop.sales WHERE customer_id < c.id)",  # no key
        "(SELECT note FROM shop.sales WHERE customer_id = c.id)",  # an error when there are two
        "(SELECT max(amount) FROM shop.sales WHERE customer_id = c.id GROUP BY day)",
        "(SELECT sum(amount * c.id) FROM shop.sales WHERE customer_id = c.id)",
        "(SELECT max(amount) FROM shop.sales WHERE rate = c.id)",  # equal without being the same
        "(SELECT sum(max(amount)) OVER () FROM shop.sales WHERE customer_id = c.id)",
        "(SELECT bit_xor(order_id) FROM shop.sales WHERE customer_id = c.id)",
        "EXISTS (SELECT 1 FROM shop.sales WHERE customer_id = c.id)",  # not a condition
        "EXISTS (SELECT max(amount) FROM shop.sales WHERE customer_id = c.id)",
    ],
)
def test_other_subqueries_about_the_row_around_keep_the_query_in_one_task(chosen: str) -> None:
    staged = plan(f"SELECT id, {chosen} AS x FROM shop.customers c")
    assert not staged.apart
    assert staged.why == "one task: a subquery looks at rows around it"


def test_a_subquery_beside_groups_keeps_the_query_in_one_task() -> None:
    staged = plan(
        "SELECT region, (SELECT max(note) FROM shop.sales WHERE note = region) AS m FROM shop.customers GROUP BY region"
    )
    assert staged.why == "one task: a subquery looks at groups around it"


def test_the_answer_of_a_subquery_is_given_to_every_task_when_it_is_small() -> None:
    sql = "SELECT order_id FROM shop.sales WHERE customer_id NOT IN (SELECT id FROM shop.customers)"
    small = plan(sql, Chances(parallel=4, whole_bytes=1e9, small=0))
    assert small.last.runs == "files"
    large = plan(sql, Chances(parallel=4, whole_bytes=1e5, small=0))
    assert large.last.runs == "one"
    assert "too large to be given to every task" in large.last.why
    single = plan(
        "SELECT order_id FROM shop.sales WHERE EXISTS (SELECT 1 FROM source.visits WHERE pages > 9)"
    )
    assert [s.runs for s in single.stages] == [
        "files",
        "one",
        "files",
    ]  # tasks count, the counts are added up


def test_sets_of_keys_that_share_one_are_grouped_by_it() -> None:
    staged = plan(
        "SELECT customer_id, note, count(*) AS n FROM shop.sales GROUP BY customer_id, ROLLUP (note)"
    )
    assert [s.runs for s in staged.stages] == ["files", "partitions"]
    assert [r.key for r in staged.last.exchanged] == [("customer_id",)]
    assert "GROUP BY t1.customer_id, t1.note" in staged.stages[0].sql


@pytest.mark.parametrize("aggregate", ["count(*)", "count(DISTINCT day)"])
def test_sets_of_keys_that_share_none_are_grouped_by_several_of_what_is_read_once(aggregate: str) -> None:
    staged = plan(
        f"SELECT customer_id, note, {aggregate} AS n FROM shop.sales GROUP BY CUBE (customer_id, note)"
    )
    (first,) = (s for s in staged.stages if any(r.source == "shop.sales" for r in s.reads))
    assert ("GROUP BY" in first.sql) == (aggregate == "count(*)")
    assert {k for s in staged.stages for k in keys(s).values()} >= {("customer_id",), ("note",)}


def test_rows_rolled_up_are_not_placed_by_a_column_they_lost() -> None:
    staged = plan(
        """SELECT q.order_id, median(q.s) AS n FROM (
            SELECT customer_id, order_id, sum(rate) AS s FROM shop.sales WHERE order_id = customer_id
            GROUP BY customer_id, ROLLUP (order_id)
        ) AS q GROUP BY q.order_id"""
    )
    assert [r.key for r in staged.last.exchanged] == [("order_id",)]
    assert "GROUPING SETS" not in staged.last.sql


def test_small_inputs_are_not_taken_apart() -> None:
    small = {"shop.sales": Scan(SALES, (), 1000, 50_000)}
    assert not analyse("SELECT order_id FROM shop.sales", small).stages


def test_no_file_is_looked_at() -> None:
    staged = plan("SELECT * FROM (SELECT * FROM read_csv('/etc/passwd') LIMIT 1) AS q, shop.sales")
    assert not staged.stages


def test_a_plan_travels() -> None:
    staged = plan("SELECT customer_id, count(*) AS n FROM shop.sales GROUP BY 1")
    assert pickle.loads(pickle.dumps(staged)) == staged


def test_every_allowed_function_exists_and_depends_on_its_arguments_only() -> None:
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT function_name, function_type, stability FROM duckdb_functions()"
        ).fetchall()
    known = {name for name, _, _ in rows}
    volatile = {n for n, kind, s in rows if kind in ("scalar", "aggregate") and s not in ("CONSISTENT", None)}
    parsed = {"count_star", "ifnull", "coalesce", "rank_dense"}
    assert known | parsed >= functions.SCALARS | functions.AGGREGATES
    assert not (functions.SCALARS | functions.AGGREGATES) & volatile
    assert not functions.SCALARS & functions.VOLATILE
    aggregates = {n for n, kind, _ in rows if kind == "aggregate"}
    assert not functions.SCALARS & aggregates - {"hash"}

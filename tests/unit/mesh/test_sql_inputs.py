from __future__ import annotations

import pytest
from sqlglot.errors import ParseError

from raymesh.mesh import sql
from raymesh.mesh.sql import read_sql


def names(text):
    reading = read_sql(text, "t.sql")
    assert [d for d in reading.diagnostics if d.severity == "error"] == []
    return [r.name for r in reading.references]


def problem(text):
    """The only problem of the text: its code and place."""
    (found,) = read_sql(text, "t.sql").diagnostics
    return found.code, str(found.span)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from a.b", ["a.b"]),
        ("from a.b", ["a.b"]),
        ("from A.B select x", ["a.b"]),
        ('select * from "a"."b"', ["a.b"]),
        ("select * from a.b x join c.d y using (k) join a.b z using (k)", ["a.b", "c.d"]),
        ("with r as (select * from a.b) select * from r", ["a.b"]),
        ("with recursive r as (select 1 as n union all select n + 1 from r) select * from r, a.b", ["a.b"]),
        ("select (select max(z) from c.d) from a.b where x in (select x from e.f)", ["c.d", "a.b", "e.f"]),
        ("select * from a.b, unnest(xs) t(x), range(3), lateral (select 1 from c.d)", ["a.b", "c.d"]),
        ("select * from a.b, json_each(a.b.doc)", ["a.b"]),
        ("select x from a.b union all by name select y from c.d;", ["a.b", "c.d"]),
        ("values (1), (2)", []),
        ("pivot a.b on year using sum(sales)", ["a.b"]),
        ("select * from a.b asof join c.d using (k, t)", ["a.b", "c.d"]),
        ("select columns('x.*') from a.b -- from e.f", ["a.b"]),
        ("select * from source.transactions", ["source.transactions"]),
        ("select '; from x.y' as quoted from a.b;;", ["a.b"]),
    ],
)
def test_inputs_are_the_tables_a_select_names(text, expected):
    assert names(text) == expected


def test_a_reference_stands_where_the_table_is_first_named():
    reading = read_sql("select *\nfrom  orders.lines l\njoin orders.lines m using (id)", "dir/t.sql")
    (reference,) = reading.references
    assert (str(reference.span), reference.span.end_column) == ("dir/t.sql:2:7", 19)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("", "sql-empty", "t.sql:1:1"),
        ("-- nothing", "sql-empty", "t.sql:1:1"),
        ("select 1;\nselect 2", "sql-statements", "t.sql:2:1"),
        ("  delete from a.b", "sql-not-select", "t.sql:1:3"),
        ("create table x as select 1", "sql-not-select", "t.sql:1:1"),
        ("copy a.b to 'x'", "sql-not-select", "t.sql:1:1"),
        ("install httpfs", "sql-not-select", "t.sql:1:1"),
        ("summarize a.b", "sql-not-select", "t.sql:1:1"),
        ("with d as (delete from a.b returning *) select * from d", "sql-not-select", "t.sql:1:24"),
        ("select * from\n read_csv('x.csv')", "sql-table-function", "t.sql:2:2"),
        ("select * from read_parquet(['a', 'b'])", "sql-table-function", "t.sql:1:15"),
        ("select * from sqlite_scan('a', 'b')", "sql-table-function", "t.sql:1:15"),
        ("select * from glob('*')", "sql-table-function", "t.sql:1:15"),
        ("select * from query_table('a')", "sql-table-function", "t.sql:1:15"),
        ("from 'x.parquet'", "sql-file", "t.sql:1:6"),
        ("select * from information_schema.tables", "sql-system-table", "t.sql:1:15"),
        ("select * from a.b where x = $1", "sql-parameter", "t.sql:1:29"),
        ("select * from a.b where x > {{ start }}", "sql-syntax", "t.sql:1:29"),
        ("select x,\n y from\n a.b where", "sql-syntax", "t.sql:3:6"),
        ("select 'äöü', (x from a.b", "sql-syntax", "t.sql:1:18"),
        ("select 'open from a.b", "sql-syntax", "t.sql:1:8"),
    ],
)
def test_anything_but_one_select_over_products_is_refused_with_its_place(text, code, place):
    assert problem(text) == (code, place)


def test_reading_a_file_is_answered_with_how_to_declare_a_source():
    (found,) = read_sql("from read_csv('x')", "t.sql").diagnostics
    assert "sources/<name>.yaml" in found.help


def test_sql_that_only_duckdb_can_parse_is_understood_through_its_own_parser(monkeypatch):
    def refuse(_):
        raise ParseError("newer than sqlglot")

    monkeypatch.setattr(sql, "_parsed", refuse)
    text = "with r as (select 'ä', x from A.b)\nselect * from r join source.t using (x), read_csv('q')"
    reading = sql.read_sql(text, "newer.sql")
    assert [(r.name, str(r.span)) for r in reading.references] == [
        ("a.b", "newer.sql:1:31"),
        ("source.t", "newer.sql:2:22"),
    ]
    assert [(d.code, str(d.span)) for d in reading.diagnostics] == [("sql-table-function", "newer.sql:2:42")]


def test_no_text_makes_the_reader_raise():
    for text in (
        "(" * 400,
        "\x00",
        "select \ud7ff",
        "'",
        "select /* open",
        "\\",
        "select 1 from a.b.c.d.e.f",
    ):
        read_sql(text, "t.sql")

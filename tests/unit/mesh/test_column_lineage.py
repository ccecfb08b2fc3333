from __future__ import annotations

import pytest

from graphs import graph, write
from raymesh.errors import NotFoundError
from raymesh.mesh.graph import build_graph
from raymesh.mesh.lineage import SPELLED_OUT, ColumnEdge, lineage, port_lineage, trace
from raymesh.mesh.sql_lineage import sql_lineage
from raymesh.spec.load import load_mesh

SCHEMAS = {"s.a": ["id", "x", "y", "doc", "xs"], "s.b": ["id", "z"]}


def short(origins):
    return " ".join(sorted(f"{table.removeprefix('s.')}.{column}" for table, column in origins))


def followed(sql):
    """Output column → its origins, with what only decides its rows behind a bar, and `*rows*`."""
    found = sql_lineage(sql, SCHEMAS)
    assert found.opaque is None
    columns = {
        c.name: short(c.direct)
        + (f" | {short(c.indirect)}" if c.indirect else "")
        + ("" if c.exact else " ?")
        for c in found.columns
    }
    return columns | ({"*rows*": short(found.rows)} if found.rows else {})


CONSTRUCTS = {
    # projections
    "select x, y + 1 as k from s.a": {"x": "a.x", "k": "a.y"},
    "select x as k, k + y as m from s.a": {"k": "a.x", "m": "a.x a.y"},
    "select 1 as one, current_date as today from s.a": {"one": "", "today": ""},
    "select case when y > 1 then x else 0 end as k from s.a": {"k": "a.x a.y"},
    "select X as Loud from s.A": {"loud": "a.x"},
    'select x as "select", y as "übel" from s.a': {"select": "a.x", "übel": "a.y"},
    "select doc.p.q as k, doc['p'] as m, xs[1] as n from s.a": {"k": "a.doc", "m": "a.doc", "n": "a.xs"},
    "select a.doc.p as k from s.a": {"k": "a.doc"},
    "select list_transform(xs, lambda e: e + y) as k, [e for e in xs if e > x] as m from s.a": {
        "k": "a.xs a.y",
        "m": "a.x a.xs",
    },
    "select {'p': x, 'q': y} as k, row(x, y) as m from s.a": {"k": "a.x a.y", "m": "a.x a.y"},
    "select a as whole from s.a": {"whole": "a.doc a.id a.x a.xs a.y"},
    # stars
    "from s.b": {"id": "b.id", "z": "b.z"},
    "select * from s.b": {"id": "b.id", "z": "b.z"},
    "select * exclude (doc, xs, id) replace (y + 1 as y) rename (x as k) from s.a": {"k": "a.x", "y": "a.y"},
    "select b.* from s.a join s.b using (id)": {"id": "b.id", "z": "b.z", "*rows*": "a.id b.id"},
    "with t as (select * from s.b) select * from t": {"id": "b.id", "z": "b.z"},
    # joins
    "select id, z from s.a join s.b using (id)": {"id": "a.id b.id", "z": "b.z", "*rows*": "a.id b.id"},
    "select x, z from s.a left join s.b on a.id = b.id and z > 1": {
        "x": "a.x",
        "z": "b.z",
        "*rows*": "a.id b.id b.z",
    },
    "select x, z from s.a natural join s.b": {"x": "a.x", "z": "b.z", "*rows*": "a.id b.id"},
    "select x from s.a semi join s.b using (id)": {"x": "a.x", "*rows*": "a.id b.id"},
    "select x from s.a anti join s.b on a.id = b.id": {"x": "a.x", "*rows*": "a.id b.id"},
    "select x, z from s.a positional join s.b": {"x": "a.x", "z": "b.z"},
    "select x, z from s.a asof join s.b on a.id = b.id and a.x >= b.z": {
        "x": "a.x",
        "z": "b.z",
        "*rows*": "a.id a.x b.id b.z",
    },
    "select x, z from (s.a join s.b using (id))": {"x": "a.x", "z": "b.z", "*rows*": "a.id b.id"},
    "select p.x, q.x as other from s.a p join s.a q on p.id = q.y": {
        "x": "a.x",
        "other": "a.x",
        "*rows*": "a.id a.y",
    },
    # rows
    "select x from s.a where y > 1": {"x": "a.x", "*rows*": "a.y"},
    "select x, sum(y) as k from s.a group by x having sum(id) > 1": {
        "x": "a.x",
        "k": "a.y",
        "*rows*": "a.id a.x",
    },
    "select x, sum(y) as k from s.a group by 1": {"x": "a.x", "k": "a.y", "*rows*": "a.x"},
    "select x, sum(y) as k from s.a group by all": {"x": "a.x", "k": "a.y", "*rows*": "a.x"},
    "select x, sum(y) as k from s.a group by grouping sets ((x), ())": {
        "x": "a.x",
        "k": "a.y",
        "*rows*": "a.x",
    },
    "select x as k from s.a order by k, id": {"k": "a.x", "*rows*": "a.id a.x"},
    "select x, y from s.a order by all": {"x": "a.x", "y": "a.y", "*rows*": "a.x a.y"},
    "select distinct on (y) x from s.a": {"x": "a.x", "*rows*": "a.y"},
    "select x from s.a limit (select max(z) from s.b)": {"x": "a.x", "*rows*": "b.z"},
    # windows
    "select sum(x) over (partition by y order by id) as k from s.a": {"k": "a.id a.x a.y"},
    "select lag(x) over w as k from s.a window w as (order by y)": {"k": "a.x a.y"},
    "select x from s.a qualify row_number() over (partition by y) = 1": {"x": "a.x", "*rows*": "a.y"},
    # aggregates
    "select count(*) as n, count(x) as k from s.a": {"n": "", "k": "a.x"},
    "select max(x) filter (where y > 1) as k, list(x order by id) as m from s.a": {
        "k": "a.x a.y",
        "m": "a.id a.x",
    },
    # subqueries
    "select k from (select x + y as k from s.a where id > 1)": {"k": "a.x a.y", "*rows*": "a.id"},
    "select k from (select x from s.a) t(k)": {"k": "a.x"},
    "select (select max(z) from s.b where b.id = a.id) as k from s.a": {"k": "b.z | a.id b.id"},
    "select x from s.a where exists (from s.b where b.id = a.id)": {"x": "a.x", "*rows*": "a.id b.id"},
    "select x from s.a where y in (select z from s.b)": {"x": "a.x", "*rows*": "a.y b.z"},
    "select y in (select z from s.b where b.id > 1) as k from s.a": {"k": "a.y b.z | b.id"},
    # CTEs
    "with t as (select x as k from s.a where y > 1), u as (select k + 1 as m from t) select m from u": {
        "m": "a.x",
        "*rows*": "a.y",
    },
    "with t(k) as (select x from s.a) select k from t": {"k": "a.x"},
    "with t as (select x from s.a), u as (select z from s.b) select x from t": {"x": "a.x"},
    "with recursive r as (select x, y, id from s.a union all select y, id, x from r) select x from r": {
        "x": "a.id a.x a.y"
    },
    # sets
    "select x as k from s.a union all select z from s.b where id > 1": {"k": "a.x b.z", "*rows*": "b.id"},
    "select x, id from s.a union all by name select id, z from s.b": {
        "x": "a.x",
        "id": "a.id b.id",
        "z": "b.z",
    },
    "select x as k from s.a except select z from s.b": {"k": "a.x", "*rows*": "b.z"},
    "select x as k from s.a intersect select z from s.b": {"k": "a.x b.z"},
    # tables made on the way
    "select k, y from s.a, unnest(xs) t(k)": {"k": "a.xs", "y": "a.y"},
    "select unnest(xs) as k from s.a": {"k": "a.xs"},
    "select l.k from s.a, lateral (select a.x + 1 as k) l": {"k": "a.x"},
    "select l.m from s.a, lateral (select a.x + 1 as k) l(m)": {"m": "a.x"},
    "select j.key as k from s.a, json_each(a.doc) j": {"k": "a.doc"},
    "select k from (values (1, 2)) t(k, m)": {"k": ""},
    "select i, x from range(3) t(i), s.a": {"i": "", "x": "a.x"},
}


@pytest.mark.parametrize("sql", CONSTRUCTS)
def test_every_construct_has_the_origins_a_reader_would_name(sql):
    assert followed(sql) == CONSTRUCTS[sql]


@pytest.mark.parametrize(
    "sql",
    [
        "pivot s.a on x using sum(y)",
        "from s.a pivot (sum(x) for y in (1, 2))",
        "select columns('x.*') from s.a",
        "select coalesce(*columns(*)) from s.a",
        "select * like 'x%' from s.a",
        "select doc.* from s.a",
        "select #1 from s.a",
        "select * from (summarize s.a)",
        "select a.nowhere from s.a",
    ],
)
def test_what_cannot_be_followed_is_opaque_and_says_why(sql):
    found = sql_lineage(sql, SCHEMAS)
    assert found.opaque
    assert found.tables == ("s.a",)
    assert not found.columns


def test_a_wide_table_is_followed_in_time_that_grows_with_its_width():
    columns = [f"c{i}" for i in range(2000)]
    sql = f"with t as (select * from s.w), u as (select {', '.join(f'{c} + 1 as {c}' for c in columns)} from t) from u"
    found = sql_lineage(sql, {"s.w": columns})
    assert [short(c.direct) for c in found.columns] == [f"w.{c}" for c in columns]


def test_columns_of_unknown_tables_are_found_where_only_one_table_can_have_them():
    found = sql_lineage("select p, q + 1 as k from s.unknown join s.b using (id)", {"s.b": ["id", "z"]})
    assert {c.name: (short(c.direct), c.exact) for c in found.columns} == {
        "p": ("unknown.p", True),
        "k": ("unknown.q", True),
    }
    found = sql_lineage("select p from s.unknown, s.other", {})
    assert {c.name: (short(c.direct), c.exact) for c in found.columns} == {"p": ("other.p unknown.p", False)}


# ports


def edges(found, table, kind=None):
    return {
        (e.column, f"{e.source}.{e.source_column}", e.kind)
        for e in lineage(found, table).edges
        if kind in (None, e.kind)
    }


def test_the_edges_of_a_sql_port_are_spelled_as_contracts_spell_them(tmp_path):
    found = graph(
        tmp_path,
        {
            "s.a": {"sql": "select 1 as Id, 2 as Amount", "columns": {"Id": "bigint", "Amount": "bigint"}},
            "s.t": {
                "sql": "select id, sum(amount) as total from s.a where amount > 0 group by id",
                "columns": {"ID": "bigint", "Total": "bigint"},
            },
        },
    )
    assert edges(found, "s.t", "direct") == {("ID", "s.a.Id", "direct"), ("Total", "s.a.Amount", "direct")}
    assert edges(found, "s.t", "indirect") == {
        (column, f"s.a.{origin}", "indirect") for column in ("ID", "Total") for origin in ("Id", "Amount")
    }
    assert all(isinstance(e, ColumnEdge) for e in port_lineage(found, found.port("s.t")))


def test_a_column_the_query_does_not_name_may_come_from_anything(tmp_path):
    found = graph(
        tmp_path,
        {
            "s.a": {"sql": "select 1 as id", "columns": {"id": "bigint", "x": "bigint"}},
            "s.t": {
                "sql": "select id, max(x) from s.a group by id",
                "columns": {"id": "bigint", "highest": "bigint"},
            },
        },
    )
    assert {e for e in edges(found, "s.t") if e[0] == "highest" and e[2] == "opaque"} == {
        ("highest", "s.a.id", "opaque"),
        ("highest", "s.a.x", "opaque"),
    }
    assert "highest" in lineage(found, "s.t").opaque


def test_an_opaque_query_may_take_every_column_of_every_input(tmp_path):
    found = graph(
        tmp_path,
        {
            "s.a": {"sql": "select 1 as id, 2 as x", "columns": {"id": "bigint", "x": "bigint"}},
            "s.t": {"sql": "pivot s.a on x using sum(id)", "columns": {"p": "bigint", "q": "bigint"}},
        },
    )
    assert edges(found, "s.t") == {(c, f"s.a.{o}", "opaque") for c in ("p", "q") for o in ("id", "x")}


def test_python_may_take_every_column_of_its_inputs(tmp_path):
    python = "from raymesh import product\n@product(inputs={'x': 's.a', 'y': 'source.e'})\ndef transform(x, y): ...\n"
    found = graph(
        tmp_path,
        {
            "s.a": {"sql": "select 1 as id, 2 as x", "columns": {"id": "bigint", "x": "bigint"}},
            "s.t": {"python": python, "columns": {"k": "bigint", "m": "bigint"}},
        },
        {"s.e": None},
    )
    expected = {(c, f"s.a.{o}", "opaque") for c in ("k", "m") for o in ("id", "x")}
    assert edges(found, "s.t") == expected | {(c, "s.source.e.*", "opaque") for c in ("k", "m")}


def test_python_behind_sql_may_take_only_what_the_sql_hands_it(tmp_path):
    found = graph(
        tmp_path,
        {
            "s.a": {
                "sql": "select 1 as id, 2 as x, 3 as y, 4 as secret",
                "columns": dict.fromkeys(("id", "x", "y", "secret"), "bigint"),
            },
            "s.t": {
                "sql": "select id, x + 1 as k from s.a where y > 1",
                "python": "def transform(batch): ...",
                "columns": {"id": "bigint", "score": "double"},
            },
        },
    )
    assert edges(found, "s.t", "opaque") == {
        (c, f"s.a.{o}", "opaque") for c in ("id", "score") for o in ("id", "x")
    }
    assert edges(found, "s.t", "indirect") == {(c, "s.a.y", "indirect") for c in ("id", "score")}
    assert not any("secret" in e[1] for e in edges(found, "s.t"))


def test_an_ingested_source_gives_its_columns_by_name(tmp_path):
    columns = {"id": "bigint", "x": "bigint"}
    found = graph(
        tmp_path,
        {"s.a": {"source": "e", "columns": columns}, "s.b": {"source": "unknown", "columns": columns}},
        {"s.e": {"ID": "bigint", "x": "bigint"}, "s.unknown": None},
    )
    assert edges(found, "s.a") == {("id", "s.source.e.ID", "direct"), ("x", "s.source.e.x", "direct")}
    assert edges(found, "s.b") == {
        ("id", "s.source.unknown.id", "direct"),
        ("x", "s.source.unknown.x", "direct"),
    }


def test_a_star_over_a_source_of_unknown_columns_is_direct_by_name(tmp_path):
    columns = {"id": "bigint", "k": "bigint"}
    found = graph(
        tmp_path, {"s.a": {"sql": "select *, x + 1 as k from source.e", "columns": columns}}, {"s.e": None}
    )
    assert edges(found, "s.a") == {("id", "s.source.e.id", "direct"), ("k", "s.source.e.x", "direct")}


def test_more_edges_than_anybody_reads_are_written_with_a_star(tmp_path):
    wide = {f"c{i}": "bigint" for i in range(200)}
    python = "from raymesh import batch\n@batch(input='s.a')\ndef transform(batch): ...\n"
    found = graph(
        tmp_path,
        {"s.a": {"sql": "select 1", "columns": wide}, "s.t": {"python": python, "columns": wide}},
    )
    assert len(wide) ** 2 > SPELLED_OUT
    assert edges(found, "s.t") == {("*", "s.a.*", "opaque")}
    assert trace(found, "s.t", "c7").columns == (("s.a", "*"),)
    assert trace(found, "s.a", "c7", "down").columns == (("s.t", "*"),)


# the whole mesh


@pytest.fixture
def chain(tmp_path):
    batch = "from raymesh import batch\n@batch(input='s.b')\ndef transform(rows): ...\n"
    return build_graph(
        load_mesh(
            write(
                tmp_path,
                {
                    "s.a": {"source": "e", "columns": {"id": "bigint", "email": "varchar"}},
                    "s.b": {
                        "sql": "select id, email as mail from s.a",
                        "columns": {"id": "bigint", "mail": "varchar"},
                    },
                    "s.c": {"python": batch, "columns": {"score": "double"}},
                    "s.d": {
                        "sql": "select score from s.c join s.b on mail > ''",
                        "columns": {"score": "double"},
                    },
                },
                {"s.e": {"id": "bigint", "email": "varchar"}},
            ),
            {},
        )
    )


def test_a_column_is_traced_to_the_sources(chain):
    found = trace(chain, "d", "SCORE")
    assert (found.table, found.column) == ("s.d", "score")
    assert found.columns == (
        ("s.c", "score"),
        ("s.b", "id"),
        ("s.b", "mail"),
        ("s.a", "id"),
        ("s.a", "email"),
        ("s.source.e", "id"),
        ("s.source.e", "email"),
    )
    assert [e.kind for e in found.edges] == [
        "direct",
        "opaque",
        "opaque",
        "direct",
        "direct",
        "direct",
        "direct",
    ]


def test_a_column_is_traced_to_everything_made_from_it(chain):
    found = trace(chain, "s.a", "email", "down")
    assert found.columns == (("s.b", "mail"), ("s.c", "score"), ("s.d", "score"))
    indirect = trace(chain, "s.b", "mail", "down", kinds=("indirect",))
    assert [(e.table, e.column, e.kind) for e in indirect.edges] == [("s.d", "score", "indirect")]


def test_a_trace_does_not_mix_up_columns_that_share_a_name(tmp_path):
    columns = {"id": "bigint", "x": "bigint"}
    found = graph(
        tmp_path,
        {
            "s.a": {"sql": "select 1 as id, 2 as x", "columns": columns},
            "s.b": {"sql": "select 1 as id, 2 as x", "columns": columns},
            "s.c": {"sql": "select a.id, b.x from s.a join s.b on true", "columns": columns},
        },
    )
    assert trace(found, "s.a", "id", "down").columns == (("s.c", "id"),)
    assert trace(found, "s.a", "x", "down").columns == ()
    assert trace(found, "s.b", "x", "down").columns == (("s.c", "x"),)


def test_tracing_an_unknown_column_names_close_ones(chain):
    with pytest.raises(NotFoundError) as unknown:
        trace(chain, "s.b", "mial")
    assert unknown.value.hint == "did you mean `mail`?"

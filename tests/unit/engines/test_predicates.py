"""Conditions as SQL say what the row-by-row oracle says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal as Number
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import arrow_type, schema_of
from oracle import MeaninglessError, truth
from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.errors import UsageError
from raymesh.spec import expression as x
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema

SCHEMA = schema_of(
    **{
        "i": "int",
        "l": "long",
        "d": "double",
        "f": "float",
        "p": Decimal(9, 2),
        "w": Decimal(38, 2),
        "s": "string",
        'odd "name': "string",
        "b": "boolean",
        "y": "binary",
        "day": "date",
        "at": "time",
        "ts": "timestamp",
        "tz": "timestamptz",
        "list": List(Primitive("long")),
        "texts": List(Primitive("string")),
        "st": Struct((Field("a", Primitive("long")), Field("b", Primitive("string")))),
        "people": List(Struct((Field("n", Primitive("long")), Field("tags", List(Primitive("string")))))),
        "m": Map(Primitive("string"), Primitive("long")),
    }
)
EDGES = [0, 1, -1, 2**31 - 1, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**70, 10**40]
POINTS = [
    0.0,
    -0.0,
    0.1,
    0.5,
    2.5,
    -2.5,
    1e300,
    1e23,
    float(2**53),
    math.nan,
    math.inf,
    -math.inf,
    5e-324,
    16777217.0,
]
MONEY = [
    Number(t)
    for t in ("0.00", "0.01", "-0.01", "9999999.99", "0.005", "1.50", "123456789012345678901234567890.5")
]
WORDS = ["", "a", "ab", "é", "e\u0301", "😀", "A'b\"c", "a\nb", "\\d", "Z", "null", "1"]


def within(kind: str, values: list[Any]) -> list[Any]:
    bits = 31 if kind == "int" else 63
    return [v for v in values if -(2**bits) <= v < 2**bits]


longs = st.one_of(st.none(), st.sampled_from(within("long", EDGES)), st.integers(-5, 5))
texts = st.one_of(st.none(), st.sampled_from(WORDS), st.text("ab1é", max_size=3))
days = st.one_of(st.none(), st.dates(date(2023, 12, 30), date(2024, 3, 2)))
moments = st.one_of(st.none(), st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 2)))


def single(value: float | None) -> float | None:
    return None if value is None else pa.array([float(value)], pa.float32())[0].as_py()


ROW = st.fixed_dictionaries(
    {
        "i": st.one_of(st.none(), st.sampled_from(within("int", EDGES)), st.integers(-5, 5)),
        "l": longs,
        "d": st.one_of(st.none(), st.sampled_from(POINTS), st.floats(-3, 3)),
        "f": st.one_of(st.none(), st.sampled_from([v for v in POINTS if v != 1e300 and v != 5e-324])).map(
            single
        ),
        "p": st.one_of(st.none(), st.decimals(-10, 10, places=2)),
        "w": st.one_of(
            st.none(), st.sampled_from([Number("99999999999999999999999999999999999.99"), Number("0.10")])
        ),
        "s": texts,
        'odd "name': texts,
        "b": st.sampled_from([None, True, False]),
        "y": st.one_of(st.none(), st.binary(max_size=3)),
        "day": days,
        "at": st.one_of(st.none(), st.times()),
        "ts": moments,
        "tz": moments.map(lambda t: t and t.replace(tzinfo=UTC)),
        "list": st.one_of(st.none(), st.lists(longs, max_size=4)),
        "texts": st.one_of(st.none(), st.lists(texts, max_size=3)),
        "st": st.one_of(st.none(), st.fixed_dictionaries({"a": longs, "b": texts})),
        "people": st.one_of(
            st.none(),
            st.lists(
                st.one_of(
                    st.none(),
                    st.fixed_dictionaries(
                        {"n": longs, "tags": st.one_of(st.none(), st.lists(texts, max_size=2))}
                    ),
                ),
                max_size=2,
            ),
        ),
        "m": st.one_of(st.none(), st.dictionaries(st.sampled_from(WORDS), longs, max_size=3)),
    }
)

numbers = st.one_of(
    st.sampled_from([*EDGES, *POINTS, *MONEY]),
    st.integers(-5, 5),
    st.floats(-3, 3),
    st.decimals(-10, 10, places=3),
)
instants = moments.filter(bool).map(lambda t: t.replace(tzinfo=UTC))
CONSTANTS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("i", "l", "d", "f", "p", "w"), numbers),
    **dict.fromkeys(("s", 'odd "name'), texts.filter(lambda t: t is not None)),
    "b": st.booleans(),
    "y": st.binary(max_size=3),
    "day": st.one_of(days.filter(bool), moments.filter(bool)),
    "at": st.times(),
    "ts": st.one_of(moments.filter(bool), days.filter(bool), instants),
    "tz": instants,
}
OPERATORS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
SIZES = st.integers(-1, 4)


def leaves(scalars: dict[str, st.SearchStrategy[Any]], column: Any) -> st.SearchStrategy[Any]:
    """Conditions about one column, list item or member each."""
    out = []
    for name, constants in scalars.items():
        of = column(name)
        out += [
            st.builds(x.Compare, OPERATORS, st.just(of), st.builds(x.Value, constants)),
            st.builds(x.Compare, OPERATORS, st.builds(x.Value, constants), st.just(of)),
            st.builds(x.In, st.just(of), st.lists(constants, max_size=3).map(tuple)),
            st.just(x.IsNull(of)),
            st.just(x.IsNaN(of)),
        ]
    return st.one_of(out)


def texts_of(of: x.Operand) -> st.SearchStrategy[Any]:
    patterns = st.sampled_from(["a", "^a", "a$", "^[ab]+$", r"\d", r"^$", r"^\x{e9}", "."])
    return st.one_of(
        st.builds(x.Matches, st.just(of), patterns),
        st.builds(x.Compare, OPERATORS, st.just(x.Length(of)), SIZES.map(x.Value)),
    )


def numbers_of(of: x.Operand) -> st.SearchStrategy[Any]:
    steps = st.sampled_from([1, 2, 3, 0.5, 0.1, 0.01, 0.25])
    return st.builds(
        lambda op, s: x.Compare(op, x.Remainder(of, x.Value(s)), x.Value(0)),
        st.sampled_from(["=", "<>"]),
        steps,
    )


def column(name: str) -> x.Column:
    return x.Column((name,))


item = x.Column(("$item",))
inner_people = st.one_of(
    leaves({"n": CONSTANTS["l"]}, lambda n: x.Column(("$item", n))),
    st.builds(
        x.AnyItem, st.just(x.Column(("$item", "tags"))), st.one_of(texts_of(item), st.just(x.IsNull(item)))
    ),
    st.just(x.IsNull(item)),
    st.just(x.Not(x.IsNull(x.Column(("$item", "tags"))))),
)
nested = st.one_of(
    leaves({"a": CONSTANTS["l"], "b": CONSTANTS["s"]}, lambda n: x.Column(("st", n))),
    st.builds(x.AnyItem, st.just(column("list")), leaves({"$item": CONSTANTS["l"]}, column)),
    st.builds(x.AnyItem, st.just(x.MapKeys(column("m"))), texts_of(item)),
    st.builds(x.AnyItem, st.just(x.MapValues(column("m"))), st.just(x.IsNull(item))),
    st.builds(x.AnyItem, st.just(column("people")), inner_people),
    *(
        st.builds(x.Compare, OPERATORS, st.just(of), SIZES.map(x.Value))
        for of in (
            x.Length(column("list")),
            x.Length(column("m")),
            x.Length(column("y")),
            x.DistinctLength(column("list")),
            x.Present((x.Column(("st", "a")), x.Column(("st", "b")), column("l"))),
        )
    ),
    st.builds(
        x.Compare, st.sampled_from(["<", ">"]), st.just(x.Norm(column("list"))), st.just(x.Value(2.345))
    ),
)
simple = st.one_of(
    leaves(CONSTANTS, column),
    texts_of(column("s")),
    texts_of(column('odd "name')),
    *(numbers_of(column(n)) for n in "ilp"),
    nested,
    st.booleans().map(x.Constant),
)
CONDITIONS = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(x.Not, inner),
        st.lists(inner, max_size=3).map(lambda t: x.And(tuple(t))),
        st.lists(inner, max_size=3).map(lambda t: x.Or(tuple(t))),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    connection.execute("SET TimeZone='UTC'")
    yield connection
    connection.close()


def answers(
    con: duckdb.DuckDBPyConnection, condition: str, schema: TableSchema, rows: list[dict[str, Any]]
) -> list[Any]:
    """The condition's answer for each row."""
    arrays = []
    for f in schema:
        values = [r.get(f.name) for r in rows]
        if isinstance(f.type, Map):
            values = [v if v is None else list(v.items()) for v in values]
        arrays.append(pa.array(values, arrow_type(f.type)))
    table = pa.Table.from_arrays(arrays, names=list(schema.names))
    con.register("t", table)
    try:
        return [a for (a,) in con.sql(f"SELECT {condition} FROM t").fetchall()]
    finally:
        con.unregister("t")


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(CONDITIONS, st.lists(ROW, min_size=1, max_size=6))
def test_sql_and_oracle_agree_on_every_condition(
    con: Any, condition: x.Expression, rows: list[dict[str, Any]]
) -> None:
    wanted = [truth(condition, row, SCHEMA) for row in rows]
    assert answers(con, predicate_sql(condition, SCHEMA), SCHEMA, rows) == wanted
    loose = answers(con, predicate_sql(condition, SCHEMA, exact_null=False), SCHEMA, rows)
    assert [a is True for a in loose] == [w is True for w in wanted]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([0.1, 0.01, 0.25, 3, 7, 0.3]),
    st.lists(st.one_of(st.integers(-(2**40), 2**40), st.floats(-1e6, 1e6)), max_size=20),
    st.sampled_from("df"),
)
def test_multiples_of_floating_point_numbers_are_the_nearest_ones(
    con: Any, step: float, values: list[Any], name: str
) -> None:
    near = [float(v) for v in values] + [round(float(v)) * step for v in values]
    rows = [{"d": v, "f": single(v)} for v in near]
    condition = x.Compare("=", x.Remainder(x.Column((name,)), x.Value(step)), x.Value(0))
    wanted = [truth(condition, row, SCHEMA) for row in rows]
    assert answers(con, predicate_sql(condition, SCHEMA), SCHEMA, rows) == wanted


ONE = {"l": 2**53 + 1, "d": float(2**53), "i": 3, "f": 3.5}


@pytest.mark.parametrize(
    ("operator", "left", "right", "wanted"),
    [
        ("=", "l", "d", False),
        (">", "l", "d", True),
        ("<", "d", "l", True),
        ("<", "i", "f", True),
        (">=", "f", "i", True),
    ],
)
def test_integer_and_double_columns_compare_without_losing_digits(
    con: Any, operator: Any, left: str, right: str, wanted: bool
) -> None:
    condition = predicate_sql(x.Compare(operator, column(left), column(right)), SCHEMA)
    assert answers(con, condition, SCHEMA, [ONE]) == [wanted]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**63, -(2.0**63), 1e300])
@pytest.mark.parametrize("whole", [2**63 - 1, -(2**63), 0])
def test_integers_meet_extreme_doubles(con: Any, value: float, whole: int) -> None:
    for operator in ("=", "<", "<=", ">", ">=", "<>"):
        condition = predicate_sql(x.Compare(operator, column("l"), column("d")), SCHEMA)  # type: ignore[arg-type]
        wanted = truth(x.Compare(operator, column("d"), x.Value(whole)), {"d": value}, SCHEMA)  # type: ignore[arg-type]
        flipped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
        wanted = truth(x.Compare(flipped, column("d"), x.Value(whole)), {"d": value}, SCHEMA)  # type: ignore[arg-type]
        assert answers(con, condition, SCHEMA, [{"l": whole, "d": value}]) == [wanted], operator


@pytest.mark.parametrize(
    "condition",
    [
        x.Compare("=", column("s"), x.Value(1)),
        x.Compare("=", column("l"), x.Value("1")),
        x.Compare("=", column("l"), x.Value(True)),
        x.Compare("=", column("b"), x.Value(1)),
        x.Compare("<", column("s"), column("l")),
        x.Compare("=", column("tz"), x.Value(datetime(2024, 1, 1))),
        x.Compare("=", column("tz"), column("ts")),
        x.Compare("=", column("p"), column("d")),
        x.Compare("=", column("at"), x.Value(time(1, tzinfo=UTC))),
        x.Compare("=", column("list"), x.Value(1)),
        x.IsNull(column("nothing")),
        x.IsNull(x.Column(("l", "x"))),
        x.IsNull(x.Column(("st", "x"))),
        x.IsNull(x.Column(("$item",))),
        x.Matches(column("l"), "x"),
        x.Compare("<", x.Length(column("l")), x.Value(1)),
        x.AnyItem(column("s"), x.Constant(True)),
        x.In(column("l"), (1, None)),
        x.In(column("l"), (1, "a")),
        x.Compare("<", x.Remainder(column("l"), x.Value(2)), x.Value(0)),
        x.Compare("=", x.Remainder(column("s"), x.Value(2)), x.Value(0)),
        x.Compare("=", x.Remainder(column("l"), x.Value(0)), x.Value(0)),
        x.Compare("<", x.Norm(column("texts")), x.Value(1)),
        x.Compare("=", x.Value("a"), x.Value(1)),
        x.Compare("=", column("s"), x.Value("a\0b")),
    ],
)
def test_what_has_no_meaning_is_an_error_and_never_false(condition: x.Expression) -> None:
    with pytest.raises(UsageError):
        predicate_sql(condition, SCHEMA)


def test_names_and_texts_cannot_leave_their_quotes(con: Any) -> None:
    schema = schema_of(**{'x"; DROP TABLE t; --': "string"})
    condition = x.Compare("=", x.Column(('x"; DROP TABLE t; --',)), x.Value("'); DROP TABLE t; --"))
    rows = [{'x"; DROP TABLE t; --': "'); DROP TABLE t; --"}]
    assert answers(con, predicate_sql(condition, schema), schema, rows) == [True]


def test_the_oracle_refuses_what_the_sql_refuses() -> None:
    with pytest.raises(MeaninglessError):
        truth(x.Compare("=", column("s"), x.Value(1)), {"s": "1"}, SCHEMA)

"""Tables with a view for tests: rows in Parquet files, and strategies for schemas, rows, conditions and masks."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import strategies as st

from contracts import arrow_type, schema_of
from raymesh.engines.kernel.fieldids import field_ids
from raymesh.mesh.plan import EVERY_ROW, Scan, View, ViewColumn
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from raymesh.spec.secrets import SecretRef
from raymesh.spec.types import Decimal, Field, List, Primitive, Struct, TableSchema

SECRET = "only-for-tests-0123456789abcdef"  # it protects nothing
VARIABLE = "RAYMESH_TEST_TOKEN_KEY"
KEY = SecretRef("${env:" + VARIABLE + "}")
Row = dict[str, Any]

WHOLE = schema_of(
    **{
        "i": "int",
        "l": "long",
        "d": "double",
        "f": "float",
        "p": Decimal(9, 2),
        "w": Decimal(38, 4),
        "s": "string",
        'odd "name': "string",
        "b": "boolean",
        "y": "binary",
        "day": "date",
        "at": "time",
        "ts": "timestamp",
        "tz": "timestamptz",
        "list": List(Primitive("string")),
        "st": Struct((Field("a", Primitive("long")), Field("b", Primitive("string")))),
    }
)


def written(folder: Path, schema: TableSchema, rows: Sequence[Row], *, files: int = 1) -> Scan:
    """The rows as a version's data files."""
    table = pa.Table.from_pylist(
        [{f.name: row[f.name] for f in schema} for row in rows],
        pa.schema([(f.name, arrow_type(f.type)) for f in schema]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with duckdb.connect(config={"threads": 1}) as con:
        step = max(1, -(-len(rows) // files))
        for start in range(0, max(len(rows), 1), step):
            path = folder / f"{uuid.uuid4().hex}.parquet"
            con.register("part", table.slice(start, step))
            con.execute(
                f"COPY (SELECT * FROM part) TO '{path}' (FORMAT parquet, FIELD_IDS {field_ids(schema)})"
            )
            paths.append(str(path))
    return Scan(schema, tuple(paths), len(rows))


def viewed(
    scan: Scan, *columns: ViewColumn | str, rows: x.Expression = EVERY_ROW, key: SecretRef | None = KEY
) -> Scan:
    """The scan through a view; a name alone is a column shown as it is."""
    found = tuple(ViewColumn(c, m.Raw()) if isinstance(c, str) else c for c in columns)
    return replace(scan, view=View(rows, found, key))


WORDS = ["", "a", "ab", "abc", "é", "e\u0301x", "😀b", "A'b\"c", "null", "1", "longer text", "x" * 40]
longs = st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1, -(2**62)]), st.integers(-60, 60))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.one_of(st.sampled_from([2**31 - 1, -(2**31)]), st.integers(-60, 60)),
    "long": longs,
    "double": st.one_of(
        st.sampled_from([0.3, 0.7, -0.0, math.inf, -math.inf, 1e300, float(2**53)]), st.floats(-50, 50)
    ),
    "float": st.floats(-50, 50, width=32),
    "string": st.one_of(st.sampled_from(WORDS), st.text("ab1é", max_size=6)),
    "boolean": st.booleans(),
    "binary": st.binary(max_size=4),
    "date": st.one_of(st.just(date(1, 1, 1)), st.dates(date(2023, 10, 1), date(2024, 6, 1))),
    "time": st.times(),
    "timestamp": st.datetimes(datetime(2023, 10, 1), datetime(2024, 6, 1)),
    "timestamptz": st.datetimes(datetime(1969, 10, 1), datetime(2024, 6, 1), timezones=st.just(UTC)),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    match kind:
        case Decimal(precision, scale):
            low = -(10 ** (min(precision, 20) - scale)) + 1
            return st.decimals(low, -low, places=scale, allow_nan=False)
        case List(element):
            return st.lists(st.one_of(st.none(), values(element)), max_size=3)
        case Struct(members):
            return st.fixed_dictionaries({f.name: st.one_of(st.none(), values(f.type)) for f in members})
    return VALUES[str(kind)]


@st.composite
def schemas(draw: st.DrawFn) -> TableSchema:
    """Some columns of `WHOLE`, in some order."""
    fields = draw(st.lists(st.sampled_from(WHOLE.fields), min_size=1, max_size=6, unique_by=lambda f: f.name))
    return TableSchema(tuple(fields), WHOLE.last_id)


def rows_of(schema: TableSchema, most: int = 12) -> st.SearchStrategy[list[Row]]:
    row = st.fixed_dictionaries({f.name: st.one_of(st.none(), values(f.type)) for f in schema})
    return st.lists(row, max_size=most)


COMPARED = ("int", "long", "double", "string", "boolean", "date", "timestamptz")


@st.composite
def conditions(draw: st.DrawFn, schema: TableSchema, *, unknown: bool = True) -> x.Expression:
    """Conditions over the columns of `schema`; with `unknown` some name a column that is not there."""
    fields = [f for f in schema if str(f.type) in COMPARED or isinstance(f.type, Decimal)]
    leaves: list[st.SearchStrategy[x.Expression]] = [st.sampled_from([x.Constant(True), x.Constant(False)])]
    for f in fields:
        column, constant = x.Column((f.name,)), values(f.type).filter(lambda v: v == v)
        operators = ["=", "<>"] if str(f.type) == "boolean" else ["=", "<>", "<", "<=", ">", ">="]
        leaves += [
            st.builds(x.Compare, st.sampled_from(operators), st.just(column), st.builds(x.Value, constant)),
            st.builds(x.In, st.just(column), st.lists(constant, min_size=1, max_size=3).map(tuple)),
            st.just(x.IsNull(column)),
        ]
    if unknown:
        leaves.append(st.just(x.Compare("=", x.Column(("nowhere",)), x.Value(1))))
    return draw(
        st.recursive(
            st.one_of(leaves),
            lambda inner: st.one_of(
                st.builds(x.And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
                st.builds(x.Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
                st.builds(x.Not, inner),
            ),
            max_leaves=4,
        )
    )


masks: st.SearchStrategy[m.Mask] = st.one_of(
    st.just(m.Raw()),
    st.just(m.Null()),
    st.just(m.Absent()),
    st.builds(m.Partial, st.integers(0, 3), st.integers(0, 4)),
    st.builds(m.Truncate, st.sampled_from(m.UNITS)),
    st.builds(
        m.Bucket,
        st.sampled_from(
            [Fraction(1), Fraction(10), Fraction(1, 10), Fraction(5, 2), Fraction(7, 3), Fraction(2**62)]
        ),
    ),
    st.builds(m.Token, st.sampled_from(["shop|email", "shop|phone"])),
    st.builds(m.Literally, st.sampled_from(["hidden", 7, True])),
)


@st.composite
def views(draw: st.DrawFn, schema: TableSchema) -> View:
    """A view of some columns; some are not visible everywhere, some only where the rows are shown anyway."""
    rows = draw(conditions(schema))
    columns = []
    for field in draw(st.permutations(schema.fields)):
        visible = draw(st.one_of(st.just(EVERY_ROW), st.just(rows), conditions(schema)))
        columns.append(ViewColumn(field.name, draw(masks), visible))
    return View(rows, tuple(columns[: draw(st.integers(1, len(columns)))]), KEY)

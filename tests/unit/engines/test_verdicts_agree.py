"""Random contracts over random rows: the engine's verdict is the oracle's, in one file or in many."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal as Number
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import oracle
from contracts import contract, schema_of, write
from raymesh.engines.kernel.measure import measure
from raymesh.mesh.plan import Scan
from raymesh.quality.compile import compile_checks
from raymesh.quality.judge import judge
from raymesh.quality.state import file_state_from_json, file_state_to_json
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, Type

BIG = 2**53
whole = st.one_of(st.none(), st.integers(-2, 4), st.sampled_from([BIG, BIG + 1, 2**31, -(2**63)]))
real = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 0.5, 0.3, 2.0, math.nan, math.inf, -math.inf]))
text = st.one_of(st.none(), st.sampled_from(["", "a", "ab", "N/A", "é", "e\u0301", "😀"]))
day = st.one_of(st.none(), st.dates(date(2024, 1, 30), date(2024, 2, 2)))
clock = st.one_of(st.none(), st.sampled_from([datetime(2024, 3, 31, 1, 30), datetime(2024, 3, 31, 2, 30), datetime(2024, 3, 31, 3), datetime(2024, 3, 31), datetime(2024, 10, 27, 2, 30), datetime(2024, 10, 27, 2, 29, 59, 999_999)]))  # fmt: skip
moment = st.one_of(st.none(), st.datetimes(datetime(2024, 1, 31, 22), datetime(2024, 2, 1, 2)))

NUMBERS = {"minimum": [-1, 0.3, BIG + 1], "exclusiveMaximum": [3, 0.5, BIG + 1], "multipleOf": [2, 0.1]}
SIZES = {"minItems": [1, 2], "maxItems": [2], "uniqueItems": [True]}


def _single(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


COLUMNS: dict[str, tuple[str, str | Type, Any, dict[str, list[Any]], list[Any]]] = {
    "i": ("integer", "long", whole, NUMBERS, [0, 1, BIG + 1]),
    "d": ("number", "double", real, NUMBERS, [0.3, 2, 0]),
    "p": ("number", Decimal(9, 2), st.one_of(st.none(), st.sampled_from([Number(n) for n in ("0.30", "0.29", "2.00", "-5.55")])), NUMBERS, [0.3, 2]),
    "s": ("string", "string", text, {"minLength": [1, 2], "maxLength": [1], "pattern": ["a", "^a?$", "^[^a]*$"]}, ["", "a", "é"]),
    "t": ("date", "date", day, {"minimum": ["2024-01-31"], "exclusiveMaximum": ["2024-02-01"]}, ["2024-01-31"]),
    "z": ("timestamp", "timestamptz", moment.map(lambda m: m and m.replace(tzinfo=UTC)), {"minimum": ["2024-02-01T00:00:00+01:00"], "maximum": ["2024-02-01"]}, ["2024-02-01", "2024-02-01T00:30:00+01:00", "1969-01-01T00:00:00"]),
    "f": ("number", "float", real.map(lambda v: v if v is None else _single(v)), {**NUMBERS, "format": ["f32"]}, [0.3, 2, 0]),
    "q": ("number", Decimal(38, 18), st.one_of(st.none(), st.sampled_from([Number(n) for n in ("0.300000000000000000", "0.300000000000000001", "-0.000000000000000001", "0", "99999999999999999999.999999999999999999")])), NUMBERS, [0.3, 0]),
    "w": ("timestamp", "timestamp", clock, {"minimum": ["2024-03-31T02:30:00", "2024-03-31T01:00:00Z"], "exclusiveMaximum": ["2024-03-31T03:00:00+02:00", "2024-10-27T02:30:00"], "defaultTimezone": ["Europe/Berlin", "UTC"]}, ["2024-03-31T01:30:00", "2024-03-31T01:00:00Z", "2024-03-31"]),
    "h": ("time", "time", st.one_of(st.none(), st.sampled_from([time(0), time(1, 2, 3, 1), time(23, 59, 59, 999_999)])), {"minimum": ["00:00:00", "01:02:03"], "exclusiveMaximum": ["23:59:59.999999"]}, ["00:00:00"]),
    "b": ("boolean", "boolean", st.one_of(st.none(), st.booleans()), {}, [True]),
    "v": ("vector", List(Primitive("float")), st.one_of(st.none(), st.lists(st.sampled_from([None, 0.0, 0.6, 0.8, 1.0]), max_size=3)), {"normalized": [True], "distanceMetric": ["cosine"]}, []),
    "l": ("array", List(Primitive("long")), st.one_of(st.none(), st.lists(whole, max_size=3)), SIZES, []),
}  # fmt: skip
LISTS = ("l", "v")
THRESHOLDS = st.one_of(
    st.tuples(st.sampled_from(["mustBe", "mustNotBe", "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeGreaterThan", "mustBeGreaterOrEqualTo"]), st.sampled_from([0, 1, 2, 25, 33.3, 50])),
    st.tuples(st.sampled_from(["mustBeBetween", "mustNotBeBetween"]), st.sampled_from([[0, 2], [1, 50], [0.5, 33.4]])),
)  # fmt: skip
METRICS: list[dict[str, Any]] = [
    {"metric": "nullValues"},
    {"metric": "duplicateValues"},
    {"metric": "missingValues", "arguments": {"missingValues": [None, "", "N/A", 0]}},
]


@st.composite
def rules(draw: st.DrawFn, metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for metric in draw(st.lists(st.sampled_from(metrics), max_size=2)):
        operator, operand = draw(THRESHOLDS)
        unit = {"unit": draw(st.sampled_from(["rows", "percent"]))} if metric["metric"] != "rowCount" else {}
        severity = draw(st.sampled_from([{}, {"severity": "warning"}]))
        found.append({**metric, operator: operand, **unit, **severity})
    return found


@st.composite
def properties(draw: st.DrawFn, name: str) -> dict[str, Any]:
    logical, _, _, options, values = COLUMNS[name]
    found: dict[str, Any] = {"name": name, "logicalType": logical}
    chosen = draw(st.sets(st.sampled_from(sorted(options)), max_size=2)) if options else set()
    if chosen in (
        {"minimum", "exclusiveMaximum"},
        {"minimum", "maximum"},
        {"minItems", "maxItems"},
        {"minLength", "maxLength"},
    ):
        chosen.pop()  # together they may contradict each other, which documents may not
    if chosen:
        found["logicalTypeOptions"] = {o: draw(st.sampled_from(options[o])) for o in sorted(chosen)}
    found |= draw(
        st.fixed_dictionaries({}, optional={k: st.just(value=True) for k in ("required", "unique")})
    )
    if name in LISTS:
        found.pop("unique", None)
        if name == "l":
            found["items"] = {"logicalType": "integer", "required": draw(st.booleans())}
        else:
            found["logicalTypeOptions"] = {
                "dimensions": draw(st.integers(1, 3)),
                **found.get("logicalTypeOptions", {}),
            }
        found["quality"] = draw(rules(METRICS[:1]))
        return found
    if values and draw(st.booleans()):
        found["enum"] = [{"value": v} for v in values]
    metrics = [*METRICS]
    if values:
        metrics.append({"metric": "invalidValues", "arguments": {"validValues": values[:2]}})
        metrics.append({"metric": "missingValues", "arguments": {"missingValues": values[:1]}})
    if name == "s":
        metrics.append(
            {"metric": "invalidValues", "arguments": {"pattern": draw(st.sampled_from(["^a", "b?$", "^.$"]))}}
        )
    found["quality"] = draw(rules(metrics))
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    names = sorted(draw(st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4)))
    keyed = [n for n in names if n not in LISTS]
    columns = [draw(properties(n)) for n in names]
    for c in columns:
        c["primaryKey"] = c["name"] in keyed[:2] and draw(st.booleans())
    if keyed and draw(st.booleans()):
        columns[0] |= (
            {"relationships": [{"to": f"orders.{keyed[-1]}"}]} if columns[0]["name"] == keyed[-1] else {}
        )
    table = (
        draw(
            rules(
                [
                    {"metric": "rowCount"},
                    {"metric": "duplicateValues", "arguments": {"properties": keyed}},
                ]
            )
        )
        if keyed
        else []
    )
    rows = draw(st.lists(st.fixed_dictionaries({n: COLUMNS[n][2] for n in names}), max_size=8))
    inner = st.one_of(st.none(), st.fixed_dictionaries({"x": whole, "y": text}))
    for row in rows:
        row["o"], row["m"] = (
            draw(inner),
            draw(st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), whole, max_size=2))),
        )
    members = [
        {"name": "x", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 0}},
        {"name": "y", "logicalType": "string"},
    ]
    columns.append(
        {
            "name": "o",
            "logicalType": "object",
            "properties": members,
            "logicalTypeOptions": {"minProperties": 1},
        }
    )
    columns.append(
        {
            "name": "m",
            "logicalType": "map",
            "map": {"key": {"logicalType": "string"}, "value": {"logicalType": "integer", "required": True}},
        }
    )
    return {"properties": columns, "quality": table}, rows


STRUCT = Struct((Field("x", Primitive("long")), Field("y", Primitive("string"))))


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1, "python_enable_replacements": False})
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, numbers = tmp_path_factory.mktemp("files"), itertools.count()
    return (folder / f"{n}.parquet" for n in numbers)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(cases(), st.integers(0, 8))
def test_engine_and_oracle_reach_the_same_verdict(
    con: Any, fresh: Iterator[Path], case: Any, cut: int
) -> None:
    described, rows = case
    names = [p["name"] for p in described["properties"] if p["name"] in COLUMNS]
    schema = schema_of(
        **{n: COLUMNS[n][1] for n in names}, o=STRUCT, m=Map(Primitive("string"), Primitive("long"))
    )
    checks = compile_checks(
        contract(*described["properties"], quality=described["quality"]), table="sales.orders"
    )

    wanted = [(c.id, oracle.status(c, rows, schema)) for c in checks if c.kind not in ("type", "text")]
    one = [str(write(next(fresh), schema, rows))]
    several = [str(write(next(fresh), schema, part)) for part in (rows[:cut], rows[cut:])]
    single, split = (judge(checks, measure(con, files, schema, checks)) for files in (one, several))
    assert [(r.check.id, r.status) for r in single.results if r.check.kind not in ("type", "text")] == wanted
    assert {r.status for r in single.results if r.check.kind == "type"} == {"pass"}
    for result in single.results:
        if (
            result.check.kind in ("row", "key", "count", "reference")
            and result.check.unit == "rows"
            and result.status in ("pass", "fail", "warn")
        ):
            assert result.value == oracle.measured(result.check, rows, schema)

    first = measure(con, several[:1], schema, checks)
    states = {k: file_state_from_json(file_state_to_json(v)) for k, v in first.files.items()}
    kept = Scan(schema, tuple(several[:1]))
    appended = judge(checks, measure(con, several[1:], schema, checks, kept=kept, kept_states=states))  # type: ignore[arg-type]
    for verdict in (split, appended):
        assert [(r.check.id, r.status, r.value, r.message) for r in verdict.results] == [
            (r.check.id, r.status, r.value, r.message) for r in single.results
        ]
        assert verdict.score == single.score

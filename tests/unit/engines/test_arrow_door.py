"""Arrow data on its way into DuckDB: nothing is cut, shifted or taken for something else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raymesh.engines.kernel.arrow import door_schema, door_type, through_door
from raymesh.engines.kernel.frames import batches, form_of, hand_batch
from raymesh.errors import ConformError, TransformError

NS = pa.timestamp("ns")
EXACT = {
    "string_view": (pa.array(["a", "b" * 40, None], pa.string_view()), ["a", "b" * 40, None]),
    "large_string": (pa.array(["a"], pa.large_string()), ["a"]),
    "large_binary": (pa.array([b"\x00"], pa.large_binary()), [b"\x00"]),
    "binary_view": (pa.array([b"x"], pa.binary_view()), [b"x"]),
    "dictionary": (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
    "large_list": (pa.array([[1, None]], pa.large_list(pa.int64())), [[1, None]]),
    "list_view": (pa.array([[2**40]], pa.list_view(pa.int64())), [[2**40]]),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    "uint8": (pa.array([255], pa.uint8()), [255]),
    "float16": (pa.array([np.float16(0.5)], pa.float16()), [0.5]),
    "ns": (pa.array([1000], NS), [datetime(1970, 1, 1, 0, 0, 0, 1)]),
    "ns with zone": (pa.array([1000], pa.timestamp("ns", "Europe/Berlin")), [datetime(1970, 1, 1, 0, 0, 0, 1, UTC)]),
    "seconds": (pa.array([1], pa.timestamp("s")), [datetime(1970, 1, 1, 0, 0, 1)]),
    "date64": (pa.array([86_400_000], pa.date64()), [date(1970, 1, 2)]),
    "decimal256": (pa.array([Decimal("1.50")], pa.decimal256(50, 2)), [Decimal("1.50")]),
    "negative scale": (pa.array([Decimal(100)], pa.decimal128(5, -2)), [Decimal(100)]),
    "run ends": (pc.run_end_encode(pa.array([2**40, 2**40, 1])), [2**40, 2**40, 1]),
    "nested ns": (pa.array([[{"t": 1000}]], pa.list_(pa.struct([("t", NS)]))), [[{"t": datetime(1970, 1, 1, 0, 0, 0, 1)}]]),
    "map": (pa.array([[("k", [1])]], pa.map_(pa.string(), pa.list_(pa.int32()))), [{"k": [1]}]),
    "dictionary of ns": (pa.array([1000], NS).dictionary_encode(), [datetime(1970, 1, 1, 0, 0, 0, 1)]),
}  # fmt: skip

LOSSY = {
    "ns": pa.array([1001], NS),
    "ns with zone": pa.array([1], pa.timestamp("ns", "UTC")),
    "time ns": pa.array([1], pa.time64("ns")),
    "date64": pa.array([1], pa.date64()),
    "decimal256": pa.array([Decimal(10) ** 40], pa.decimal256(50, 0)),
    "nested ns": pa.array([[{"t": 1}]], pa.list_(pa.struct([("t", NS)]))),
    "map ns": pa.array([[("k", 1)]], pa.map_(pa.string(), NS)),
}

UNSTORABLE = [
    pa.duration("us"),
    pa.month_day_nano_interval(),
    pa.sparse_union([pa.field("a", pa.int64())]),
    pa.opaque(pa.int32(), "a", "b"),
    pa.fixed_shape_tensor(pa.int32(), [2]),
    pa.struct([("x", pa.duration("s"))]),
    pa.list_(pa.opaque(pa.int32(), "a", "b")),
]


def enter(array: pa.Array) -> list:
    batch = pa.RecordBatch.from_arrays([array], names=["v"])
    table = pa.Table.from_batches([through_door(batch, door_schema(batch.schema, {}))])
    con = duckdb.connect(config={"threads": 1})
    try:
        con.execute("SET TimeZone='UTC'")
        con.register("t", table)
        return [row[0] for row in con.sql("select v from t").fetchall()]
    finally:
        con.close()


@pytest.mark.parametrize("name", EXACT)
def test_an_arrow_type_enters_with_every_value(name: str) -> None:
    array, values = EXACT[name]
    assert enter(array) == values


@pytest.mark.parametrize("name", LOSSY)
def test_a_value_that_would_be_cut_is_refused_and_its_column_named(name: str) -> None:
    with pytest.raises(ConformError, match="'v'"):
        enter(LOSSY[name])


@pytest.mark.parametrize("kind", UNSTORABLE, ids=str)
def test_a_type_without_a_counterpart_is_refused_with_advice(kind: pa.DataType) -> None:
    with pytest.raises(ConformError, match="'v'.*; (use|return)"):
        door_schema(pa.schema([("v", kind)]), {})


def test_all_problems_are_named_at_once() -> None:
    schema = pa.schema([("a", pa.duration("s")), ("b", pa.int64()), ("b", pa.int64())])
    with pytest.raises(ConformError) as caught:
        door_schema(schema, {})
    assert "'a'" in caught.value.message
    assert "2 columns are called 'b'" in caught.value.message


def test_a_column_of_only_null_takes_the_known_type() -> None:
    schema = door_schema(pa.schema([("V", pa.null())]), {"v": pa.date32()})
    assert schema.field("V").type == pa.date32()


def test_members_elements_and_values_of_only_null_take_the_known_types() -> None:
    kind = pa.struct(
        [("A", pa.null()), ("tags", pa.large_list(pa.null())), ("of", pa.map_(pa.string(), pa.null()))]
    )
    known = pa.struct(
        [("a", pa.date32()), ("of", pa.map_(pa.string(), pa.int64())), ("tags", pa.list_(pa.string()))]
    )
    found = door_schema(
        pa.schema([("v", kind), ("w", pa.list_(pa.null(), 2))]), {"v": known, "w": pa.list_(pa.int64())}
    )
    assert found.field("w").type == pa.list_(pa.int64(), 2)
    assert {f.name: f.type for f in found.field("v").type} == {
        "A": pa.date32(),
        "tags": pa.list_(pa.string()),
        "of": pa.map_(pa.string(), pa.int64()),
    }


@pytest.mark.parametrize("late", [pa.array([1]), pa.array([{"a": 1}])], ids=["column", "member"])
def test_values_after_more_missing_ones_than_are_read_ahead_are_told_as_such(late: pa.Array) -> None:
    kind = pa.struct([("a", pa.null())]) if pa.types.is_struct(late.type) else pa.null()
    with pytest.raises(ConformError, match="'v' is .* here; so many rows before hold only NULL") as caught:
        through_door(pa.record_batch({"v": late}), pa.schema([("v", kind)]))
    assert "physicalType" in str(caught.value.hint)


def test_a_later_batch_keeps_to_the_first_batchs_types_exactly() -> None:
    schema = pa.schema([("v", pa.int64())])
    whole = pa.RecordBatch.from_pydict({"v": pa.array([1.0, None])})
    assert through_door(whole, schema).column(0).to_pylist() == [1, None]
    with pytest.raises(ConformError, match="'v'"):
        through_door(pa.RecordBatch.from_pydict({"v": [0.6]}), schema)
    with pytest.raises(ConformError, match="columns"):
        through_door(pa.RecordBatch.from_pydict({"w": [1]}), schema)


@pytest.mark.parametrize("form", ["table", "record_batch", "polars", "pandas", "numpy"])
def test_a_batch_goes_through_every_form_and_comes_back_whole(form) -> None:
    given = pa.RecordBatch.from_pydict(
        {
            "i": pa.array([2**53 + 1, None, -1], pa.int64()),
            "s": pa.array(["ü", None, ""]),
            "b": pa.array([True, None, False]),
            "d": pa.array([Decimal("1.10"), None, Decimal("-0.01")], pa.decimal128(18, 2)),
            "t": pa.array([1, None, -1], pa.timestamp("us", "UTC")),
            "n": pa.array([1, None, -1], pa.timestamp("us")),
            "a": pa.array([date(2024, 2, 29), None, date(1900, 1, 1)]),
        }
    )
    if form == "numpy":  # NumPy has no list of missing dates apart from NaT, which comes back as NULL
        given = given.select(["i", "s", "b", "t", "n", "a"])
    back = pa.Table.from_batches(list(batches(hand_batch(given, form), given.schema)))
    assert back.to_pylist() == pa.Table.from_batches([given]).to_pylist()


def test_numpy_matrices_become_lists() -> None:
    found = list(batches({"v": np.arange(4).reshape(2, 2)}))
    assert found[0].to_pylist() == [{"v": [0, 1]}, {"v": [2, 3]}]


@pytest.mark.parametrize(
    ("annotation", "form"),
    [
        ("pa.Table", "table"),
        ("pl.DataFrame", "polars"),
        ("pl.LazyFrame", "polars_lazy"),
        ("LazyFrame", "polars_lazy"),
        ("pandas.DataFrame", "pandas"),
        ("dict[str, np.ndarray]", "numpy"),
        ("duckdb.DuckDBPyRelation", "duckdb"),
        ("ray.data.Dataset", "ray"),
        ("'pa.RecordBatch'", "record_batch"),
        (pa.Table, "table"),
        (dict, "numpy"),
        (dict[str, np.ndarray], "numpy"),
        (duckdb.DuckDBPyRelation, "duckdb"),
    ],
)
def test_annotations_choose_the_form_as_object_or_as_text(annotation, form) -> None:
    assert form_of(annotation, {}) == form


def test_a_bare_data_frame_is_the_imported_one() -> None:
    import polars

    assert form_of("DataFrame", {"DataFrame": polars.DataFrame}) == "polars"
    with pytest.raises(TransformError, match="annotated"):
        form_of("DataFrame", {})


def test_extension_types_we_know_are_kept() -> None:
    assert door_type(pa.json_()) == pa.json_()

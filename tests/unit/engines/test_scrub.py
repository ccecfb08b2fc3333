"""After a scrub no byte of a hidden value is left, and every shown value is the same."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.engines.kernel.scrub import clean_schema, scrub, scrub_array, scrub_table
from raymesh.errors import InternalError

SECRET = "S3CR3T-"
MARK = SECRET.encode()


def serialised(batch: pa.RecordBatch | pa.Table) -> bytes:
    """Everything that may leave: IPC, pickle, uncompressed Parquet, and the raw buffers."""
    table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
    ipc, parquet = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(ipc, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, parquet, compression="none", use_dictionary=False)
    raw = b"".join(bytes(b) for c in table.columns for k in c.chunks for b in k.buffers() if b)
    return ipc.getvalue() + pickle.dumps(table) + parquet.getvalue() + raw


def one(array: pa.Array) -> pa.RecordBatch:
    return scrub(pa.RecordBatch.from_arrays([array], ["c"]))


def test_strings_under_a_null_are_gone() -> None:
    values = pa.array([f"{SECRET}{i}" for i in range(1000)])
    masked = pc.if_else(pa.array([i % 10 == 0 for i in range(1000)]), pa.scalar("shown"), values)
    hidden = pc.if_else(pc.equal(masked, "shown"), masked, pa.scalar(None, pa.string()))
    before = pa.RecordBatch.from_arrays([hidden], ["c"])
    assert MARK in serialised(before), "the trap this guards against"
    assert MARK not in serialised(scrub(before))
    assert scrub(before).to_pydict() == before.to_pydict()


def test_numbers_under_a_null_are_gone() -> None:
    secret = 0x5EC3E7_5EC3E7
    hidden = pc.if_else(pa.array([False, True] * 500), pa.array([secret] * 1000), pa.scalar(None, pa.int64()))
    bits = secret.to_bytes(8, "little")
    first = pc.if_else(pa.array([False] * 1000), pa.array([secret] * 1000), pa.scalar(None, pa.int64()))
    assert bits in serialised(pa.RecordBatch.from_arrays([first], ["c"]))
    assert bits not in serialised(one(first))
    assert one(hidden)["c"].to_pylist() == [None, secret] * 500


def test_what_a_slice_skipped_is_gone() -> None:
    values = pa.array(
        [f"{SECRET}{i}" for i in range(500)] + ["a", None, "b"] + [f"{SECRET}{i}" for i in range(500)]
    )
    part = values.slice(500, 3)
    assert MARK in serialised(pa.RecordBatch.from_arrays([part], ["c"]))
    assert MARK not in serialised(one(part))
    assert one(part)["c"].to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.large_string()])
def test_what_lies_behind_the_last_value_is_gone(kind: pa.DataType) -> None:
    values = pa.array([n if kind == pa.int64() else f"{SECRET}{n}" for n in range(9)], kind)
    head = scrub_array(values.slice(0, 2))
    assert head.to_pylist() == values.to_pylist()[:2]
    data = head.buffers()[-1]
    assert data is not None
    assert data.size == (16 if kind == pa.int64() else 2 * len(MARK) + 2)


def test_windows_into_longer_buffers_become_buffers_of_their_own() -> None:
    whole = pa.py_buffer(MARK + b"ab" + MARK)
    window = whole.slice(len(MARK), 2)
    ends = pa.py_buffer(np.array([0, 1, 2], np.int32))
    texts = pa.Array.from_buffers(pa.string(), 2, [None, ends, window])
    bytes_ = pa.Array.from_buffers(pa.int8(), 2, [None, window])
    for array in (texts, bytes_):
        data = scrub_array(array).buffers()[-1]
        assert data is not None
        assert data.parent is None
        assert data.to_pybytes() == b"ab"


def test_bytes_before_the_first_and_behind_the_last_text_are_gone() -> None:
    data = pa.py_buffer(MARK + b"ab" + MARK)
    first = len(MARK)
    for ends, end in (([first, first + 1, first + 2], None), ([0, 0, first], first + 1)):
        offsets = pa.py_buffer(np.array(ends, np.int32))
        held = data if end is None else pa.py_buffer(data.to_pybytes()[:end])
        array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, held])
        cleaned = scrub_array(array)
        assert cleaned.to_pylist() == array.to_pylist()
        assert cleaned.buffers()[-1].size == ends[-1] - ends[0]
    tail = pa.Array.from_buffers(
        pa.string(),
        2,
        [None, pa.py_buffer(np.array([first, first + 1, first + 2], np.int32)), pa.py_buffer(MARK + b"ab")],
    )
    assert MARK not in scrub_array(tail).buffers()[-1].to_pybytes()


def test_dictionaries_are_replaced_by_values() -> None:
    coded = pa.array([f"{SECRET}1", "shown", "shown"]).dictionary_encode().slice(1)
    clean = one(coded)
    assert clean.schema.field("c").type == pa.string()
    assert MARK not in serialised(clean)
    assert clean["c"].to_pylist() == ["shown", "shown"]


def test_children_of_a_null_struct_are_gone() -> None:
    child = pa.array([SECRET, "shown", SECRET])
    rows = pa.StructArray.from_arrays([child], ["a"], mask=pa.array([True, False, True]))
    assert MARK in serialised(pa.RecordBatch.from_arrays([rows], ["c"]))
    assert MARK not in serialised(one(rows))
    assert one(rows)["c"].to_pylist() == [None, {"a": "shown"}, None]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 1)]
)
def test_items_of_a_null_list_are_gone(kind: pa.DataType) -> None:
    full = pa.array([[SECRET], ["shown"], [SECRET]], kind)
    validity = pa.py_buffer(bytes([0b010]))
    children = [full.values]
    nulls = pa.Array.from_buffers(
        kind, 3, [validity, *full.buffers()[1:2]][: kind.num_buffers], 2, children=children
    )
    assert MARK in serialised(pa.RecordBatch.from_arrays([nulls], ["c"]))
    assert MARK not in serialised(one(nulls))
    assert one(nulls)["c"].to_pylist() == [None, ["shown"], None]


def test_metadata_is_gone() -> None:
    inner = pa.struct([pa.field("x", pa.int32(), metadata={"note": SECRET})])
    schema = pa.schema(
        [pa.field("a", pa.int32(), metadata={"PARQUET:field_id": "7", "doc": SECRET}), pa.field("s", inner)],
        metadata={"pandas": SECRET},
    )
    batch = pa.RecordBatch.from_pylist([{"a": 1, "s": {"x": 2}}], schema)
    clean = scrub(batch)
    assert clean.schema.metadata is None
    assert clean.schema.field("a").metadata is None
    assert MARK not in serialised(clean)


def test_extension_types_become_their_storage() -> None:
    class Odd(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.string(), "raymesh.test.odd")

        def __arrow_ext_serialize__(self) -> bytes:
            return MARK

    column = pa.ExtensionArray.from_storage(Odd(), pa.array(["a"]))
    clean = one(column)
    assert clean.schema.field("c").type == pa.string()
    assert MARK not in serialised(clean)


def test_bits_behind_the_last_value_are_zero() -> None:
    flags = pa.Array.from_buffers(pa.bool_(), 3, [None, pa.py_buffer(bytes([0b11111111]))])
    assert bytes(one(flags)["c"].buffers()[1]) == bytes([0b111])


def test_types_nobody_knows_are_refused() -> None:
    union = pa.UnionArray.from_dense(
        pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([SECRET])]
    )
    with pytest.raises(InternalError, match="cannot be cleaned"):
        one(union)


def test_buffers_that_hold_only_what_is_shown_are_not_copied() -> None:
    numbers = pa.array(np.arange(1000))
    assert scrub_array(numbers).buffers()[1].address == numbers.buffers()[1].address
    texts = pa.array(["a", None, "b"])
    assert scrub_array(texts).buffers()[2].address == texts.buffers()[2].address


KINDS: list[pa.DataType] = [
    pa.string(), pa.large_string(), pa.binary(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()),
    pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.string(), 2),
    pa.struct([("a", pa.string()), ("b", pa.list_(pa.string()))]), pa.map_(pa.string(), pa.string()),
    pa.list_(pa.struct([("a", pa.string())])), pa.struct([("m", pa.map_(pa.string(), pa.list_(pa.string())))]),
]  # fmt: skip


def filled(kind: pa.DataType, text: str) -> Any:
    """A value of `kind` all of whose texts are `text`."""
    if pa.types.is_dictionary(kind):
        return text
    if pa.types.is_struct(kind):
        return {f.name: filled(f.type, text) for f in kind}
    if pa.types.is_map(kind):
        return [(text, filled(kind.item_type, text))]
    if pa.types.is_nested(kind):
        return [filled(kind.value_type, text)] * (kind.list_size if pa.types.is_fixed_size_list(kind) else 3)
    return text.encode() if pa.types.is_binary(kind) else text


@settings(deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    shown=st.lists(st.booleans(), min_size=1, max_size=40),
    skip=st.integers(0, 50),
    wrapped=st.booleans(),
)
def test_no_hidden_text_survives_in_any_type(
    kind: pa.DataType, shown: list[bool], skip: int, wrapped: bool
) -> None:
    values = [filled(kind, f"v{i}" if show else f"{SECRET}{i}") for i, show in enumerate(shown)]
    array, visible = pa.array(values, kind), pa.array(shown)
    if wrapped or pa.types.is_string_view(kind):  # no kernel makes NULLs of views
        hidden = pa.StructArray.from_arrays([array], ["inner"], mask=pc.invert(visible))
    else:
        hidden = pc.if_else(visible, array, pa.scalar(None, kind))
    skip %= len(shown)
    clean = one(hidden.slice(skip))
    assert MARK not in serialised(clean)
    assert clean["c"].to_pylist() == hidden.to_pylist()[skip:]
    assert clean.schema == clean_schema(clean.schema)
    clean.validate(full=True)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)), max_size=50),
    st.sampled_from(
        [pa.int32(), pa.int64(), pa.float64(), pa.decimal128(20, 2), pa.timestamp("us"), pa.date32()]
    ),
    st.integers(0, 5),
)
def test_numbers_and_times_keep_their_values(values: list[int | None], kind: pa.DataType, skip: int) -> None:
    small = [None if v is None else v % 100_000 for v in values]
    array = (
        pa.array(small, pa.int32()).cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32()).cast(kind)
    )
    assert one(array.slice(skip))["c"].to_pylist() == array.to_pylist()[skip:]


def test_a_table_keeps_its_rows() -> None:
    table = pa.table({"a": pa.chunked_array([[1, None], [3]]), "b": ["x", "y", None]})
    assert scrub_table(table).to_pydict() == table.to_pydict()

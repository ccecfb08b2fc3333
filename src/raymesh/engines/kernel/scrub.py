"""Arrow data in buffers that hold what is shown and nothing else.

A NULL in Arrow only clears a bit: the value may lie under it, in a dictionary, in the part of a buffer that a
slice skipped, in a child of a NULL struct, in metadata. Whatever crosses a border (to a consumer's
connection, an object store, a file, a cache) goes through `scrub` first.

Buffers that provably hold no more than the values shown are kept as they are; all others are copied, with
zeros where there is no value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raymesh.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
Numbers: TypeAlias = "np.ndarray[Any, Any]"


def scrub_reader(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The batches of `reader`, scrubbed one by one as they are asked for."""
    schema = clean_schema(reader.schema)
    return pa.RecordBatchReader.from_batches(schema, scrubbed(reader, schema))


def scrubbed(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Every batch in buffers of its own; `schema` is what `clean_schema` made of theirs."""
    for batch in batches:
        columns = [scrub_array(column) for column in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def scrub(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of `batch` and nothing else: no metadata, dictionaries, skipped rows or values under NULL."""
    return next(scrubbed([batch], clean_schema(batch.schema)))


def scrub_table(table: pa.Table) -> pa.Table:
    """As `scrub`, for a table."""
    schema = clean_schema(table.schema)
    return pa.Table.from_batches(list(scrubbed(table.to_batches(), schema)), schema)


def clean_schema(schema: pa.Schema) -> pa.Schema:
    """Names and types only."""
    return pa.schema([pa.field(f.name, clean_type(f.type)) for f in schema])


def clean_type(kind: pa.DataType) -> pa.DataType:
    """What a column of type `kind` becomes: values instead of dictionaries, storage instead of extensions.

    Raises InternalError for types whose buffers we do not know: what cannot be cleaned is not handed out.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return clean_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return clean_type(kind.value_type)
    if pa.types.is_nested(kind):
        return _clean_nested(kind)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_null(kind) or _is_bytes(kind) or _width(kind) is not None:
        return kind
    raise _unknown(kind)


def _clean_nested(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, clean_type(f.type)) for f in kind])
    if pa.types.is_map(kind):
        return pa.map_(clean_type(kind.key_type), clean_type(kind.item_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_item(kind), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_item(kind))
    if pa.types.is_list(kind):
        return pa.list_(_item(kind))
    raise _unknown(kind)


def _unknown(kind: pa.DataType) -> InternalError:
    return InternalError(f"columns of the Arrow type {kind} cannot be cleaned")


def _item(kind: pa.DataType) -> pa.Field:
    return pa.field(kind.value_field.name, clean_type(kind.value_type))


def scrub_array(array: pa.Array) -> pa.Array:
    """`array` with the same values and nothing behind them."""
    return _clean(array, None)


def _clean(array: pa.Array, hidden: Mask | None) -> pa.Array:
    """`hidden` marks slots whose value must not be there, because something around them is NULL."""
    array = _plain(array)
    kind = array.type
    if pa.types.is_null(kind) or len(array) == 0:
        return pa.nulls(len(array), clean_type(kind))
    valid = _valid(array, hidden)
    if pa.types.is_nested(kind):
        return _nested(array, valid)
    if pa.types.is_boolean(kind):
        return _booleans(array, valid)
    return _bytes(array, valid) if _is_bytes(kind) else _fixed(array, valid)


def _plain(array: pa.Array) -> pa.Array:
    """Extensions, dictionaries, runs and views as plain values."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(array))
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return array.cast(clean_type(kind))
    return array


def _nested(array: pa.Array, valid: Mask | None) -> pa.Array:
    if pa.types.is_struct(array.type):
        return _struct(array, valid)
    if pa.types.is_fixed_size_list(array.type):
        return _fixed_list(array, valid)
    return _list(array, valid)


def _valid(array: pa.Array, hidden: Mask | None) -> Mask | None:
    """Which slots hold a value; None when all do."""
    if not array.null_count:
        return None if hidden is None or not hidden.any() else ~hidden
    valid: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return valid if hidden is None else valid & ~hidden


def _bits(valid: Mask | None) -> pa.Buffer | None:
    """A bitmap with zeros behind its end."""
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _nulls(valid: Mask | None) -> int:
    return 0 if valid is None else int(len(valid) - np.count_nonzero(valid))


def _width(kind: pa.DataType) -> int | None:
    """Bits of a value of a fixed width; None for other types."""
    try:
        return int(kind.bit_width)
    except ValueError:
        return None


def _fixed(array: pa.Array, valid: Mask | None) -> pa.Array:
    bits = _width(array.type)
    if bits is None or bits % 8:
        raise _unknown(array.type)
    count, wide, buffer = len(array), bits // 8, array.buffers()[1]
    if valid is None and _exact(buffer, count * wide):
        return pa.Array.from_buffers(array.type, count, [None, buffer], 0)
    if wide == 0:
        return pa.Array.from_buffers(array.type, count, [_bits(valid), pa.py_buffer(b"")], _nulls(valid))
    raw = np.frombuffer(buffer, np.uint8, count * wide, array.offset * wide)
    return pa.Array.from_buffers(
        array.type, count, [_bits(valid), pa.py_buffer(_zeroed(raw, wide, valid))], _nulls(valid)
    )


def _zeroed(raw: Numbers, wide: int, valid: Mask | None) -> Numbers:
    """A copy of values of `wide` bytes, zero where there is none."""
    if valid is None:
        return raw.copy()
    if wide in (1, 2, 4, 8):
        return raw.view(f"u{wide}") * valid
    word = 8 if wide % 8 == 0 else 1
    return raw.view(f"u{word}").reshape(len(valid), wide // word) * valid[:, None]


def _exact(buffer: pa.Buffer | None, size: int) -> bool:
    """Whether a buffer is `size` bytes long and no window into a longer one."""
    return buffer is not None and buffer.size == size and buffer.parent is None


def _booleans(array: pa.Array, valid: Mask | None) -> pa.Array:
    packed = np.frombuffer(array.buffers()[1], np.uint8)
    values = np.unpackbits(packed, count=array.offset + len(array), bitorder="little")[array.offset :]
    shown = values if valid is None else values * valid
    return pa.Array.from_buffers(
        array.type, len(array), [_bits(valid), _bits(shown.astype(np.bool_))], _nulls(valid)
    )


def _is_bytes(kind: pa.DataType) -> bool:
    """Strings and bytes of any length, not as views."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


def _bytes(array: pa.Array, valid: Mask | None) -> pa.Array:
    if (kept := _tight(array, valid)) is not None:
        return kept
    if valid is not None:
        array = pc.if_else(pa.array(valid), array, pa.scalar(None, array.type))
    copied = array.take(pa.array(np.arange(len(array))))  # copies the bytes of values only
    found = _tight(copied, valid)
    if found is None:
        raise InternalError(f"a copy of a column of type {array.type} is not clean")
    return found


def _tight(array: pa.Array, valid: Mask | None) -> pa.Array | None:
    """The array in its own buffers when they hold the bytes of its values and nothing else."""
    _, ends, data = array.buffers()
    offsets = _offsets(array)
    length = int(offsets[-1]) if len(offsets) else 0
    if offsets[0] or not _exact(ends, offsets.nbytes):
        return None
    if data is None or data.size == 0:
        data = pa.py_buffer(b"")
    if length != data.size or (data.size and data.parent is not None):
        return None
    if valid is not None and (np.diff(offsets) * ~valid).any():
        return None
    return pa.Array.from_buffers(array.type, len(array), [_bits(valid), ends, data], _nulls(valid))


def _offsets(array: pa.Array) -> Numbers:
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    kind = np.int64 if wide or pa.types.is_large_list(array.type) else np.int32
    size = np.dtype(kind).itemsize
    return np.frombuffer(array.buffers()[1], kind, len(array) + 1, array.offset * size)


def _list(array: pa.Array, valid: Mask | None) -> pa.Array:
    offsets = _offsets(array)
    if valid is not None and (np.diff(offsets) * ~valid).any():
        shown = pa.array(np.flatnonzero(valid))
        array = _spread(array.take(shown), valid)
        offsets = _offsets(array)
    first, last = int(offsets[0]), int(offsets[-1])
    child = _clean(array.values.slice(first, last - first), None)
    ends = pa.py_buffer(offsets - offsets.dtype.type(first))
    return pa.Array.from_buffers(
        clean_type(array.type), len(array), [_bits(valid), ends], _nulls(valid), children=[child]
    )


def _spread(lists: pa.Array, valid: Mask) -> pa.Array:
    """Lists at the valid places, empty ones between them."""
    taken = _offsets(lists)
    lengths = np.zeros(len(valid), taken.dtype)
    lengths[valid] = np.diff(taken)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(taken.dtype)
    first, last = int(taken[0]), int(taken[-1])
    child = lists.values.slice(first, last - first)
    return pa.Array.from_buffers(
        lists.type, len(valid), [_bits(valid), pa.py_buffer(ends)], _nulls(valid), children=[child]
    )


def _fixed_list(array: pa.Array, valid: Mask | None) -> pa.Array:
    size = array.type.list_size
    child = array.values.slice(array.offset * size, len(array) * size)
    hidden = None if valid is None else np.repeat(~valid, size)
    return pa.Array.from_buffers(
        clean_type(array.type), len(array), [_bits(valid)], _nulls(valid), children=[_clean(child, hidden)]
    )


def _struct(array: pa.Array, valid: Mask | None) -> pa.Array:
    hidden = None if valid is None else ~valid
    children = [_clean(array.field(i), hidden) for i in range(array.type.num_fields)]
    return pa.Array.from_buffers(
        clean_type(array.type), len(array), [_bits(valid)], _nulls(valid), children=children
    )

"""From the footer of a Parquet file to what Iceberg says about it.

Nothing here believes the file: its columns must have exactly the names, types and field ids of the table
(a wrong id would read as NULL), its length and row count must be the ones its writer reported, and a file of a
partitioned table must hold one value per partition column.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pyarrow import types as arrow
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.typedef import Record

from raymesh.adapters.iceberg.bounds import Measure, Unfit, lower_bound, measure, only_value, upper_bound
from raymesh.errors import CorruptFileError, StorageError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyarrow.parquet import FileMetaData
    from pyiceberg.partitioning import PartitionSpec

    from raymesh.adapters.iceberg.files import Files
    from raymesh.mesh.plan import DataFile

_ID = b"PARQUET:field_id"
_FROM_ARROW: dict[str, Any] = {
    "bool": "boolean",
    "int32": "int",
    "int64": "long",
    "float": "float",
    "double": "double",
    "date32[day]": "date",
    "time64[us]": "time",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamptz",
    "string": "string",
    "large_string": "string",
    "string_view": "string",
    "binary": "binary",
    "large_binary": "binary",
    "binary_view": "binary",
}
_AGAIN = "build the product again"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of single values; `repeated` when it lies inside a list or map."""

    id: int
    name: str
    type: Type
    repeated: bool = False


@dataclass(frozen=True)
class Place:
    """How the files of a change are to be: their columns, partition spec and sort order."""

    schema: TableSchema
    spec: PartitionSpec
    order_id: int | None

    @cached_property
    def columns(self) -> dict[int, Field]:
        return {f.id: f for f in self.schema}


def describe(files: Files, file: DataFile, place: Place) -> IcebergFile:
    """What the manifest says about one staged file.

    Raises CorruptFileError when the file is torn or not as long as its writer reported, StorageError when
    its columns are not those of the table or it holds several values of a partition column.
    """
    footer = files.footer(file.path)
    _check_length(file, files.size(file.path), footer.num_rows)
    written = TableSchema(tuple(_field(f) for f in footer.schema.to_arrow_schema()))
    for problem in differences(written.fields, place.schema.fields):
        raise StorageError(f"data file {file.path} does not belong to the table: {problem}", hint=_AGAIN)
    order = list(leaves(written))
    measures = dict(zip((leaf.id for leaf in order), measure(footer, order), strict=True))
    return _entry(file, place, measures, footer)


def _check_length(file: DataFile, size: int | None, rows: int) -> None:
    if size != file.bytes or rows != file.rows:
        raise CorruptFileError(
            f"data file {file.path} has {rows} rows in {size} bytes; {file.rows} rows in {file.bytes} were written",
            hint=_AGAIN,
        )


def _entry(file: DataFile, place: Place, measures: dict[int, Measure], footer: FileMetaData) -> IcebergFile:
    lower = {i: b for i, m in measures.items() if (b := lower_bound(m)) is not None}
    upper = {i: b for i, m in measures.items() if (b := upper_bound(m)) is not None}
    partition = (_partition_value(file, place.columns[f.source_id], measures) for f in place.spec.fields)
    entry = IcebergFile.from_args(
        content=DataFileContent.DATA,
        file_path=file.path,
        file_format=FileFormat.PARQUET,
        partition=Record(*partition),
        record_count=footer.num_rows,
        file_size_in_bytes=file.bytes,
        column_sizes={i: m.bytes for i, m in measures.items()},
        value_counts={i: m.values for i, m in measures.items() if m.nulls is not None},
        null_value_counts={i: m.nulls for i, m in measures.items() if m.nulls is not None},
        nan_value_counts={},
        lower_bounds=lower,
        upper_bounds=upper,
        key_metadata=None,
        split_offsets=_split_offsets(footer),
        equality_ids=None,
        sort_order_id=place.order_id,
    )
    entry.spec_id = place.spec.spec_id
    return entry


def _partition_value(file: DataFile, column: Field, measures: dict[int, Measure]) -> Any:
    """The one value the file has in a partition column, as Iceberg stores it; None for NULL or no rows."""
    found = only_value(measures[column.id], dict(file.partition).get(column.name))
    if isinstance(found, Unfit):
        raise StorageError(
            f"data file {file.path} does not hold one value of partition column {column.name}: {found.reason}",
            hint=_AGAIN,
        )
    return found


def _split_offsets(footer: FileMetaData) -> list[int]:
    """Where each row group starts."""
    starts = []
    for number in range(footer.num_row_groups):
        first = footer.row_group(number).column(0)
        pages = [first.data_page_offset, first.dictionary_page_offset if first.has_dictionary_page else None]
        starts.append(min(p for p in pages if p))
    return sorted(starts)


# ── the file's columns against the table's ───────────────────────────────────────────────────


def leaves(schema: TableSchema) -> Iterator[Leaf]:
    """The columns of single values in the order Parquet numbers them."""
    for f in schema:
        yield from _leaves(f.id, f.name, f.type, repeated=False)


def _leaves(id_: int, name: str, type_: Type, *, repeated: bool) -> Iterator[Leaf]:
    match type_:
        case Struct(fields):
            for f in fields:
                yield from _leaves(f.id, f"{name}.{f.name}", f.type, repeated=repeated)
        case List(element, element_id):
            yield from _leaves(element_id, f"{name}.element", element, repeated=True)
        case Map(key, value, key_id, value_id):
            yield from _leaves(key_id, f"{name}.key", key, repeated=True)
            yield from _leaves(value_id, f"{name}.value", value, repeated=True)
        case _:
            yield Leaf(id_, name, type_, repeated)


def differences(got: Sequence[Field], want: Sequence[Field], where: str = "") -> Iterator[str]:
    """What is not the same, in sentences. Order and documentation do not matter."""
    found, wanted = {f.name: f for f in got}, {f.name: f for f in want}
    for name in [*wanted, *(n for n in found if n not in wanted)]:
        path = f"{where}.{name}" if where else name
        if name not in found:
            yield f"it has no column {path}"
        elif name not in wanted:
            yield f"the table has no column {path}"
        else:
            yield from _id_differs(found[name].id, wanted[name].id, path)
            yield from _type_differs(found[name].type, wanted[name].type, path)


def _type_differs(got: Type, want: Type, path: str) -> Iterator[str]:
    match got, want:
        case Struct(found), Struct(wanted):
            yield from differences(found, wanted, path)
        case List(), List():
            yield from _id_differs(got.element_id, want.element_id, f"{path}.element")
            yield from _type_differs(got.element, want.element, f"{path}.element")
        case Map(), Map():
            yield from _id_differs(got.key_id, want.key_id, f"{path}.key")
            yield from _type_differs(got.key, want.key, f"{path}.key")
            yield from _id_differs(got.value_id, want.value_id, f"{path}.value")
            yield from _type_differs(got.value, want.value, f"{path}.value")
        case _ if got != want:
            yield f"column {path} is {got} in the file and {want} in the table"


def _id_differs(got: int, want: int, path: str) -> Iterator[str]:
    if got != want:
        said = f"field id {got}" if got else "no field id"
        yield f"column {path} has {said} in the file and {want} in the table"


def _field(f: pa.Field) -> Field:
    return Field(f.name, _type(f.type), _id(f))


def _id(f: pa.Field) -> int:
    return int((f.metadata or {}).get(_ID, 0))


def _type(kind: pa.DataType) -> Type:
    if arrow.is_struct(kind):
        return Struct(tuple(_field(kind.field(i)) for i in range(kind.num_fields)))
    if arrow.is_list(kind) or arrow.is_large_list(kind):
        return List(_type(kind.value_type), _id(kind.value_field))
    if arrow.is_map(kind):
        return Map(_type(kind.key_type), _type(kind.item_type), _id(kind.key_field), _id(kind.item_field))
    if arrow.is_decimal(kind):
        return Decimal(kind.precision, kind.scale)
    if arrow.is_dictionary(kind):
        return _type(kind.value_type)
    # a type no table has keeps Arrow's name, so that the comparison shows it
    return Primitive(_FROM_ARROW.get(str(kind), str(kind)))

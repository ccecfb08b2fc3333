"""The forms in which user code takes and gives rows: Arrow, polars, pandas, NumPy, DuckDB."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pyarrow as pa

from raymesh.errors import MissingExtraError, TransformError

if TYPE_CHECKING:
    import duckdb

Form: TypeAlias = Literal[
    "table", "record_batch", "polars", "polars_lazy", "pandas", "numpy", "duckdb", "ray"
]

_BY_NAME: dict[tuple[str, str], Form] = {
    ("pyarrow", "Table"): "table",
    ("pyarrow", "RecordBatch"): "record_batch",
    ("polars", "DataFrame"): "polars",
    ("polars", "LazyFrame"): "polars_lazy",
    ("pandas", "DataFrame"): "pandas",
    ("duckdb", "DuckDBPyRelation"): "duckdb",
    ("_duckdb", "DuckDBPyRelation"): "duckdb",
    ("ray", "Dataset"): "ray",
}
_USUAL = {"pa": "pyarrow", "pl": "polars", "pd": "pandas", "rd": "ray"}
_TAKEN = "pa.Table, pa.RecordBatch, pl.DataFrame, pl.LazyFrame, pd.DataFrame, dict or duckdb.DuckDBPyRelation"


def form_of(annotation: Any, names: dict[str, Any]) -> Form:
    """The form an annotation asks for; Arrow tables without one. `names` are the module's globals, for
    annotations that are text. Raises TransformError for anything else."""
    if annotation is inspect.Parameter.empty:
        return "table"
    shown = annotation if isinstance(annotation, str) else _name(annotation)
    plain = shown.strip("\"' ").partition("[")[0]
    if plain in ("dict", "builtins.dict", "typing.Dict", "Dict", "Mapping"):
        return "numpy"
    front, _, last = plain.rpartition(".")
    module = _module(front, last, names)
    if (module, last) in _BY_NAME:
        return _BY_NAME[module, last]
    raise TransformError(f"a parameter of `transform` is annotated {shown!r}", hint=f"use {_TAKEN}")


def _name(annotation: Any) -> str:
    origin = getattr(annotation, "__origin__", annotation)
    return f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', origin)}"


def _module(front: str, last: str, names: dict[str, Any]) -> str:
    """The library behind `pl` or behind a bare `DataFrame`."""
    first = front.partition(".")[0]
    known = names.get(first) if first else names.get(last)
    found = getattr(known, "__name__", "") if first else getattr(known, "__module__", "")
    return (found or _USUAL.get(first, first) or {"LazyFrame": "polars"}.get(last, "")).partition(".")[0]


def hand_batch(batch: pa.RecordBatch, form: Form) -> Any:
    """One batch in the form a function takes."""
    match form:
        case "record_batch":
            return batch
        case "polars":
            return _polars().from_arrow(pa.Table.from_batches([batch]))
        case "pandas":
            return _to_pandas(pa.Table.from_batches([batch]))
        case "numpy":
            return {
                name: _to_numpy(column)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }
        case "table":
            return pa.Table.from_batches([batch])
    raise TransformError(
        f"a batch cannot be handed over as {form}", hint="use pa.Table, pl.DataFrame, pd.DataFrame or dict"
    )


def hand_whole(relation: duckdb.DuckDBPyRelation, form: Form) -> Any:
    """A whole input in the form a function takes; only `duckdb` and `polars_lazy` leave it on disk."""
    match form:
        case "duckdb":
            return relation
        case "polars_lazy":
            _polars()
            return relation.pl(lazy=True)
        case "polars":
            return _polars().from_arrow(relation.to_arrow_table())
        case "pandas":
            return _to_pandas(relation.to_arrow_table())
        case "table":
            return relation.to_arrow_table()
        case "ray":
            raise TransformError(
                "a parameter of `transform` is a ray.data.Dataset, which only the ray engine makes",
                hint="set the custom property `engine` of the product to ray (vendor raymesh)",
            )
    raise TransformError(f"a whole input cannot be handed over as {form}", hint=f"use {_TAKEN}")


def batches(result: Any, given: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """The rows user code returned or yielded. `given` is the schema it was called with: NumPy columns it
    passes through keep their Arrow types. Raises TransformError when it returned something else."""
    match result:
        case pa.RecordBatch():
            yield result
        case pa.Table():
            yield from result.to_batches() or [pa.RecordBatch.from_pylist([], schema=result.schema)]
        case pa.RecordBatchReader():
            yield from result
        case dict():
            yield from batches(_from_numpy(result, given))
        case _ if inspect.isgenerator(result) or isinstance(result, list | tuple | Iterator):
            for part in result:
                yield from batches(part, given)
        case _:
            yield from batches(_from_frame(result))


def _from_frame(result: Any) -> pa.Table:
    library = type(result).__module__.partition(".")[0]
    kind = type(result).__name__
    if library == "polars" and kind == "LazyFrame":
        return result.collect(engine="streaming").to_arrow()
    if library == "polars" and kind == "DataFrame":
        return result.to_arrow()
    if library == "pandas" and kind == "DataFrame":
        return _from_pandas(result)
    if result is None:
        raise TransformError("`transform` returned None", hint="return the rows; is a `return` missing?")
    shown = f"{library}.{kind}".removeprefix("builtins.")
    raise TransformError(f"`transform` returned a value of type {shown}", hint=f"return {_TAKEN}")


def _to_pandas(table: pa.Table) -> Any:
    """Integers and booleans become nullable, because NaN in their place would round large integers."""
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("a transform over pandas data frames", "pandas") from None
    nullable = {
        pa.bool_(): pd.BooleanDtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
    }
    return table.to_pandas(types_mapper=nullable.get)


def _from_pandas(frame: Any) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as problem:
        said = "; ".join(str(a) for a in problem.args)
        raise TransformError(
            f"`transform` returned a data frame that is no table: {said}",
            hint="give every column one type, such as .astype('string') or .astype('Int64')",
        ) from problem
    except ValueError as problem:  # duplicate column names
        raise TransformError(f"`transform` returned a data frame that is no table: {problem}") from problem


def _to_numpy(column: pa.Array) -> Any:
    """Integers and booleans with NULLs become objects, because NaN in their place would round them."""
    if column.null_count and (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        import numpy as np

        values = np.empty(len(column), dtype=object)
        values[:] = column.to_pylist()
        return values
    return column.to_numpy(zero_copy_only=False)


def _from_numpy(columns: dict[Any, Any], given: pa.Schema | None) -> pa.Table:
    arrays = {str(name): _array(str(name), values, given) for name, values in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise TransformError(f"`transform` returned columns of different lengths: {lengths}")
    return pa.table(arrays)


def _array(name: str, values: Any, given: pa.Schema | None) -> pa.Array:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if getattr(values, "ndim", 1) > 1:
        values = list(values)
    index = given.get_field_index(name) if given is not None else -1
    kept = given.field(index).type if given is not None and index >= 0 else None
    try:
        if kept is not None and _same_kind(values, kept):
            return pa.array(values, type=kept, from_pandas=False)
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as problem:
        raise TransformError(
            f"`transform` returned a column {name!r} that is no column: {problem}"
        ) from problem


def _same_kind(values: Any, t: pa.DataType) -> bool:
    """Whether NumPy values have exactly the form in which a column of type `t` was handed over."""
    dtype = getattr(values, "dtype", None)
    if dtype is None:
        return False
    if pa.types.is_timestamp(t) or pa.types.is_date(t):
        return bool(dtype.kind == "M")
    return bool(dtype == t.to_pandas_dtype()) if pa.types.is_primitive(t) else False


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        raise MissingExtraError("a transform over polars data frames", "polars") from None
    return polars

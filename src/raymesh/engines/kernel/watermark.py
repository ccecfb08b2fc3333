"""How far an output has come: the largest value of its incremental column."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.sqltext import quote, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from raymesh.mesh.plan import Output


def newest(con: duckdb.DuckDBPyConnection, output: Output, paths: Sequence[str]) -> Any:
    """The largest value of the incremental column in these files; None without files or without such a column."""
    if output.incremental_column is None or not paths:
        return None
    sql = f"SELECT max({quote(output.incremental_column)}) AS m FROM read_parquet({texts(paths)})"
    found = con.sql(sql).to_arrow_table()["m"][0].as_py()
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.astimezone(UTC)
    return found


def watermark(output: Output, found: Iterable[Any]) -> Any:
    """The watermark after a build whose new files have these largest values."""
    if output.incremental_column is None:
        return None
    values = list(found)
    before = output.watermark if output.mode == "append" or not values else None
    return max((v for v in (*values, before) if v is not None), default=None)

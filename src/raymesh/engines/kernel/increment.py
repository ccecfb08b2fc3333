"""Append mode: which rows of a query are new, and the refusal of rows that cannot say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.sqltext import literal, quote
from raymesh.errors import ConformError
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.mesh.plan import Output, Scan

_DAY = 86_400


def candidates(output: Output, columns: Sequence[str]) -> str:
    """The WHERE of rows that may be new, as far as `columns` of `q` tell; empty when all may be.

    Rows without a value of the incremental column stay in, so that they are refused and not forgotten.
    """
    names = {c.casefold(): c for c in columns}
    source = names.get((output.incremental_column or "").casefold())
    if output.mode != "append" or output.watermark is None or source is None:
        return ""
    column = f"q.{quote(source)}"
    bound = f">= {literal(_floor(output))}" if output.lookback else f"> {literal(output.watermark)}"
    return f" WHERE ({column} {bound} OR {column} IS NULL)"


def only_new(output: Output, sources: Mapping[str, str]) -> str:
    """The WHERE of rows the table does not have; `sources` maps its columns to those of `q`."""
    where = candidates(output, [sources[output.incremental_column]] if output.incremental_column else ())
    if not where or not output.lookback or output.kept is None:
        return where
    column = output.incremental_column
    new = f"q.{quote(sources[column or ''])}"
    same = " AND ".join(
        f"k.{quote(c)} IS NOT DISTINCT FROM q.{quote(sources[c])}" for c in output.key or tuple(sources)
    )
    late = _absent(output, output.kept, same)
    if output.quarantine is not None and output.quarantine.kept is not None:  # a corrected row may come again
        equal = " AND ".join(f"k.{quote(c)} IS NOT DISTINCT FROM q.{quote(s)}" for c, s in sources.items())
        late += f" AND {_absent(output, output.quarantine.kept, equal)}"
    return f"{where} AND ({new} > {literal(output.watermark)} OR {new} IS NULL OR ({late}))"


def _absent(output: Output, known: Scan, same: str) -> str:
    """That no late row of `known` is the `same`."""
    column = quote(output.incremental_column or "")
    near = f"SELECT * FROM ({scan_sql(known)}) WHERE {column} >= {literal(_floor(output))}"
    return f"NOT EXISTS (SELECT 1 FROM ({near}) AS k WHERE {same})"


def known_files(output: Output) -> tuple[str, ...]:
    """The published files that new rows are compared with."""
    kept = output.kept.files if output.kept else ()
    aside = output.quarantine.kept if output.quarantine else None
    return kept + (aside.files if aside else ())


def _floor(output: Output) -> Any:
    """The least value that may still be new. Raises ConformError for a column nothing can be taken from."""
    newest, back = output.watermark, output.lookback
    match newest:
        case datetime():
            return newest - timedelta(seconds=back)
        case date():
            return newest - timedelta(days=-(-back // _DAY))
        case bool():
            pass
        case int() | float() | Decimal():
            return newest - back
    raise ConformError(
        f"{output.table}: lookback needs a column of numbers, dates or times, which "
        f"{output.incremental_column!r} is not",
        hint="leave the setting `lookback` out, or name another incrementalColumn",
    )


def refuse_unplaced(output: Output, written: Sequence[tuple[Any, ...]]) -> None:
    """Raise ConformError when rows that were written (COPY's statistics) have no incremental value.

    A later run could neither find such rows again nor tell them from new ones.
    """
    if output.mode != "append" or output.incremental_column is None:
        return
    column = quote(output.incremental_column)
    said = [(row[4] or {}).get(column, {}) for row in written]
    nulls = sum(int(s.get("null_count", 0)) for s in said)
    if any(str(s.get("has_nan", "")).lower() == "true" for s in said):
        raise ConformError(
            f"{output.table}: new rows have NaN in the incremental column {output.incremental_column!r}",
            hint="give these rows a number in the transform, or leave them out there; nothing is greater than NaN, "
            "so no later row would ever be new",
        )
    if nulls:
        raise ConformError(
            f"{output.table}: {nulls:,} new row{'s have' if nulls > 1 else ' has'} NULL in the incremental column "
            f"{output.incremental_column!r}",
            hint="give these rows a value in the transform, or leave them out there; "
            "append mode cannot tell whether it has them already",
        )

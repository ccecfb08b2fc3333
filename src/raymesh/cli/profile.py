"""`raymesh profile`: what is in the columns of a published product, and how that changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import amount, output_option, printable, put, put_json, put_table, say

if TYPE_CHECKING:
    from raymesh.actions.profile import Profiled
    from raymesh.quality.profile import ColumnProfile

_HEADERS = ("column", "nulls", "distinct", "least", "median", "greatest", "mean", "stddev", "most often")
_WIDEST = 24


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--version", "number", type=click.IntRange(1), help="Default: the current version.")
@click.option("--against", type=click.IntRange(1), help="Say what changed since this version.")
@reader_options
@output_option
@click.pass_obj
def profile(
    folder: str | None,
    product: str,
    number: int | None,
    against: int | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Tell what is in the columns of PRODUCT, as measured when its files were published. No row is read.

    Counts, least and greatest values and means are of all rows; distinct values, quantiles and the most frequent
    values are estimates. Of columns that are tagged as sensitive no value is told.
    """
    from raymesh.actions.profile import profile as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = act(storage, product, number=number, against=against, claim=claim_of(as_, purpose))
    if output == "json":
        put_json("profile/1", _document(found))
    elif against is not None:
        _put_shifts(found)
    else:
        _put_profile(found)
    return 0


def _document(found: Profiled) -> dict[str, Any]:
    from raymesh.quality.drift import shift_json
    from raymesh.quality.profile import profile_json

    return {
        "product": found.name,
        "version": found.version,
        **profile_json(found.profile),
        "against": found.against,
        "shifts": [shift_json(s) for s in found.shifts],
        **(found.told or {}),
    }


def _put_profile(found: Profiled) -> None:
    about = found.profile
    put(f"{found.name} version {found.version}, {about.rows:,} rows")
    if about.files < about.of_files:
        put(
            f"{about.of_files - about.files} of {about.of_files} files were published before profiles were taken"
        )
        say(f"next: raymesh run {found.name} --refresh publishes them anew")
        return
    put_table(_HEADERS, [_row(c) for c in about.columns])


def _row(c: ColumnProfile) -> tuple[str, ...]:
    distinct = "" if c.distinct is None else f"{'' if c.counted else '~'}{amount(c.distinct)}"
    nulls = f"{c.null_share:.1%}" if c.nulls else "0"
    if c.hidden:
        return c.name, nulls, distinct, "(hidden)", "", "", "", "", ""
    top = ", ".join(f"{_value(v)} {share:.0%}" for v, share in c.top[:3])
    moments = ("" if m is None else f"{m:,.6g}" for m in (c.mean, c.deviation))
    middle = _value(c.quantiles.get(0.5))
    return c.name, nulls, distinct, _value(c.least), middle, _value(c.greatest), *moments, top


def _value(value: Any) -> str:
    if value is None:
        return ""
    text = printable(str(value))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _put_shifts(found: Profiled) -> None:
    put(f"{found.name}: version {found.against} → {found.version}")
    if not found.shifts:
        put(
            "nothing moved enough to tell: rows by a fifth, NULLs by 1 percent of the rows, values by an index of 0.1"
        )
        return
    rows = [(s.column or "(table)", s.measure, s.level, s.words) for s in found.shifts]
    put_table(("column", "what", "drift", "in words"), rows)

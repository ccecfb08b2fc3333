"""`raymesh read`: a product's rows as table, CSV, JSON, Parquet or Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import output_option, say
from raymesh.cli.rows import FORMATS, SHOWN, put_document, write_rows

if TYPE_CHECKING:
    from raymesh.actions.read import Pinned


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--columns", help="Names, separated by commas.")
@click.option("--where", help="A condition, such as \"amount > 10 and country in ('DE', 'AT')\".")
@click.option(
    "--limit", type=click.IntRange(0), help=f"At most so many rows; a table shows {SHOWN} when not given."
)
@click.option(
    "--version", "number", type=click.IntRange(1), help="An older version instead of the current one."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="json: one object per line.",
)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
@reader_options
@click.option(
    "--clear", is_flag=True, help="Without masks, by an agreement for clear access; recorded as such."
)
@output_option
@click.pass_obj
def read(
    folder: str | None,
    product: str,
    columns: str | None,
    where: str | None,
    limit: int | None,
    number: int | None,
    form: str,
    to: str | None,
    as_: str | None,
    purpose: str | None,
    clear: bool,
    output: str,
) -> int:
    """Print or export the rows of PRODUCT: domain.product, or domain.product__port for another port.

    --output json is one document with the version, its columns and all rows asked for.
    """
    from raymesh.actions.read import open_engine
    from raymesh.actions.read import read as act
    from raymesh.actions.workspace import open_storage_only

    names = [c.strip() for c in columns.split(",") if c.strip()] if columns else None
    table = form == "table" and output == "text"
    cut = table and limit is None and to is None
    with open_storage_only(Path(folder) if folder else None) as storage:
        engine = open_engine(storage)
        try:
            pinned, reader = act(
                storage,
                engine,
                product,
                columns=names,
                where=where,
                limit=SHOWN if cut else limit,
                version=number,
                claim=claim_of(as_, purpose, clear=clear),
            )
            if output == "json":
                put_document(reader, "read/1", _head(product, pinned))
            else:
                write_rows(reader, form, to)
        finally:
            engine.close()
    if pinned.foreign:
        say(f"note: another program changed {product} since raymesh published it; this is the table as it is")
    if cut and where is None and pinned.scan.rows > SHOWN:
        total = f" of {pinned.scan.rows:,} rows" if _countable(product, pinned) else " rows at most"
        say(f"{SHOWN}{total}; --limit N shows more, --format parquet --to FILE exports all")
    return 0


def _countable(product: str, pinned: Pinned) -> bool:
    return pinned.access is None or pinned.access.whole(product)


def _head(product: str, pinned: Pinned) -> dict[str, object]:
    version = pinned.version
    return {
        "product": product,
        "version": version.number,
        "snapshot_id": version.snapshot_id,
        "quality_score": version.quality_score,
        "published_at": version.published_at.isoformat(),
        "foreign": pinned.foreign,
        **(pinned.access.told() if pinned.access else {}),
    }

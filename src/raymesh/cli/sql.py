"""`raymesh sql`: one SELECT over published products."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import output_option
from raymesh.cli.rows import FORMATS, put_document, write_rows


@click.command()
@click.argument("query")
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
@output_option
@click.pass_obj
def sql(
    folder: str | None,
    query: str,
    form: str,
    to: str | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Answer one SELECT, such as "select count(*) from orders.baskets". `-` reads it from standard input.

    Products are named domain.product. The query runs in a sandbox that can see nothing but the products it names.
    """
    from raymesh.actions.read import open_engine, products_of
    from raymesh.actions.read import query as act
    from raymesh.actions.workspace import open_storage_only

    text = sys.stdin.read() if query == "-" else query
    names = products_of(text)
    with open_storage_only(Path(folder) if folder else None) as storage:
        engine = open_engine(storage)
        try:
            access, rows = act(storage, engine, text, names, claim_of(as_, purpose))
            if output == "json":
                put_document(rows, "sql/1", {"products": list(names), **access.told()})
            else:
                write_rows(rows, form, to)
        finally:
            engine.close()
    return 0

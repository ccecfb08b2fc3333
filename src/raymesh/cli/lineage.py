"""`raymesh lineage`: where products and columns come from and go to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.report import output_option, put, put_json


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--column", help="Trace one column instead of the product.")
@click.option("--hops", type=click.IntRange(0), help="How far to go from the product; default: 1.")
@click.option(
    "--down", is_flag=True, help="With --column: what is made from it, instead of what it is made from."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "svg", "mermaid", "json"]),
    default="text",
    show_default=True,
)
@output_option
@click.pass_obj
def lineage(
    folder: str | None,
    product: str,
    column: str | None,
    hops: int | None,
    down: bool,
    form: str,
    output: str,
) -> int:
    """Show what PRODUCT is made from and what is made from it.

    A column is followed all the way: to the files it began in, or with --down to everything made from it.
    """
    if down and not column:
        raise click.UsageError("--down follows a column; name it with --column.")
    if hops is not None and column:
        raise click.UsageError("A column is followed all the way; leave out --hops.")
    from raymesh.actions.workspace import find_root, load_documents
    from raymesh.render import lineage as render

    _, graph = load_documents(find_root(Path(folder) if folder else None))
    found: Any
    if column:
        from raymesh.mesh.lineage import trace

        found = trace(graph, product, column, "down" if down else "up")
    else:
        found = render.neighbourhood(graph, product, 1 if hops is None else hops)
    if "json" in (form, output):
        put_json("lineage/1", render.to_json(found))
    else:
        draw: Any = {"text": render.text, "svg": render.svg, "mermaid": render.mermaid}[form]
        put(draw(found))
    return 0

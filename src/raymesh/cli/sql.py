"""`raymesh sql`: one SELECT over published products."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from raymesh.cli.read import FORMATS, write_rows


@click.command()
@click.argument("query")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
@click.pass_obj
def sql(folder: str | None, query: str, form: str, to: str | None) -> int:
    """Answer one SELECT, such as "select count(*) from orders.baskets". `-` reads it from standard input.

    Products are named domain.product. The query runs in a sandbox that can see nothing but the products it names.
    """
    from raymesh.actions.read import query as act
    from raymesh.actions.workspace import open_storage_only
    from raymesh.spi import registry

    text = sys.stdin.read() if query == "-" else query
    names = products_of(text)
    with open_storage_only(Path(folder) if folder else None) as storage:
        engine = registry.load("engines", "local")()
        try:
            write_rows(act(storage, engine, text, names), form, to)
        finally:
            engine.close()
    return 0


def products_of(query: str) -> tuple[str, ...]:
    """The products a query names; raises UsageError with the place when it is not one SELECT over products."""
    from raymesh.errors import UsageError
    from raymesh.mesh.sql import read_sql

    reading = read_sql(query, "query")
    for problem in reading.diagnostics:
        if problem.severity == "error":
            spans = (problem.span,) if problem.span else ()
            raise UsageError(problem.message, hint=problem.help, spans=spans)
    return tuple(r.name for r in reading.references)

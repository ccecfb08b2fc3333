"""`raymesh facts`: one SELECT over what is known about the mesh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import output_option, put_json, put_table
from raymesh.cli.rows import FORMATS, put_document, write_rows


@click.command()
@click.argument("query", required=False)
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
def facts(
    folder: str | None,
    query: str | None,
    form: str,
    to: str | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Answer one SELECT over the facts of the mesh, such as "select product, age_seconds from versions".

    Without a query, list the tables. `-` reads the query from standard input. It runs in a database that holds
    nothing but the facts; rows of products are not among them. In a governed mesh what was measured in rows is shown
    to those who may see them.
    """
    if query is None:
        return _list(output)
    from raymesh.actions.facts import facts_for
    from raymesh.actions.facts import query as act
    from raymesh.actions.workspace import open_workspace

    text = sys.stdin.read() if query == "-" else query
    with open_workspace(Path(folder) if folder else None) as workspace:
        answer = act(facts_for(workspace, claim_of(as_, purpose)), text)
    if output == "json":
        put_document(answer.to_reader(), "facts/1", {})
    else:
        write_rows(answer.to_reader(), form, to)
    return 0


def _list(output: str) -> int:
    from raymesh.governance.facts import FACTS_VERSION, TABLES

    if output == "json":
        tables = [_table_json(t) for t in TABLES]
        put_json("facts/1", {"facts_version": FACTS_VERSION, "tables": tables})
    else:
        put_table(
            ("table", "columns", ""), [(t.name, str(len(t.columns)), t.meaning) for t in TABLES], right=(1,)
        )
    return 0


def _table_json(table: Any) -> dict[str, Any]:
    columns = [{"name": c.name, "kind": c.kind, "meaning": c.meaning} for c in table.columns]
    return {"table": table.name, "basis": table.basis, "meaning": table.meaning, "columns": columns}

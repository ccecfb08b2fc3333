"""`raymesh init` and `raymesh new`: the first files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.completion import complete_domain_of
from raymesh.cli.report import output_option, put, put_json, say

if TYPE_CHECKING:
    from raymesh.actions.create import Written

TYPES = ("parquet", "csv", "json", "iceberg", "delta", "postgres")


def _tell(written: Written, output: str) -> int:
    if output == "json":
        put_json("new/1", {"files": list(written.files), "next": written.following})
    else:
        for file in written.files:
            put(f"wrote {file}")
        say(f"next: {written.following}")
    return 0


def _root(folder: str | None) -> Path:
    from raymesh.actions.workspace import find_root

    return find_root(Path(folder) if folder else None)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False), default=".")
@click.option("--name", help="Name of the mesh; default: the folder's.")
@output_option
def init(directory: str, name: str | None, output: str) -> int:
    """Start a new mesh in DIRECTORY (default: here). Asks nothing, overwrites nothing."""
    from raymesh.actions.create import init as act

    root = Path(directory)
    proposed = re.sub(r"[^a-z0-9]+", "_", root.resolve().name.lower()).strip("_") or "mesh"
    if not proposed[0].isalpha():
        proposed = f"mesh_{proposed}"
    root.mkdir(parents=True, exist_ok=True)
    written = act(root, name or proposed)
    if root.resolve() != Path.cwd():
        written = replace(written, following=f"cd {directory} && {written.following}")
    return _tell(written, output)


@click.group()
def new() -> None:
    """Add a domain, a source or a product to the mesh."""


@new.command()
@click.argument("name")
@click.option("--team", help="The owning team.")
@output_option
@click.pass_obj
def domain(folder: str | None, name: str, team: str | None, output: str) -> int:
    """Add domain NAME."""
    from raymesh.actions.create import new_domain

    return _tell(new_domain(_root(folder), name, team), output)


@new.command()
@click.argument("name", shell_complete=complete_domain_of)
@click.option("--type", "kind", type=click.Choice(TYPES), default="parquet", show_default=True)
@click.option(
    "--location", required=True, help="File, glob, folder, s3://…, or postgresql://host:port/database."
)
@click.option("--table", help="Table of a database: schema.table.")
@output_option
@click.pass_obj
def source(folder: str | None, name: str, kind: str, location: str, table: str | None, output: str) -> int:
    """Add source NAME (domain.source)."""
    from raymesh.actions.create import new_source

    return _tell(new_source(_root(folder), name, kind, location, table), output)


@new.command()
@click.argument("name", shell_complete=complete_domain_of)
@click.option(
    "--source", "origin", help="Ingest this source of the domain; its contract is inferred from the data."
)
@click.option("--sql", help="The query of its transform.sql.")
@output_option
@click.pass_obj
def product(folder: str | None, name: str, origin: str | None, sql: str | None, output: str) -> int:
    """Add product NAME (domain.product)."""
    from raymesh.actions.create import new_product

    root = _root(folder)
    contract = None
    if origin is not None:
        from raymesh.actions.infer import infer_source

        contract = infer_source(root, f"{name.partition('.')[0]}.{origin}", identifier=name)
    return _tell(new_product(root, name, contract=contract, source=origin, sql=sql), output)

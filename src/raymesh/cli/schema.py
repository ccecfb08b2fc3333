"""`raymesh schema`: JSON Schemas of the documents."""

from __future__ import annotations

import json
from pathlib import Path

import click

KINDS = (
    "Mesh",
    "Domain",
    "Source",
    "DataProduct",
    "DataContract",
    "Policies",
    "PolicyTests",
    "Classifications",
    "Standards",
    "Users",
)


@click.command()
@click.argument("kind", type=click.Choice(KINDS, case_sensitive=False), required=False)
@click.option(
    "--editor", is_flag=True, help="Draft 7, which editors understand, instead of the exact schema."
)
@click.option("--to", type=click.Path(file_okay=False), help="Write all kinds as files into this folder.")
def schema(kind: str | None, editor: bool, to: str | None) -> int:
    """Print the JSON Schema of a KIND of document, or write all of them into a folder."""
    from raymesh.spec.jsonschema import Draft, json_schema

    draft: Draft = "draft-07" if editor else "2020-12"
    if to is not None:
        target = Path(to)
        target.mkdir(parents=True, exist_ok=True)
        for name in KINDS if kind is None else (kind,):
            text = json.dumps(json_schema(name, draft), indent=2) + "\n"
            (target / f"{name.lower()}.schema.json").write_text(text, encoding="utf-8")
        return 0
    if kind is None:
        raise click.UsageError(f"Name a kind ({', '.join(KINDS)}) or a folder with --to.")
    click.echo(json.dumps(json_schema(kind, draft), indent=2))
    return 0

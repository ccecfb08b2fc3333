"""`raymesh contract diff`: two contracts, compared for those who read the product."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_target
from raymesh.cli.report import output_choice, printable, put, put_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.actions.contracts import Compared


@click.group()
def contract() -> None:
    """Compare contracts."""


@contract.command()
@click.argument("old", metavar="A", shell_complete=complete_target)
@click.argument("new", metavar="[B]", required=False, shell_complete=complete_target)
@output_choice(
    "text",
    "json",
    "omds",
    about="text for people, json for programs, omds for the standard's own (Bitol, YAML).",
)
@click.option("--values", is_flag=True, help="With omds: old and new values too, which may be sensitive.")
@click.pass_obj
def diff(folder: str | None, old: str, new: str | None, output: str, values: bool) -> int:
    """Compare contract A with contract B: every change, graded major, minor or patch for readers.

    A and B are contract files, products of the mesh (domain.product: as its documents say) or published
    versions of them (domain.product@3). A product alone compares what is published with its documents.
    """
    from raymesh.actions.contracts import compare_named

    if values and output != "omds":
        raise click.UsageError("--values belongs to --output omds.")
    found = compare_named(old, new, Path(folder) if folder else None)
    if output == "omds":
        _put_omds(found, values=values)
    elif output == "json":
        put_json("contract-diff/1", compared_json(found))
    else:
        _show(found)
    return 0


def _put_omds(found: Compared, *, values: bool) -> None:
    from raymesh.spec.omds import omds
    from raymesh.spec.write import to_yaml

    put(to_yaml(omds(found.old.document, found.new.document, found.comparison, values=values)).rstrip())


def _show(found: Compared) -> None:
    from raymesh.render.contract_changes import advice, headline, lines

    put(f"{found.old.label} → {found.new.label}")
    put(f"  {headline(found.comparison)}")
    for line in lines(found.comparison, found.read_by):
        put(printable(line))
    readers = found.readers.get("", ())
    if found.comparison.breaking and readers:
        put(f"  readers of the product: {', '.join(readers)}")
    if told := advice(found.comparison):
        put(f"  {told}")


def compared_json(found: Compared) -> dict[str, Any]:
    """A comparison as the JSON documents show it."""
    document = found.comparison.to_json()
    for shown, change in zip(document["changes"], found.comparison.changes, strict=True):
        shown["readers"] = list(found.read_by(change))
    readers = list(found.readers.get("", ()))
    return {"old": found.old.label, "new": found.new.label, **document, "readers": readers}


def put_changes(changes: Sequence[Compared]) -> None:
    """Changes of contracts below what `plan` shows."""
    from raymesh.render.contract_changes import headline, lines

    for found in changes:
        put(f"{found.new.table}: {headline(found.comparison)}")
        for line in lines(found.comparison, found.read_by):
            put(printable(line))

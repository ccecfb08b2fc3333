"""`raymesh infer`: a contract from data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_target
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import output_option, printable, put, put_json, say

if TYPE_CHECKING:
    from raymesh.actions.infer_update import Proposal


@click.command()
@click.argument("target", shell_complete=complete_target)
@click.option("--id", "identifier", help="Id of the contract; default: the name of the data.")
@click.option(
    "--sample", type=click.IntRange(1), default=100_000, show_default=True, help="Rows looked at for formats."
)
@click.option(
    "--update",
    is_flag=True,
    help="TARGET is a product that ingests a source: propose its next contract after what changed there.",
)
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file, which must not exist yet.")
@reader_options
@output_option
@click.pass_obj
def infer(
    folder: str | None,
    target: str,
    identifier: str | None,
    sample: int,
    update: bool,
    to: str | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Propose a contract from data: types, keys, ranges, formats, tags.

    TARGET is a source (domain.name), a published product, or a file (Parquet, CSV, JSON).
    With --update it is a product that ingests a source, and its contract is brought up to date.
    """
    from raymesh.actions.infer import infer as act
    from raymesh.spec.write import to_yaml

    if to is not None and Path(to).exists():
        raise click.UsageError(f"{to} exists already; nothing was written.")
    root = Path(folder) if folder else None
    proposal = None
    if update:
        if identifier is not None:
            raise click.UsageError("--id is for a new contract; an updated one keeps its id.")
        from raymesh.actions.infer_update import propose_update

        proposal = propose_update(target, root, sample_rows=sample)
        contract = proposal.contract
        _tell(proposal)
    else:
        claim = claim_of(as_, purpose)
        contract = act(target, root, identifier=identifier, sample_rows=sample, claim=claim)
    if to is not None:
        _write(Path(to), to_yaml(contract))
    if output == "json":
        put_json("infer/1", {"contract": contract, "file": to, "update": _update_json(proposal)})
    elif to is None:
        put(to_yaml(contract).rstrip())
    return 0


def _tell(proposal: Proposal) -> None:
    """What changed, on stderr: the contract alone is the result."""
    from raymesh.render.contract_changes import headline, lines

    for note in proposal.notes:
        say(f"  {printable(note)}")
    found = proposal.compared
    if not found.comparison.changes:
        say("the source still has the columns the contract promises; nothing to change")
        return
    say(headline(found.comparison))
    for line in lines(found.comparison, found.read_by):
        say(printable(line))
    version = found.comparison.suggested_version
    say(f"review it, save it as {found.old.label}, and raise the port in product.yaml to {version}")


def _update_json(proposal: Proposal | None) -> dict[str, Any] | None:
    from raymesh.cli.contract import compared_json

    if proposal is None:
        return None
    return {**compared_json(proposal.compared), "notes": list(proposal.notes)}


def _write(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8") as sink:
            sink.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} exists already; nothing was written.") from None
    say(f"wrote {file}; read it, complete the descriptions, then raymesh validate")

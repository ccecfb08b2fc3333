"""`raymesh check`: judge without building, for people, programs and CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import output_choice, put, put_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.actions.governed import Claim
    from raymesh.quality.report import CheckReport

_FORMATS = ("text", "json", "junit", "sarif", "github", "oors")


@click.command()
@click.argument("target", shell_complete=complete_product)
@click.option("--server", metavar="NAME", help="Which of the contract's servers; default: the only one.")
@click.option("--data", metavar="PATH", help="Files or a table folder in place of the contract's server.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="N", help="Look at N rows only; keys stay undecided."
)
@click.option("--recorded", is_flag=True, help="By the contract the version was published under.")
@reader_options
@output_choice(
    *_FORMATS, about="text for people; json, junit, sarif, github annotations or oors (Bitol) for machines."
)
@click.pass_obj
def check(
    folder: str | None,
    target: str,
    server: str | None,
    data: str | None,
    sample: int | None,
    recorded: bool,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Judge a published product anew, or any data against any contract. Nothing is built or published.

    TARGET is domain.product, or the path of a contract, which needs no mesh. Exit code 0 only when every
    blocking promise passed, 4 otherwise, 3 when the contract is invalid. Credentials come from the
    environment: AWS_*, PGUSER and PGPASSWORD, PYICEBERG_CATALOG__*.
    """
    if _is_contract(target):
        if recorded:
            raise click.UsageError("--recorded is for a published product, not for a contract.")
        from raymesh.actions.check import check_contract

        reports: Sequence[CheckReport] = check_contract(target, server=server, data=data, sample=sample)
        documents = ""
    else:
        given = {"--server": server, "--data": data, "--sample": sample}
        if named := [option for option, value in given.items() if value is not None]:
            raise click.UsageError(f"{named[0]} is for a contract; {target} is the name of a product.")
        reports, documents = _product(folder, target, recorded, claim_of(as_, purpose))
    _put(reports, output, documents)
    return 0 if all(r.passed for r in reports) else 4


def _is_contract(target: str) -> bool:
    return target.endswith((".yaml", ".yml", ".json")) or Path(target).is_file()


def _product(
    folder: str | None, name: str, recorded: bool, claim: Claim
) -> tuple[Sequence[CheckReport], str]:
    """The report, and the folder its file names start at."""
    from raymesh.actions.check import check as act
    from raymesh.actions.workspace import open_workspace

    with open_workspace(Path(folder) if folder else None) as workspace:
        return (act(workspace, name, recorded=recorded, claim=claim),), os.path.relpath(workspace.root)


def _put(reports: Sequence[CheckReport], output: str, folder: str) -> None:
    from raymesh.render import checks

    if output == "json":
        put_json("check/1", checks.to_json(reports))
        return
    put(_rendered(reports, output, folder))
    if output != "text":
        failed = [r.table for r in reports if not r.passed]
        say(f"not passed: {', '.join(failed)}" if failed else "passed")


def _rendered(reports: Sequence[CheckReport], output: str, folder: str) -> str:
    if output == "junit":
        from raymesh.render.junit import junit

        return junit(reports)
    if output == "sarif":
        from importlib.metadata import version

        from raymesh.render.sarif import sarif

        return sarif(reports, version=version("raymesh"), folder=folder)
    if output == "github":
        from raymesh.render.github import github

        return github(reports, folder=folder)
    if output == "oors":
        from uuid import uuid4

        from raymesh.render.oors import oors

        return oors(reports, identifier=str(uuid4()))
    from raymesh.render.checks import text

    return text(reports)

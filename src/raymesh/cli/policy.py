"""`raymesh policy`: what policies decide and why, their tests, what a change of them means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.policies import (
    case_json,
    difference_json,
    explained_json,
    policy_json,
    says_text,
    show_cases,
    show_differences,
    show_explained,
    what_text,
    who_text,
)
from raymesh.cli.report import output_choice, output_option, put, put_json, put_table


@click.group()
def policy() -> None:
    """Explain, test, compare and list policies; no data is read."""


@policy.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--as", "reader", metavar="NAME", required=True, help="A user of governance/users.yaml.")
@click.option("--purpose", metavar="PURPOSE", help="What the data would be read for.")
@click.option("--column", "columns", multiple=True, metavar="NAME", help="Only these columns; repeatable.")
@click.option("--clear", is_flag=True, help="Explain reading clear data (`read_clear`) instead of reading.")
@output_option
@click.pass_obj
def explain(folder: str | None, /, output: str, **asked: Any) -> int:
    """Say whether somebody may read PRODUCT, which rows, what of each column, and which rule says so.

    Hidden columns are listed too: this is for those who write policies.
    """
    from raymesh.actions.policies import explained
    from raymesh.governance.model import Asked

    action = "read_clear" if asked["clear"] else "read"
    question = Asked(action, asked["columns"] or None, asked["purpose"])  # type: ignore[arg-type]  # one of the two
    found = explained(_path(folder), asked["product"], asked["reader"], question, datetime.now(UTC))
    if output == "json":
        put_json("policy-explain/1", explained_json(found))
    else:
        show_explained(found)
    return 0


@policy.command()
@output_choice("text", "json", "junit", about="text for people; json or junit for machines.")
@click.pass_obj
def test(folder: str | None, output: str) -> int:
    """Run the cases of governance/policies/tests; ends with 4 when one fails."""
    from raymesh.actions.policies import ground
    from raymesh.actions.policy_tests import run_cases

    results = run_cases(ground(_path(folder)), datetime.now(UTC))
    failed = [r for r in results if not r.passed]
    if output == "json":
        put_json("policy-test/1", {"passed": not failed, "tests": [case_json(r) for r in results]})
    elif output == "junit":
        from raymesh.render.policy_tests import junit

        put(junit(results))
    else:
        show_cases(results)
    return 4 if failed else 0


@policy.command()
@click.argument("old", metavar="A", type=click.Path(file_okay=False, path_type=Path))
@click.argument("new", metavar="[B]", required=False, type=click.Path(file_okay=False, path_type=Path))
@output_option
@click.pass_obj
def diff(folder: str | None, old: Path, new: Path | None, output: str) -> int:
    """Say who gains or loses sight of what between the mesh folder A and B (default: the mesh here).

    Everybody in users.yaml and a member of each group is asked for, with each purpose, about every column.
    """
    from raymesh.actions.policies import compared

    found = compared(old, new or _path(folder), datetime.now(UTC))
    if output == "json":
        put_json("policy-diff/1", {"differences": [difference_json(d) for d in found]})
    else:
        show_differences(found)
    return 0


@policy.command()
@output_option
@click.pass_obj
def ls(folder: str | None, output: str) -> int:
    """List the policies as they are here."""
    from raymesh.actions.policies import ground

    bundle = ground(_path(folder)).bundle
    if output == "json":
        rows = [policy_json(p) for p in bundle.policies]
        put_json("policy-ls/1", {"digest": bundle.digest, "policies": rows})
        return 0
    table = [
        (p.name, p.effect, p.origin, who_text(p), what_text(p), says_text(p), p.span) for p in bundle.policies
    ]
    put_table(("policy", "effect", "by", "who", "what", "says", "place"), table)
    return 0


def _path(folder: str | None) -> Path | None:
    return Path(folder) if folder else None

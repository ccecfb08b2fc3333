"""`raymesh quarantine ls|show|replay`: rows that broke a promise and were set aside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.inspect import moment
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import amount, output_option, put, put_json, put_table, say
from raymesh.cli.rows import SHOWN, put_document, write_rows

if TYPE_CHECKING:
    from raymesh.actions.quarantine import Held, Replayed


@click.group()
def quarantine() -> None:
    """List, show and replay rows that broke a promise and were set aside (`onViolation: quarantine`).

    They lie in the table domain.product__quarantine, with the checks they broke; raymesh read and raymesh sql
    know it like any other port.
    """


@quarantine.command("ls")
@reader_options
@output_option
@click.pass_obj
def ls(folder: str | None, as_: str | None, purpose: str | None, output: str) -> int:
    """List the quarantines of all products that hold rows."""
    from raymesh.actions.quarantine import listing
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(_path(folder)) as storage:
        found = listing(storage, claim=claim_of(as_, purpose))
    if output == "json":
        put_json("quarantine-ls/1", {"quarantines": [_held(h) for h in found]})
        return 0
    rows = [
        (h.of, amount(h.rows), ", ".join(f"{rule} ({n:,})" for rule, n in h.rules.items()), moment(h.since))
        for h in found
    ]
    if rows:
        put_table(("product", "rows", "rules", "since"), rows, right=(1,))
        say(f"next: raymesh quarantine show {found[0].of}")
    else:
        say("no rows are set aside")
    return 0


def _held(held: Held) -> dict[str, Any]:
    return {
        "product": held.of,
        "table": held.table,
        "rows": held.rows,
        "rules": dict(held.rules),
        "since": held.since.isoformat() if held.since else None,
    }


@quarantine.command("show")
@click.argument("product", shell_complete=complete_product)
@click.option("--rule", help="Only rows that break this check (its id, as `ls` shows it).")
@click.option(
    "--limit", type=click.IntRange(0), default=SHOWN, show_default=True, help="At most so many rows."
)
@reader_options
@output_option
@click.pass_obj
def show(
    folder: str | None,
    product: str,
    rule: str | None,
    limit: int,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Show the rows set aside from PRODUCT (domain.product, or domain.product__port) and why."""
    from raymesh.actions.quarantine import rows
    from raymesh.actions.read import open_engine
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(_path(folder)) as storage:
        engine = open_engine(storage)
        try:
            claim = claim_of(as_, purpose)
            pinned, reader = rows(storage, engine, product, rule=rule, limit=limit, claim=claim)
            access = pinned.access
            total = pinned.scan.rows if access is None or access.whole(pinned.version.table) else None
            if output == "json":
                head = {"product": product, "version": pinned.version.number, "total": total}
                head |= access.told() if access else {}
                put_document(reader, "quarantine-show/1", head)
            else:
                write_rows(reader, "table", None)
        finally:
            engine.close()
    shown = "rows are set aside" if total is None else f"{total:,} rows are set aside"
    say(f"{shown}; raymesh read {pinned.version.table} exports them")
    return 0


@quarantine.command("replay")
@click.argument("product", shell_complete=complete_product)
@output_option
@click.pass_obj
def replay(folder: str | None, product: str, output: str) -> int:
    """Judge the rows set aside from PRODUCT by the contract of today, and publish those that pass."""
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.quarantine import replay as act
    from raymesh.actions.workspace import open_workspace

    with (
        open_workspace(_path(folder)) as workspace,
        Invocation(workspace, RunOptions(refresh=True), lambda _: None) as invocation,
    ):
        found = act(invocation, product)
    if output == "json":
        put_json("quarantine-replay/1", _replayed(found))
    elif found.report is None:
        put(f"{found.product}: {found.advice}")
    elif found.report.status == "published":
        put(f"{found.product}: {found.passed:,} of {found.rows:,} rows pass now and are published")
        say(f"next: raymesh read {found.product}")
    else:
        put(f"{found.product}: nothing was published: {found.report.reason}")
        say(f"next: raymesh show {found.report.product}")
    return 4 if found.report is not None and found.report.status == "blocked" else 0


def _replayed(found: Replayed) -> dict[str, Any]:
    return {
        "product": found.product,
        "rows": found.rows,
        "passed": found.passed,
        "advice": found.advice,
        "status": found.report.status if found.report else None,
        "reason": found.report.reason if found.report else None,
        "run_id": found.report.run_id if found.report else None,
        "failing": list(found.report.failing) if found.report else [],
    }


def _path(folder: str | None) -> Path | None:
    return Path(folder) if folder else None

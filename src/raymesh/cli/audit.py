"""`raymesh audit`: what was done with the mesh, and that nobody has changed the account of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.report import output_option, printable, put, put_json, put_table, say

if TYPE_CHECKING:
    from raymesh.actions.audit_log import Shown
    from raymesh.governance.audit_check import Examination


@click.group()
def audit() -> None:
    """The log of every decision, read, grant, publish and change of policy."""


@audit.command()
@click.option("--product", shell_complete=complete_product, help="Only records about this product.")
@click.option("--principal", help="Only what this principal did.")
@click.option("--kind", help="Only this kind, such as read, grant, publish, policy.")
@click.option("--outcome", help="Only this outcome, such as denied.")
@click.option("-n", "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--private", is_flag=True, help="Show particulars too, such as query text.")
@output_option
@click.pass_obj
def tail(
    folder: str | None,
    product: str | None,
    principal: str | None,
    kind: str | None,
    outcome: str | None,
    limit: int,
    private: bool,
    output: str,
) -> int:
    """Print the newest records, the latest last."""
    from raymesh.actions.audit_log import tail as act
    from raymesh.actions.workspace import open_storage_only
    from raymesh.spi.audit import AuditFilter

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = act(storage, AuditFilter(product, principal, kind, outcome), limit, private=private)
    if output == "json":
        put_json("audit-tail/1", {"records": [s.to_json(private=private) for s in found]})
    elif found:
        put_table(_HEAD, _rows(found, whole=private), right=(0,))
    else:
        say("no record matches")
    return 0


_HEAD = ("number", "time", "kind", "principal", "product", "outcome", "detail")
_WIDTH = 120
"""One record is one line of at most so many characters; `--output json` has all of it."""
_DETAIL = 12
"""The detail has at least this much of it."""
_LAST = ("bundle", "valid_until", "snapshot_id", "run_id", "digest", "actor")
"""What says least to people, and comes last."""


def _rows(found: list[Shown], *, whole: bool) -> list[tuple[object, ...]]:
    """The lines of the table; `whole` does not shorten them, for particulars that were asked for."""
    rows = []
    for shown in found:
        entry = shown.entry
        rows.append(
            (
                str(entry.index),
                f"{entry.at:%Y-%m-%d %H:%M:%S}",
                entry.kind,
                entry.principal if whole else _cut(entry.principal, 20),
                entry.product if whole else _cut(entry.product, 24),
                entry.outcome if whole else _cut(entry.outcome, 12),
                _short({**(shown.private or {}), **entry.said["detail"]}),
            )
        )
    before = [
        max(len(printable(cell)) for cell in column) for column in list(zip(_HEAD, *rows, strict=True))[:-1]
    ]
    room = max(_DETAIL, _WIDTH - sum(before) - 2 * len(before))
    return [row if whole else (*row[:-1], _cut(row[-1], room)) for row in rows]


def _cut(text: str, room: int) -> str:
    """`text` on one line of at most `room` characters."""
    text = printable(text)
    return text if len(text) <= room else text[: room - 1] + "…"


def _short(detail: dict[str, Any]) -> str:
    said = {k: v for k, v in detail.items() if v not in (None, "", [], {})}
    return ", ".join(f"{k} {_plain(said[k])}" for k in sorted(said, key=lambda k: k in _LAST))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@audit.command()
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with checkpoints somebody else keeps.",
)
@output_option
@click.pass_obj
def verify(folder: str | None, against: Path | None, output: str) -> int:
    """Recompute the whole log; ends with 4 when it is not what was signed."""
    from raymesh.actions.audit_log import verify as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = act(storage, against)
    if output == "json":
        put_json("audit-verify/1", _examination(found))
    else:
        _show(found)
    return 0 if found.sound else 4


def _examination(found: Examination) -> dict[str, Any]:
    return {
        "sound": found.sound,
        "records": found.size,
        "root": found.root.hex(),
        "checkpoints": found.checkpoints,
        "signers": list(found.signers),
        "findings": [{"damage": f.damage, "first": f.first, "message": f.message} for f in found.findings],
    }


def _show(found: Examination) -> None:
    for finding in found.findings:
        put(f"✗ {finding.damage}: {finding.message}")
    if found.sound:
        put(f"✓ {found.size:,} records, {found.checkpoints:,} checkpoints; root {found.root.hex()}")
    for signer in found.signers:
        put(f"  signed by {signer}")
    if found.sound:
        say("next: raymesh audit checkpoint --to FILE, where others keep it, shows a later rewrite too")


@audit.command()
@click.argument("number", type=click.IntRange(0), required=False)
@click.option(
    "--since",
    type=click.IntRange(1),
    metavar="SIZE",
    help="Prove instead that the log of SIZE records, as it was signed, was only added to.",
)
@click.pass_obj
def prove(folder: str | None, number: int | None, since: int | None) -> int:
    """Print the proof that record NUMBER is in the log, as JSON that anybody can check."""
    from raymesh.actions.audit_log import prove as act
    from raymesh.actions.audit_log import prove_growth
    from raymesh.actions.workspace import open_storage_only

    if (number is None) == (since is None):
        raise click.UsageError("Name a record, or --since SIZE.")
    with open_storage_only(Path(folder) if folder else None) as storage:
        if number is not None:
            put_json("audit-prove/1", act(storage, number))
        else:
            put_json("audit-growth/1", prove_growth(storage, since or 0))
    return 0


@audit.command()
@click.option(
    "--to", type=click.Path(path_type=Path), metavar="FILE", help="Add it to FILE, for a witness to keep."
)
@click.pass_obj
def checkpoint(folder: str | None, to: Path | None) -> int:
    """Print the newest signed checkpoint, or add it to a file that somebody else keeps."""
    from raymesh.actions.audit_log import newest_checkpoint, note
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = newest_checkpoint(storage)
    if to is None:
        put(json.dumps(found.to_json()))
    else:
        note(found, to)
        say(f"{to}: {found.size:,} records, signed by {found.key.hex()}")
    return 0


@audit.command()
@click.argument("subject")
@click.option("--reason", required=True, help="Why, for the log.")
@click.option("--as", "name", metavar="NAME", help="Who decides it.")
@output_option
@click.pass_obj
def erase(folder: str | None, subject: str, reason: str, name: str | None, output: str) -> int:
    """Make all particulars about SUBJECT unreadable for ever; the log and its proofs stay as they are."""
    from raymesh.actions.audit_log import erase as act
    from raymesh.actions.identity import principal_of
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        gone = act(storage, subject, principal_of(storage, name).id, reason)
    if output == "json":
        put_json("audit-erase/1", {"erased": gone})
    else:
        put(f"particulars of {gone} record{'s' if gone != 1 else ''} can no longer be read")
    return 0

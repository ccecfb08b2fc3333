"""`raymesh access`: agreements about who may read what, for which purpose, until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from raymesh.cli.agreements import (
    agreement_json,
    described,
    event_json,
    event_row,
    row,
    say_next,
    tell,
    who_of,
)
from raymesh.cli.completion import complete_product
from raymesh.cli.report import output_choice, output_option, put, put_json, put_table, say

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.governance.agreements import Terms
    from raymesh.governance.model import Principal

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def access() -> None:
    """Ask for access to a product; decide, renew, revoke.

    An agreement names who reads which columns and rows, for which purpose, until when. The owning domain decides;
    columns with sensitive tags need two people. Every act is recorded.
    """


def _as(command: F) -> F:
    return click.option("--as", "name", metavar="NAME", help="Who acts.")(command)


def _reason(command: F) -> F:
    return click.option("--reason", required=True, help="Why; kept with the agreement.")(command)


class _Duration(click.ParamType[int]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from raymesh.spec.model import parse_duration

        found = parse_duration(value) if isinstance(value, str) else value
        return found or self.fail(f"{value!r} is no duration such as 12h, 30d or 8w", param, ctx)


_FOR = click.option("--for", "seconds", type=_Duration(), required=True, help="How long, such as 30d.")


@contextmanager
def _acting(folder: str | None, name: str | None) -> Iterator[tuple[Storage, Principal, datetime]]:
    """Storage, whoever acts, and the moment."""
    from raymesh.actions.identity import principal_of
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        now = datetime.now(UTC)
        yield storage, principal_of(storage, name, now=now), now


@access.command("request")
@click.argument("product", shell_complete=complete_product)
@click.option("--purpose", required=True, help="What for; one of the purposes you are approved for.")
@_FOR
@_reason
@click.option("--columns", help="Only these, with commas; default: all.")
@click.option("--rows", help="Only rows where this holds, such as \"region = 'EU'\".")
@click.option("--group", "groups", multiple=True, help="For everybody in this group of yours.")
@click.option("--max-rows", type=click.IntRange(1), help="Rows that may be read in all.")
@click.option("--max-queries", type=click.IntRange(1), help="How often may be read.")
@click.option("--clear", is_flag=True, help="Without masks, for a day at most; two people have to approve.")
@click.option("--team", help="The team this is for, as others know it.")
@_as
@output_option
@click.pass_obj
def request_(folder: str | None, /, product: str, name: str | None, output: str, **said: Any) -> int:
    """Ask for access to PRODUCT."""
    from raymesh.actions.access import request

    with _acting(folder, name) as (storage, principal, now):
        made = request(storage, product, principal, _terms(principal, said), now)
        tell(made, now, output)
    return 0


def _terms(principal: Principal, said: dict[str, Any]) -> Terms:
    from raymesh.governance.agreements import Terms

    columns = said["columns"]
    return Terms(
        purpose=said["purpose"],
        justification=said["reason"],
        seconds=said["seconds"],
        principals=() if said["groups"] else (principal.id,),
        groups=said["groups"],
        columns=None if columns is None else tuple(c.strip() for c in columns.split(",") if c.strip()),
        rows=said["rows"],
        max_rows=said["max_rows"],
        max_queries=said["max_queries"],
        team=said["team"],
        clear=said["clear"],
    )


@access.command()
@click.argument("agreement")
@_reason
@_as
@output_option
@click.pass_obj
def approve(folder: str | None, agreement: str, reason: str, name: str | None, output: str) -> int:
    """Approve what waits; columns with sensitive tags need a second person."""
    from raymesh.actions.access import approve as act

    with _acting(folder, name) as (storage, principal, now):
        tell(act(storage, agreement, principal, reason, now), now, output)
    return 0


@access.command()
@click.argument("agreement")
@_reason
@_as
@output_option
@click.pass_obj
def deny(folder: str | None, agreement: str, reason: str, name: str | None, output: str) -> int:
    """Refuse what waits."""
    from raymesh.actions.access import deny as act

    with _acting(folder, name) as (storage, principal, now):
        tell(act(storage, agreement, principal, reason, now), now, output)
    return 0


@access.command()
@click.argument("agreement")
@_reason
@_as
@output_option
@click.pass_obj
def revoke(folder: str | None, agreement: str, reason: str, name: str | None, output: str) -> int:
    """End a grant at once, or withdraw your own request."""
    from raymesh.actions.access import revoke as act

    with _acting(folder, name) as (storage, principal, now):
        tell(act(storage, agreement, principal, reason, now), now, output)
    return 0


@access.command()
@click.argument("agreement")
@_FOR
@click.option("--shorten", is_flag=True, help="Let it end earlier than it does now.")
@_reason
@_as
@output_option
@click.pass_obj
def renew(
    folder: str | None,
    agreement: str,
    seconds: int,
    shorten: bool,
    reason: str,
    name: str | None,
    output: str,
) -> int:
    """Ask to prolong a grant on its own terms; it is decided like a request."""
    from raymesh.actions.access import renew as act

    with _acting(folder, name) as (storage, principal, now):
        asked = act(storage, agreement, principal, seconds=seconds, reason=reason, now=now, shorten=shorten)
        tell(asked, now, output)
    return 0


@access.command("list")
@click.option("--product", shell_complete=complete_product, help="Only those on this product.")
@click.option(
    "--status",
    type=click.Choice(("requested", "granted", "denied", "withdrawn", "revoked", "expired")),
    help="Only those that stand so.",
)
@output_option
@click.pass_obj
def list_(folder: str | None, product: str | None, status: str | None, output: str) -> int:
    """List agreements, the newest first."""
    from raymesh.actions.access import listing, note_expiries
    from raymesh.actions.workspace import open_storage_only

    now = datetime.now(UTC)
    with open_storage_only(Path(folder) if folder else None) as storage:
        note_expiries(storage, now)
        found = [a for a in listing(storage, product) if status in (None, a.status(now))]
    if output == "json":
        put_json("access-list/1", {"agreements": [agreement_json(a, now) for a in found]})
    elif found:
        head = ("agreement", "status", "product", "who", "purpose", "columns", "until")
        put_table(head, [row(a, now) for a in found])
        if waiting := [a for a in found if a.status(now) == "requested"]:
            say(f"next: raymesh access show {waiting[-1].id}")
    else:
        say("there are none; raymesh access request asks for access")
    return 0


@access.command()
@click.argument("agreement")
@output_option
@click.pass_obj
def show(folder: str | None, agreement: str, output: str) -> int:
    """Show an agreement, what was used of it, and everything that happened to it."""
    from raymesh.actions.access import history, usage
    from raymesh.actions.access import show as act
    from raymesh.actions.workspace import open_storage_only

    now = datetime.now(UTC)
    with open_storage_only(Path(folder) if folder else None) as storage:
        found, events = act(storage, agreement), history(storage, agreement)
        used = usage(storage, found)
    if output == "json":
        put_json(
            "access-show/1",
            {**agreement_json(found, now), "used": used, "events": [event_json(e) for e in events]},
        )
        return 0
    for key, value in described(found, now, used):
        put(f"{key:<13} {value}")
    put("")
    put_table(("time", "event", "by", "reason"), [event_row(e) for e in events])
    say_next(found, now)
    return 0


@access.command()
@click.argument("agreement")
@output_choice("oaas", "json", about="oaas: a Bitol access agreement as YAML; json: the same as JSON.")
@click.pass_obj
def export(folder: str | None, agreement: str, output: str) -> int:
    """Print an agreement as a Bitol OAAS document."""
    from raymesh.actions.access import export as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        document = act(storage, agreement, datetime.now(UTC))
    if output == "json":
        put_json("access-export/1", {"agreement": document})
    else:
        from raymesh.spec.write import to_yaml

        put(to_yaml(document).rstrip("\n"))
    return 0


@access.command()
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="How far to look back.")
@output_option
@click.pass_obj
def unused(folder: str | None, days: int, output: str) -> int:
    """List grants, and columns of grants, that nobody has read: rights that could be narrower."""
    from raymesh.actions.access_export import unused as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(Path(folder) if folder else None) as storage:
        found = act(storage, datetime.now(UTC), days)
    if output == "json":
        rows = [
            {
                "agreement": u.agreement.id,
                "product": u.agreement.product,
                "reads": u.reads,
                "last_read": u.last_read.isoformat() if u.last_read else None,
                "columns": list(u.columns),
            }
            for u in found
        ]
        put_json("access-unused/1", {"days": days, "grants": rows})
    elif found:
        head = ("agreement", "product", "who", "reads", "never read")
        table = [
            (u.agreement.id, u.agreement.product, who_of(u.agreement), u.reads, ", ".join(u.columns))
            for u in found
        ]
        put_table(head, table, right=(3,))
        say(f"next: raymesh access revoke {found[0].agreement.id} --reason '…', and ask for less")
    else:
        say(f"everything granted was read in the last {days} days")
    return 0

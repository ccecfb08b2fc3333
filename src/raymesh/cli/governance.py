"""`raymesh governance report`: every standard, who breaks it, since when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.reader import claim_of
from raymesh.cli.report import count, output_choice, put, put_json, put_table, say

if TYPE_CHECKING:
    from raymesh.actions.governance_report import Finding, Report, RuleReport


@click.group()
def governance() -> None:
    """Show how the mesh keeps to its standards."""


@governance.command("report")
@click.option("--domain", metavar="DOMAIN", help="Only this domain.")
@click.option("--as", "as_", metavar="NAME", help="Who asks, in a governed mesh.")
@click.option("--to", type=click.Path(dir_okay=False), help="Write to a file instead of stdout.")
@output_choice("text", "json", "html", about="html: one page, without scripts.")
@click.pass_obj
def report_(folder: str | None, domain: str | None, as_: str | None, to: str | None, output: str) -> int:
    """Evaluate every standard: documents, evidence of versions, and what changes with time.

    It says what has violations and what that rests on, never that a law is kept. Exit code 4 when an enforced
    standard is broken.
    """
    from raymesh.actions.governance_report import report, report_json
    from raymesh.actions.workspace import open_workspace

    with open_workspace(Path(folder) if folder else None) as workspace:
        found = report(workspace, domain=domain, claim=claim_of(as_, None))
    if output == "json":
        put_json("governance-report/1", report_json(found))
    elif output == "html":
        from raymesh.render.governance import page

        _put(page(report_json(found)), to)
    else:
        _show(found)
    return 4 if any(f.broken.blocks for r in found.rules for f in r.findings) else 0


def _put(text: str, to: str | None) -> None:
    if to is None:
        put(text.rstrip())
    else:
        Path(to).write_text(text, encoding="utf-8")
        say(f"wrote {to}")


def _show(found: Report) -> None:
    if not found.rules:
        say("the mesh has no standards; governance/standards.yaml sets them")
        return
    put_table(
        ("rule", "state", "violations", "lifecycle", "applies to", "articles"),
        [_row(r) for r in found.rules],
        right=(2,),
    )
    for rule in found.rules:
        if rule.failed:
            put(f"\n{rule.rule.id}: could not be evaluated: {rule.failed}")
        if rule.findings:
            put(f"\n{rule.rule.id}: {rule.rule.title}")
            put_table(
                ("product", "column", "violation", "owner", "since"), [_finding(f) for f in rule.findings]
            )
    _sum_up(found)


def _row(r: RuleReport) -> tuple[str, ...]:
    return (
        r.rule.id,
        r.state,
        str(len(r.findings)),
        r.stage,
        r.rule.applies or "",
        ", ".join(r.rule.requirements),
    )


def _finding(f: Finding) -> tuple[str, ...]:
    said, exemption = f.broken.violation, f.broken.exemption
    until = f" (excepted until {exemption.expires_at:%Y-%m-%d})" if exemption else ""
    return (said.product or "–", said.column or "", said.message + until, f.owner, f"{f.since:%Y-%m-%d}")


def _sum_up(found: Report) -> None:
    from raymesh.actions.governance_report import NOTICE, totals

    told = ", ".join(f"{n} {state}" for state, n in totals(found.rules).items() if n)
    say(f"standards {found.version or '–'}: {count(len(found.rules), 'rule')}, {told}")
    say(NOTICE)

"""`raymesh classify`: propose, confirm and review the tags of a product's columns."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_product
from raymesh.cli.report import count, output_option, put_json, put_table, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.actions.classify import ColumnProposal, Proposals
    from raymesh.actions.workspace import Storage
    from raymesh.spi.classifications import Act


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--confirm", is_flag=True, help="Confirm the proposals, for all columns or those of --column.")
@click.option(
    "--column", "columns", multiple=True, metavar="COLUMN", help="Only this column; may be repeated."
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="COLUMN=TAG",
    help="Confirm this tag instead; `COLUMN=` confirms none.",
)
@click.option(
    "--write", is_flag=True, help="Add proposed tags to contract.yaml instead, keeping its comments."
)
@click.option("--declassify", metavar="COLUMN", help="Ask to take tags from a column; somebody else decides.")
@click.option(
    "--agree", type=int, metavar="N", help="Agree to proposal N of somebody else: its tags are taken away."
)
@click.option("--refuse", type=int, metavar="N", help="Refuse proposal N.")
@click.option("--reason", default="", help="Why; kept with the act.")
@click.option("--sample", type=click.IntRange(1), default=10_000, show_default=True, help="Rows looked at.")
@click.option("--as", "name", metavar="NAME", help="Who acts, in a governed mesh.")
@output_option
@click.pass_obj
def classify(folder: str | None, /, product: str, name: str | None, output: str, **said: Any) -> int:
    """Propose tags for the published columns of PRODUCT, from names and sampled values; no value is shown.

    A column that nobody classified is seen by nobody but its producer. --confirm classifies columns as proposed;
    a tag can be taken away only by two people: one with --declassify and --reason, another with --agree. In a
    governed mesh all of it is for those who decide for the owning domain.
    """
    from raymesh.actions.classify import propose
    from raymesh.actions.classify_acts import who_acts
    from raymesh.actions.read import open_engine
    from raymesh.actions.workspace import open_storage_only

    _check(said)
    with ExitStack() as stack:
        storage = stack.enter_context(open_storage_only(Path(folder) if folder else None))
        who = who_acts(storage, product, name)
        engine = open_engine(storage)
        stack.callback(engine.close)
        proposals = propose(storage, engine, product, rows=said["sample"])
        acts = _act(storage, proposals, who, said)
        written = _write(storage, proposals, said["columns"]) if said["write"] else None
    if output == "json":
        put_json(
            "classify/1",
            {**_proposals_json(proposals), "acts": [_act_json(a) for a in acts], "file": written},
        )
        return 0
    if acts or written or said["write"]:
        _tell(acts, written)
    else:
        _show(proposals, said["columns"])
    return 0


def _check(said: dict[str, Any]) -> None:
    ways = [w for w in ("confirm", "write", "declassify", "agree", "refuse") if said[w]]
    if len(ways) > 1:
        raise click.UsageError(f"--{ways[0]} and --{ways[1]} are two things; do one after the other.")
    if said["tags"] and ways not in ([], ["confirm"], ["declassify"]):
        raise click.UsageError("--tag goes with --confirm or --declassify.")


def _act(storage: Storage, proposals: Proposals, who: str, said: dict[str, Any]) -> Sequence[Act]:
    from raymesh.actions import classify_acts as actions

    if not any(said[w] for w in ("confirm", "tags", "declassify", "agree", "refuse")):
        return ()
    if said["declassify"]:
        tags = [t.partition("=")[2] or t for t in said["tags"]]
        return [
            actions.ask_lowering(
                storage, proposals, said["declassify"], who, reason=said["reason"], tags=tags
            )
        ]
    if said["agree"] or said["refuse"]:
        number, agree = said["agree"] or said["refuse"], bool(said["agree"])
        return [actions.answer_lowering(storage, proposals, number, who, agree=agree, reason=said["reason"])]
    return actions.confirm(
        storage,
        proposals,
        who,
        columns=said["columns"] or None,
        tags=_given(said["tags"]),
        reason=said["reason"],
    )


def _given(tags: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in tags:
        column, equals, tag = word.partition("=")
        if not equals:
            raise click.UsageError(f"--tag takes COLUMN=TAG, not {word}.")
        found.setdefault(column, []).extend([tag] if tag else [])
    return found


def _write(storage: Storage, proposals: Proposals, columns: Sequence[str]) -> str | None:
    from raymesh.actions.classify_write import write_tags

    return write_tags(storage.root, proposals, columns or None)


def _show(proposals: Proposals, columns: Sequence[str]) -> None:
    wanted = {c.casefold() for c in columns}
    shown = [c for c in proposals.columns if not wanted or c.column.casefold() in wanted]
    put_table(
        ("column", "type", "tags now", "classified", "proposed", "sure", "because"),
        [_row(c) for c in shown],
        right=(5,),
    )
    for act in proposals.open:
        say(
            f"proposal {act.id}: {act.actor} wants {', '.join(act.tags)} taken from {act.column}: {act.reason}"
        )
    missing = [c for c in proposals.columns if not c.now.classified]
    if missing:
        say(f"{count(len(missing), 'column')} not classified: nobody but the producer sees them")
    if missing or any(c.missing for c in proposals.columns):
        say(f"next: raymesh classify {proposals.product} --confirm, or --write for the contract")


def _row(c: ColumnProposal) -> tuple[str, ...]:
    best = c.suggestions[0] if c.suggestions else None
    return (
        c.column,
        c.type,
        ", ".join(sorted(c.now.tags)),
        "yes" if c.now.classified else "no",
        ", ".join(s.tag for s in c.suggestions),
        f"{best.confidence:.0%}" if best else "",
        best.evidence if best else "",
    )


_DONE = {
    "confirm": "confirmed: {column} has {tags}",
    "propose": "proposal {id}: take {tags} from {column}; somebody else decides with --agree {id}",
    "lower": "agreed: {column} no longer has {tags}",
    "refuse": "refused: {column} keeps {tags}",
}


def _tell(acts: Sequence[Act], written: str | None) -> None:
    for act in acts:
        say(_DONE[act.kind].format(column=act.column, tags=", ".join(act.tags) or "no tags", id=act.id))
    if any(act.kind == "lower" for act in acts):
        say("a tag that contract.yaml still says counts as before: take it out there too, and run")
    if written is not None:
        say(f"wrote tags to {written}; they count from the next version on")
    if not acts and written is None:
        say("nothing to do")


def _proposals_json(found: Proposals) -> dict[str, Any]:
    return {
        "product": found.product,
        "port": found.port,
        "version": found.version,
        "sampled": found.sampled,
        "columns": [
            {
                "column": c.column,
                "field": c.field,
                "type": c.type,
                "tags": sorted(c.now.tags),
                "inherited": sorted(c.now.inherited),
                "classified": c.now.classified,
                "proposed": [
                    {"tag": s.tag, "confidence": s.confidence, "evidence": s.evidence} for s in c.suggestions
                ],
            }
            for c in found.columns
        ],
        "open": [_act_json(a) for a in found.open],
    }


def _act_json(act: Act) -> dict[str, Any]:
    return {
        "id": act.id,
        "kind": act.kind,
        "column": act.column,
        "field": act.field,
        "tags": list(act.tags),
        "version": act.version,
        "actor": act.actor,
        "reason": act.reason,
        "at": act.at.isoformat(),
        "of": act.of,
    }

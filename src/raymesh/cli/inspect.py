"""`raymesh ls`, `show`, `history`, `diff`: what there is, and how it came about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.checks import put_checks
from raymesh.cli.completion import complete_product, complete_selection
from raymesh.cli.reader import claim_of, reader_options
from raymesh.cli.report import amount, count, output_option, printable, put, put_json, put_table, say, size

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.actions.inspect import Details, Listing
    from raymesh.spi.state import Run


def _path(folder: str | None) -> Path | None:
    return Path(folder) if folder else None


def moment(at: datetime | None) -> str:
    """A time in the reader's own zone, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


@click.command()
@click.argument("selection", nargs=-1, shell_complete=complete_selection)
@reader_options
@output_option
@click.pass_obj
def ls(
    folder: str | None, selection: tuple[str, ...], as_: str | None, purpose: str | None, output: str
) -> int:
    """List the products of the mesh, or of a SELECTION, with their state."""
    from raymesh.actions.inspect import listing
    from raymesh.actions.select import select
    from raymesh.actions.workspace import open_workspace

    with open_workspace(_path(folder)) as workspace:
        found = listing(workspace, select(workspace, selection), claim_of(as_, purpose))
    if output == "json":
        put_json("ls/1", {"products": [_listed(item) for item in found]})
        return 0
    rows = [
        (
            item.product.name,
            item.version.number if item.version else "",
            amount(item.version.rows) if item.version and item.counted else "",
            size(item.version.bytes) if item.version and item.counted else "",
            f"{item.version.quality_score:.3f}"
            if item.version and item.version.quality_score is not None
            else "",
            moment(item.version.published_at) if item.version else "",
            item.last.status if item.last else "never built",
        )
        for item in found
    ]
    put_table(
        ("product", "version", "rows", "size", "quality", "published", "last run"), rows, right=(1, 2, 3, 4)
    )
    if not found:
        say("no products yet; raymesh new domain NAME, then raymesh new product DOMAIN.NAME")
    return 0


def _listed(item: Listing) -> dict[str, Any]:
    from raymesh.actions.inspect import version_json

    product = item.product
    return {
        "product": product.name,
        "domain": product.domain,
        "owner": _owner(product.documents),
        "ports": [p.name for p in product.ports],
        "inputs": sorted({e.name for e in product.inputs}),
        "version": version_json(item.version, counted=item.counted) if item.version else None,
        "last_run": item.last.status if item.last else None,
    }


def _owner(documents: Any) -> str | None:
    team = documents.document.model.team
    return team.name if team else None


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--run", "run_id", help="Show the checks of this run (its first characters suffice).")
@reader_options
@output_option
@click.pass_obj
def show(
    folder: str | None,
    product: str,
    run_id: str | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Show PRODUCT: purpose, owner, columns, inputs, current version and its checks."""
    from raymesh.actions.inspect import details
    from raymesh.actions.workspace import open_workspace

    with open_workspace(_path(folder)) as workspace:
        found = details(workspace, product, run_id, claim_of(as_, purpose))
    if output == "json":
        put_json("show/1", _shown(found))
    else:
        _show(found)
    return 0


def _shown(found: Details) -> dict[str, Any]:
    from dataclasses import asdict

    from raymesh.actions.inspect import run_json, version_json

    port = found.product.port()
    return {
        "product": found.product.name,
        "description": found.product.documents.document.raw.get("description"),
        "owner": _owner(found.product.documents),
        "contract": port.documents.contract.raw,
        "inputs": sorted({e.name for e in found.product.inputs}),
        "version": version_json(found.version, counted=found.counted) if found.version else None,
        "run": run_json(found.run, counted=found.counted) if found.run else None,
        "last_run": run_json(last, counted=found.counted) if (last := found.ended or found.run) else None,
        "checks": [asdict(c) for c in found.checks],
        "read": [asdict(i) for i in found.inputs],
        "quarantined": found.quarantined,
    }


def _show(found: Details) -> None:
    product = found.product
    description = product.documents.document.model.description
    put(f"{product.name}  (owner: {_owner(product.documents) or 'unknown'})")
    if description and description.purpose:
        put(description.purpose)
    put(f"made from: {', '.join(sorted({e.name for e in product.inputs})) or 'nothing'}")
    if found.version is None:
        put("never published")
    else:
        v = found.version
        counts = f"{amount(v.rows)} rows, {size(v.bytes)}, " if found.counted else ""
        put(f"version {v.number}, {counts}contract {v.contract_version}, published {moment(v.published_at)}")
    if found.quarantined:
        put(f"quarantine: {amount(found.quarantined)} rows set aside; raymesh quarantine show {product.name}")
    put("")
    columns = [
        (
            p.name,
            p.physical_type or p.logical_type or "",
            "required" if p.required or p.primary_key else "",
            ", ".join(p.tags),
            p.description or "",
        )
        for p in product.port().properties
    ]
    put_table(("column", "type", "", "tags", "description"), columns)
    if found.ended is not None and found.counted:
        _ended(found.ended)
    if found.run is not None:
        put(f"\nchecks of run {found.run.run_id[:13]} ({found.run.status} {moment(found.run.finished_at)}):")
        put_checks(found.checks)
        if found.counted:
            _used(found.run)
        if found.run.status == "blocked":
            _still(found)


def _used(run: Run) -> None:
    """What the run used, and what was chosen for it because nobody said."""
    used = run.resources
    if not used:
        return
    facts = [
        f"{used.get('seconds', 0):.1f} s on {run.engine}",
        f"{used.get('cpu_seconds', 0):.1f} s of processors",
        f"{size(used.get('peak_memory_bytes', 0))} of memory",
        f"{size(used.get('bytes_read', 0))} read",
        f"{size(used.get('bytes_written', 0))} written",
    ]
    if spilled := used.get("bytes_spilled"):
        facts.append(f"{size(spilled)} spilled")
    if tasks := used.get("tasks"):
        facts.append(f"{count(tasks, 'task')} on {count(len(used.get('nodes') or ()), 'node')}")
    if retries := used.get("retries"):
        facts.append(f"{retries} tried again")
    if added := used.get("nodes_added"):
        facts.append(f"{count(added, 'node')} came")
    put(f"\nused: {', '.join(facts)}")
    for what, why in (used.get("choices") or {}).items():
        put(f"chosen: {what} {printable(str(why))}")
    for note in used.get("notes") or ():
        put(f"warning: {printable(note)}")


def _ended(run: Run) -> None:
    """A later run that ended before anything could be checked."""
    error = run.error or {}
    put(f"\nlast run {run.run_id[:13]} {run.status} {moment(run.finished_at)}: {printable(run.reason)}")
    for place in error.get("spans") or ():
        put(f"  --> {place}")
    for line in str(error.get("trace") or "").splitlines():
        put(f"   | {printable(line)}")
    if error.get("hint"):
        put(f"   = help: {printable(error['hint'])}")


def _still(found: Details) -> None:
    serves = (
        f"nothing of it was published; readers still get version {found.version.number}"
        if found.version
        else "nothing was published"
    )
    say(f"\n{serves}. Repair the data, the transform or the promise, then raymesh run {found.product.name}")


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@reader_options
@output_option
@click.pass_obj
def history(
    folder: str | None, product: str, limit: int, as_: str | None, purpose: str | None, output: str
) -> int:
    """List the versions and runs of PRODUCT, newest first."""
    from raymesh.actions.inspect import history as act
    from raymesh.actions.inspect import run_json, run_reason, version_json
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(_path(folder)) as storage:
        found = act(storage, product, limit, claim_of(as_, purpose))
    if output == "json":
        put_json(
            "history/1",
            {
                "versions": [version_json(v, counted=found.counted) for v in found.versions],
                "runs": [run_json(r, counted=found.counted) for r in found.runs],
            },
        )
        return 0
    rows = [
        (
            v.number,
            v.kind if v.of_version is None else f"{v.kind} to {v.of_version}",
            moment(v.published_at),
            amount(v.rows) if found.counted else "",
            v.contract_version,
            "" if v.quality_score is None else f"{v.quality_score:.3f}",
            v.run_id[:13],
        )
        for v in found.versions
    ]
    if rows:
        put_table(
            ("version", "kind", "published", "rows", "contract", "quality", "run"), rows, right=(0, 3, 5)
        )
        put("")
    put_table(
        ("run", "status", "started", "seconds", "reason"),
        [
            (
                r.run_id[:13],
                r.status,
                moment(r.started_at),
                f"{(r.finished_at - r.started_at).total_seconds():.1f}" if r.finished_at else "",
                run_reason(r, counted=found.counted),
            )
            for r in found.runs
        ],
        right=(3,),
    )
    return 0


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--from", "old", type=click.IntRange(1), help="Default: the version before.")
@click.option("--to", "new", type=click.IntRange(1), help="Default: the current version.")
@reader_options
@output_option
@click.pass_obj
def diff(
    folder: str | None,
    product: str,
    old: int | None,
    new: int | None,
    as_: str | None,
    purpose: str | None,
    output: str,
) -> int:
    """Compare two versions of PRODUCT: columns, rows, bytes, contract version."""
    from raymesh.actions.inspect import diff as act
    from raymesh.actions.workspace import open_storage_only

    with open_storage_only(_path(folder)) as storage:
        before, after, found = act(storage, product, old, new, claim_of(as_, purpose))
    if output == "json":
        put_json("diff/1", {"product": product, "from": before.number, "to": after.number, **found.to_json()})
        return 0
    put(f"{product}: version {before.number} → {after.number}")
    put(f"  rows  {amount(before.rows)} → {amount(after.rows)} ({after.rows - before.rows:+,})")
    put(f"  size  {size(before.bytes)} → {size(after.bytes)}")
    if before.contract_version != after.contract_version:
        put(f"  contract  {before.contract_version} → {after.contract_version}")
    for change in found.changes:
        put(f"  {change}")
    if not found.changes:
        put("  the columns are the same")
    return 0

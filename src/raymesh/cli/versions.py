"""`raymesh rollback` and `raymesh maintain`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from raymesh.cli.completion import complete_product, complete_selection
from raymesh.cli.report import output_option, put, put_json, put_table, say, size


@click.command()
@click.argument("product", shell_complete=complete_product)
@click.option("--to", "number", type=click.IntRange(1), required=True, help="The version to serve again.")
@output_option
@click.pass_obj
def rollback(folder: str | None, product: str, number: int, output: str) -> int:
    """Serve an older version of PRODUCT again, as a new version."""
    from raymesh.actions.ids import new_id
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.rollback import rollback as act
    from raymesh.actions.workspace import open_workspace

    with (
        open_workspace(Path(folder) if folder else None) as workspace,
        Invocation(workspace, RunOptions(), lambda _: None) as invocation,
    ):
        version = act(invocation, product, number, new_id())
    if output == "json":
        put_json(
            "rollback/1",
            {
                "product": version.product,
                "version": version.number,
                "of_version": version.of_version,
                "rows": version.rows,
                "snapshot_id": version.snapshot_id,
            },
        )
    else:
        put(
            f"{product} serves version {version.number}, the rows of version {number} ({version.rows:,} rows)"
        )
        say(
            f"next: correct what made the versions after {number} wrong; the next raymesh run builds {product} anew"
        )
    return 0


@click.command()
@click.argument("selection", nargs=-1, shell_complete=complete_selection)
@click.option("--no-compact", is_flag=True, help="Leave small files as they are.")
@click.option("--no-expire", is_flag=True, help="Keep all versions.")
@click.option("--dry-run", is_flag=True, help="Only report.")
@output_option
@click.pass_obj
def maintain(
    folder: str | None,
    selection: tuple[str, ...],
    no_compact: bool,
    no_expire: bool,
    dry_run: bool,
    output: str,
) -> int:
    """Compact files, expire versions by policy, remove orphaned files; of all products or a SELECTION."""
    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.maintain import MaintainOptions
    from raymesh.actions.maintain import maintain as act
    from raymesh.actions.select import select
    from raymesh.actions.workspace import open_workspace

    options = MaintainOptions(compaction=not no_compact, expiry=not no_expire, dry_run=dry_run)
    with (
        open_workspace(Path(folder) if folder else None) as workspace,
        Invocation(workspace, RunOptions(), lambda _: None) as invocation,
    ):
        done = [m for p in select(workspace, selection) for m in act(invocation, p, options)]
    if output == "json":
        put_json("maintain/1", {"dry_run": dry_run, "tables": [asdict(m) for m in done]})
        return 0
    rows = [
        (
            m.table,
            f"{m.compacted_from} → {m.compacted_to}" if m.compacted_from else "",
            len(m.expired_versions) or "",
            m.removed_files or "",
            size(m.removed_bytes) if m.removed_bytes else "",
        )
        for m in done
    ]
    if rows:
        put_table(("table", "files", "versions expired", "files removed", "freed"), rows, right=(2, 3, 4))
    if not rows:
        say(
            "there was nothing to do" if done else "nothing is published yet; raymesh run builds the products"
        )
    elif dry_run:
        say("this is what would be done; nothing was changed")
    return 0

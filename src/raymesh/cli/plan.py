"""`raymesh plan`: what a run would do, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from raymesh.cli.report import amount, output_option, put, put_json, put_table, size


@click.command()
@click.argument("selection", nargs=-1)
@output_option
@click.pass_obj
def plan(folder: str | None, selection: tuple[str, ...], output: str) -> int:
    """Show what a run of the SELECTION would build, and why. Nothing is changed."""
    from raymesh.actions.plan import plan as act
    from raymesh.actions.select import select
    from raymesh.actions.workspace import open_workspace

    with open_workspace(Path(folder) if folder else None) as workspace:
        steps = act(workspace, select(workspace, selection))
    if output == "json":
        products = [{**asdict(s), "problem": s.problem.message if s.problem else None} for s in steps]
        put_json("plan/1", {"products": products})
        return 0
    rows = [
        ("~" if s.build else "=", s.product, s.reason, amount(s.input_rows), size(s.input_bytes))
        for s in steps
    ]
    put_table(("", "product", "why", "input rows", "input size"), rows, right=(3, 4))
    build = sum(s.build for s in steps)
    put(f"{build} to build, {len(steps) - build} unchanged" + ("; raymesh run builds them" if build else ""))
    return 0

"""`raymesh plan`: what a run would do, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_selection
from raymesh.cli.contract import compared_json, put_changes
from raymesh.cli.report import amount, output_option, put, put_json, put_table, say, show_error, size

if TYPE_CHECKING:
    from raymesh.actions.plan import Step


@click.command()
@click.argument("selection", nargs=-1, shell_complete=complete_selection)
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
        put_json("plan/1", {"products": [_step_json(s) for s in steps]})
        return 0
    rows = [
        (
            "✗" if s.problem else "~" if s.build else "=",
            s.product,
            s.reason,
            amount(s.input_rows),
            size(s.input_bytes),
        )
        for s in steps
    ]
    put_table(("", "product", "why", "input rows", "input size"), rows, right=(3, 4))
    for step in steps:
        put_changes(step.changes)
    _tell([s for s in steps if s.problem])
    stuck = sum(s.problem is not None for s in steps)
    build = sum(s.build for s in steps) - stuck
    told = f"{build} to build, {len(steps) - build - stuck} unchanged"
    put(told + (f", {stuck} cannot be built" if stuck else ""))
    if build:
        say(f"next: raymesh run{''.join(f' {word}' for word in selection)}")
    return 0


def _step_json(step: Step) -> dict[str, Any]:
    told = asdict(replace(step, problem=None, changes=()))
    problem = step.problem.message if step.problem else None
    return {**told, "problem": problem, "changes": [compared_json(c) for c in step.changes]}


def _tell(stuck: Sequence[Step]) -> None:
    for step in stuck:
        if step.problem is not None:
            show_error(step.problem)

"""`raymesh plan`: what a run would do, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raymesh.cli.completion import complete_selection
from raymesh.cli.contract import compared_json, put_changes
from raymesh.cli.report import amount, output_option, put, put_json, put_table, say, show_error, size

if TYPE_CHECKING:
    from raymesh.actions.plan import Step
    from raymesh.spi.engine import PlannedRead, PlannedStage


@click.command()
@click.argument("selection", nargs=-1, shell_complete=complete_selection)
@click.option(
    "--engine", type=click.Choice(["local", "ray", "auto"]), help="Instead of what the documents say."
)
@click.option("--explain", is_flag=True, help="Also show in which stages a cluster would build, and why.")
@output_option
@click.pass_obj
def plan(
    folder: str | None, selection: tuple[str, ...], engine: str | None, explain: bool, output: str
) -> int:
    """Show what a run of the SELECTION would build, and why. Nothing is changed."""
    from raymesh.actions.explain import stages
    from raymesh.actions.invocation import RunOptions
    from raymesh.actions.plan import plan as act
    from raymesh.actions.select import select
    from raymesh.actions.workspace import open_workspace

    with open_workspace(Path(folder) if folder else None) as workspace:
        products, options = select(workspace, selection), RunOptions(engine=engine)
        steps = act(workspace, products, options)
        told = stages(workspace, products, options) if explain else {}
    if output == "json":
        put_json("plan/1", {"products": [_step_json(s, told.get(s.product, ())) for s in steps]})
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
        if step.build and step.engine_reason:
            put(f"{step.product}: on {step.engine}, because {step.engine_reason}")
        put_changes(step.changes)
    if explain:
        _put_stages(steps, told)
    _tell([s for s in steps if s.problem])
    stuck = sum(s.problem is not None for s in steps)
    build = sum(s.build for s in steps) - stuck
    summary = f"{build} to build, {len(steps) - build - stuck} unchanged"
    put(summary + (f", {stuck} cannot be built" if stuck else ""))
    if build:
        say(f"next: raymesh run{''.join(f' {word}' for word in selection)}")
    return 0


def _put_stages(steps: Sequence[Step], told: Mapping[str, Sequence[PlannedStage]]) -> None:
    """A table per product: what runs where, over what, and why."""
    for step in steps:
        stages = told.get(step.product)
        if not stages:
            put(f"{step.product}: built in one piece, or its inputs are built first")
            continue
        put(f"{step.product} on {step.engine or 'the cluster'}:")
        rows = [
            (
                s.name,
                _RUNS[s.runs],
                ", ".join(_read(r) for r in s.reads),
                amount(s.rows),
                size(s.bytes),
                s.why,
            )
            for s in stages
        ]
        put_table(("stage", "runs", "reads", "rows", "size", "why"), rows, right=(3, 4))


_RUNS = {"files": "by files", "partitions": "by key", "one": "one task"}


def _read(read: PlannedRead) -> str:
    if read.how == "exchange":
        return f"{read.source} by {', '.join(read.key)}"
    return f"{read.source} (whole)" if read.how == "whole" else read.source


def _step_json(step: Step, stages: Sequence[PlannedStage]) -> dict[str, Any]:
    told = asdict(replace(step, problem=None, changes=()))
    problem = step.problem.message if step.problem else None
    changes = [compared_json(c) for c in step.changes]
    return {**told, "problem": problem, "changes": changes, "stages": [asdict(s) for s in stages]}


def _tell(stuck: Sequence[Step]) -> None:
    for step in stuck:
        if step.problem is not None:
            show_error(step.problem)

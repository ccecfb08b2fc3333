"""`raymesh run`: build, check, publish."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raymesh.cli.completion import complete_selection
from raymesh.cli.report import output_option

if TYPE_CHECKING:
    from raymesh.actions.events import RunFinished
    from raymesh.actions.invocation import RunOptions
    from raymesh.actions.workspace import Workspace


@click.command()
@click.argument("selection", nargs=-1, shell_complete=complete_selection)
@click.option(
    "--engine", type=click.Choice(["local", "ray", "auto"]), help="Instead of what the documents say."
)
@click.option("--jobs", "-j", type=click.IntRange(1, 64), help="Products built side by side.")
@click.option(
    "--refresh", is_flag=True, help="Build even what is unchanged, whole tables in append mode too."
)
@click.option("--quiet", "-q", is_flag=True, help="Only the result.")
@output_option
@click.pass_obj
def run(
    folder: str | None,
    selection: tuple[str, ...],
    engine: str | None,
    jobs: int | None,
    refresh: bool,
    quiet: bool,
    output: str,
) -> int:
    """Build, check and publish products; all of them, or a SELECTION.

    SELECTION: customer.customer_360, +x (with what it needs), x+ (with what needs it), domain:customer,
    tag:pii, state:changed; several are added together, a comma intersects.

    Exit code: 0 all published or unchanged, 1 a build failed, 3 documents invalid, 4 checks blocked one.
    """
    from raymesh.actions.invocation import RunOptions, default_jobs
    from raymesh.actions.select import select
    from raymesh.actions.workspace import open_workspace

    options = RunOptions(engine=engine, refresh=refresh, jobs=jobs or default_jobs())
    with open_workspace(Path(folder) if folder else None) as workspace:
        products = select(workspace, selection)
        finished = perform(workspace, products, options, output=output, quiet=quiet)
    return finished.exit_code


def perform(
    workspace: Workspace, products: Sequence[str], options: RunOptions, *, output: str, quiet: bool = False
) -> RunFinished:
    """Run `products` with live progress on stderr and the result on stdout."""
    from raymesh.actions.events import RunFinished
    from raymesh.actions.run import run as act
    from raymesh.cli.progress import follow
    from raymesh.cli.results import put_run

    finished: RunFinished | None = None
    with interruptible() as stop, follow(quiet=quiet) as show:
        for event in act(workspace, products, options, stop):
            show(event)
            if isinstance(event, RunFinished):
                finished = event
    if finished is None:
        raise click.Abort
    put_run(finished, output=output)
    return finished


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts at once."""
    stop = threading.Event()

    def on_interrupt(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo(
            "stopping; what is published stays, nothing half-done will be (Ctrl-C again to leave at once)",
            err=True,
        )

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGINT, on_interrupt)
    terminated = signal.signal(signal.SIGTERM, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, terminated)

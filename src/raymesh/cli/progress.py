"""Shows events of a run: one live block on a terminal, one line per change of state elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.cli.report import amount, say

if TYPE_CHECKING:
    from rich.console import RenderableType

    from raymesh.actions.events import Event, ProductReport

MARKS = {
    "published": "✓",
    "unchanged": "=",
    "blocked": "✗",
    "failed": "✗",
    "skipped": "-",
    "interrupted": "!",
}
COLOURS = {"published": "green", "unchanged": "dim", "blocked": "red", "failed": "red", "skipped": "yellow"}


@contextmanager
def follow(*, quiet: bool = False) -> Iterator[Callable[[Event], None]]:
    """A function that shows events while the block lasts."""
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live() as show:
            yield show
    else:
        yield _plain


def line(report: ProductReport) -> str:
    """One product's end as one line."""
    facts: list[str] = [report.status]
    if report.status == "published":
        facts = [f"{amount(report.rows)} rows", f"version {report.version}"]
        if report.quality_score is not None:
            facts.append(f"quality {report.quality_score:.3f}")
        facts.append(f"{report.seconds:.1f} s")
    elif report.status != "unchanged":
        facts.append(report.reason)
    return f"{MARKS[report.status]} {report.product}: {', '.join(facts)}"


def _plain(event: Event) -> None:
    from raymesh.actions.events import Note, ProductFinished, ProductStarted, ProductWaiting

    match event:
        case ProductStarted(product, engine, reason):
            say(f"… {product}: building on {engine} ({reason})")
        case ProductWaiting(product, holder):
            say(f"… {product}: waiting for {holder}")
        case ProductFinished(report):
            say(line(report))
        case Note(message, level):
            say(f"{level}: {message}")


@dataclass(slots=True)
class _Row:
    began: float
    phase: str = "waiting"
    fraction: float | None = None
    rows: int | None = None


@contextmanager
def _live() -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    rows: dict[str, _Row] = {}
    with Live(console=console, refresh_per_second=8, transient=True) as live:

        def show(event: Event) -> None:
            _note(event, rows, console)
            live.update(_block(rows))

        yield show


def _note(event: Event, rows: dict[str, _Row], console: object) -> None:
    from rich.console import Console
    from rich.text import Text

    from raymesh.actions.events import Note, ProductFinished, ProductStarted, ProductWaiting
    from raymesh.spi.engine import Progress

    assert isinstance(console, Console)  # noqa: S101  # narrows the type; rich is imported lazily
    match event:
        case ProductStarted(product, _, _):
            rows[product] = _Row(time.monotonic(), "building")
        case ProductWaiting(product, holder):
            rows[product] = _Row(time.monotonic(), f"waiting for {holder}")
        case Progress(product, phase, fraction, count) if product in rows:
            rows[product].phase, rows[product].fraction, rows[product].rows = phase, fraction, count
        case ProductFinished(report):
            rows.pop(report.product, None)
            console.print(Text(line(report), style=COLOURS.get(report.status, "")))
        case Note(message, level):
            console.print(Text(f"{level}: {message}", style="yellow" if level == "warning" else "dim"))


def _block(rows: dict[str, _Row]) -> RenderableType:
    from rich.progress_bar import ProgressBar
    from rich.spinner import Spinner
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    for product, row in rows.items():
        bar = (
            ProgressBar(total=1.0, completed=row.fraction, width=24) if row.fraction is not None else Text("")
        )
        seconds = time.monotonic() - row.began
        count = f"{amount(row.rows)} rows" if row.rows else ""
        table.add_row(
            Spinner("dots"), Text(product), bar, Text(f"{row.phase} {count} {seconds:.0f} s", "dim")
        )
    return table

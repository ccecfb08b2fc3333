"""Shows events of a run: one live block on a terminal, one line per change of state elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.cli.report import amount, say, size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from raymesh.actions.events import Event, ProductReport
    from raymesh.spi.engine import Progress

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
        case ProductStarted(product, engine, reason, because):
            say(f"… {product}: building on {engine}{f', because {because}' if because else ''} ({reason})")
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
    counts: str = ""


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
        case ProductStarted(product, engine, _, because):
            rows[product] = _Row(time.monotonic(), "building")
            if because and engine != "local":
                console.print(Text(f"{product}: on {engine}, because {because}", style="dim"))
        case ProductWaiting(product, holder):
            rows[product] = _Row(time.monotonic(), f"waiting for {holder}")
        case Progress(product, phase, fraction) if product in rows:
            rows[product].phase, rows[product].fraction, rows[product].counts = (
                phase,
                fraction,
                _counts(event),
            )
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
        words = " ".join(filter(None, (row.phase, row.counts, f"{seconds:.0f} s")))
        table.add_row(Spinner("dots"), Text(product), bar, Text(words, "dim"))
    return table


def _counts(event: Progress) -> str:
    """What was written so far, in words: `12,000 rows, 1.2 MB, 8 tasks, 40.0 MB spilled`."""
    found = (
        (event.rows, f"{amount(event.rows)} rows"),
        (event.bytes, size(event.bytes)),
        (event.tasks, f"{amount(event.tasks)} tasks"),
        (event.spilled, f"{size(event.spilled)} spilled"),
    )
    return ", ".join(words for number, words in found if number)

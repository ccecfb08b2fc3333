"""How verbs speak: results on stdout, everything else on stderr, one JSON document per call."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from raymesh.errors import DocumentsInvalidError, InternalError, MeshError, TransformError

if TYPE_CHECKING:
    from raymesh.errors import Diagnostic

F = TypeVar("F", bound=Callable[..., Any])


def output_option(command: F) -> F:
    """`--output text|json`, passed as `output`."""
    return click.option(
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="text for people, json for programs (one versioned document).",
    )(command)


def say(message: str) -> None:
    """A line for people, on stderr."""
    click.echo(message, err=True)


def put(text: str) -> None:
    """The result, on stdout."""
    click.echo(text)


def put_json(schema: str, content: dict[str, Any]) -> None:
    """The one JSON document of a call; `schema` such as `run/1`."""
    click.echo(
        json.dumps({"schema": f"raymesh/{schema}", **content}, indent=2, default=str, ensure_ascii=False)
    )


def put_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    """A plain table on stdout; columns named in `right` (by index) are aligned right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for i, header in enumerate(headers):
        table.add_column(header, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text("" if cell is None else str(cell)) for cell in row])
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, soft_wrap=False).print(table)


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """All problems of the documents with excerpt and caret, worst first per file."""
    from raymesh.spec.excerpt import format_diagnostic

    for diagnostic in diagnostics:
        text = None
        if diagnostic.span is not None:
            text = _source(diagnostic.span.file)
        say(format_diagnostic(diagnostic, text, color=_colour()))
        say("")


def _source(file: str) -> str | None:
    from pathlib import Path

    ctx = click.get_current_context(silent=True)
    for base in [Path(), *([Path(ctx.obj)] if ctx is not None and isinstance(ctx.obj, str) else [])]:
        try:
            return (base / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _colour() -> bool:
    import os

    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def show_error(error: MeshError) -> None:
    """An error as people read it: code, sentence, place, the user's own traceback, the way out."""
    if isinstance(error, DocumentsInvalidError):
        show_diagnostics(error.diagnostics)
        say(f"error: {error.message}")
        return
    say(click.style(f"error[{error.code}]", fg="red", bold=True) + f": {error.message}")
    for span in error.spans:
        say(f"  --> {span}")
    if isinstance(error, TransformError) and error.traceback_text:
        for line in error.traceback_text.rstrip().splitlines():
            say(f"   | {line}")
    if isinstance(error, InternalError):
        say(error.trace.rstrip())
    if error.hint:
        say(f"   = help: {error.hint}")


def amount(number: float | None) -> str:
    """1234567 as `1,234,567`; nothing for None."""
    return "" if number is None else f"{number:,}"


def size(count: int | None) -> str:
    """Bytes for people: `12.3 MB` (decimal units)."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"

"""How verbs speak: results on stdout, everything else on stderr, one JSON document per call."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from raymesh.errors import DocumentsInvalidError, InternalError, MeshError, TransformError

if TYPE_CHECKING:
    from raymesh.errors import Diagnostic

F = TypeVar("F", bound=Callable[..., Any])


def _remember(ctx: click.Context, _: click.Parameter, value: str) -> str:
    ctx.meta["raymesh.output"] = value
    return value


def output_option(command: F) -> F:
    """`--output text|json`, passed as `output`; in a call with json an error is a document too."""
    return output_choice(
        "text", "json", about="text for people, json for programs (one versioned document)."
    )(command)


def output_choice(*formats: str, about: str) -> Callable[[F], F]:
    """`--output` with other formats beside text and json."""
    return click.option(
        "--output",
        type=click.Choice(formats),
        default="text" if "text" in formats else formats[0],
        show_default=True,
        is_eager=True,
        callback=_remember,
        help=about,
    )


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


def put_error(error: MeshError) -> None:
    """The document `raymesh/error/1`, which stands for the verb's own when the verb could not make one."""
    content: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": error.exit_code,
        "places": [str(span) for span in error.spans],
    }
    if isinstance(error, DocumentsInvalidError):
        content["diagnostics"] = [diagnostic_json(d) for d in error.diagnostics]
    put_json("error/1", content)


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, object]:
    """A diagnostic as the JSON documents show it."""
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": span.file if span else None,
        "line": span.line if span else None,
        "column": span.column if span else None,
        "help": diagnostic.help,
    }


def put_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[int] = ()) -> None:
    """A plain table on stdout; columns named in `right` (by index) are aligned right.

    Values are shown without control characters. On a terminal long cells are folded to its width, elsewhere
    every row is one line.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _fitted(headers, cells, right)
    else:
        for line in _lines([[_cell(h) for h in headers], *cells], right):
            click.echo(line)


def _cell(value: Any) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    r"""`text` on one line and without control characters, which are written as `\n`, `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(rows: Sequence[Sequence[str]], right: Sequence[int]) -> Iterator[str]:
    widths = [max(map(_columns, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (
            " " * (width - _columns(cell)) + cell if i in right else cell + " " * (width - _columns(cell))
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _fitted(headers: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for i, header in enumerate(headers):
        table.add_column(Text(_cell(header)), justify="right" if i in right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console(highlight=False, soft_wrap=False).print(table)


def show_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """All problems of the documents with excerpt and caret, in file order."""
    from raymesh.spec.excerpt import format_diagnostic

    for diagnostic in diagnostics:
        text = None
        if diagnostic.span is not None:
            text = _source(diagnostic.span.file)
        say(format_diagnostic(diagnostic, text, color=_colour()))
        say("")


def _source(file: str) -> str | None:
    """The text of a document, whose name is relative to the mesh folder."""
    from pathlib import Path

    from raymesh.spec.folders import nearest_mesh

    ctx = click.get_current_context(silent=True)
    named = ctx.find_object(str) if ctx is not None else None
    root = Path(named) if named else nearest_mesh(Path())
    for folder in (root or Path(), Path()):  # a contract checked on its own is named as the caller named it
        try:
            return (folder / file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def show_error(error: MeshError) -> None:
    """An error as people read it: code, sentence, place, the user's own traceback, the way out."""
    if isinstance(error, DocumentsInvalidError):
        show_diagnostics(error.diagnostics)
        say(f"error: {error.message}")
        return
    code = f"error[{error.code}]"
    say(f"{click.style(code, fg='red', bold=True) if _colour() else code}: {_paragraph(error.message)}")
    for span in error.spans:
        say(f"  --> {span}")
    if isinstance(error, TransformError) and error.traceback_text:
        for line in error.traceback_text.rstrip().splitlines():
            say(f"   | {printable(line)}")
    if isinstance(error, InternalError):
        say(error.trace.rstrip())
    if error.hint:
        say(f"   = help: {_paragraph(error.hint)}")


def _paragraph(text: str) -> str:
    """Text of others keeps its lines, set in, but no control characters."""
    return "\n   ".join(printable(line) for line in text.splitlines())


def amount(number: float | None) -> str:
    """1234567 as `1,234,567`; nothing for None."""
    return "" if number is None else f"{number:,}"


def count(number: int, thing: str) -> str:
    """`1 product`, `2 products`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size(bytes_: int | None) -> str:
    """Bytes for people: `12.3 MB` (decimal units)."""
    if bytes_ is None:
        return ""
    value = float(bytes_)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"

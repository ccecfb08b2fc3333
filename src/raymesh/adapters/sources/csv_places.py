"""Where in a CSV file something is wrong: DuckDB's errors, and values that do not convert, as places."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.adapters.sources.declared import read_not_exact
from raymesh.errors import CorruptFileError, MeshError, SourceError, SourceSpan

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile

_LINE = re.compile(
    r"CSV Error on Line: (\d+)\n(?:Original Line: ?(.*?)\n)?((?:Expected|Value|Invalid|Maximum|The ).*)",
    re.DOTALL,
)
_FILE = re.compile(r"^\s*file = (.+)$", re.MULTILINE)
_HINTS = {
    "Expected Number of Columns": "quote values that hold the delimiter, or correct `options: {delimiter: …}`",
    "unterminated quote": "close the quote; a quote inside a value is doubled, or see `options: {quote: …}`",
    "unicode": "set `options: {encoding: …}`, for example latin-1, cp1252 or utf-16",
}


@dataclass(frozen=True, slots=True)
class Place:
    line: int
    column: int


def explain(
    files: FileSet, chosen: Sequence[SourceFile], message: str, types: Mapping[str, Any]
) -> MeshError | None:
    """The error a person can act on: file, line, column, the text in question; None when it is not the file's."""
    if found := read_not_exact(message):
        return _not_exact(files, chosen, found, types)
    message = files.readable(message)
    if "GZIP" in message or "ZSTD" in message:
        return CorruptFileError(
            f"source {files.settings.name}: {message.splitlines()[0]}",
            hint="the file is cut off: write it again",
        )
    if match := _LINE.search(message):
        return _broken_record(files, message, match)
    return None


def _broken_record(files: FileSet, message: str, match: re.Match[str]) -> SourceError:
    line, text, rest = int(match[1]), match[2] or "", match[3]
    named = _FILE.search(message)
    path = named[1] if named else ""
    reason = rest.splitlines()[0].strip().rstrip(".")
    column = 1
    if counts := re.match(r"Expected Number of Columns: (\d+) Found: (\d+)", reason):
        expected, found = int(counts[1]), int(counts[2])
        reason = f"{expected} values expected, {found} found"
        column = _offset(files, text, min(expected, found))
    hint = next((h for sign, h in _HINTS.items() if sign.lower() in rest.lower()), None)
    return SourceError(
        f"source {files.settings.name}: {path}, line {line}, column {column}: {reason}: {shorten(text)}",
        hint=hint,
        spans=(SourceSpan(path, line, column),),
    )


def _not_exact(
    files: FileSet, chosen: Sequence[SourceFile], found: tuple[str, str], types: Mapping[str, Any]
) -> SourceError:
    name, value = found
    spans: tuple[SourceSpan, ...] = ()
    target = types.get(name, "of another type")
    for file in chosen:
        if place := _find(files, file, list(types), name, value):
            where = f"{file.path}, line {place.line}, column {place.column}: "
            spans = (SourceSpan(file.path, place.line, place.column),)
            break
    else:
        where = ""
    declared = bool(files.settings.columns)
    return SourceError(
        f"source {files.settings.name}: {where}{shorten(value)!r} in column {name} is not exactly a {target}",
        hint="correct the value, declare another type for the column, or name it under `options: {nullValues: […]}`"
        if declared
        else "its type was seen from the first records: declare `columns` with their types",
        spans=spans,
        column=name,
    )


def _find(files: FileSet, file: SourceFile, names: Sequence[str], name: str, value: str) -> Place | None:
    """The first record whose column `name` holds `value`; None when Python's reader sees it otherwise."""
    text = files.settings.text
    escape = text.escape if text.escape != text.quote else None
    try:
        with files.text(file) as handle:
            lines = _Lines(handle)
            reader = csv.reader(lines, delimiter=text.delimiter, quotechar=text.quote, escapechar=escape)
            header = [n.strip() for n in next(reader)] if text.header else names
            index = list(header).index(name)
            while True:
                start = lines.number + 1
                lines.record = []
                record = next(reader)
                if len(record) > index and record[index] == value:
                    return Place(start, _offset(files, "".join(lines.record), index))
    except (StopIteration, ValueError, csv.Error, OSError, EOFError):
        return None


class _Lines:
    """Lines of a file, the lines of the current record kept."""

    def __init__(self, handle: io.TextIOWrapper) -> None:
        self.handle, self.number, self.record = handle, 0, []  # type: ignore[var-annotated]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.handle)
        self.number += 1
        self.record.append(line)
        return line


def _offset(files: FileSet, line: str, index: int) -> int:
    """Column (from 1) at which value number `index` of a line starts, one past the end when it has fewer."""
    text = files.settings.text
    seen = 0
    quoted = False
    for i, char in enumerate(line.rstrip("\r\n")):
        if char == text.quote:
            quoted = not quoted
        elif char == text.delimiter and not quoted:
            seen += 1
            if seen == index:
                return i + 2
    return 1 if index == 0 else len(line.rstrip("\r\n")) + 1


def shorten(text: str, limit: int = 80) -> str:
    """`text` on one line, cut in the middle."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else f"{flat[: limit - 20]} … {flat[-15:]}"

"""Where in a JSON file something is wrong: DuckDB's errors, and values that do not convert, as places.

DuckDB counts lines and records only roughly; the place is found again with Python's parser.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any

from raymesh.adapters.sources.csv_places import shorten
from raymesh.adapters.sources.declared import read_not_exact
from raymesh.errors import CorruptFileError, MeshError, SourceError, SourceSpan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile

_PLACE = re.compile(r'in file "(.+?)",(?: at byte (\d+))? in (line|record/value) (\d+): (.*)', re.DOTALL)
_NO_RECORD = re.compile("non-record JSON|Expected OBJECT, but got")
_LARGEST = 64 * 1024 * 1024


def record_format(files: FileSet, chosen: Sequence[SourceFile]) -> str:
    """DuckDB's name of how records are written: as the options say, or as the first file starts."""
    given = files.settings.text.records
    if given:
        return "array" if given == "array" else "newline_delimited"
    for file in chosen:
        try:
            with files.open(file) as handle:
                start = handle.read(65536).lstrip()
        except (EOFError, OSError) as wrong:
            raise cut_off(files, f"{file.path}: {wrong}") from None
        if start:
            return "array" if start.startswith(b"[") else _lines_or_loose(start)
    return "newline_delimited"


def _lines_or_loose(start: bytes) -> str:
    """Objects may be written over several lines, one after the other."""
    first, newline, _ = start.partition(b"\n")
    opens_only = (
        newline and first.count(b"{") > first.count(b"}") and first.strip().endswith((b"{", b"[", b","))
    )
    return "unstructured" if opens_only else "newline_delimited"


def explain(
    files: FileSet, chosen: Sequence[SourceFile], message: str, types: Mapping[str, Any]
) -> MeshError | None:
    """The error a person can act on: file, line, column, the text in question; None when it is not the file's."""
    if found := read_not_exact(message):
        return _not_exact(files, chosen, found, types)
    message = files.readable(message)
    if "GZIP" in message or "ZSTD" in message:
        return cut_off(files, message.splitlines()[0])
    if _NO_RECORD.search(message) and (error := _no_object(files, chosen)):
        return error
    match = _PLACE.search(message)
    if match is None:
        hint = (
            "set `options: {recordFormat: lines}` or `array`" if "top-level JSON array" in message else None
        )
        return files.settings.error(message.splitlines()[0], hint)
    return _broken(files, chosen, match)


def cut_off(files: FileSet, message: str) -> MeshError:
    """A compressed file that ends too early."""
    return CorruptFileError(
        f"source {files.settings.name}: {message}", hint="the file is cut off: write it again"
    )


def _broken(files: FileSet, chosen: Sequence[SourceFile], match: re.Match[str]) -> SourceError:
    file = next((f for f in chosen if match[1].endswith(f.path.removeprefix("./"))), None)
    span, text = _place(files, file, match)
    reason = match[5].splitlines()[0].strip().rstrip(".")
    return SourceError(
        f"source {files.settings.name}: {span.file}, line {span.line}, column {span.column}: {reason}"
        + (f": {shorten(text)}" if text else ""),
        hint="correct the record; one JSON object per line, or one array of objects",
        spans=(span,),
    )


def _place(files: FileSet, file: SourceFile | None, match: re.Match[str]) -> tuple[SourceSpan, str]:
    number = int(match[4])
    if file is None:
        return SourceSpan(match[1], number), ""
    with files.open(file) as handle:
        if match[3] == "line":
            return _in_lines(handle, file.path, number)
        return _in_text(handle.read(_LARGEST).decode("utf-8", "replace"), file.path)


def _in_lines(handle: IO[bytes], path: str, number: int) -> tuple[SourceSpan, str]:
    """The first line around `number` that is no JSON, otherwise that line."""
    near = {n: raw for n, raw in _numbered(handle, number + 1) if n >= number - 1}
    for n, line in near.items():
        try:
            json.loads(line or "0")
        except json.JSONDecodeError as wrong:
            return SourceSpan(path, n, wrong.colno), line
    return SourceSpan(path, number), near.get(number, "")


def _numbered(handle: IO[bytes], last: int) -> Iterator[tuple[int, str]]:
    for n, raw in enumerate(handle, 1):
        if n > last:
            return
        yield n, raw.decode("utf-8", "replace").rstrip("\r\n")


def _in_text(text: str, path: str) -> tuple[SourceSpan, str]:
    try:
        json.loads(text)
    except json.JSONDecodeError as wrong:
        lines = text.splitlines() or [""]
        return SourceSpan(path, wrong.lineno, wrong.colno), lines[min(wrong.lineno, len(lines)) - 1]
    return SourceSpan(path), ""


def _records(files: FileSet, file: SourceFile) -> Iterator[tuple[str, SourceSpan, Any]]:
    """Records with their places in words; none when the file is an array too large for Python."""
    with files.open(file) as handle:
        if record_format(files, [file]) == "newline_delimited":
            for n, raw in enumerate(handle, 1):
                if raw.strip():
                    yield f"line {n}", SourceSpan(file.path, n), json.loads(raw)
        elif file.size <= _LARGEST:
            for n, record in enumerate(json.loads(handle.read() or b"[]"), 1):
                yield f"record {n}", SourceSpan(file.path), record


def _no_object(files: FileSet, chosen: Sequence[SourceFile]) -> SourceError | None:
    """The error for a record that is no object, or for files without any record."""
    count = 0
    for file in chosen:
        try:
            for place, span, record in _records(files, file):
                count += 1
                if not isinstance(record, dict):
                    return SourceError(
                        f"source {files.settings.name}: {file.path}, {place} is no object: {shorten(json.dumps(record))}",
                        hint="every record must be an object: {…}",
                        spans=(span,),
                    )
        except ValueError:
            return None
    return None if count else no_records(files)


def no_records(files: FileSet) -> SourceError:
    """The error for files that hold nothing to take columns from."""
    return files.settings.error(
        "it holds no records to take columns from",
        "a file with records tells them, and so does `columns` of a source",
    )


def _not_exact(
    files: FileSet, chosen: Sequence[SourceFile], found: tuple[str, str], types: Mapping[str, Any]
) -> SourceError:
    name, value = found
    where, spans = "", tuple[SourceSpan, ...]()
    for file in chosen:
        if place := _find(files, file, name, value):
            where, spans = f"{file.path}, {place[0]}: ", (place[1],)
            break
    return SourceError(
        f"source {files.settings.name}: {where}{shorten(value)} in column {name} is not exactly a {types.get(name)}",
        hint="correct the value or declare another type for the column",
        spans=spans,
        column=name,
    )


def _find(files: FileSet, file: SourceFile, name: str, value: str) -> tuple[str, SourceSpan] | None:
    """Where a record's member `name` is `value`; None when it cannot be told."""
    try:
        wanted = json.loads(value)
        found = ((place, span) for place, span, r in _records(files, file) if r.get(name) == wanted)
        return next(found, None)
    except ValueError:
        return None

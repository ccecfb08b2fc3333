"""JSON files: one object per line, or arrays of objects; declared values must convert exactly.

With declared columns each value stays JSON until `exact` converts it; without, DuckDB looks at every record
before it decides on types, so that none is too narrow.
"""

from __future__ import annotations

import json
import re
from typing import IO, TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.csv_places import shorten
from raymesh.adapters.sources.declared import (
    declared_types,
    duplicates,
    mismatch,
    missing,
    not_exact,
    read_not_exact,
)
from raymesh.adapters.sources.exact import Formats, from_json, or_error, or_null
from raymesh.adapters.sources.temporary import keep, reason
from raymesh.errors import CorruptFileError, MeshError, SourceError, SourceSpan
from raymesh.spi.scan_sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile

_PLACE = re.compile(r'in file "(.+?)",(?: at byte (\d+))? in (line|record/value) (\d+): (.*)', re.DOTALL)
_LARGEST = 64 * 1024 * 1024
_ROW = "raymesh_record"


def json_relation(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]
) -> duckdb.DuckDBPyRelation:
    """All records of all files, read now; raises SourceError with the place of what does not fit."""
    wanted = declared_types(con, files.settings)
    if twice := duplicates(wanted):
        raise mismatch(files.settings, twice)
    try:
        relation = keep(con, _select(files, chosen, wanted))
        return _complete(con, files, chosen, relation, wanted)
    except duckdb.Error as error:
        raise explain(files, chosen, reason(error), wanted) from None


def json_types(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]
) -> dict[str, Any]:
    """Columns and types as `json_relation` gives them."""
    if wanted := declared_types(con, files.settings):
        return wanted
    try:
        relation = con.sql(_select(files, chosen, {}))
    except duckdb.Error as error:
        raise explain(files, chosen, reason(error), {}) from None
    return dict(zip(relation.columns, relation.types, strict=True))


def _select(files: FileSet, chosen: Sequence[SourceFile], wanted: Mapping[str, Any]) -> str:
    common = f"{_paths(files, chosen)}, format={literal(_format(files, chosen))}, hive_partitioning=false"
    if not wanted:
        return (
            f"SELECT * FROM read_json({common}, records=true, sample_size=-1, maximum_depth=-1, "
            "map_inference_threshold=-1, union_by_name=true)"
        )
    formats = Formats(files.settings.text.date_format, files.settings.text.timestamp_format)
    columns = []
    for name, target in wanted.items():
        value = identifier(name)
        exact = or_null(value, from_json(value, target, formats))
        columns.append(f"{or_error(value, exact, not_exact(name))} AS {value}")
    raw = ", ".join(f"{literal(name)}: 'JSON'" for name in wanted)
    return f"SELECT {', '.join(columns)} FROM read_json({common}, records=true, columns={{{raw}}})"


def _paths(files: FileSet, chosen: Sequence[SourceFile]) -> str:
    return literal([files.address(f) for f in chosen])


def _format(files: FileSet, chosen: Sequence[SourceFile]) -> str:
    given = files.settings.text.records
    if given:
        return "array" if given == "array" else "newline_delimited"
    for file in chosen:
        try:
            with files.open(file) as handle:
                start = handle.read(65536).lstrip()
        except (EOFError, OSError) as wrong:
            raise _cut_off(files, f"{file.path}: {wrong}") from None
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


def _complete(
    con: duckdb.DuckDBPyConnection,
    files: FileSet,
    chosen: Sequence[SourceFile],
    relation: duckdb.DuckDBPyRelation,
    wanted: Mapping[str, Any],
) -> duckdb.DuckDBPyRelation:
    """`relation`, unless a declared column comes in no record or there is nothing to take types from."""
    if not wanted:
        if relation.columns == ["json"] and not relation.limit(1).fetchall():
            raise files.settings.error("it holds no records to take columns from", "declare `columns`")
        return relation
    counts = ", ".join(f"count({identifier(n)})" for n in wanted)
    total, *found = relation.aggregate(f"count(*), {counts}").fetchall()[0]
    empty = [name for name, count in zip(wanted, found, strict=True) if total and not count]
    if empty:
        _require(con, files, chosen, empty)
    return relation


def _require(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile], names: Sequence[str]
) -> None:
    """Raises SourceError that lists those of `names` that no record has, not even as null."""
    source = f"read_json_objects({_paths(files, chosen)}, format={literal(_format(files, chosen))})"
    rows = con.execute(f"SELECT DISTINCT unnest(json_keys(json)) FROM {source} AS {_ROW}").fetchall()
    present = sorted(row[0] for row in rows)
    problems = [missing(name, present) for name in names if name not in present]
    if problems:
        raise mismatch(files.settings, problems)


def explain(
    files: FileSet, chosen: Sequence[SourceFile], message: str, types: Mapping[str, Any]
) -> MeshError:
    """The error a person can act on: file, line, column, the text in question."""
    if found := read_not_exact(message):
        return _not_exact(files, chosen, found, types)
    message = files.readable(message)
    if "GZIP" in message or "ZSTD" in message:
        return _cut_off(files, message.splitlines()[0])
    match = _PLACE.search(message)
    if match is None:
        hint = (
            "set `options: {recordFormat: lines}` or `array`" if "top-level JSON array" in message else None
        )
        return files.settings.error(message.splitlines()[0], hint)
    file = next((f for f in chosen if match[1].endswith(f.path.removeprefix("./"))), None)
    span, text = _place(files, file, match)
    reason = match[5].splitlines()[0].strip()
    return SourceError(
        f"source {files.settings.name}: {span.file}, line {span.line}, column {span.column}: {reason}"
        + (f" {shorten(text)}" if text else ""),
        hint="correct the record; one JSON object per line, or one array of objects",
        spans=(span,),
    )


def _cut_off(files: FileSet, message: str) -> MeshError:
    return CorruptFileError(
        f"source {files.settings.name}: {message}", hint="the file is cut off: write it again"
    )


def _place(files: FileSet, file: SourceFile | None, match: re.Match[str]) -> tuple[SourceSpan, str]:
    """Line and column, found again with Python's parser, and the line's text."""
    number, path = int(match[4]), file.path if file else match[1]
    if file is None:
        return SourceSpan(path, number), ""
    with files.open(file) as handle:
        if match[3] == "line":
            line = _line(handle, number)
            return SourceSpan(path, number, _column(line)), line
        return _in_array(handle.read(_LARGEST).decode("utf-8", "replace"), path, number)


def _line(handle: IO[bytes], number: int) -> str:
    found = next((raw for n, raw in enumerate(handle, 1) if n == number), b"")
    return found.decode("utf-8", "replace").rstrip("\r\n")


def _column(line: str) -> int:
    try:
        json.loads(line)
    except json.JSONDecodeError as wrong:
        return wrong.colno
    return 1


def _in_array(text: str, path: str, number: int) -> tuple[SourceSpan, str]:
    try:
        records = json.loads(text)
    except json.JSONDecodeError as wrong:
        lines = text.splitlines() or [""]
        return SourceSpan(path, wrong.lineno, wrong.colno), lines[min(wrong.lineno, len(lines)) - 1]
    record = records[number - 1] if isinstance(records, list) and 0 < number <= len(records) else ""
    return SourceSpan(path), f"(record {number}: {shorten(json.dumps(record))})"


def _not_exact(
    files: FileSet, chosen: Sequence[SourceFile], found: tuple[str, str], types: Mapping[str, Any]
) -> SourceError:
    name, value = found
    where, spans = "", tuple[SourceSpan, ...]()
    for file in chosen:
        if place := _find(files, file, name, value):
            where = f"{file.path}, {place}: "
            line = re.match(r"line (\d+)", place)
            spans = (SourceSpan(file.path, int(line[1]) if line else 1),)
            break
    return SourceError(
        f"source {files.settings.name}: {where}{shorten(value)} in column {name} is not exactly a {types.get(name)}",
        hint="correct the value or declare another type for the column",
        spans=spans,
    )


def _find(files: FileSet, file: SourceFile, name: str, value: str) -> str | None:
    """`line 3` or `record 3`, where a record's member `name` is `value`."""
    wanted = json.loads(value)
    with files.open(file) as handle:
        if _format(files, [file]) == "newline_delimited":
            numbered = ((f"line {n}", json.loads(raw)) for n, raw in enumerate(handle, 1) if raw.strip())
        elif file.size <= _LARGEST:
            numbered = ((f"record {n}", r) for n, r in enumerate(json.loads(handle.read() or b"[]"), 1))
        else:
            return None
        return next((place for place, record in numbered if record.get(name) == wanted), None)

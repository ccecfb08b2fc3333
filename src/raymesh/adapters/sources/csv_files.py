"""CSV files: the header decides the names, every record must fit, every value must convert exactly.

DuckDB parses; its guessing of delimiters, headers and types is switched off, because a wrong guess reads
wrong data without an error. All values are read as text and converted by `exact`.
"""

from __future__ import annotations

import csv
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.csv_places import explain
from raymesh.adapters.sources.declared import declared_types, duplicates, mismatch, missing, not_exact
from raymesh.adapters.sources.exact import Formats, from_text, or_error
from raymesh.adapters.sources.locations import UTF_8
from raymesh.adapters.sources.temporary import keep, reason
from raymesh.spi.scan_sql import identifier, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raymesh.adapters.sources.locations import FileSet, SourceFile

SAMPLE = 100_000
_GUESSES = (
    ("BOOLEAN", "(?i)true|false", None),
    ("BIGINT", "-?(0|[1-9][0-9]{0,17})", None),
    ("DOUBLE", "-?(0|[1-9][0-9]{0,14})([.][0-9]{1,15})?([eE][-+]?[0-9]{1,2})?", "length({c}) <= 17"),
    ("DATE", "[0-9]{4}-[0-9]{2}-[0-9]{2}", "TRY_CAST({c} AS DATE) IS NOT NULL"),
    (
        "TIMESTAMP",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?",
        "TRY_CAST({c} AS TIMESTAMP) IS NOT NULL",
    ),
    (
        "TIMESTAMP WITH TIME ZONE",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)? ?(Z|[-+][0-9]{2}:?([0-9]{2})?)",
        "TRY_CAST({c} AS TIMESTAMPTZ) IS NOT NULL",
    ),
)


def csv_relation(
    con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]
) -> duckdb.DuckDBPyRelation:
    """All records of all files, read now.

    Raises SourceError with file, line and column of the first record or value that does not fit, or that
    lists all differences between headers and declared columns.
    """
    headers = _headers(files, chosen)
    wanted = declared_types(con, files.settings)
    _compare(files, headers, wanted)
    with _as_utf8(files, chosen) as addresses:
        texts = _texts(files, headers, addresses, list(wanted))
        types = wanted or _guessed(con, files, texts, _union(headers))
        formats = Formats(files.settings.text.date_format, files.settings.text.timestamp_format)
        columns = [
            f"{or_error(identifier(n), from_text(identifier(n), t, formats), not_exact(n))} AS {identifier(n)}"
            for n, t in types.items()
        ]
        try:
            return keep(con, f"SELECT {', '.join(columns)} FROM ({texts})")
        except duckdb.Error as error:
            if (found := explain(files, chosen, _known(reason(error), addresses), types)) is not None:
                raise found from None
            raise


def _known(message: str, addresses: Mapping[str, str]) -> str:
    """`message` with the paths the user wrote."""
    for path, address in addresses.items():
        message = message.replace(address, path)
    return message


def csv_types(con: duckdb.DuckDBPyConnection, files: FileSet, chosen: Sequence[SourceFile]) -> dict[str, Any]:
    """Columns and types as `csv_relation` would give them, from headers and the first records."""
    headers = _headers(files, chosen)
    wanted = declared_types(con, files.settings)
    _compare(files, headers, wanted)
    if wanted:
        return wanted
    with _as_utf8(files, chosen) as addresses:
        return _guessed(con, files, _texts(files, headers, addresses, []), _union(headers))


def _headers(files: FileSet, chosen: Sequence[SourceFile]) -> dict[str, tuple[str, ...]]:
    """Column names of each file; raises SourceError that lists every file without, or with doubled names."""
    declared = tuple(name for name, _ in files.settings.columns)
    found, problems = {}, []
    for file in chosen:
        first = _first_record(files, file)
        if first is None and (files.settings.text.header or not declared):
            problems.append(f"{file.path} is empty: not even a header")
            continue
        found[file.path] = _named(files, first or (), declared)
        problems += [f"{file.path}: {p}" for p in duplicates(found[file.path])]
    if problems:
        raise files.settings.error(
            "\n  - ".join(["its headers cannot be used:", *problems]), "correct the files"
        )
    return found


def _named(files: FileSet, record: Sequence[str], declared: tuple[str, ...]) -> tuple[str, ...]:
    if not files.settings.text.header:
        return declared or tuple(f"column{i}" for i in range(len(record)))
    return tuple(name.strip() or f"column{i}" for i, name in enumerate(record))


def _first_record(files: FileSet, file: SourceFile) -> tuple[str, ...] | None:
    text = files.settings.text
    escape = text.escape if text.escape != text.quote else None
    try:
        with files.text(file) as lines:
            reader = csv.reader(
                lines, delimiter=text.delimiter, quotechar=text.quote, escapechar=escape, strict=True
            )
            return tuple(next(reader, ())) or None
    except (UnicodeError, LookupError) as wrong:
        raise _not_encoded(files, file, wrong) from None
    except (csv.Error, EOFError, OSError) as wrong:
        raise files.settings.error(f"{file.path}: its first line cannot be read: {wrong}") from None


def _not_encoded(files: FileSet, file: SourceFile, wrong: Exception) -> Exception:
    return files.settings.error(
        f"{file.path} is not written in {files.settings.text.encoding}: {wrong}",
        "set `options: {encoding: …}`, for example latin-1, cp1252 or utf-16",
    )


def _compare(files: FileSet, headers: Mapping[str, tuple[str, ...]], wanted: Mapping[str, Any]) -> None:
    problems = []
    names = list(wanted) or _union(headers)
    for path, header in headers.items():
        where = f"{path}: " if len(headers) > 1 else ""
        problems += [where + missing(name, header) for name in names if name not in header]
    if problems:
        raise mismatch(files.settings, problems)


def _union(headers: Mapping[str, tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(name for header in headers.values() for name in header))


@contextmanager
def _as_utf8(files: FileSet, chosen: Sequence[SourceFile]) -> Iterator[dict[str, str]]:
    """Addresses DuckDB can read, by path; files in other encodings are copied to UTF-8 meanwhile."""
    if files.settings.text.encoding in UTF_8:
        yield {f.path: files.address(f) for f in chosen}
        return
    with tempfile.TemporaryDirectory(prefix="raymesh-") as folder:
        yield {f.path: _recoded(files, f, Path(folder) / f"{i}.csv") for i, f in enumerate(chosen)}


def _recoded(files: FileSet, file: SourceFile, target: Path) -> str:
    try:
        with (
            files.text(file) as source,
            target.open("w", encoding="utf-8", newline="") as copy,
        ):
            while block := source.read(1 << 20):
                copy.write(block)
    except UnicodeError as wrong:
        raise _not_encoded(files, file, wrong) from None
    return str(target)


def _texts(
    files: FileSet,
    headers: Mapping[str, tuple[str, ...]],
    addresses: Mapping[str, str],
    wanted: Sequence[str],
) -> str:
    """A SELECT of all values as text; files with the same header are read together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path, header in headers.items():
        groups.setdefault(header, []).append(addresses[path])
    names = ", ".join(identifier(n) for n in (wanted or _union(headers)))
    parts = [f"SELECT {names} FROM {_read(files, header, paths)}" for header, paths in groups.items()]
    return " UNION ALL ".join(parts) or f"SELECT {names} WHERE FALSE"


def _read(files: FileSet, header: Sequence[str], paths: Sequence[str]) -> str:
    text = files.settings.text
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
    return (
        f"read_csv({literal(list(paths))}, columns={{{columns}}}, auto_detect=false, strict_mode=true, "
        f"header={literal(text.header)}, delim={literal(text.delimiter)}, quote={literal(text.quote)}, "
        f"escape={literal(text.escape)}, nullstr={literal(list(text.nulls))}, hive_partitioning=false, "
        f"max_line_size=16777216)"
    )


def _guessed(
    con: duckdb.DuckDBPyConnection, files: FileSet, texts: str, names: Sequence[str]
) -> dict[str, Any]:
    """Types that fit all of the first records without loss; leading zeros and plus signs mean text."""
    tests = []
    for name in names:
        column = identifier(name)
        for _, pattern, more in _GUESSES:
            fits = f"regexp_full_match({column}, {literal(pattern)})" + (
                f" AND {more.format(c=column)}" if more else ""
            )
            tests.append(f"coalesce(bool_and({fits}) FILTER ({column} IS NOT NULL), false)")
    try:
        row = con.execute(
            f"SELECT {', '.join(tests)} FROM (SELECT * FROM ({texts}) LIMIT {SAMPLE})"
        ).fetchall()[0]
    except duckdb.Error as error:
        if (found := explain(files, (), reason(error), {})) is not None:
            raise found from None
        raise
    size = len(_GUESSES)
    return {
        name: con.type(
            next((g[0] for g, ok in zip(_GUESSES, row[i * size :], strict=False) if ok), "VARCHAR")
        )
        for i, name in enumerate(names)
    }

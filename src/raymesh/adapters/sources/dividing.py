"""Files of a source dealt out to several readers: runs of whole files, and large Parquet files by their row groups."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from raymesh.adapters.sources.locations import SourceFile, pin_of
from raymesh.adapters.sources.parquet_files import parquet_relation, row_groups
from raymesh.spi.source import Division

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from raymesh.adapters.sources.locations import FileSet
    from raymesh.mesh.plan import SourceScan

_LARGE = 1.5
"""A file is cut that is larger than so many pieces are meant to be."""


def parquet_pieces(
    con: duckdb.DuckDBPyConnection, scan: SourceScan, files: FileSet, chosen: Sequence[SourceFile], parts: int
) -> Division:
    """Runs of files, and ranges of rows of large ones. Raises SourceError when the files do not fit together."""
    if len(files.folder_keys(chosen)) > 1:
        return Division((scan,), "which columns its folders make is decided over all of them")
    parquet_relation(con, files, chosen)  # each reader compares the files of its piece only
    each = sum(f.size for f in chosen) / parts
    pins: list[Mapping[str, Any]] = []
    for large, run in groupby(chosen, key=lambda f: f.size > _LARGE * each):
        some = list(run)
        if large:
            pins += [pin for f in some for pin in _cut(con, files, f, round(f.size / each))]
        else:
            wanted = max(round(sum(f.size for f in some) / max(each, 1)), 1)
            pins += [pin_of(group) for group in gathered(some, wanted)]
    return _division(scan, pins, len(chosen))


def csv_pieces(
    scan: SourceScan, chosen: Sequence[SourceFile], parts: int, types: Mapping[str, Any]
) -> Division:
    """Runs of files, each read as `types`, which were declared or seen from the first records of all files."""
    columns = [{"name": name, "type": str(kind)} for name, kind in types.items()]
    known = {**scan.spec, "columns": scan.spec.get("columns") or columns}
    return _whole_files(replace(scan, spec=known), scan, chosen, parts)


def json_pieces(scan: SourceScan, chosen: Sequence[SourceFile], parts: int, written: str) -> Division:
    """Runs of files with declared columns. `written` is how, in the words of DuckDB; without declared columns types
    come from every record, so one reader reads all."""
    if not scan.spec.get("columns"):
        return Division((scan,), "types are taken from every record of it: declare its `columns`")
    if written == "unstructured":
        return Division((scan,), "its records are written over several lines")
    options = {**(scan.spec.get("options") or {}), "recordFormat": "array" if written == "array" else "lines"}
    found = _whole_files(replace(scan, spec={**scan.spec, "options": options}), scan, chosen, parts)
    if len(found.pieces) == 1:
        return found
    everything = [[f.path, f.size, f.mark] for f in chosen]
    judged = [everything, *([] for _ in found.pieces[1:])]
    return replace(
        found,
        pieces=tuple(
            replace(p, pin={**p.pin, "judged": j}) for p, j in zip(found.pieces, judged, strict=True)
        ),
    )


def table_pieces(scan: SourceScan, sizes: Mapping[str, int], parts: int) -> Division:
    """Runs of the data files of a table, given with their sizes; a piece's pin names its own as `paths`."""
    if len(sizes) < 2:
        return Division((scan,), "the table has one data file" if sizes else "the table is empty")
    groups = gathered([SourceFile(path, size, 0) for path, size in sizes.items()], parts)
    return _division(scan, [{**scan.pin, "paths": [f.path for f in g]} for g in groups], len(sizes))


def gathered(files: Sequence[SourceFile], parts: int) -> list[list[SourceFile]]:
    """Files in at most `parts` runs of about the same size, in their order: each goes where its middle lies."""
    total = sum(f.size + 1 for f in files)
    places, before = [], 0
    for file in files:
        places.append((before * 2 + file.size + 1) * parts // (total * 2))
        before += file.size + 1
    return [[f for _, f in run] for _, run in groupby(zip(places, files, strict=True), key=lambda p: p[0])]


def _whole_files(known: SourceScan, scan: SourceScan, chosen: Sequence[SourceFile], parts: int) -> Division:
    if len(chosen) == 1:
        return Division((scan,), f"one {scan.type.upper()} file is read from its beginning to its end")
    return _division(known, [pin_of(group) for group in gathered(chosen, parts)], len(chosen))


def _division(scan: SourceScan, pins: Sequence[Mapping[str, Any]], files: int) -> Division:
    noun = "file" if files == 1 else "files"
    if len(pins) == 1:
        return Division((scan,), f"its {files} {noun} make one piece")
    return Division(tuple(replace(scan, pin=pin) for pin in pins), f"{len(pins)} pieces of {files} {noun}")


def _cut(
    con: duckdb.DuckDBPyConnection, files: FileSet, file: SourceFile, count: int
) -> list[Mapping[str, Any]]:
    """A file in `count` ranges of its rows, between row groups when there are enough of them."""
    groups = row_groups(con, files, file)
    rows = sum(groups)
    if rows < count:
        return [pin_of([file])]
    bounds = [rows * at // count for at in range(1, count)]
    if len(groups) >= count:
        ends = [sum(groups[: at + 1]) for at in range(len(groups) - 1)]
        bounds = sorted({_nearest(ends, bound) for bound in bounds})
    return [{**pin_of([file]), "rows": list(span)} for span in pairwise([0, *bounds, rows])]


def _nearest(ends: Sequence[int], bound: int) -> int:
    return min(ends, key=lambda end: abs(end - bound))

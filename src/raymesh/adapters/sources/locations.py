"""Which files a location means, what identifies their state, and how DuckDB and Python open them.

A pin is the sorted list of (path, size, mark), where the mark is the time of change in nanoseconds of a
local file and the ETag of an object. Paths inside the mesh folder are kept relative to it, so that a mesh
may move. Relative locations start at the mesh folder; absolute ones may be anywhere.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from raymesh.adapters.sources.objects import ObjectStore, is_object
from raymesh.errors import SourceChangedError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import duckdb

    from raymesh.adapters.sources.settings import Settings

UTF_8 = {"utf-8", "utf8", "utf-8-sig"}
SUFFIXES = {
    "parquet": (".parquet", ".parq", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"),
    "json": tuple(s + z for s in (".json", ".jsonl", ".ndjson") for z in ("", ".gz", ".zst")),
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source as it was seen. `path` is an `s3://` address, absolute, or relative to the mesh."""

    path: str
    size: int
    mark: int | str


class FileSet:
    """The files of one source: listed, checked against a pin, opened."""

    def __init__(self, settings: Settings, root: str) -> None:
        self.settings = settings
        self.root = Path(root).absolute()
        self.store = ObjectStore(settings) if is_object(settings.location) else None

    def current(self) -> tuple[SourceFile, ...]:
        """All files of the location now, sorted by path; raises SourceError when there are none."""
        found = self.store.find(self._wanted) if self.store else self._list_local()
        if not found:
            raise self._nothing_there()
        return tuple(sorted((SourceFile(*f) for f in found), key=lambda f: f.path))

    def check(self, files: Iterable[SourceFile]) -> None:
        """Raises SourceChangedError that names every file which is not as it was pinned."""
        changed = [problem for f in files if (problem := self._difference(f))]
        if changed:
            shown = "; ".join(changed[:5]) + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")
            raise SourceChangedError(
                f"source {self.settings.name} changed while being read: {shown}",
                hint="run again: the new state is pinned then; let writers put files in place by renaming them",
            )

    def address(self, file: SourceFile) -> str:
        """The path as DuckDB takes it literally, glob characters escaped."""
        plain = self.store.address(file.path) if self.store else str(self.root / file.path)
        return re.sub(r"([*?\[])", r"[\1]", plain)

    @contextmanager
    def open(self, file: SourceFile) -> Iterator[IO[bytes]]:
        """The file's bytes, decompressed by suffix; closed at the end of the context."""
        opened = self.store.open(file.path) if self.store else (self.root / file.path).open("rb")
        with opened as raw:
            if file.path.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw) as plain:
                    yield cast("IO[bytes]", plain)
            elif file.path.endswith(".zst"):
                import pyarrow as pa  # few sources need it

                with pa.input_stream(raw, compression="zstd") as plain:
                    yield cast("IO[bytes]", plain)
            else:
                yield raw

    @contextmanager
    def text(self, file: SourceFile) -> Iterator[io.TextIOWrapper]:
        """The file's text in the encoding of the source, line ends as they are, without a byte order mark."""
        encoding = self.settings.text.encoding
        with (
            self.open(file) as raw,
            io.TextIOWrapper(raw, "utf-8-sig" if encoding in UTF_8 else encoding, newline="") as text,
        ):
            yield text

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        """Lets `con` read the files."""
        if self.store:
            self.store.attach(con)

    def readable(self, message: str) -> str:
        """A message of DuckDB with the addresses the user knows."""
        return self.store.readable(message) if self.store else message

    def partition_keys(self, files: Iterable[SourceFile]) -> tuple[str, ...]:
        """Keys of `key=value` folders below the location, the same for all files; empty when there are none."""
        found = self.folder_keys(files)
        return found.pop() if len(found) == 1 else ()

    def folder_keys(self, files: Iterable[SourceFile]) -> set[tuple[str, ...]]:
        """The different lists of keys that the folders of `files` have."""
        base = self._base()
        return {
            tuple(p.split("=", 1)[0] for p in f.path.removeprefix(base).split("/")[:-1] if "=" in p)
            for f in files
        }

    def _base(self) -> str:
        steps = self.settings.location.split("/")
        plain = "/".join(steps[: next((i for i, s in enumerate(steps) if has_magic(s)), len(steps))])
        return plain if self.store else self._known(str(self._local(plain)))

    def _local(self, location: str) -> Path:
        return Path(os.path.normpath(self.root / Path(location.removeprefix("file://")).expanduser()))

    def _known(self, path: str) -> str:
        return os.path.relpath(path, self.root) if Path(path).is_relative_to(self.root) else path

    def _wanted(self, below: str) -> bool:
        """Whether a file found below a folder belongs to the source: by suffix, hidden and `_` names left out."""
        hidden = any(step.startswith((".", "_")) and "=" not in step for step in below.split("/") if step)
        return not hidden and below.lower().endswith(SUFFIXES[self.settings.kind])

    def _list_local(self) -> list[tuple[str, int, int]]:
        place = self._local(self.settings.location)
        if place.is_dir():
            paths = [p for p in _walk(place) if self._wanted(os.path.relpath(p, place))]
        elif place.exists() or not has_magic(str(place)):
            paths = [str(place)] if place.exists() else []
        else:
            paths = [p for p in glob(str(place), recursive=True) if Path(p).is_file()]  # noqa: PTH207 (absolute)
        return [(self._known(p), *_state(Path(p))) for p in paths]

    def _difference(self, file: SourceFile) -> str | None:
        try:
            now = self.store.state(file.path) if self.store else _state(self.root / file.path)
        except FileNotFoundError:
            return f"{file.path} is gone"
        if now == (file.size, file.mark):
            return None
        return f"{file.path} was rewritten ({file.size} bytes then, {now[0]} now)"

    def _nothing_there(self) -> SourceError:
        location = self.settings.location
        kinds = " or ".join(SUFFIXES[self.settings.kind][:3])
        where = "" if is_object(location) or Path(location).is_absolute() else f"; it starts at {self.root}"
        return self.settings.error(
            f"no files at {location}",
            f"a file, a folder with {kinds} files, or a pattern such as *{SUFFIXES[self.settings.kind][0]}{where}",
        )


def pin_of(files: Iterable[SourceFile]) -> dict[str, Any]:
    """The pin of a state: its files and one hash over them."""
    rows = [[f.path, f.size, f.mark] for f in files]
    digest = hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
    return {"files": rows, "hash": digest}


def files_of(pin: Mapping[str, Any]) -> tuple[SourceFile, ...]:
    return tuple(SourceFile(*row) for row in pin["files"])


def _walk(folder: Path) -> list[str]:
    return [f"{base}/{name}" for base, _, names in os.walk(folder, followlinks=True) for name in names]


def _state(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns

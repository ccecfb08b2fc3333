"""Reading and writing metadata files for pyiceberg on a local disk.

Files are written without waiting for the disk; whoever stages a change syncs all of them at once afterwards,
which costs one flush instead of one per file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from raymesh.adapters.iceberg.places import plain

if TYPE_CHECKING:
    from typing import BinaryIO


class LocalFile(InputFile, OutputFile):
    """A file that pyiceberg reads or writes."""

    @property
    def path(self) -> Path:
        return Path(plain(self.location))

    def __len__(self) -> int:
        return self.path.stat().st_size

    def exists(self) -> bool:
        return self.path.exists()

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 — files can always seek
        return cast("InputStream", self.path.open("rb"))

    def create(self, overwrite: bool = False) -> OutputStream:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return cast("OutputStream", open_new(self.path, overwrite=overwrite))

    def to_input_file(self) -> InputFile:
        return self


class LocalIO(FileIO):
    """Local files under absolute paths or `file://` addresses."""

    def new_input(self, location: str) -> LocalFile:
        return LocalFile(location)

    def new_output(self, location: str) -> LocalFile:
        return LocalFile(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        text = location if isinstance(location, str) else location.location
        Path(plain(text)).unlink()


def open_new(path: Path, *, overwrite: bool) -> BinaryIO:
    """A new file to write; the one place where metadata meets the disk."""
    return path.open("wb" if overwrite else "xb")

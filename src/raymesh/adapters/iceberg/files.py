"""The files of a warehouse: on a local disk, or in an object store."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from raymesh.adapters.iceberg.places import plain
from raymesh.errors import CorruptFileError, DiskFullError, StorageError
from raymesh.spi.secrets import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pyarrow.fs import S3FileSystem
    from pyarrow.parquet import FileMetaData
    from pyiceberg.io import FileIO

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_TOGETHER = 8  # flushes or requests at the same time


class Files(Protocol):
    """What tables need from the place they are stored in.

    `can_tear` says whether a file can come out shorter than it was written.
    """

    can_tear: bool

    @property
    def io(self) -> FileIO: ...
    def size(self, path: str) -> int | None:
        """Bytes, None when there is no such file."""
        ...

    def footer(self, path: str) -> FileMetaData:
        """The metadata of a Parquet file. Raises CorruptFileError when it cannot be read."""
        ...

    def list(self, prefix: str) -> list[tuple[str, int]]: ...
    def delete(self, paths: Iterable[str]) -> None: ...
    def make(self, folder: str) -> None: ...
    def sync(self, paths: Sequence[str]) -> None: ...


class LocalFiles:
    """Files under the folder `warehouse` (an absolute path)."""

    can_tear = True

    def __init__(self, warehouse: str) -> None:
        self.warehouse = warehouse
        self._durable: set[str] = set()  # folders whose entry in their parent has reached the disk

    @cached_property
    def io(self) -> FileIO:
        from raymesh.adapters.iceberg.io import LocalIO

        return LocalIO()

    def size(self, path: str) -> int | None:
        try:
            return Path(plain(path)).stat().st_size
        except FileNotFoundError:
            return None

    def footer(self, path: str) -> FileMetaData:
        from pyarrow import parquet

        return _footer(path, lambda: parquet.read_metadata(plain(path)))

    def list(self, prefix: str) -> list[tuple[str, int]]:
        return sorted(_walk(prefix))

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            Path(plain(path)).unlink(missing_ok=True)

    def make(self, folder: str) -> None:
        """Make the folder and those above it, each named durably by the one above."""
        missing = [p for p in (Path(folder), *Path(folder).parents) if not p.exists()]
        Path(folder).mkdir(parents=True, exist_ok=True)
        flush_all([str(p.parent) for p in missing])

    def sync(self, paths: Sequence[str]) -> None:
        """Flush the files, then the folders that name them, up to the warehouse."""
        flush_all(sorted({plain(p) for p in paths}))
        named = {str(Path(plain(p)).parent) for p in paths}
        above = {a for folder in named for a in self._new_folders_above(folder)}
        flush_all(sorted(named | {str(Path(a).parent) for a in above}))
        self._durable |= above

    def _new_folders_above(self, folder: str) -> Iterator[str]:
        """The folder and those above it, the warehouse included, whose own entry was never flushed."""
        while folder not in self._durable and len(folder) >= len(self.warehouse):
            yield folder
            folder = str(Path(folder).parent)


class ObjectFiles:
    """Objects in an S3 compatible store. What it acknowledges is durable, so there is nothing to sync."""

    can_tear = False

    def __init__(self, storage: Mapping[str, Any]) -> None:
        self._storage = storage

    @cached_property
    def io(self) -> FileIO:
        from pyiceberg.io.pyarrow import PyArrowFileIO

        return PyArrowFileIO(s3_properties(self._storage))

    @cached_property
    def _system(self) -> S3FileSystem:
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(**s3_arguments(self._storage))

    def size(self, path: str) -> int | None:
        from pyarrow.fs import FileType

        found = self._system.get_file_info(_key(path))
        return int(found.size) if found.type == FileType.File else None

    def footer(self, path: str) -> FileMetaData:
        from pyarrow import parquet

        return _footer(path, lambda: parquet.read_metadata(_key(path), filesystem=self._system))

    def list(self, prefix: str) -> list[tuple[str, int]]:
        from pyarrow.fs import FileSelector, FileType

        found = self._system.get_file_info(FileSelector(_key(prefix), recursive=True, allow_not_found=True))
        scheme = prefix.partition("://")[0]
        return sorted((f"{scheme}://{f.path}", int(f.size)) for f in found if f.type == FileType.File)

    def delete(self, paths: Iterable[str]) -> None:
        def one(path: str) -> None:
            if self.size(path) is not None:
                self._system.delete_file(_key(path))

        with ThreadPoolExecutor(_TOGETHER) as pool:
            list(pool.map(one, paths))

    def make(self, folder: str) -> None:
        """Nothing: prefixes exist when objects do."""

    def sync(self, paths: Sequence[str]) -> None:
        """Nothing: an object store keeps what it has acknowledged."""


def flush(path: str) -> None:
    """Wait until the file or folder has reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_all(paths: Sequence[str]) -> None:
    """Flush together: the disk merges what arrives at the same time."""
    if len(paths) < 2:
        for path in paths:
            flush(path)
        return
    with ThreadPoolExecutor(min(_TOGETHER, len(paths))) as pool:
        list(pool.map(flush, paths))


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what the operating system or the object store says into errors of ours, naming the file."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        if error.errno in _FULL:
            raise DiskFullError(
                f"{what}: no space left{place}; nothing was published",
                hint="free some space (raymesh maintain removes expired files), then run it again",
            ) from error
        raise StorageError(
            f"{what}: {error.strerror or error}{place}", hint="nothing was published"
        ) from error


def s3_arguments(storage: Mapping[str, Any]) -> dict[str, Any]:
    """What pyarrow's S3FileSystem is called with; secrets are resolved here, and nowhere earlier."""
    given = {key: _text(value) for key, value in storage.items() if value is not None}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    arguments = {
        "endpoint_override": given.get("endpointUrl"),
        "region": given.get("region", region),
        "access_key": given.get("accessKeyId"),
        "secret_key": given.get("secretAccessKey"),
        "session_token": given.get("sessionToken"),
    }
    return {key: value for key, value in arguments.items() if value}


def s3_properties(storage: Mapping[str, Any]) -> dict[str, str]:
    """The same, as pyiceberg's FileIO takes it."""
    names = {
        "endpoint_override": "s3.endpoint",
        "region": "s3.region",
        "access_key": "s3.access-key-id",
        "secret_key": "s3.secret-access-key",
        "session_token": "s3.session-token",
    }
    return {names[key]: value for key, value in s3_arguments(storage).items()}


def _text(value: Any) -> str:
    """A setting as text; a reference to a secret says what it is only now."""
    return str(value.resolve(variables()) if hasattr(value, "resolve") else value)


def _key(address: str) -> str:
    return address.partition("://")[2]


def _walk(folder: str) -> Iterator[tuple[str, int]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            yield entry.path, entry.stat(follow_symlinks=False).st_size


def _footer(path: str, read: Any) -> FileMetaData:
    from pyarrow import ArrowException

    try:
        return read()
    except FileNotFoundError as error:
        raise CorruptFileError(f"data file {path} is missing", hint="build the product again") from error
    except ArrowException as error:
        raise CorruptFileError(
            f"data file {path} is torn: {str(error).splitlines()[0]}", hint="build the product again"
        ) from error

"""Object storage: S3 through s3fs, under a private address per store.

DuckDB keeps one file system per protocol and connection, while two sources (and the warehouse) may live in
different stores with different keys. So each store is registered under a protocol of its own, and the
private address is turned back into the user's in every message.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from functools import lru_cache
from glob import has_magic
from typing import IO, TYPE_CHECKING, Any, cast

from raymesh.errors import MissingExtraError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import duckdb

    from raymesh.adapters.sources.settings import S3Settings, Settings

SCHEME = "s3://"


def is_object(location: str) -> bool:
    """Whether a location is an object-store address."""
    return location.startswith(SCHEME)


class ObjectStore:
    """The bucket of one source. Raises MissingExtraError without s3fs, SourceError when it cannot be reached."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        s3 = settings.s3
        known = "|".join(
            str(v) for v in (s3.endpoint, s3.region, s3.key)
        )  # the secret stays out of addresses
        self.protocol = "s3-" + hashlib.sha256(known.encode()).hexdigest()[:12]

    @property
    def files(self) -> Any:
        """The fsspec file system."""
        return _file_system(self.settings.s3, self.protocol, os.getpid())

    def attach(self, con: duckdb.DuckDBPyConnection) -> None:
        if not con.filesystem_is_registered(self.protocol):
            con.register_filesystem(self.files)

    def address(self, path: str) -> str:
        return f"{self.protocol}://{path.removeprefix(SCHEME)}"

    def readable(self, message: str) -> str:
        return message.replace(f"{self.protocol}://", SCHEME)

    def find(self, wanted: Callable[[str], bool]) -> list[tuple[str, int, str]]:
        """(address, bytes, ETag) of the objects at the location: one object, a prefix or a pattern."""
        place = self.settings.location.removeprefix(SCHEME).rstrip("/")
        with self._explained(), suppress(FileNotFoundError):  # a bucket that is not there holds no files
            return [
                (SCHEME + key, *_state(info))
                for key, info in self._infos(place, wanted).items()
                if info["type"] == "file"
            ]
        return []

    def _infos(self, place: str, wanted: Callable[[str], bool]) -> Mapping[str, Any]:
        if self._is_object(place):
            return {place: self.files.info(place)}
        if has_magic(place):
            found: Mapping[str, Any] = self.files.glob(place, detail=True)
            return found
        below = self.files.find(place, detail=True)
        return {k: v for k, v in below.items() if wanted(k.removeprefix(place + "/"))}

    def below(self, prefix: str) -> list[str]:
        """Addresses of all objects whose address starts with `prefix`."""
        with self._explained():
            return [SCHEME + key for key in self.files.find(prefix.removeprefix(SCHEME))]

    def state(self, path: str) -> tuple[int, str]:
        """Bytes and ETag now; raises FileNotFoundError."""
        with self._explained():
            return _state(self.files.info(path.removeprefix(SCHEME)))

    def open(self, path: str) -> IO[bytes]:
        with self._explained():
            return cast("IO[bytes]", self.files.open(path.removeprefix(SCHEME), "rb"))

    def _is_object(self, place: str) -> bool:
        try:
            return bool(self.files.info(place)["type"] == "file")
        except FileNotFoundError:
            return False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        _ = self.files  # without s3fs there is no botocore either: say so first
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, BotoCoreError) as problem:
            raise self._unreachable(problem) from None

    def _unreachable(self, problem: Exception) -> SourceError:
        where = self.settings.s3.endpoint or "Amazon S3"
        return self.settings.error(
            f"cannot read {self.settings.location} at {where}: {self.readable(str(problem))[:300]}",
            "check storage: endpointUrl, region, accessKeyId and secretAccessKey of the source or of mesh.yaml; "
            "for a contract without a mesh endpointUrl of the server and AWS_* in the environment",
        )


def _state(info: Any) -> tuple[int, str]:
    return int(info["size"]), str(info.get("ETag", "")).strip('"')


@lru_cache(maxsize=32)
def _file_system(s3: S3Settings, protocol: str, _process: int) -> Any:
    """One client per store and process: making one takes longer than most requests."""
    try:
        import s3fs
    except ImportError as missing:
        raise MissingExtraError("reading s3:// addresses", "s3") from missing
    private = type("PrivateS3", (s3fs.S3FileSystem,), {"protocol": (protocol,)})
    return private(
        key=s3.key,
        secret=s3.secret,
        token=s3.token,
        endpoint_url=s3.endpoint,
        client_kwargs={"region_name": s3.region} if s3.region else {},
        use_listings_cache=False,
        skip_instance_cache=True,
    )

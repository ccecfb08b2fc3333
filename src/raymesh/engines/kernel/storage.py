"""Object storage for DuckDB connections, through fsspec: no DuckDB extension is loaded."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.errors import MissingExtraError
from raymesh.spi.secrets import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

_SCHEMES = ("s3://", "s3a://")


def is_object(address: str) -> bool:
    """Whether an address is in an object store rather than on a disk."""
    return address.startswith(_SCHEMES)


def attach(con: duckdb.DuckDBPyConnection, storage: Mapping[str, Any], addresses: Iterable[str]) -> None:
    """Let `con` and its cursors reach the object store when one of `addresses` is in it."""
    if any(is_object(a) for a in addresses) and not con.filesystem_is_registered("s3"):
        con.register_filesystem(object_store(storage))


def object_store(storage: Mapping[str, Any]) -> Any:
    """The fsspec file system that `storage` describes (`endpointUrl`, `region`, `accessKeyId`,
    `secretAccessKey`, `sessionToken`; secret references are looked up here). Raises MissingExtraError."""
    try:
        import s3fs
    except ImportError:
        raise MissingExtraError("S3 storage", "s3") from None
    said = {
        key: _revealed(value) for key, value in (storage.get("s3") or storage).items() if value is not None
    }
    client = {"region_name": said["region"]} if "region" in said else {}
    return _without_folders(s3fs.S3FileSystem)(
        key=said.get("accessKeyId"),
        secret=said.get("secretAccessKey"),
        token=said.get("sessionToken"),
        endpoint_url=said.get("endpointUrl"),
        client_kwargs=client,
    )


@cache
def _without_folders(store: Any) -> Any:
    """The file system without making folders: there are none, and s3fs would make a missing bucket instead."""

    def nothing(*_: Any, **__: Any) -> None:
        return None

    return type("BucketStore", (store,), {"mkdir": nothing, "makedirs": nothing})


def _revealed(value: Any) -> Any:
    return value.resolve(variables()) if hasattr(value, "resolve") else value


def absolute(address: str, root: str) -> str:
    """A local path below `root` when it is relative; addresses of object stores as they are."""
    return address if is_object(address) else str((Path(root) / address).absolute())

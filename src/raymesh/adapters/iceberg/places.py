"""Where tables live: names to folders, and which files are ours to delete."""

from __future__ import annotations

import os
from dataclasses import dataclass

from raymesh.errors import UsageError

_OBJECT_STORES = ("s3://", "s3a://")


@dataclass(frozen=True, slots=True)
class Places:
    """The layout under one warehouse: `<warehouse>/<namespace>/<name>/{data,metadata}`.

    `warehouse` is an absolute path or an object-store address without a trailing slash. Every address
    raymesh writes into a table has this one spelling.
    """

    warehouse: str

    @classmethod
    def under(cls, warehouse: str, root: str) -> Places:
        """The warehouse as written in mesh.yaml; a relative folder belongs to `root`."""
        if is_object(warehouse):
            return cls(warehouse.rstrip("/"))
        folder = os.path.expanduser(plain(warehouse))  # noqa: PTH111 — addresses here are text, not paths
        return cls(os.path.abspath(os.path.join(root, folder)))  # noqa: PTH100, PTH118

    @property
    def is_object(self) -> bool:
        return is_object(self.warehouse)

    def table(self, table: str) -> str:
        namespace, name = split_name(table)
        return f"{self.warehouse}/{namespace}/{name}"

    def data(self, table: str) -> str:
        return f"{self.table(table)}/data"

    def metadata(self, table: str) -> str:
        return f"{self.table(table)}/metadata"

    def owns(self, address: str) -> bool:
        """Whether the address lies inside the warehouse, links followed."""
        if self.is_object:
            return address.startswith(f"{self.warehouse}/") and ".." not in address.split("/")
        inside = os.path.realpath(self.warehouse) + os.sep
        return os.path.isabs(address) and os.path.realpath(address).startswith(inside)  # noqa: PTH117


def is_object(address: str) -> bool:
    return address.startswith(_OBJECT_STORES)


def plain(address: str) -> str:
    """A local address without `file://`, as DuckDB and the operating system take it; others unchanged."""
    if address.startswith("file://"):
        return "/" + address[len("file://") :].lstrip("/")
    return address


def split_name(table: str) -> tuple[str, str]:
    """`namespace.name` as a pair. Raises UsageError when it is something else, or could leave its folder."""
    namespace, dot, name = table.partition(".")
    if not dot or any(part in {"", ".", ".."} or "/" in part or os.sep in part for part in (namespace, name)):
        raise UsageError(f"{table!r} is not the name of a table", hint="tables are named domain.product")
    return namespace, name

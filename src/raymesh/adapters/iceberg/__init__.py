"""Apache Iceberg tables whose catalog lives in the state store's database.

Any Iceberg client opens them: `SqlCatalog("raymesh", uri=<the state store's URL>)`.
Local tables hold absolute paths, so a warehouse folder cannot be moved once it has tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.adapters.iceberg.store import CATALOG_NAME, IcebergTables

__all__ = ["CATALOG_NAME", "IcebergTables"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from raymesh.adapters.iceberg import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

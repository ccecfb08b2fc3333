"""The state store on SQLite and PostgreSQL.

`SqlStateStore` is loaded on first use, so that looking at this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.adapters.state.store import SqlStateStore, SqlTransaction

__all__ = ["SqlStateStore", "SqlTransaction"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from raymesh.adapters.state import store

    return getattr(store, name)

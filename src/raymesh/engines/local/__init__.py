"""The local engine: DuckDB in this process, user Python in a child process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.engines.local.engine import LocalEngine

__all__ = ["LocalEngine"]


def __getattr__(name: str) -> Any:
    """Import the engine, and DuckDB with it, only when it is used."""
    if name == "LocalEngine":
        from raymesh.engines.local.engine import LocalEngine

        return LocalEngine
    raise AttributeError(name)

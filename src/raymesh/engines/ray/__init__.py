"""The Ray engine: Ray distributes, the kernel of the local engine computes inside every task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.engines.ray.engine import RayEngine

__all__ = ["RayEngine"]


def __getattr__(name: str) -> Any:
    """Import the engine only when it is used; without Ray that is a MissingExtraError with the way out."""
    if name == "RayEngine":
        from importlib.util import find_spec

        from raymesh.errors import MissingExtraError

        if find_spec("ray") is None:
            raise MissingExtraError("the Ray engine", "ray")
        from raymesh.engines.ray.engine import RayEngine

        return RayEngine
    raise AttributeError(name)

"""Finds implementations by entry point, so that built-in ones use the door of third parties."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from raymesh.errors import NotFoundError

Group = Literal["engines", "tables", "states", "sources", "checks", "identities", "clusters", "detectors"]


@cache
def names(group: Group) -> tuple[str, ...]:
    """Names registered in the group `raymesh.<group>`, sorted."""
    return tuple(sorted({e.name for e in entry_points(group=f"raymesh.{group}")}))


@cache
def load(group: Group, name: str) -> Any:
    """The object registered as `name`; raises NotFoundError that lists what there is."""
    found = tuple(entry_points(group=f"raymesh.{group}", name=name))
    if not found:
        known = ", ".join(names(group)) or "none"
        one = "identity" if group == "identities" else group.rstrip("s")
        raise NotFoundError(f"no {one} is called {name!r}", hint=f"installed: {known}")
    return found[0].load()

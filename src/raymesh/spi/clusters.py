"""A cluster of an engine as people handle it: is one configured, keep one here, look at one, stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spec.mesh import RayEngineSpec


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One living node: what it has in all, what of it is free, its labels. Memory in bytes."""

    name: str
    total: Mapping[str, float] = field(default_factory=dict)
    free: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """A cluster that answers. `origin` says how it was found; `token` whether it asks for one."""

    address: str
    origin: str
    version: str
    token: bool
    nodes: tuple[NodeStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptCluster:
    """A cluster kept on this machine: where it listens, its first process, where it writes what it says."""

    address: str
    pid: int
    log: str
    already: bool = False


class Clusters(Protocol):
    """Errors are ClusterError and MissingExtraError."""

    def configured(self, spec: RayEngineSpec) -> str | None:
        """Where a cluster was named or is kept, in words and without connecting; None when there is none."""
        ...

    def status(self, spec: RayEngineSpec, root: Path) -> ClusterStatus | None:
        """The configured cluster as it is now; None when none is configured. Starts nothing."""
        ...

    def start(self, spec: RayEngineSpec, root: Path) -> KeptCluster:
        """Keep a cluster on this machine until it is stopped; the one that is kept when there is one."""
        ...

    def stop(self) -> KeptCluster | None:
        """Stop the cluster kept on this machine, with all that runs on it; None when there was none."""
        ...

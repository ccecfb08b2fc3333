"""RayClusters: what `raymesh cluster`, `raymesh doctor` and `engine: auto` want to know of clusters."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from raymesh.engines.ray import access, cluster, head
from raymesh.spi.clusters import ClusterStatus, KeptCluster, NodeStatus

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spec.mesh import RayEngineSpec


class RayClusters:
    """Clusters of Ray. Nothing here imports Ray before it must."""

    def configured(self, spec: RayEngineSpec) -> str | None:
        return cluster.configured(spec)

    def status(self, spec: RayEngineSpec, root: Path) -> ClusterStatus | None:
        """As the protocol says; this process stays connected to what was found."""
        if self.configured(spec) is None:
            return None
        found = cluster.connect(spec, root=root)
        token = os.environ.get(access.MODE, "").lower() == "token"
        return ClusterStatus(found.address, found.origin, found.version, token, _nodes(cluster.require_ray()))

    def start(self, spec: RayEngineSpec, root: Path) -> KeptCluster:
        cluster.require_ray()
        already = head.kept()
        kept = already or head.start(spec, cluster.spill_folder(spec, root))
        return KeptCluster(kept.address, kept.pid, kept.log, already is not None)

    def stop(self) -> KeptCluster | None:
        kept = head.stop()
        return KeptCluster(kept.address, kept.pid, kept.log) if kept else None


def _nodes(ray: Any) -> tuple[NodeStatus, ...]:
    free = import_module("ray._private.state").available_resources_per_node()
    return tuple(
        NodeStatus(
            n["NodeManagerHostname"] or n["NodeID"],
            _shown(n["Resources"]),
            _shown(free.get(n["NodeID"], {})),
            n.get("Labels") or {},
        )
        for n in ray.nodes()
        if n["Alive"]
    )


def _shown(amounts: dict[str, float]) -> dict[str, float]:
    return {k: v for k, v in sorted(amounts.items()) if not k.startswith("node:")}

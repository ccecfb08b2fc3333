"""Keeps a cluster on this machine, looks at the one that is configured, and stops the one that is kept."""

from __future__ import annotations

from pathlib import Path

from raymesh.actions.engines import clusters
from raymesh.actions.workspace import environment, find_root
from raymesh.errors import MeshError
from raymesh.spec.mesh import RayEngineSpec
from raymesh.spi.clusters import ClusterStatus, KeptCluster


def start(folder: Path | None) -> KeptCluster:
    """A cluster on this machine with what mesh.yaml says about `engines.ray`; the one that is kept already.

    Raises ClusterError, MissingExtraError, DocumentsInvalidError.
    """
    root, spec = settings(folder)
    return clusters().start(spec, root)


def status(folder: Path | None) -> ClusterStatus | None:
    """The cluster that builds of the mesh here would use; None when they would start one. Starts nothing."""
    root, spec = settings(folder)
    return clusters().status(spec, root)


def stop() -> KeptCluster | None:
    """Stop the cluster kept on this machine; None when there was none."""
    return clusters().stop()


def settings(folder: Path | None) -> tuple[Path, RayEngineSpec]:
    """The mesh's folder and `engines.ray`; outside of a mesh the defaults."""
    from raymesh.spec.mesh_file import load_mesh_document

    try:
        root = find_root(folder)
    except MeshError:
        if folder is not None:
            raise
        return Path.cwd(), RayEngineSpec.model_construct()
    return root, load_mesh_document(root, environment(root)).model.engines.ray

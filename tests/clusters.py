"""One small Ray cluster for all tests of a process that ask for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.engines.ray.cluster import Cluster

SECRETS = ("RAYMESH_TEST_SECRET_1", "RAYMESH_TEST_SECRET_2")


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two processors and 200 MB of object store on this machine, quiet, ended with the session."""
    from raymesh.engines.ray import cluster
    from raymesh.spec.mesh import RayEngineSpec

    os.environ.setdefault("RAYMESH_HOME", str(tmp_path_factory.mktemp("raymesh-home")))
    os.environ.update(
        dict.fromkeys(SECRETS, "withheld")
    )  # workers have the environment of who starts the cluster
    spec = RayEngineSpec.model_construct(cpus=2, object_store=200 << 20)
    yield cluster.connect(spec, root=tmp_path_factory.mktemp("mesh"))
    cluster.disconnect()

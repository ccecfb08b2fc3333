"""The engine suite on the Ray engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.mesh.plan import Limits
from raymesh.spi.conformance.engine import EngineConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.engines.ray import RayEngine
    from raymesh.engines.ray.cluster import Cluster


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
class TestRayEngine(EngineConformance):
    tells_how_processes_end = False

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayEngine]:
        from raymesh.engines.ray import RayEngine

        engine = RayEngine(Limits(1 << 30, 2, str(tmp_path_factory.mktemp("scratch"))))
        yield engine
        engine.close()

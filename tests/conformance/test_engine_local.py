"""The engine suite on the local engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.engines.local import LocalEngine
from raymesh.mesh.plan import Limits
from raymesh.spi.conformance.engine import EngineConformance

if TYPE_CHECKING:
    from collections.abc import Iterator


class TestLocalEngine(EngineConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
        engine = LocalEngine(Limits(1 << 30, 2, str(tmp_path_factory.mktemp("scratch"))))
        yield engine
        engine.close()

"""The suite every `Engine` must pass. It needs pytest.

An implementation subclasses it and says how to open an engine:

    class TestMyEngine(EngineConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def engine(cls):
            engine = MyEngine()
            yield engine
            engine.close()

All tests of a class share the engine; each has a mesh folder of its own.
"""

from __future__ import annotations

from raymesh.spi.conformance.engine_faults import EngineFaultConformance
from raymesh.spi.conformance.engine_inspect import InspectConformance
from raymesh.spi.conformance.engine_layout import LayoutConformance
from raymesh.spi.conformance.engine_python import PythonConformance
from raymesh.spi.conformance.engine_quarantine import QuarantineConformance
from raymesh.spi.conformance.engine_reads import ReadConformance
from raymesh.spi.conformance.engine_sql import SqlConformance
from raymesh.spi.conformance.engine_values import ValueConformance


class EngineConformance(
    ValueConformance,
    SqlConformance,
    LayoutConformance,
    PythonConformance,
    QuarantineConformance,
    ReadConformance,
    InspectConformance,
    EngineFaultConformance,
):
    """All promises of `raymesh.spi.engine.Engine`."""


__all__ = ["EngineConformance"]

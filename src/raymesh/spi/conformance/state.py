"""The suite every `StateStore` must pass. It needs pytest and hypothesis.

An implementation subclasses it and says how to open a store; every test gets an empty database:

    class TestMyStateStore(StateStoreConformance):
        @pytest.fixture
        def open_state(self, tmp_path):
            return functools.partial(MyStateStore, f"mystore://{tmp_path}/db")

Each call of `open_state()` opens the same database again. The callable must survive pickling: some tests open the
database in other processes.
"""

from __future__ import annotations

from raymesh.spi.conformance.state_agreements import AgreementConformance, BundleConformance
from raymesh.spi.conformance.state_audit import AuditConformance
from raymesh.spi.conformance.state_evidence import EvidenceConformance
from raymesh.spi.conformance.state_leases import LeaseConformance
from raymesh.spi.conformance.state_processes import ProcessConformance
from raymesh.spi.conformance.state_transactions import TransactionConformance
from raymesh.spi.conformance.state_versions import VersionConformance


class StateStoreConformance(
    TransactionConformance,
    LeaseConformance,
    VersionConformance,
    EvidenceConformance,
    ProcessConformance,
    AuditConformance,
    AgreementConformance,
    BundleConformance,
):
    """All promises of `raymesh.spi.state.StateStore`."""


__all__ = ["StateStoreConformance"]

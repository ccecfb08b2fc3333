"""The state store's suite on SQLite; what depends on the journal also without a write-ahead log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from raymesh.adapters.state import SqlStateStore
from raymesh.spi.conformance.state import StateStoreConformance
from raymesh.spi.conformance.state_leases import LeaseConformance
from raymesh.spi.conformance.state_processes import ProcessConformance
from raymesh.spi.conformance.state_transactions import TransactionConformance

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spi.conformance.state_opened import OpenState


class TestSqlite(StateStoreConformance):
    @pytest.fixture
    def open_state(self, tmp_path: Path) -> OpenState:
        return partial(SqlStateStore, "sqlite:///.raymesh/mesh.db", root=str(tmp_path))


class TestSqliteWithRollbackJournal(TransactionConformance, LeaseConformance, ProcessConformance):
    @pytest.fixture
    def open_state(self, tmp_path: Path) -> OpenState:
        return partial(SqlStateStore, "sqlite:///mesh.db?journal_mode=delete", root=str(tmp_path))

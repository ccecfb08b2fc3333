"""The state store's suite on SQLite, with its write-ahead log and with a rollback journal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from raymesh.adapters.state import SqlStateStore
from raymesh.spi.conformance.state import StateStoreConformance

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spi.conformance.state_opened import OpenState


class TestSqlite(StateStoreConformance):
    @pytest.fixture
    def open_state(self, tmp_path: Path) -> OpenState:
        return partial(SqlStateStore, "sqlite:///.raymesh/mesh.db", root=str(tmp_path))


class TestSqliteWithRollbackJournal(StateStoreConformance):
    @pytest.fixture
    def open_state(self, tmp_path: Path) -> OpenState:
        return partial(SqlStateStore, "sqlite:///mesh.db?journal_mode=delete", root=str(tmp_path))

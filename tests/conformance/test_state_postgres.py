"""The state store's suite on a real PostgreSQL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from raymesh.adapters.state import SqlStateStore
from raymesh.spi.conformance.state import StateStoreConformance

if TYPE_CHECKING:
    from raymesh.spi.conformance.state_opened import OpenState


@pytest.mark.postgres
class TestPostgres(StateStoreConformance):
    @pytest.fixture
    def open_state(self, postgres_url: str) -> OpenState:
        return partial(SqlStateStore, postgres_url, root="/")

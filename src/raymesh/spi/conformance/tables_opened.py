"""What all parts of the table store's suite share: an opened store on an empty warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.spi.conformance.tables_samples import Bench, LocalShelf
from raymesh.spi.state import StateStore
from raymesh.spi.tables import TableStore

if TYPE_CHECKING:
    from pathlib import Path

OpenTables = Callable[[], tuple[StateStore, TableStore]]


class OpenedTables:
    """Gives `bench`: a table store, its state store and the moves tests make with them."""

    @pytest.fixture
    def shelf(self) -> Any:
        """How files reach the warehouse; object stores bring their own."""
        return LocalShelf()

    @pytest.fixture
    def bench(self, open_tables: OpenTables, shelf: Any, tmp_path: Path) -> Iterator[Bench]:
        state, tables = open_tables()
        state.migrate()
        folder = tmp_path / "bench"
        folder.mkdir()
        yield Bench(tables, state, shelf, folder)
        tables.close()
        state.close()

"""The suite every `TableStore` must pass. It needs pytest and hypothesis.

An implementation subclasses it and says how to open a state store and a table store on it; every test gets an
empty warehouse:

    class TestMyTables(TableStoreConformance, LocalFaultConformance):
        @pytest.fixture
        def open_tables(self, tmp_path):
            return functools.partial(open_my_tables, str(tmp_path))

Each call of `open_tables()` opens the same warehouse again. The callable must survive pickling: some tests open it in
other processes. Stores on a local disk also take `LocalFaultConformance`; others say in the fixture `shelf` how
files reach them.
"""

from __future__ import annotations

from raymesh.spi.conformance.tables_changes import ChangeConformance
from raymesh.spi.conformance.tables_faults import FaultConformance, LocalFaultConformance
from raymesh.spi.conformance.tables_history import HistoryConformance
from raymesh.spi.conformance.tables_processes import ProcessConformance


class TableStoreConformance(ChangeConformance, HistoryConformance, FaultConformance, ProcessConformance):
    """All promises of `raymesh.spi.tables.TableStore`."""


__all__ = ["LocalFaultConformance", "TableStoreConformance"]

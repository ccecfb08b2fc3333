"""The databases this process computes in, so that somebody beside them can stop what they are doing.

A thread that waits for a statement of DuckDB hears no signal until the statement is done. Whoever opens a
connection for work that may take long says so here; `interrupt_all` may be called from any thread.
"""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_open: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
_lock = threading.Lock()


def stoppable(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """`con`, which `interrupt_all` reaches from now on. A cursor is a connection of its own."""
    with _lock:
        _open.add(con)
    return con


def interrupt_all() -> None:
    """Stop the statements that run now; each raises duckdb.InterruptException where it was started."""
    with _lock:
        found = list(_open)
    if not found:
        return
    import duckdb

    for con in found:
        with suppress(duckdb.Error):  # closed meanwhile
            con.interrupt()

"""What an engine keeps between governed reads, because opening a database takes longer than a small read.

Kept are the trusted connection, on which no text of a reader runs, and one empty database for the next reader's
query: locked, looked over and never used. It is handed out once and closed after that query; nobody gets what
somebody else has had. The next one is made, and used ones are closed, by a thread of its own between queries.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from raymesh.engines.kernel import consumer, duck

if TYPE_CHECKING:
    import duckdb

    from raymesh.mesh.plan import Limits

_OFTEN = 2
"""Who asked so many times asks again: a command that asks once need not prepare for a second."""


class Kept:
    """Threads may share it. Close it with the engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trusted: tuple[Limits, duckdb.DuckDBPyConnection] | None = None
        self._next: tuple[Limits, duckdb.DuckDBPyConnection] | None = None
        self._hand: ThreadPoolExecutor | None = None
        self._answered = 0
        self._closed = False

    def trusted(self, limits: Limits) -> duckdb.DuckDBPyConnection:
        """The connection that reads views; work on a cursor of it."""
        with self._lock:
            if self._trusted is not None and self._trusted[0] == limits:
                return self._trusted[1]
            if self._trusted is not None:
                self._trusted[1].close()
            self._trusted = limits, duck.connect(limits, ordered=True)
            return self._trusted[1]

    def empty(self, limits: Limits) -> duckdb.DuckDBPyConnection:
        """An empty, locked database that nobody has used. Give it to `done` afterwards."""
        with self._lock:
            ready, self._next = self._next, None
        if ready is None:
            return consumer.sealed(limits)
        if ready[0] == limits:
            return ready[1]
        ready[1].close()
        return consumer.sealed(limits)

    def done(self, limits: Limits, used: duckdb.DuckDBPyConnection) -> None:
        """Close a used database, and prepare the next one, without anybody waiting for it."""
        with self._lock:
            self._answered += 1
            if not self._closed:
                self._hand = self._hand or ThreadPoolExecutor(1, thread_name_prefix="raymesh-kept")
                try:
                    self._hand.submit(self._turn, limits, used)
                except RuntimeError:  # the interpreter ends
                    self._closed = True
            if not self._closed:
                return
        used.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        if self._hand is not None:
            self._hand.shutdown()
        with self._lock:
            for one in (self._next, self._trusted):
                if one is not None:
                    one[1].close()
            self._next = self._trusted = None

    def _turn(self, limits: Limits, used: duckdb.DuckDBPyConnection) -> None:
        used.close()
        with self._lock:
            needless = self._closed or self._answered < _OFTEN or self._next is not None
        if needless:
            return
        made = consumer.sealed(limits)  # when it fails, the next query makes its own, and says what is wrong
        with self._lock:
            if self._next is None:
                self._next = limits, made
                return
        made.close()

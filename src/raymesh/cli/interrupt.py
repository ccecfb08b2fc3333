"""Ctrl-C that is heard at once, also while a statement of DuckDB keeps the main thread."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN_SECONDS = 0.05
_STILL_SECONDS = 0.5
_heard = threading.Event()


def was_heard() -> bool:
    """Whether Ctrl-C was pressed: whatever fails then, and however it words it, is no failure."""
    return _heard.is_set()


@contextmanager
def heard_at_once() -> Iterator[None]:
    """While this lasts, Ctrl-C stops running statements, so that KeyboardInterrupt can be raised.

    A verb with a handler of its own stops what it runs in its own way.
    """
    plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not plain or threading.current_thread() is not threading.main_thread():
        yield
        return
    hears, rings = socket.socketpair()
    rings.setblocking(False)
    listener = _Listener(hears)
    _heard.clear()
    signal.signal(signal.SIGINT, listener.handler)
    before = signal.set_wakeup_fd(rings.fileno(), warn_on_full_buffer=False)
    listener.thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        listener.left.set()
        rings.close()
        listener.thread.join()
        hears.close()


class _Listener:
    """The thread that is woken by the operating system, whatever the main thread does."""

    def __init__(self, hears: socket.socket) -> None:
        self.hears = hears
        self.left = threading.Event()
        self.handler = self._handle  # one object, to be told from others
        self.thread = threading.Thread(target=self._listen, name="raymesh-ctrl-c", daemon=True)

    def _handle(self, _signal: int, _frame: object) -> None:
        _heard.set()
        raise KeyboardInterrupt

    def _listen(self) -> None:
        while received := self.hears.recv(64):
            if signal.SIGINT in received:
                self._stop()

    def _stop(self) -> None:
        """Until the main thread is out: it may have been about to start the next statement, and a KeyboardInterrupt
        that reaches Python inside a callback is lost."""
        while signal.getsignal(signal.SIGINT) is self.handler and not self.left.is_set():
            if (statements := sys.modules.get("raymesh.spi.statements")) is not None:  # else nothing runs
                statements.interrupt_all()
            self.left.wait(_STILL_SECONDS if _heard.is_set() else _AGAIN_SECONDS)

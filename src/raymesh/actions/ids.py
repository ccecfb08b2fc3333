"""Identifiers of runs and invocations."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime


def new_id() -> str:
    """32 hex digits that sort by creation time: 48 bits of milliseconds, 80 random bits (as UUID version 7)."""
    stamp = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big") & ~(0xF << 76) | (0x7 << 76)
    tail = tail & ~(0x3 << 62) | (0x2 << 62)
    return f"{stamp:012x}{tail:020x}"


def began(identifier: str) -> datetime:
    """When an identifier was made, to the millisecond."""
    return datetime.fromtimestamp(int(identifier[:12], 16) / 1000, UTC)


def actor() -> str:
    """Who runs this process, as the operating system knows it."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid:{os.getuid()}"


def host() -> str:
    return socket.gethostname()

"""How large the pieces are that tasks work on, when nobody says: from sizes, and from what past runs needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
LARGEST = 192 * MIB
SMALLEST = 8 * MIB
SHARES = 8
"""A task holds a piece, what is made of it, and what writes that: so many pieces fit into its memory."""
_TIGHT, _ROOMY = 0.8, 0.4
_WORKER = 250 * MIB
"""What a worker's process takes before it works: Python, Arrow, DuckDB, Ray."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of input that one task works on at a time, and why so many."""

    bytes: int
    why: str


def piece(memory: int, past: Mapping[str, Any] | None = None) -> Piece:
    """The piece for tasks that may use `memory` bytes each.

    `past` is what the last build of the product used, as its evidence says: when its largest task came close to
    the limit, or spilled, pieces become half of what they were, and twice when it stayed far below.
    """
    start = max(min(LARGEST, memory // SHARES), SMALLEST)
    first = Piece(
        start, f"1/{SHARES} of the {_mb(memory)} of a task, between {_mb(SMALLEST)} and {_mb(LARGEST)}"
    )
    before = int((past or {}).get("piece_bytes") or 0)
    peak = max(int((past or {}).get("peak_memory_bytes") or 0) - _WORKER, 0)
    if not before:
        return first
    if peak > _TIGHT * memory or (past or {}).get("bytes_spilled"):
        return Piece(
            max(before // 2, SMALLEST), f"half of the last build's {_mb(before)}, which took {_mb(peak)}"
        )
    if peak < _ROOMY * memory and before < start:
        return Piece(
            min(before * 2, start), f"twice the last build's {_mb(before)}, which took only {_mb(peak)}"
        )
    return Piece(before, f"as in the last build, which took {_mb(peak)} of {_mb(memory)}")


def _mb(size: float) -> str:
    return f"{size / 1e6:.0f} MB"

"""Named points of the publish path at which tests inject faults.

`at(name)` does nothing in production: the observer is None. A test installs an observer that raises, exits,
sleeps, blocks or fills the disk. `POINTS` lists every name; calling an unlisted one is a programming error,
and a listed point without a test fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "lease_claimed",
    "first_byte_staged",
    "mid_file",
    "file_closed",
    "files_synced",
    "verdict_reached",
    "manifest_written",
    "metadata_written",
    "before_commit",
    "after_commit",
    "during_maintain",
)

observer: Callable[[str], None] | None = None


def at(point: str) -> None:
    """Announce that the build has reached `point`."""
    if observer is not None:
        if point not in POINTS:
            raise LookupError(f"unlisted fault point {point}")
        observer(point)

"""Whether the clock here can be believed: one that was set back would bring back what has expired."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from raymesh.errors import AccessDeniedError

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.spi.state import StateStore

SKEW = timedelta(seconds=30)
"""How far the clocks of those who share a mesh may be apart."""


def check_clock(state: StateStore, now: datetime) -> None:
    """Raises AccessDeniedError when `now` is before what the audit log was last signed at."""
    newest = state.audit.checkpoints(state.audit.head().size - 1)
    if newest and newest[-1].at > now + SKEW:
        raise AccessDeniedError(
            "the clock here is behind what was recorded before, so no decision can be relied on",
            hint="set the clock of this machine right",
        )

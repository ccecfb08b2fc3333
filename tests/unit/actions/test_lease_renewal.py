from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from raymesh.actions.events import Note
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.errors import LeaseLostError
from raymesh.spi.state import Lease


class Leases:
    """A store whose leases are gone when they are to be renewed; `before` happens in the meantime."""

    def __init__(self) -> None:
        self.before: Any = lambda: None

    def acquire(self, name: str, owner: str, seconds: float) -> Lease:
        return Lease(name, owner, 1, datetime.now(UTC))

    def release(self, lease: Lease) -> None: ...

    def renew(self, lease: Lease, seconds: float) -> Lease:
        self.before()
        raise LeaseLostError("gone")


@pytest.mark.parametrize("ended", [True, False])
def test_a_lease_that_ended_with_its_build_is_not_told_as_lost(ended: bool) -> None:
    leases, told = Leases(), []
    workspace: Any = SimpleNamespace(state=leases)
    with Invocation(workspace, RunOptions(), told.append) as invocation:
        held = invocation.lease("shop.orders", "run")
        lease = held.__enter__()
        if ended:
            leases.before = lambda: held.__exit__(None, None, None)
        invocation._renew("shop.orders", lease)
        if not ended:
            held.__exit__(None, None, None)
    assert [isinstance(note, Note) for note in told] == ([] if ended else [True])

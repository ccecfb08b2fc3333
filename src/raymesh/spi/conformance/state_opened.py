"""What all parts of the state store's suite share: an opened store on an empty database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from raymesh.spi.state import StateStore

OpenState = Callable[[], StateStore]


class OpenedState:
    """Gives `state`, a store that is set up, and `other`, a second one on the same database."""

    @pytest.fixture
    def state(self, open_state: OpenState) -> Iterator[StateStore]:
        store = open_state()
        store.migrate()
        yield store
        store.close()

    @pytest.fixture
    def other(self, open_state: OpenState, state: StateStore) -> Iterator[StateStore]:  # noqa: ARG002  (set up first)
        store = open_state()
        yield store
        store.close()

"""Agreements and bundles: events that are only added, budgets that hold, bundles that never go back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import BundleRollbackError, CommitConflictError
from raymesh.spi.agreements import AgreementEvent, Usage
from raymesh.spi.bundles import BundleRecord
from raymesh.spi.conformance.state_opened import OpenedState, OpenState
from raymesh.spi.conformance.state_processes import together
from raymesh.spi.conformance.state_samples import AWKWARD, MOMENT

if TYPE_CHECKING:
    from raymesh.spi.state import StateStore

PROCESSES = 4
READS = 5
LIMIT = 50


def event(number: int = 1, agreement: str = "ag-1", **changes: Any) -> AgreementEvent:
    """An event of an agreement on shop.sales."""
    made = AgreementEvent(agreement, number, "request", MOMENT, "anna", "shop.sales", {"columns": ["a"]})
    return replace(made, **changes)


def bundle(version: int, digest: str = "d", signer: str = "") -> BundleRecord:
    return BundleRecord(version, digest, MOMENT + timedelta(seconds=version), signer)


def spend(state: StateStore, _: int) -> None:
    """Take from one budget until it is refused; three rows a time, which does not divide it."""
    for _read in range(READS):
        state.agreements.use("ag-1/2", rows=3, queries=1, at=MOMENT, limits=(LIMIT, None))


def approve_next(state: StateStore, index: int) -> None:
    """Add the second event of an agreement, as one of several who do."""
    try:
        state.agreements.add(event(2, kind="approval", actor=f"{index}"))
    except CommitConflictError:
        raise SystemExit(3) from None


def put_in_force(state: StateStore, index: int) -> None:
    """Put a bundle of one's own in force under a number others take too."""
    try:
        state.bundles.remember(bundle(1, f"{index}"))
    except BundleRollbackError:
        raise SystemExit(3) from None


class AgreementConformance(OpenedState):
    def test_events_come_back_as_they_were(self, state: StateStore, other: StateStore) -> None:
        made = [event(), event(2, kind="approval", actor=AWKWARD, body={"reason": AWKWARD, "tags": []})]
        for one in made:
            state.agreements.add(one)
        assert list(other.agreements.events("ag-1")) == made
        assert list(other.agreements.events("ag-2")) == []

    def test_a_number_that_does_not_follow_is_refused(self, state: StateStore) -> None:
        state.agreements.add(event())
        for number in (1, 3, 0):
            with pytest.raises(CommitConflictError):
                state.agreements.add(event(number))
        assert len(state.agreements.events("ag-1")) == 1

    def test_one_of_several_who_act_at_once_succeeds(self, state: StateStore, open_state: OpenState) -> None:
        state.agreements.add(event())
        assert sorted(str(c) for c in together(open_state, approve_next, PROCESSES)) == ["0", "3", "3", "3"]
        assert len(state.agreements.events("ag-1")) == 2

    def test_agreements_are_found_by_product(self, state: StateStore) -> None:
        state.agreements.add(event(agreement="ag-1"))
        state.agreements.add(event(2, agreement="ag-1", kind="denial"))
        state.agreements.add(event(agreement="ag-2", product="shop.other"))
        state.agreements.add(event(agreement="ag-3"))
        found = state.agreements.about("shop.sales")
        assert [[(e.agreement, e.number) for e in one] for one in found] == [
            [("ag-3", 1)],
            [("ag-1", 1), ("ag-1", 2)],
        ]
        assert [one[0].agreement for one in state.agreements.about()] == ["ag-3", "ag-2", "ag-1"]

    def test_events_of_a_transaction_that_fails_are_gone(self, state: StateStore, other: StateStore) -> None:
        with pytest.raises(ZeroDivisionError), state.write() as tx:
            state.agreements.add(event(), within=tx)
            assert len(state.agreements.events("ag-1", within=tx)) == 1
            raise ZeroDivisionError
        assert not other.agreements.events("ag-1")

    def test_use_is_counted(self, state: StateStore, other: StateStore) -> None:
        assert state.agreements.usage("ag-1/2") == Usage()
        assert state.agreements.use("ag-1/2", rows=10, queries=1, at=MOMENT)
        assert state.agreements.use("ag-1/2", rows=5, queries=1, at=MOMENT + timedelta(hours=1))
        assert other.agreements.usage("ag-1/2") == Usage(15, 2, MOMENT + timedelta(hours=1))

    def test_a_budget_is_never_exceeded(self, state: StateStore) -> None:
        limits = (10, 3)
        assert state.agreements.use("b", rows=8, queries=1, at=MOMENT, limits=limits)
        assert not state.agreements.use("b", rows=3, queries=1, at=MOMENT, limits=limits)
        assert state.agreements.use("b", rows=2, queries=1, at=MOMENT, limits=limits)
        assert state.agreements.use("b", rows=0, queries=1, at=MOMENT, limits=limits)
        assert not state.agreements.use("b", rows=0, queries=1, at=MOMENT, limits=limits)
        assert state.agreements.usage("b") == Usage(10, 3, MOMENT)
        assert not state.agreements.use("new", rows=11, queries=1, at=MOMENT, limits=limits)

    def test_readers_at_once_share_one_budget(self, state: StateStore, open_state: OpenState) -> None:
        assert together(open_state, spend, PROCESSES) == [0] * PROCESSES
        assert state.agreements.usage("ag-1/2").rows == LIMIT // 3 * 3


class BundleConformance(OpenedState):
    def test_a_mesh_without_bundles_has_none(self, state: StateStore) -> None:
        assert state.bundles.newest() is None
        assert state.bundles.history() == []

    def test_the_newest_bundle_is_in_force(self, state: StateStore, other: StateStore) -> None:
        assert state.bundles.remember(bundle(1))
        assert state.bundles.remember(bundle(3, "e", "key"))
        assert other.bundles.newest() == bundle(3, "e", "key")
        assert list(other.bundles.history()) == [bundle(3, "e", "key"), bundle(1)]

    def test_the_same_bundle_again_changes_nothing(self, state: StateStore) -> None:
        assert state.bundles.remember(bundle(1))
        assert not state.bundles.remember(replace(bundle(1), at=MOMENT + timedelta(days=1)))
        assert state.bundles.newest() == bundle(1)

    @pytest.mark.parametrize("refused", [bundle(4), bundle(5, "other"), bundle(4, "d", "key")])
    def test_an_older_bundle_or_another_of_the_same_number_is_refused(
        self, state: StateStore, refused: BundleRecord
    ) -> None:
        state.bundles.remember(bundle(5))
        with pytest.raises(BundleRollbackError):
            state.bundles.remember(refused)
        assert list(state.bundles.history()) == [bundle(5)]

    def test_an_unsigned_bundle_does_not_follow_a_signed_one(self, state: StateStore) -> None:
        state.bundles.remember(bundle(1, "d", "key"))
        with pytest.raises(BundleRollbackError, match="not signed"):
            state.bundles.remember(bundle(2, "e"))

    def test_a_bundle_of_a_transaction_that_fails_is_not_in_force(
        self, state: StateStore, other: StateStore
    ) -> None:
        with pytest.raises(ZeroDivisionError), state.write() as tx:
            state.bundles.remember(bundle(1), within=tx)
            raise ZeroDivisionError
        assert other.bundles.newest() is None

    def test_one_of_several_bundles_at_once_comes_into_force(
        self, state: StateStore, open_state: OpenState
    ) -> None:
        codes = together(open_state, put_in_force, PROCESSES)
        assert sorted(str(c) for c in codes) == ["0", "3", "3", "3"]
        assert len(state.bundles.history()) == 1

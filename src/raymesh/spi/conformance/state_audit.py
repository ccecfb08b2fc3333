"""The audit log: one order, signed with every append, nothing added to what nobody signed."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import AuditTamperedError, UsageError
from raymesh.governance.audit import AuditHead, AuditRecord, Checkpoint, checkpoint, leaf, unseal
from raymesh.governance.audit_check import Witnesses, examine
from raymesh.governance.merkle import Tree
from raymesh.spi.audit import AuditFilter
from raymesh.spi.conformance.state_opened import OpenedState, OpenState
from raymesh.spi.conformance.state_processes import CRASHED, together
from raymesh.spi.conformance.state_samples import AWKWARD, MOMENT

if TYPE_CHECKING:
    from raymesh.spi.state import StateStore

SEED = bytes(range(32))
APPENDS = 6
PROCESSES = 4


def sign(head: AuditHead) -> Checkpoint:
    """Signs as the tests' mesh does."""
    return checkpoint(head, SEED, MOMENT)


def happened(**changes: Any) -> AuditRecord:
    """Somebody read something."""
    record = AuditRecord("read", MOMENT, "anna", "shop.sales", "allowed", {"version": 3})
    return replace(record, **changes)


def append_some(state: StateStore, index: int) -> None:
    """Append records one by one, as one of several processes."""
    for n in range(APPENDS):
        state.audit.append([happened(principal=f"{index}", detail={"n": n})], sign=sign)


def die_after_append(state: StateStore, _: int) -> None:
    """Append, and die before anything else."""
    state.audit.append([happened()], sign=sign)
    os._exit(CRASHED)


def sound(state: StateStore) -> bool:
    """Whether the log is what was signed."""
    with state.read() as tx:
        witnesses = Witnesses(state.audit.checkpoints(within=tx))
        return examine(state.audit.head(tx), state.audit.entries(tx), witnesses).sound


class AuditConformance(OpenedState):
    def test_a_new_log_is_empty_and_has_a_name(self, state: StateStore) -> None:
        head = state.audit.head()
        assert head.size == 0
        assert head.log
        assert list(state.audit.entries()) == []
        assert state.audit.checkpoints() == []

    def test_records_are_numbered_in_the_order_they_came(self, state: StateStore, other: StateStore) -> None:
        assert state.audit.append([happened(principal="a"), happened(principal="b")], sign=sign) == range(2)
        assert other.audit.append([happened(principal="c")], sign=sign) == range(2, 3)
        assert [(e.index, e.principal) for e in state.audit.entries()] == [(0, "a"), (1, "b"), (2, "c")]

    def test_nothing_is_appended_for_nothing(self, state: StateStore) -> None:
        assert state.audit.append([], sign=sign) == range(0)
        assert state.audit.checkpoints() == []

    def test_what_is_kept_is_what_was_hashed(self, state: StateStore) -> None:
        state.audit.append([happened(principal=AWKWARD, detail={"note": AWKWARD})], sign=sign)
        entry = state.audit.entry(0)
        assert entry is not None
        assert entry.principal == entry.said["principal"] == AWKWARD
        assert entry.said["detail"] == {"note": AWKWARD}
        assert entry.leaf == leaf(0, entry.text)
        assert entry.at == MOMENT
        assert sound(state)

    def test_text_no_database_keeps_is_kept_escaped(self, state: StateStore) -> None:
        state.audit.append([happened(principal="nul\x00 and \ud800")], sign=sign)
        entry = state.audit.entry(0)
        assert entry is not None
        assert entry.said["principal"] == "nul\x00 and \ud800"
        assert sound(state)

    def test_every_append_is_signed(self, state: StateStore) -> None:
        state.audit.append([happened()] * 3, sign=sign)
        state.audit.append([happened()] * 4, sign=sign)
        found = state.audit.checkpoints()
        assert [c.size for c in found] == [3, 7]
        assert all(c.genuine and c.log == state.audit.head().log for c in found)
        assert found[-1].root == Tree().grown(state.audit.leaves(7)).root
        assert [c.size for c in state.audit.checkpoints(above=3)] == [7]

    def test_an_append_inside_a_transaction_lasts_as_long_as_that(
        self, state: StateStore, other: StateStore
    ) -> None:
        with state.write() as tx:
            assert state.audit.append([happened()], sign=sign, within=tx) == range(1)
            assert state.audit.head(tx).size == 1
            assert other.audit.head().size == 0
        assert other.audit.head().size == 1
        with pytest.raises(ZeroDivisionError), state.write() as tx:
            state.audit.append([happened()], sign=sign, within=tx)
            raise ZeroDivisionError
        assert other.audit.head().size == 1
        assert other.audit.append([happened()], sign=sign) == range(1, 2)
        assert sound(state)

    def test_an_append_beside_an_open_transaction_of_the_thread_is_refused(self, state: StateStore) -> None:
        with state.write(), pytest.raises(UsageError, match="transaction"):
            state.audit.append([happened()], sign=sign)

    def test_a_signer_that_fails_adds_nothing(self, state: StateStore, other: StateStore) -> None:
        def broken(_: AuditHead) -> Checkpoint:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            state.audit.append([happened()], sign=broken)
        assert other.audit.head().size == 0
        assert state.audit.append([happened()], sign=sign) == range(1)

    def test_a_record_that_is_no_json_is_refused(self, state: StateStore) -> None:
        with pytest.raises(UsageError):
            state.audit.append([happened(detail={"x": object()})], sign=sign)
        with pytest.raises(UsageError, match="zone"):
            state.audit.append([happened(at=MOMENT.replace(tzinfo=None))], sign=sign)
        assert state.audit.head().size == 0

    def test_a_checkpoint_nobody_signed_stops_the_log(self, state: StateStore, other: StateStore) -> None:
        state.audit.append([happened()], sign=lambda head: replace(sign(head), signature=bytes(64)))
        with pytest.raises(AuditTamperedError):
            other.audit.append([happened()], sign=sign)

    def test_records_are_found_by_what_they_say(self, state: StateStore) -> None:
        made = [
            happened(),
            happened(principal="bea", outcome="denied"),
            happened(product="shop.sales__quarantine"),
            happened(product="shop.sales_old"),
            happened(kind="publish"),
        ]
        state.audit.append(made, sign=sign)

        def numbers(**wanted: Any) -> list[int]:
            return [e.index for e in state.audit.records(AuditFilter(**wanted))]

        assert numbers() == [4, 3, 2, 1, 0]
        assert numbers(product="shop.sales") == [4, 2, 1, 0]
        assert numbers(principal="bea") == numbers(outcome="denied") == [1]
        assert numbers(kind="publish", product="shop.sales") == [4]
        assert [e.index for e in state.audit.records(limit=2)] == [4, 3]

    def test_particulars_are_kept_apart_until_their_key_is_erased(
        self, state: StateStore, other: StateStore
    ) -> None:
        private = {"sql": "select * from t where email = 'ann@example.com'"}
        made = [happened(private=private, about="ann"), happened(private={"sql": "other"}, about="bob")]
        state.audit.append(made, sign=sign)
        entry = state.audit.entry(0)
        assert entry is not None
        assert "ann@example.com" not in entry.text
        sealed = other.audit.private(0)
        assert sealed is not None
        assert unseal(sealed) == private
        assert state.audit.erase("ann") == 1
        assert other.audit.private(0) is None
        assert other.audit.private(1) is not None
        assert state.audit.erase("ann") == 0
        assert sound(state)

    def test_records_without_particulars_have_none(self, state: StateStore) -> None:
        state.audit.append([happened()], sign=sign)
        assert state.audit.private(0) is None
        assert state.audit.entry(7) is None

    def test_threads_that_append_at_once_lose_nothing(self, state: StateStore) -> None:
        threads = [threading.Thread(target=append_some, args=(state, n)) for n in range(PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _complete(state)

    def test_processes_that_append_at_once_lose_nothing(
        self, state: StateStore, open_state: OpenState
    ) -> None:
        assert together(open_state, append_some, PROCESSES) == [0] * PROCESSES
        _complete(state)

    def test_what_was_appended_outlives_the_process(self, state: StateStore, open_state: OpenState) -> None:
        assert together(open_state, die_after_append, 1) == [CRASHED]
        assert state.audit.head().size == 1
        assert sound(state)


def _complete(state: StateStore) -> None:
    """Every process's records are there, in its own order, and the log is sound."""
    entries = list(state.audit.entries())
    assert [e.index for e in entries] == list(range(PROCESSES * APPENDS))
    for index in range(PROCESSES):
        assert [e.said["detail"]["n"] for e in entries if e.principal == str(index)] == list(range(APPENDS))
    assert sound(state)

"""Runs, check results, lineage, pinned inputs and the outbox."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from raymesh.errors import CommitConflictError, StorageError, UsageError
from raymesh.spi.conformance.state_opened import OpenedState
from raymesh.spi.conformance.state_samples import AWKWARD, MOMENT, PORT, check, publish, run
from raymesh.spi.state import InputPin, LineageEdge

if TYPE_CHECKING:
    from raymesh.spi.state import StateStore


class EvidenceConformance(OpenedState):
    # runs
    def test_a_run_comes_back_as_it_was_recorded(self, state: StateStore, other: StateStore) -> None:
        started = run("a.b", actor=AWKWARD, host="höst", reason=AWKWARD, fingerprint="f")
        state.start_run(started)
        assert list(other.runs()) == [started]
        finished = replace(
            started,
            status="blocked",
            finished_at=MOMENT + timedelta(microseconds=1),
            rows=2**53 + 1,
            bytes=2**62,
            quality_score=0.1 + 0.2,
            resources={"seconds": 1.5, "huge": 2**80, "when": date(2026, 1, 1), "ünï": {"deep": [1, None]}},
            checks={"pass": 3, "fail": 1},
            error={"code": "x", "message": AWKWARD + "\x00\ud800"},
        )
        state.finish_run(finished)
        assert list(other.runs()) == [finished]

    def test_resources_may_hold_no_number(self, state: StateStore) -> None:
        state.start_run(run("a.b", resources={"ratio": math.nan, "worst": -math.inf}))
        found = state.runs()[0].resources
        assert math.isnan(found["ratio"])
        assert found["worst"] == -math.inf

    def test_text_no_database_keeps_does_not_stop_a_run(self, state: StateStore) -> None:
        state.start_run(run("a.b", reason="nul \x00 and half a pair \ud800"))
        assert state.runs()[0].reason.startswith("nul ")

    def test_a_run_is_recorded_once(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with pytest.raises(CommitConflictError):
            state.start_run(started)

    def test_a_run_that_was_not_started_can_be_finished(self, state: StateStore) -> None:
        skipped = run("a.b", status="unchanged", finished_at=MOMENT)
        state.finish_run(skipped)
        assert list(state.runs()) == [skipped]

    def test_a_published_run_stays_published(self, state: StateStore) -> None:
        published = run("a.b", status="published", finished_at=MOMENT)
        state.finish_run(published)
        state.finish_run(replace(published, status="failed", reason="the answer was lost"))
        assert list(state.runs()) == [published]

    def test_a_moment_without_a_zone_is_refused(self, state: StateStore) -> None:
        with pytest.raises(UsageError, match="time zone"):
            state.start_run(run("a.b", started_at=datetime(2026, 1, 1)))  # noqa: DTZ001  (the point)

    def test_a_number_that_does_not_fit_is_refused(self, state: StateStore) -> None:
        with pytest.raises(StorageError):
            state.start_run(run("a.b", rows=2**63))
        assert not state.runs()

    def test_runs_are_found_by_what_they_are(self, state: StateStore) -> None:
        later = MOMENT + timedelta(hours=1)
        first = run("a.b", "1", invocation="i")
        second = run("a.b", "2", invocation="j", started_at=later, status="failed")
        third = run("c.d", "3", invocation="j", started_at=later)
        for one in (second, first, third):
            state.start_run(one)
        assert list(state.runs()) == [third, second, first]
        assert list(state.runs(limit=1)) == [third]
        assert list(state.runs(product="a.b")) == [second, first]
        assert list(state.runs(invocation="j", product="a.b")) == [second]
        assert list(state.runs(status="running")) == [third, first]
        assert list(state.runs(product="nothing")) == []

    # checks, lineage, inputs
    def test_check_results_come_back_in_order(self, state: StateStore, other: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        sample = [
            {
                "id": UUID(int=7),
                "amount": Decimal("0.10"),
                "at": datetime(2026, 1, 1, tzinfo=UTC),
                "raw": b"\x00",
            }
        ]
        results = [
            check(
                "z", "fail", value=Decimal("0.5"), unit="percent", detail={"sample": sample, "text": AWKWARD}
            ),
            check("a", "skip", value=None, dimension=None, blocking=False),
            check("a", value=2**70),  # the same id twice must not lose a publish
        ]
        with state.write() as tx:
            state.record_checks(tx, started.run_id, PORT, results)
            state.record_checks(tx, started.run_id, "v1", [check("other")])
            state.record_checks(tx, started.run_id, "empty", [])
        assert list(other.checks(started.run_id, PORT)) == results
        assert list(other.checks(started.run_id)) == [*results, check("other")]
        assert list(other.checks("unknown")) == []

    def test_results_are_recorded_once(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with state.write() as tx:
            state.record_checks(tx, started.run_id, PORT, [check("a")])
        with pytest.raises(CommitConflictError), state.write() as tx:
            state.record_checks(tx, started.run_id, PORT, [check("a")])
        assert len(state.checks(started.run_id)) == 1

    def test_lineage_comes_back_in_order(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        edges = [
            LineageEdge("z", "c.d", "x", "direct"),
            LineageEdge("a", AWKWARD, AWKWARD, "opaque"),
            LineageEdge("a", "c.d", "x", "indirect"),
        ]
        with state.write() as tx:
            state.record_lineage(tx, started.run_id, "a.b", edges[:2])
            state.record_lineage(tx, started.run_id, "a.b", edges[2:])
            state.record_lineage(tx, started.run_id, "a.b", [])
        assert list(state.lineage(started.run_id)) == edges

    def test_inputs_come_back_in_order(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        pins = [
            InputPin("orders.lines", 7, -(2**63)),
            InputPin("a.source", None, None, {"files": ["x"], "at": datetime(2026, 1, 1, tzinfo=UTC)}),
        ]
        with state.write() as tx:
            state.record_inputs(tx, started.run_id, pins)
        assert list(state.inputs(started.run_id)) == pins
        assert list(state.inputs("unknown")) == []

    def test_evidence_needs_its_run(self, state: StateStore) -> None:
        with pytest.raises(StorageError), state.write() as tx:
            state.record_checks(tx, "unknown", PORT, [check("a")])
        assert not state.checks("unknown")

    # outbox
    def test_an_event_stays_until_it_is_delivered(self, state: StateStore, other: StateStore) -> None:
        before = datetime.now(UTC) - timedelta(seconds=5)
        with state.write() as tx:
            state.enqueue(tx, "first", {"text": AWKWARD, "n": Decimal("1.50")})
            state.enqueue(tx, "second", {})
        first, second = other.pending()
        assert (first.kind, first.payload, first.attempts) == (
            "first",
            {"text": AWKWARD, "n": Decimal("1.50")},
            0,
        )
        assert before < first.created_at < before + timedelta(seconds=60)
        assert list(state.pending(limit=1)) == [first]
        assert list(state.pending()) == [first, second]
        other.delivered([first.id])
        other.delivered([first.id])
        other.delivered([])
        assert list(state.pending()) == [second]

    def test_an_event_that_fails_does_not_hold_up_the_others(self, state: StateStore) -> None:
        with state.write() as tx:
            for kind in ("bad", "good"):
                state.enqueue(tx, kind, {})
        bad, good = state.pending()
        state.undelivered([bad.id])
        assert [(e.kind, e.attempts) for e in state.pending()] == [("good", 0), ("bad", 1)]
        assert list(state.pending(limit=1)) == [good]

    def test_ids_of_events_are_never_used_again(self, state: StateStore) -> None:
        seen: list[int] = []
        for _ in range(3):
            with state.write() as tx:
                state.enqueue(tx, "told", {})
            seen.append(state.pending()[-1].id)
            state.delivered(seen)
        assert len(set(seen)) == 3

    def test_an_event_of_a_failed_publish_is_never_told(self, state: StateStore) -> None:
        publish(state, "a.b", 1)
        with pytest.raises(ZeroDivisionError), state.write() as tx:
            state.enqueue(tx, "told", {})
            raise ZeroDivisionError
        assert not state.pending()

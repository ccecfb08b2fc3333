"""Versions and the index of live files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raymesh.errors import CommitConflictError, NotFoundError, UsageError
from raymesh.spi.conformance.state_opened import OpenedState
from raymesh.spi.conformance.state_samples import (
    AWKWARD,
    MOMENT,
    PORT,
    append,
    file,
    paths,
    publish,
    run,
    version,
)

if TYPE_CHECKING:
    from raymesh.spi.state import FileRecord, StateStore

WATERMARKS: tuple[Any, ...] = (
    7,
    2**70,
    -0.1,
    1.0,
    float("inf"),
    Decimal("12345678901234567890.12345678901234567800"),
    "",
    AWKWARD,
    True,
    date(2026, 2, 28),
    datetime(2026, 3, 29, 2, 30, 0, 1),  # noqa: DTZ001  (tables have such columns)
    datetime(2026, 3, 29, 2, 30, 0, 999999, tzinfo=UTC),
    datetime(2026, 3, 29, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    {"$decimal": "1"},
    [{"a": Decimal(1), 2: None}],
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "append", "rewrite", "restate", "rollback", "forget"]),
        st.integers(0, 3),
        st.randoms(use_true_random=False),
    ),
    max_size=12,
)
_ACCEPTED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
"""Every example uses a product of its own, and every implementation runs the same test."""


class VersionConformance(OpenedState):
    def test_nothing_is_published_at_first(self, state: StateStore) -> None:
        assert state.current() == {}
        assert state.current(["a.b"]) == {}
        assert state.version("a.b", PORT, 1) is None
        assert list(state.versions("a.b")) == []

    def test_a_version_comes_back_as_it_was_recorded(self, state: StateStore, other: StateStore) -> None:
        published = publish(
            state,
            "a.b",
            1,
            kind="rollback",
            table=AWKWARD,
            rows=2**53 + 1,
            bytes=2**62,
            snapshot_id=-(2**63),
            schema={"ünï": [1, {"nested": None}], "$ref": "#/x"},
            contract={"description": AWKWARD + "\x00\ud800"},
            quality_score=0.1 + 0.2,
            of_version=1,
            published_at=MOMENT.astimezone(timezone(timedelta(hours=-3))),
        )
        assert other.version("a.b", PORT, 1) == published
        assert other.current(["a.b"]) == {("a.b", PORT): published}
        found = other.version("a.b", PORT, 1)
        assert found is not None
        assert found.published_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("watermark", WATERMARKS, ids=lambda value: type(value).__name__)
    def test_a_watermark_keeps_type_and_value(self, state: StateStore, watermark: Any) -> None:
        publish(state, "a.b", 1, watermark=watermark)
        found = state.current()["a.b", PORT].watermark
        assert type(found) is type(watermark)
        assert found == watermark
        if isinstance(watermark, datetime):
            assert (found.utcoffset(), found.fold) == (watermark.utcoffset(), watermark.fold)
        if isinstance(watermark, Decimal):
            assert str(found) == str(watermark)

    def test_current_is_the_newest_version_of_every_port(self, state: StateStore) -> None:
        publish(state, "a.b", 1)
        second = publish(state, "a.b", 2)
        legacy = publish(state, "a.b", 1, port="v1")
        elsewhere = publish(state, "c.d", 1)
        everything = {("a.b", PORT): second, ("a.b", "v1"): legacy, ("c.d", PORT): elsewhere}
        assert state.current() == everything
        assert state.current(["c.d", "e.f", "c.d"]) == {("c.d", PORT): elsewhere}
        assert state.current(iter([])) == {}
        assert state.current(f"{i}.x" for i in range(5000)) == {}
        assert state.current(["a.b", *(f"{i}.x" for i in range(5000))]).keys() == {
            ("a.b", PORT),
            ("a.b", "v1"),
        }

    def test_history_has_the_newest_first(self, state: StateStore) -> None:
        for number in (1, 2, 3):  # the clock may run backwards, the order is that of the numbers
            publish(state, "a.b", number, published_at=MOMENT - timedelta(days=number))
        publish(state, "a.b", 1, port="v1")
        assert [(v.number, v.port) for v in state.versions("a.b", limit=3)] == [
            (3, PORT),
            (2, PORT),
            (1, PORT),
        ]
        assert [v.number for v in state.versions("a.b", "v1")] == [1]

    @pytest.mark.parametrize("number", [0, 1, 3])
    def test_a_version_that_does_not_follow_the_current_one_is_refused(
        self, state: StateStore, number: int
    ) -> None:
        first = publish(state, "a.b", 1, [file("1.parquet")])
        with pytest.raises(CommitConflictError):
            publish(state, "a.b", number, [file("2.parquet")])
        assert state.current() == {("a.b", PORT): first}
        assert paths(state, first) == {"1.parquet"}

    def test_a_second_delivery_of_a_publish_is_refused(self, state: StateStore) -> None:
        started = run("a.b")
        state.start_run(started)
        with state.write() as tx:
            state.replace_files(tx, version(started, 1), [file("1.parquet")])
        with pytest.raises(CommitConflictError), state.write() as tx:
            state.replace_files(tx, version(started, 2), [file("1.parquet")])
        assert len(state.versions("a.b")) == 1

    def test_files_are_those_before_less_removed_plus_added(self, state: StateStore) -> None:
        first = append(state, "a.b", 1, [file("1.parquet", nulls=0), file("2.parquet")])
        second = append(state, "a.b", 2, [file("3.parquet")], ["1.parquet"])
        assert list(state.files(first)) == [file("1.parquet", nulls=0), file("2.parquet")]
        assert list(state.files(second)) == [file("2.parquet"), file("3.parquet")]

    def test_a_rollback_brings_back_files_and_their_check_states(self, state: StateStore) -> None:
        first = publish(state, "a.b", 1, [file("1.parquet", nulls=1), file("same.parquet")])
        second = append(state, "a.b", 2, [file("1.parquet", nulls=2)], ["1.parquet"])
        publish(state, "a.b", 3, [])
        again = publish(state, "a.b", 4, list(state.files(first)), kind="rollback", of_version=1)
        back = publish(state, "a.b", 5, list(state.files(second)), kind="rollback", of_version=2)
        for version_, nulls in ((first, 1), (second, 2), (again, 1), (back, 2)):
            states = {f.path: f.state for f in state.files(version_)}
            assert states == {"1.parquet": {"nulls": nulls}, "same.parquet": {}}

    def test_profiles_follow_their_files(self, state: StateStore) -> None:
        told = [replace(file(f"{n}.parquet"), profile={"rows": n}) for n in (1, 2)]
        first = publish(state, "a.b", 1, told)
        second = append(state, "a.b", 2, [replace(file("3.parquet"), profile={"rows": 3})], ["1.parquet"])
        assert [f.profile for f in state.files(first)] == [{}, {}]
        assert state.profiles(first) == {"1.parquet": {"rows": 1}, "2.parquet": {"rows": 2}}
        assert state.profiles(second) == {"2.parquet": {"rows": 2}, "3.parquet": {"rows": 3}}
        back = publish(state, "a.b", 3, list(state.files(first)), kind="rollback", of_version=1)
        assert state.profiles(back) == state.profiles(first)

    def test_profiles_go_with_the_last_version_that_needs_them(self, state: StateStore) -> None:
        publish(state, "a.b", 1, [replace(file("1.parquet"), profile={"rows": 1})])
        publish(state, "a.b", 2, [replace(file("2.parquet"), profile={"rows": 2})])
        with state.write() as tx:
            state.forget_versions(tx, "a.b", "default", [1])
        again = publish(state, "a.b", 3, [file("1.parquet"), file("2.parquet")])
        assert state.profiles(again) == {"2.parquet": {"rows": 2}}

    def test_ports_and_products_do_not_share_files(self, state: StateStore) -> None:
        one = publish(state, "a.b", 1, [file("1.parquet")])
        two = publish(state, "a.b", 1, [file("1.parquet")], port="v1")
        publish(state, "a.b", 2, [])
        assert paths(state, one) == paths(state, two) == {"1.parquet"}

    def test_removing_a_file_that_is_not_live_is_refused(self, state: StateStore) -> None:
        append(state, "a.b", 1, [file("1.parquet")])
        append(state, "a.b", 2, [], ["1.parquet"])
        with pytest.raises(CommitConflictError, match="1 of 1 files"):
            append(state, "a.b", 3, [], ["1.parquet"])
        assert len(state.versions("a.b")) == 2

    def test_many_files_change_at_once(self, state: StateStore) -> None:
        many = [file(f"{i:05}.parquet") for i in range(3000)]
        append(state, "a.b", 1, many)
        second = append(state, "a.b", 2, [file("new.parquet")], [f.path for f in many[:2999]])
        assert paths(state, second) == {"02999.parquet", "new.parquet"}

    def test_files_of_an_unknown_version_are_an_error(self, state: StateStore) -> None:
        with pytest.raises(NotFoundError, match="does not exist"):
            state.files(version(run("a.b"), 1))

    def test_expired_versions_cannot_be_read_and_stay_as_evidence(self, state: StateStore) -> None:
        first = publish(state, "a.b", 1, [file("1.parquet"), file("both.parquet")])
        second = publish(state, "a.b", 2, [file("2.parquet"), file("both.parquet")])
        third = publish(state, "a.b", 3, [file("3.parquet")])
        with state.write() as tx:
            state.forget_versions(tx, "a.b", PORT, [1])
        with pytest.raises(NotFoundError, match="expired"):
            state.files(first)
        kept = state.version("a.b", PORT, 1)
        assert kept is not None
        assert kept.expired_at is not None
        assert replace(kept, expired_at=None) == first
        assert paths(state, second) == {"2.parquet", "both.parquet"}
        assert paths(state, third) == {"3.parquet"}

    def test_the_current_version_cannot_expire(self, state: StateStore) -> None:
        published = publish(state, "a.b", 1, [file("1.parquet")])
        with pytest.raises(UsageError), state.write() as tx:
            state.forget_versions(tx, "a.b", PORT, [1])
        assert paths(state, published) == {"1.parquet"}

    def test_moving_the_head_changes_the_current_version_only(
        self, state: StateStore, other: StateStore
    ) -> None:
        first = publish(state, "a.b", 1, [file("1.parquet")])
        second = publish(state, "a.b", 2, [file("2.parquet")])
        legacy = publish(state, "a.b", 1, port="v1")
        with state.write() as tx:
            state.move_head(tx, "a.b", PORT, "00009.metadata.json")
        moved = replace(second, metadata_location="00009.metadata.json")
        assert other.current() == {("a.b", PORT): moved, ("a.b", "v1"): legacy}
        assert other.version("a.b", PORT, 1) == first
        assert paths(state, moved) == {"2.parquet"}
        with pytest.raises(NotFoundError), state.write() as tx:
            state.move_head(tx, "a.c", PORT, "00001.metadata.json")

    @settings(max_examples=15, deadline=None, suppress_health_check=_ACCEPTED)
    @given(steps=STEPS)
    def test_files_follow_any_history(self, state: StateStore, steps: Any) -> None:
        product = f"p.{uuid4().hex}"
        model: dict[int, dict[str, FileRecord]] = {}
        for number, (step, amount, chance) in enumerate(steps, start=1):
            number_ = len(state.versions(product)) + 1
            _walk(state, product, number_, model, (step, amount, chance, number))
            for known, files in model.items():
                found = state.version(product, PORT, known)
                assert found is not None
                assert {f.path: f for f in state.files(found)} == files


def _walk(
    state: StateStore, product: str, number: int, model: dict[int, dict[str, FileRecord]], move: Any
) -> None:
    """Make one move in the store and in the model, a dict of version number to its files."""
    step, amount, chance, nonce = move
    live = model.get(number - 1, {})
    fresh = {f.path: f for f in (file(f"{nonce}-{i}.parquet", i) for i in range(amount))}
    chosen = chance.sample(sorted(live), min(amount, len(live)))
    if step == "append":
        append(state, product, number, list(fresh.values()))
        model[number] = live | fresh
    elif step == "rewrite":
        append(state, product, number, list(fresh.values()), chosen)
        model[number] = {p: f for p, f in live.items() if p not in chosen} | fresh
    elif step == "restate":  # the same files with check states computed anew
        again = {p: replace(live[p], state={"seen": nonce}) for p in chosen}
        append(state, product, number, list(again.values()), chosen[::2])
        model[number] = live | again
    elif step == "rollback" and model:
        model[number] = model[chance.choice(sorted(model))]
        publish(state, product, number, list(model[number].values()), kind="rollback")
    elif step == "forget":
        gone = chance.sample(sorted(model)[:-1], min(amount, max(len(model) - 1, 0)))
        with state.write() as tx:
            state.forget_versions(tx, product, PORT, gone)
        for forgotten in gone:
            del model[forgotten]
    else:
        publish(state, product, number, list(fresh.values()))
        model[number] = fresh

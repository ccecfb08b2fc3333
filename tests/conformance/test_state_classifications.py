"""What the state store keeps of classification, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from raymesh.adapters.state import SqlStateStore, migrations
from raymesh.errors import GovernanceError, NotFoundError
from raymesh.governance.classification import EVERY
from raymesh.spi.classifications import Act
from raymesh.spi.conformance.state_samples import MOMENT, run, version
from raymesh.spi.state import InputPin, LineageEdge, Version

NOW = datetime(2026, 5, 1, tzinfo=UTC)
EMAIL = "pii.direct.email"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def open_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SqlStateStore]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else "sqlite:///mesh.db"
    return partial(SqlStateStore, url, root=str(tmp_path))


@pytest.fixture
def state(open_state: Callable[[], SqlStateStore]) -> Iterator[SqlStateStore]:
    store = open_state()
    store.migrate()
    yield store
    store.close()


def contract(**tags: list[str]) -> dict[str, object]:
    return {"schema": [{"properties": [{"name": name, "tags": said} for name, said in tags.items()]}]}


def publish(
    state: SqlStateStore,
    product: str,
    number: int,
    names: list[str],
    edges: list[LineageEdge] = [],  # noqa: B006  # never changed
    pins: list[InputPin] = [],  # noqa: B006
    port: str = "default",
    **changes: object,
) -> Version:
    started = run(product)
    state.start_run(started)
    fields = [{"id": n, "name": name, "type": "string"} for n, name in enumerate(names, start=1)]
    table = product if port == "default" else f"{product}__{port}"
    made = version(
        started,
        number,
        port,
        **{"schema": {"fields": fields}, "fingerprint": "transform:a", "table": table, **changes},
    )
    with state.write() as tx:
        state.replace_files(tx, made, [])
        state.record_lineage(tx, started.run_id, product, edges)
        state.record_inputs(tx, started.run_id, pins)
        state.finish_run(replace(started, status="published", finished_at=MOMENT), within=tx)
    return made


def act(kind: str, actor: str, **changes: object) -> Act:
    base = Act(0, "shop.people", "default", 1, "email", kind, (EMAIL,), 1, actor, "why", NOW)  # type: ignore[arg-type]
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_version_leaves_its_tags_in_the_record_of_its_port(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email", "city"], contract=contract(email=[EMAIL]))
    publish(state, "shop.people", 2, ["email", "city"], contract=contract(city=["public"]))
    (record,) = state.classifications.records([("shop.people", "default"), ("shop.none", "default")]).values()
    assert record.version == 2
    assert record.columns[1].said == {EMAIL: 1}
    assert record.columns[2].said == {"public": 2}


def test_lineage_is_bound_to_field_ids_and_pinned_versions(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email", "city"], contract=contract(email=[EMAIL]))
    edges = [
        LineageEdge("m", "shop.people", "EMAIL", "direct"),
        LineageEdge("m", "shop.people", "city", "indirect"),
        LineageEdge("n", "shop.people", "city", "indirect", chooses=True),
        LineageEdge("n", "shop.source.raw", "*", "direct"),
    ]
    publish(state, "shop.mails", 1, ["m", "n"], edges, [InputPin("shop.people", 1, 7)])
    record = state.classifications.records()["shop.mails", "default"]
    assert [(o.table, o.field) for o in record.columns[1].origins] == [("shop.people", 1)]
    assert [(o.table, o.field) for o in record.columns[2].origins] == [
        ("shop.people", 2),
        ("shop.source.raw", EVERY),
    ]
    assert record.pins == {"shop.people": 1}


def test_opaque_lineage_of_a_wide_table_is_one_origin(state: SqlStateStore) -> None:
    names = [f"c{n}" for n in range(30)]
    publish(state, "shop.people", 1, names)
    edges = [LineageEdge("x", "shop.people", name, "opaque") for name in names]
    publish(state, "shop.mails", 1, ["x"], edges)
    (origin,) = state.classifications.records()["shop.mails", "default"].columns[1].origins
    assert origin.field == EVERY


def test_rows_set_aside_are_tagged_like_the_rows_of_their_port(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email"], contract=contract(email=[EMAIL]))
    publish(state, "shop.people", 1, ["email", "raymesh_rules"], port="quarantine", contract=contract())
    record = state.classifications.records()["shop.people", "quarantine"]
    assert [(o.table, o.field) for o in record.columns[1].origins] == [("shop.people", 1)]
    assert record.columns[2].settled
    assert not record.columns[2].origins


def test_a_publish_that_fails_leaves_no_tags(state: SqlStateStore) -> None:
    started = run("shop.people")
    state.start_run(started)
    made = version(
        started, 1, schema={"fields": [{"id": 1, "name": "email"}]}, contract=contract(email=[EMAIL])
    )
    with pytest.raises(RuntimeError), state.write() as tx:
        state.replace_files(tx, made, [])
        raise RuntimeError
    assert state.classifications.records() == {}


def test_acts_are_numbered_kept_and_applied(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email"])
    confirmed = state.classifications.act(act("confirm", "anna"))
    assert confirmed.id > 0
    assert state.classifications.records()["shop.people", "default"].columns[1].confirmed == {EMAIL}
    assert list(state.classifications.acts("shop.people")) == [confirmed]
    assert list(state.classifications.acts("shop.other")) == []


def test_a_tag_is_lowered_by_two_people_only(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email"])
    state.classifications.act(act("confirm", "anna"))
    asked = state.classifications.act(act("propose", "anna"))
    with pytest.raises(GovernanceError, match="cannot agree"):
        state.classifications.act(act("lower", "anna", of=asked.id))
    other = act("lower", "ben", of=asked.id, tags=("restricted",), version=99)
    lowered = state.classifications.act(other)
    assert (lowered.tags, lowered.version) == ((EMAIL,), 1), "what is lowered is what was proposed"
    column = state.classifications.records()["shop.people", "default"].columns[1]
    assert (column.confirmed, set(column.lowered)) == (frozenset(), {EMAIL})
    with pytest.raises(NotFoundError, match="no open proposal"):
        state.classifications.act(act("lower", "carl", of=asked.id))


def test_an_act_needs_a_column_and_an_open_proposal_about_it(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email", "city"])
    with pytest.raises(NotFoundError, match="no published column"):
        state.classifications.act(act("confirm", "anna", field=7))
    with pytest.raises(NotFoundError, match="no open proposal"):
        state.classifications.act(act("lower", "ben", of=None))
    asked = state.classifications.act(act("propose", "anna"))
    with pytest.raises(NotFoundError, match="no open proposal"):
        state.classifications.act(act("lower", "ben", of=asked.id, field=2))
    state.classifications.act(act("refuse", "anna", of=asked.id))
    with pytest.raises(NotFoundError, match="no open proposal"):
        state.classifications.act(act("lower", "ben", of=asked.id))


def test_lineage_of_a_column_that_is_not_there_counts_for_all(state: SqlStateStore) -> None:
    publish(state, "shop.people", 1, ["email"], contract=contract(email=[EMAIL]))
    publish(state, "shop.mails", 1, ["m", "n"], [LineageEdge("other", "shop.people", "email", "direct")])
    record = state.classifications.records()["shop.mails", "default"]
    assert all([o.table for o in c.origins] == ["shop.people"] for c in record.columns.values())


def test_an_act_waits_for_a_publish_and_neither_is_lost(
    state: SqlStateStore, open_state: Callable[[], SqlStateStore]
) -> None:
    publish(state, "shop.people", 1, ["email", "city"])
    other = open_state()
    asked, done = threading.Event(), threading.Event()

    def confirm() -> None:
        asked.set()
        other.classifications.act(act("confirm", "anna"))
        done.set()

    started = run("shop.people")
    state.start_run(started)
    fields = [{"id": 1, "name": "email"}, {"id": 2, "name": "city"}]
    made = version(started, 2, schema={"fields": fields}, contract=contract(city=["restricted"]))
    thread = threading.Thread(target=confirm)
    with state.write() as tx:
        state.replace_files(tx, made, [])
        thread.start()
        assert asked.wait(10)
        assert not done.wait(0.3)
    thread.join(30)
    other.close()
    columns = state.classifications.records()["shop.people", "default"].columns
    assert columns[1].confirmed == {EMAIL}
    assert columns[2].said == {"restricted": 2}


def test_tags_of_a_mesh_from_before_are_gathered(open_state: Callable[[], SqlStateStore]) -> None:
    """Versions published before the migration count as if it had been there."""
    store = open_state()
    store.migrate()
    publish(store, "shop.people", 1, ["email"], contract=contract(email=[EMAIL]))
    edges, pins = [LineageEdge("m", "shop.people", "email", "direct")], [InputPin("shop.people", 1, 7)]
    publish(store, "shop.mails", 1, ["m"], edges, pins, published_at=NOW)
    publish(
        store, "shop.people", 2, ["email"], kind="rollback", of_version=1, contract=contract(), fingerprint=""
    )
    expected = store.classifications.records()
    with store.write() as tx:
        tx.handle.exec_driver_sql("DELETE FROM raymesh_classifications")
        migrations.import_module("raymesh.adapters.state.migrations.m0004_classifications")._gather(tx.handle)
    assert store.classifications.records() == expected
    store.close()


def test_since_when_a_standard_is_broken_is_kept_until_it_is_mended(state: SqlStateStore) -> None:
    later = NOW.replace(day=9)
    one, two = ("freshness", "shop.people", "default", ""), ("freshness", "shop.mails", "default", "")
    assert state.evidence.since([one], NOW) == {one: NOW}
    assert state.evidence.since([one, two], later) == {one: NOW, two: later}
    assert state.evidence.since([two], later) == {two: later}
    assert state.evidence.since([one], later) == {one: later}, "it was mended in between"


def test_since_can_be_told_of_one_product_alone(state: SqlStateStore) -> None:
    one, two = ("freshness", "shop.people", "", ""), ("freshness", "shop.mails", "", "")
    state.evidence.since([one, two], NOW)
    state.evidence.since([], NOW, "shop.people")
    assert state.evidence.since([one, two], NOW.replace(day=2)) == {one: NOW.replace(day=2), two: NOW}


def test_what_governance_said_is_kept_with_the_version(state: SqlStateStore) -> None:
    said = {"completeness": 0.5, "standards": {"version": "1", "violations": [{"rule": "x"}]}}
    publish(state, "shop.people", 1, ["email"], governance=said)
    publish(state, "shop.people", 2, ["email"])
    both = {v.number: v for v, _ in state.evidence.versions()}
    assert both[1].governance == said
    assert both[2].governance == {}


def test_bulk_evidence_is_that_of_the_runs_named(state: SqlStateStore) -> None:
    one = publish(state, "shop.people", 1, ["email"], [LineageEdge("email", "s", "c", "direct")])
    two = publish(state, "shop.mails", 1, ["m"], [LineageEdge("m", "s", "c", "direct")])
    assert {v.product: served for v, served in state.evidence.versions()} == {
        "shop.people": True,
        "shop.mails": True,
    }
    assert [p for p, _ in state.evidence.lineage([one.run_id])] == ["shop.people"]
    assert {p for p, _ in state.evidence.lineage([one.run_id, two.run_id])} == {"shop.people", "shop.mails"}
    assert [r.product for r in state.evidence.runs(10)][:1] in (["shop.mails"], ["shop.people"])

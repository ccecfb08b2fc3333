"""C3, C4, C9: a database that was prepared ahead is as empty, as locked and as much one reader's own as any other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts import schema_of
from observing import Bench
from raymesh.engines.kernel import consumer, kept
from raymesh.engines.kernel.governed_query import GovernedBox
from raymesh.engines.kernel.kept import Kept
from raymesh.errors import InternalError
from raymesh.mesh.plan import Limits
from views import viewed, written

SCHEMA = schema_of(id="long")


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    return Limits(1 << 26, 1, str(tmp_path))


@pytest.fixture
def store() -> Iterator[Kept]:
    store = Kept()
    yield store
    store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    scan = written(tmp_path / "data", SCHEMA, [{"id": n} for n in range(10)])
    bench = Bench(tmp_path, {"shop.people": viewed(scan, "id")})
    yield bench
    bench.close()


def prepared(store: Kept, limits: Limits) -> duckdb.DuckDBPyConnection:
    """The database that waits for the next query, after two that were answered."""
    for _ in range(kept._OFTEN):
        store.done(limits, store.empty(limits))
    end = time.monotonic() + 20
    while store._next is None:
        assert time.monotonic() < end, "nothing was prepared"
        time.sleep(0.01)
    return store._next[1]


def test_c9_a_prepared_database_is_locked_before_anybody_has_it(store: Kept, limits: Limits) -> None:
    waiting = prepared(store, limits)
    for statement in (
        "SET enable_external_access=true",
        "SET lock_configuration=false",
        "SET threads=4",
        "SELECT * FROM read_text('/etc/hostname')",
        "ATTACH 'x.db'",
    ):
        with pytest.raises(duckdb.Error):
            waiting.execute(statement)


def test_c4_nobody_gets_what_somebody_else_has_had(store: Kept, limits: Limits) -> None:
    waiting = prepared(store, limits)
    mine = store.empty(limits)
    assert mine is waiting
    mine.execute("CREATE MACRO lower(x) AS 'poisoned'")
    theirs = store.empty(limits)
    assert theirs.execute("SELECT lower('A')").fetchall() == [("a",)]
    store.done(limits, mine)
    later = prepared(store, limits)
    assert later not in (mine, theirs)
    assert later.execute("SELECT lower('A')").fetchall() == [("a",)]
    with pytest.raises(duckdb.Error):
        mine.execute("SELECT 1")
    theirs.close()


def test_c4_many_at_once_never_share(store: Kept, limits: Limits) -> None:
    prepared(store, limits)
    with ThreadPoolExecutor(4) as threads:
        given = list(threads.map(lambda _: store.empty(limits), range(8)))
    assert len({id(g) for g in given}) == 8
    for n, con in enumerate(given):
        con.execute(f"CREATE TABLE mine AS SELECT {n}")  # the second would find the first's
        store.done(limits, con)


def test_c4_every_query_has_a_database_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    had: list[Any] = []
    fill = GovernedBox.fill

    def noting(box: GovernedBox, inputs: Any) -> None:
        assert box.consumer.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchall() == [
            (0,)
        ]
        had.append(box.consumer)  # kept alive, so that no two have one identity
        fill(box, inputs)

    monkeypatch.setattr(GovernedBox, "fill", noting)
    for _ in range(6):
        assert len(bench.rows("select * from shop.people")) == 10
        time.sleep(0.05)
    assert len({id(c) for c in had}) == 6


def test_c9_one_that_cannot_be_locked_is_never_handed_out(
    store: Kept, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(kept._OFTEN):
        used = store.empty(limits)
        monkeypatch.setitem(consumer._LOCKED, "enable_external_access", "other")
        store.done(limits, used)
        assert store._hand is not None
        store._hand.submit(lambda: None).result(20)
        monkeypatch.undo()
    assert store._next is None
    monkeypatch.setitem(consumer._LOCKED, "enable_external_access", "other")
    with pytest.raises(InternalError, match="locked"):
        store.empty(limits)


def test_other_limits_get_another_database(store: Kept, limits: Limits, tmp_path: Path) -> None:
    waiting = prepared(store, limits)
    other = store.empty(Limits(1 << 27, 1, str(tmp_path)))
    assert other is not waiting
    assert other.execute("SELECT current_setting('memory_limit')").fetchall() == [("128.0 MiB",)]
    other.close()


def test_after_the_end_used_databases_are_closed_at_once(limits: Limits) -> None:
    store = Kept()
    used = store.empty(limits)
    store.close()
    store.done(limits, used)
    with pytest.raises(duckdb.Error):
        used.execute("SELECT 1")

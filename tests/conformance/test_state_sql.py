"""What the SQL state store promises beyond the suite, on both databases: upgrades, faults, no leaked secrets."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, inspect, text

from raymesh.adapters.state import SqlStateStore, database, migrations, schema
from raymesh.errors import CommitConflictError, CommitUnknownError, LeaseLostError, StorageError
from raymesh.spi.conformance.state_samples import PORT, paths, publish, run, version
from raymesh.spi.owner import own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def open_state(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SqlStateStore]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else "sqlite:///mesh.db"
    return partial(SqlStateStore, url, root=str(tmp_path))


@pytest.fixture
def empty(open_state: Callable[[], SqlStateStore]) -> Iterator[SqlStateStore]:
    store = open_state()
    yield store
    store.close()


@pytest.fixture
def state(empty: SqlStateStore) -> SqlStateStore:
    empty.migrate()
    return empty


@pytest.fixture
def other(open_state: Callable[[], SqlStateStore], state: SqlStateStore) -> Iterator[SqlStateStore]:
    store = open_state()
    yield store
    store.close()


@contextmanager
def statements(store: SqlStateStore) -> Iterator[list[str]]:
    """The statements the store executes in the block."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    engines = {store._database.writer, store._database.reader}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    yield seen
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


# migrations
def test_the_tables_are_those_the_queries_are_built_from(state: SqlStateStore) -> None:
    found = inspect(state.engine)
    assert set(found.get_table_names()) == set(schema.metadata.tables)
    for table in schema.metadata.tables.values():
        made = {c["name"]: (_kind(c["type"]), c["nullable"]) for c in found.get_columns(table.name)}
        expected = {c.name: (_kind(c.type), bool(c.nullable)) for c in table.columns}
        if table in (schema.outbox, schema.acts):  # numbered by each database in its own way
            assert made.pop("id")[0] in ("INTEGER", "BIGINT")
            del expected["id"]
        assert made == expected, table.name


def _kind(column_type: Any) -> str:
    name = str(column_type).upper()
    return "DOUBLE" if name in ("DOUBLE PRECISION", "DOUBLE_PRECISION", "REAL") else name


def test_a_database_of_the_first_release_is_upgraded_with_everything_in_it(empty: SqlStateStore) -> None:
    with empty.write() as tx:
        migrations.upgrade(tx.handle, to=1)
        _fill_as_the_first_release_did(tx.handle)
    empty.migrate()
    assert {key: v.number for key, v in empty.current().items()} == {("a.b", PORT): 2, ("c.d", PORT): 1}
    assert paths(empty, empty.current()["a.b", PORT]) == {"2.parquet"}
    assert [r.run_id for r in empty.runs()] == ["r2", "r1"]
    publish(empty, "a.b", 3)
    with empty.read() as tx:
        names = tx.handle.execute(text("select name from raymesh_migrations order by number")).scalars().all()
    assert tuple(names) == migrations.NAMES


def _fill_as_the_first_release_did(connection: Connection) -> None:
    for run_id, at in (("r1", 1), ("r2", 2)):
        connection.execute(
            text(
                "insert into raymesh_runs values (:r,'i','a.b','local',:at,'published',:at,'','',1,1,1.0,'{}','{}',null,'','')"
            ),
            {"r": run_id, "at": at},
        )
    for product, number, run_id in (("a.b", 1, "r1"), ("a.b", 2, "r2"), ("c.d", 1, "r1")):
        connection.execute(
            text(
                "insert into raymesh_versions values (:p,'default',:n,'publish',:p,:r,:n,'m','{}','{}','1',1,1,'f',:n,"
                "null,null,null,null)"
            ),
            {"p": product, "n": number, "r": run_id},
        )
    connection.execute(
        text(
            "insert into raymesh_files values ('a.b','default','1.parquet',1,2,0,1,1,'{}'),('a.b','default','2.parquet',2,null,0,1,1,'{}')"
        )
    )


def test_an_up_to_date_database_costs_one_look(state: SqlStateStore) -> None:
    with statements(state) as seen:
        state.migrate()
    assert [s for s in seen if not s.startswith(("BEGIN", "SET"))] == [
        "SELECT max(raymesh_migrations.number) AS max_1 \nFROM raymesh_migrations"
    ]


def test_a_database_from_the_future_is_refused(state: SqlStateStore, other: SqlStateStore) -> None:
    with state.write() as tx:
        tx.handle.execute(text("insert into raymesh_migrations values (99, 'm0099_better', 0)"))
    with pytest.raises(StorageError, match="newer raymesh") as caught:
        other.migrate()
    assert caught.value.hint is not None
    assert "upgrade" in caught.value.hint


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    empty: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty.write() as tx:
        migrations.upgrade(tx.handle, to=1)
    monkeypatch.setattr(migrations, "NAMES", (*migrations.NAMES, "m9999_missing"))
    monkeypatch.setattr(migrations, "NEWEST", migrations.NEWEST + 1)
    with pytest.raises(ModuleNotFoundError), empty.write() as tx:
        migrations.upgrade(tx.handle, to=migrations.NEWEST)
    assert "is_current" not in {c["name"] for c in inspect(empty.engine).get_columns("raymesh_versions")}


def test_a_database_that_was_never_set_up_says_so(empty: SqlStateStore) -> None:
    with pytest.raises(StorageError, match="has not been set up"):
        empty.current()


# the shared connection
def test_a_table_store_swaps_its_rows_in_the_same_transaction(
    state: SqlStateStore, other: SqlStateStore
) -> None:
    with state.engine.begin() as connection:
        connection.execute(
            text("create table iceberg_tables (name text primary key, metadata_location text)")
        )
        connection.execute(text("insert into iceberg_tables values ('a.b', 'old')"))
    swap = text("update iceberg_tables set metadata_location = :new where metadata_location = :old")
    started = run("a.b")
    state.start_run(started)
    with pytest.raises(CommitConflictError), state.write() as tx:
        assert tx.handle.execute(swap, {"old": "old", "new": "torn"}).rowcount == 1
        state.record_version(tx, version(started, 7), added=[], removed=[])
    with state.write() as tx:
        assert tx.handle.execute(swap, {"old": "old", "new": "new"}).rowcount == 1
        state.record_version(tx, version(started, 1), added=[], removed=[])
    with other.read() as tx:
        assert tx.handle.execute(text("select metadata_location from iceberg_tables")).scalar() == "new"
        assert len(other.current(within=tx)) == 1


def test_a_failed_statement_on_the_shared_connection_is_an_error_of_ours(state: SqlStateStore) -> None:
    with pytest.raises(StorageError, match="has not been set up"), state.write() as tx:
        tx.handle.execute(text("select * from no_such_table"))


def test_read_modify_write_on_the_shared_connection_loses_nothing(state: SqlStateStore) -> None:
    """A transaction that took its lock only when it writes would lose updates, and no error would say so."""
    with state.engine.begin() as connection:
        connection.execute(text("create table counter (n integer)"))
        connection.execute(text("insert into counter values (0)"))
    lock = " for update" if state.engine.dialect.name == "postgresql" else ""

    def count() -> None:
        for _ in range(25):
            with state.write() as tx:
                found = tx.handle.execute(text(f"select n from counter{lock}")).scalar_one()
                tx.handle.execute(text("update counter set n = :n"), {"n": found + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with state.read() as tx:
        assert tx.handle.execute(text("select n from counter")).scalar() == 100


# faults
def test_a_commit_whose_answer_is_lost_is_unknown_not_failed(
    state: SqlStateStore, other: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = run("a.b")
    state.start_run(started)
    with pytest.raises(CommitUnknownError) as caught, state.write() as tx:
        state.record_version(tx, version(started, 1), added=[], removed=[])
        lose_the_answer(state, monkeypatch, _driver_error(state))
    assert "look the run up" in (caught.value.hint or "")
    assert other.current()["a.b", PORT].run_id == started.run_id
    assert len(state.current()) == 1  # the store can be used on


def test_a_commit_interrupted_by_the_user_is_unknown(
    state: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommitUnknownError), state.write() as tx:
        state.enqueue(tx, "told", {})
        lose_the_answer(state, monkeypatch, KeyboardInterrupt())
    assert [e.kind for e in state.pending()] == ["told"]


def lose_the_answer(store: SqlStateStore, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the next COMMIT take effect and end with `error`."""
    dialect = store.engine.dialect
    commit = dialect.do_commit

    def lose(connection: Any) -> None:
        commit(connection)
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(dialect, "do_commit", lose)


def _driver_error(store: SqlStateStore) -> Exception:
    driver: Any = store.engine.dialect.loaded_dbapi
    error: Exception = driver.OperationalError("server closed the connection unexpectedly")
    return error


def test_a_writer_does_not_wait_for_ever(
    open_state: Callable[[], SqlStateStore], state: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = state.acquire("a.b", own("first"), 60)
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.1)
    hasty = open_state()
    with state.write(lease), pytest.raises(StorageError, match="locked by another process"):
        hasty.acquire("a.b", own("second"), 60)
    hasty.close()


def test_nobody_takes_a_lease_over_while_its_holder_publishes(
    state: SqlStateStore, other: SqlStateStore
) -> None:
    started = run("a.b")
    state.start_run(started)
    lease = state.acquire("a.b", own("first"), 0.2)
    followers: list[Any] = []
    follower = threading.Thread(target=lambda: followers.append(other.acquire("a.b", own("second"), 60)))
    with state.write(lease) as tx:
        follower.start()
        follower.join(0.4)  # longer than the lease
        assert not followers
        state.record_version(tx, version(started, 1), added=[], removed=[])
    follower.join()
    assert [f.fence for f in followers] == [2]
    assert len(other.current()) == 1
    assert lease is not None
    with pytest.raises(LeaseLostError), state.write(lease):
        pass

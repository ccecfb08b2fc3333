"""The state store's suite on a real PostgreSQL, and what can go wrong only there."""

from __future__ import annotations

import traceback
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from raymesh.adapters.state import SqlStateStore
from raymesh.errors import CommitUnknownError, StorageError
from raymesh.spi.conformance.state import StateStoreConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.spi.conformance.state_opened import OpenState

pytestmark = pytest.mark.postgres

KILL_OTHERS = text(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
)


class TestPostgres(StateStoreConformance):
    @pytest.fixture
    def open_state(self, postgres_url: str) -> OpenState:
        return partial(SqlStateStore, postgres_url, root="/")


@pytest.fixture
def state(postgres_url: str) -> Iterator[SqlStateStore]:
    store = SqlStateStore(postgres_url, root="/")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def other(postgres_url: str) -> Iterator[SqlStateStore]:
    store = SqlStateStore(postgres_url, root="/")
    yield store
    store.close()


def kill_connections(state: SqlStateStore) -> None:
    with state.engine.begin() as connection:
        connection.execute(KILL_OTHERS)


def test_a_connection_lost_between_two_calls_is_replaced(state: SqlStateStore, other: SqlStateStore) -> None:
    assert not state.runs()
    kill_connections(other)
    assert not state.runs()


def test_a_connection_lost_inside_a_transaction_changes_nothing(
    state: SqlStateStore, other: SqlStateStore
) -> None:
    with pytest.raises(StorageError), state.write() as tx:
        state.enqueue(tx, "told", {})
        kill_connections(other)
        state.enqueue(tx, "told", {})
    assert not state.pending()


def test_a_connection_lost_at_the_commit_makes_it_unknown(state: SqlStateStore, other: SqlStateStore) -> None:
    with pytest.raises(CommitUnknownError), state.write() as tx:
        state.enqueue(tx, "told", {})
        kill_connections(other)
    assert not state.pending()


def test_a_swallowed_error_on_the_shared_connection_is_not_a_silent_rollback(state: SqlStateStore) -> None:
    """PostgreSQL answers COMMIT of a broken transaction with ROLLBACK and no error."""
    with pytest.raises(StorageError, match="nothing was changed"), state.write() as tx:
        state.enqueue(tx, "told", {})
        with suppress(DBAPIError):
            tx.handle.execute(text("select 1 / 0"))
    assert not state.pending()


def test_the_password_is_never_shown(postgres_socket: str) -> None:
    secret = "s3cr3t/w@rd"
    url = f"postgresql://nobody:s3cr3t%2Fw%40rd@/nowhere?host={postgres_socket}&sslpassword=s3cr3t%2Fw%40rd"
    state = SqlStateStore(url, root="/")
    with pytest.raises(StorageError, match="cannot use the state database") as caught:
        state.migrate()
    shown = [
        state.url,
        repr(state),
        str(state),
        str(caught.value),
        repr(caught.value),
        str(caught.value.hint),
    ]
    shown += traceback.format_exception(caught.value)
    for text_ in shown:
        assert secret not in text_
        assert "s3cr3t" not in text_
    assert state.url.startswith("postgresql://nobody:***@/nowhere")


def test_a_server_that_is_not_there_is_an_error_with_a_way_out(tmp_path: object) -> None:
    state = SqlStateStore(f"postgresql://me@/db?host={tmp_path}", root="/")
    with pytest.raises(StorageError, match="cannot use the state database") as caught:
        state.runs()
    assert "mesh.yaml" in (caught.value.hint or "")

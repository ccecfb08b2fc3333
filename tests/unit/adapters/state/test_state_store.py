"""What SqlStateStore does with its file: creation, damage, full disks, forks, import cost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from raymesh.adapters.state import SqlStateStore, migrations
from raymesh.errors import CorruptFileError, DiskFullError, MissingExtraError, StorageError
from raymesh.spi.conformance.state_samples import file, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "sqlite:///.raymesh/mesh.db"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlStateStore]:
    store = SqlStateStore(URL, root=str(tmp_path))
    store.migrate()
    yield store
    store.close()


def test_opening_creates_nothing(tmp_path: Path) -> None:
    SqlStateStore(URL, root=str(tmp_path)).close()
    assert not list(tmp_path.iterdir())


def test_the_folder_is_created_so_that_it_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    store = SqlStateStore("sqlite:///new/deep/mesh.db", root=str(tmp_path))
    store.migrate()
    store.close()
    assert synced == [str(tmp_path), str(tmp_path / "new")]


def test_commits_are_durable_and_readers_do_not_wait(state: SqlStateStore) -> None:
    with state.write() as tx:
        read = {
            name: tx.handle.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("synchronous", "foreign_keys")
        }
        read["journal_mode"] = tx.handle.exec_driver_sql("pragma journal_mode").scalar()
    assert read == {"synchronous": 2, "foreign_keys": 1, "journal_mode": "wal"}


def test_a_database_that_somebody_else_is_creating_is_waited_for(tmp_path: Path) -> None:
    """SQLite refuses at once, without waiting, to turn on the write-ahead log while another process writes."""
    creating = sqlite3.connect(tmp_path / "mesh.db", isolation_level=None, check_same_thread=False)
    creating.execute("begin immediate")
    done = threading.Timer(0.1, lambda: creating.execute("rollback"))
    done.start()
    state = SqlStateStore("sqlite:///mesh.db", root=str(tmp_path))
    state.migrate()
    assert not state.runs()
    state.close()
    done.join()
    creating.close()


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / ".raymesh").write_text("a file")
    with pytest.raises(StorageError, match=r"\.raymesh"):
        SqlStateStore("sqlite:///.raymesh/x/mesh.db", root=str(tmp_path)).migrate()


def test_a_file_that_is_no_database_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "mesh.db").write_bytes(b"something else entirely " * 100)
    store = SqlStateStore("sqlite:///mesh.db", root=str(tmp_path))
    with pytest.raises(CorruptFileError, match="damaged"):
        store.migrate()
    store.close()
    assert (tmp_path / "mesh.db").read_bytes().startswith(b"something else")


def test_a_damaged_database_is_not_read_as_empty(state: SqlStateStore, tmp_path: Path) -> None:
    for number in range(1, 30):
        publish(state, "a.b", number, [file(f"{number}.parquet", note="x" * 500)])
    state.close()
    path = tmp_path / ".raymesh" / "mesh.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(CorruptFileError):
        state.current()


def test_a_full_disk_changes_nothing_and_the_next_write_succeeds(state: SqlStateStore) -> None:
    publish(state, "a.b", 1, [file("1.parquet")])

    def no_space(connection: Any, *_: Any) -> None:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}").close()

    state.close()
    event.listen(state.engine, "connect", no_space)
    with pytest.raises(DiskFullError, match="no space left"):
        publish(state, "a.b", 2, [file(f"{i}.parquet", note="x" * 5000) for i in range(50)])
    event.remove(state.engine, "connect", no_space)
    state.close()
    assert [v.number for v in state.current().values()] == [1]
    publish(state, "a.b", 2, [file("2.parquet")])


FORKING = """
import os, sys
from raymesh.adapters.state import SqlStateStore
from raymesh.spi.conformance.state_samples import run
state = SqlStateStore(sys.argv[1], root=sys.argv[2])
state.start_run(run("a.b"))
with state.write() as tx:
    parents = tx.handle.connection.driver_connection
with state.read() as tx:  # one connection in use, one idle when the process forks
    child = os.fork()
    if child == 0:
        state.start_run(run("c.d"))
        with state.write() as own:
            if own.handle.connection.driver_connection is parents:
                os._exit(98)
        os._exit(len(state.runs()))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
state.start_run(run("e.f"))
assert status == 2 and len(state.runs()) == 3, (status, len(state.runs()))
"""


def test_a_transaction_the_database_has_ended_is_not_taken_for_committed(state: SqlStateStore) -> None:
    with pytest.raises(StorageError, match="nothing was changed"), state.write() as tx:
        state.enqueue(tx, "told", {})
        tx.handle.exec_driver_sql("rollback")  # as SQLite does by itself when the disk is full
    assert not state.pending()


def test_a_forked_process_opens_connections_of_its_own(state: SqlStateStore, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, URL, str(tmp_path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    with state.read() as tx:
        assert tx.handle.execute(text("pragma integrity_check")).scalar() == "ok"


def test_every_migration_is_listed_and_numbered() -> None:
    folder = Path(str(migrations.__file__)).parent
    assert sorted(p.stem for p in folder.glob("m*.py")) == list(migrations.NAMES)
    assert [int(name[1:5]) for name in migrations.NAMES] == list(range(1, migrations.NEWEST + 1))


def test_a_missing_driver_names_the_exact_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError) as caught:
        SqlStateStore("postgresql://me@host/db", root="/")
    assert caught.value.hint == "pip install 'raymesh[postgres]'"


def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, raymesh.adapters.state; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sqlite_state_loads_no_other_driver(tmp_path: Path) -> None:
    code = (
        "import sys; from raymesh.adapters.state import SqlStateStore\n"
        f"s = SqlStateStore('sqlite:///m.db', root={str(tmp_path)!r}); s.migrate(); s.current(); s.close()\n"
        "sys.exit(bool({'psycopg', 'pyiceberg', 'pyarrow', 'sqlalchemy.orm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

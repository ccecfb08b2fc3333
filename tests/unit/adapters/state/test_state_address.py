from __future__ import annotations

from pathlib import Path

import pytest

from raymesh.adapters.state.address import parse
from raymesh.errors import UsageError

ROOT = "/mesh"


def test_relative_sqlite_paths_start_at_the_root_of_the_mesh() -> None:
    assert parse("sqlite:///.raymesh/mesh.db", ROOT).file == Path("/mesh/.raymesh/mesh.db")
    assert parse("sqlite:////var/mesh.db", ROOT).file == Path("/var/mesh.db")


def test_a_path_may_hold_any_characters() -> None:
    assert parse("sqlite:///my mesh/日本 100%25.db", ROOT).file == Path("/mesh/my mesh/日本 100%.db")
    assert parse("sqlite:///my mesh/日本 100%25.db", ROOT).shown == "sqlite:////mesh/my mesh/日本 100%25.db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"])
def test_a_state_other_processes_cannot_see_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="must be a file"):
        parse(url, ROOT)


def test_unknown_options_never_pass_silently() -> None:
    with pytest.raises(UsageError, match="jurnal"):
        parse("sqlite:///x.db?jurnal=wal", ROOT)
    with pytest.raises(UsageError, match="journal_mode=off"):
        parse("sqlite:///x.db?journal_mode=off", ROOT)
    assert parse("sqlite:///x.db?journal_mode=delete", ROOT).journal_mode == "delete"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_the_same_driver(scheme: str) -> None:
    address = parse(f"{scheme}://me:pw@host:5433/db?sslmode=require&connect_timeout=3", ROOT)
    assert address.file is None
    assert address.url.drivername == "postgresql+psycopg"
    assert address.url.query["connect_timeout"] == "3"
    assert address.shown == "postgresql://me:***@host:5433/db?connect_timeout=3&sslmode=require"


def test_passwords_are_not_shown_wherever_they_stand() -> None:
    address = parse("postgresql://me:one%40two@host/db?password=three&sslpassword=four", ROOT)
    assert address.url.password == "one@two"
    for text in (address.shown, repr(address), str(address)):
        assert not any(secret in text for secret in ("one", "two", "three", "four"))
    assert {"one@two", "one%40two", "three", "four"} <= set(address.secrets)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@secret@host/db",
        "postgresql://me:hunter2:secret@host:port/db",
        "postgresql://me:hunter2@host",
        "hunter2",
        "",
        "mysql://me:hunter2@host/db",
        "://me:hunter2@host",
        "nosuch+driver://me:hunter2@host/x",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url, ROOT)
    assert "hunter2" not in str(caught.value) + str(caught.value.hint)
    assert "secret" not in str(caught.value) + str(caught.value.hint)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "postgresql://" in (caught.value.hint or "")

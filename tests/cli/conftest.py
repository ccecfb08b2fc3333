"""The command line as users type it, in meshes small enough to build within a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from shops import Cli, write_shop


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with everything published. Tests look at it and change nothing."""
    import raymesh

    root = write_shop(tmp_path_factory.mktemp("built") / "shop")
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run()
    assert {r.status for r in finished.reports} == {"published"}, finished.reports
    return root


@pytest.fixture
def built(built_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is the built shop, which must stay as it is."""
    monkeypatch.chdir(built_shop)
    return built_shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a shop of the test's own; nothing is built."""
    root = write_shop(tmp_path / "shop")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

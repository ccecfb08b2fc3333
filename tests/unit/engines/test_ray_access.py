"""Tokens, addresses and files that travel: what is checked before Ray is asked for anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from raymesh.engines.ray import access, cluster, head, travel
from raymesh.errors import ClusterError, StorageError
from raymesh.mesh.plan import BuildPlan, Limits, Output, Transform
from raymesh.spec.mesh import RayEngineSpec


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYMESH_HOME", str(tmp_path / "home"))
    for name in ("RAY_ADDRESS", access.MODE, access.TOKEN, access.TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def test_the_token_is_random_private_and_made_once(home: Path) -> None:
    path = access.own_token()
    token = path.read_text()
    assert len(token) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert access.own_token().read_text() == token


def test_a_token_that_others_may_read_is_refused() -> None:
    access.own_token().chmod(0o644)
    with pytest.raises(StorageError, match="may be read by others"):
        access.own_token()


def test_clusters_we_start_ask_for_our_token_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "_reread", lambda: None)
    monkeypatch.setenv(access.MODE, "disabled")
    access.use_own_token()
    assert os.environ[access.MODE] == "disabled"
    assert access.TOKEN_PATH not in os.environ
    monkeypatch.delenv(access.MODE)
    access.use_own_token()
    assert (os.environ.pop(access.MODE), os.environ.pop(access.TOKEN_PATH)) == (
        "token",
        str(access.own_token()),
    )


def test_a_token_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(access, "_reread", lambda: None)
    monkeypatch.delenv(access.MODE, raising=False)
    monkeypatch.setenv(access.TOKEN_PATH, str(tmp_path / "gone"))
    with pytest.raises(ClusterError, match="gone, which cannot be read"):
        access.use_own_token()
    os.environ.pop(access.MODE, None)


@pytest.mark.parametrize("address", ["nowhere", "host:", ":6379", "host:http"])
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(ClusterError, match="is no address of a cluster"):
        access.require_reachable(address, "mesh.yaml")


def test_an_address_where_nothing_answers_is_named_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ClusterError, match=rf"nothing answers at 127.0.0.1:{port} \(RAY_ADDRESS\)"):
        access.require_reachable(f"127.0.0.1:{port}", "RAY_ADDRESS")


def test_ray_client_is_refused_with_the_way_out() -> None:
    with pytest.raises(ClusterError, match="Ray Client") as caught:
        cluster._address(RayEngineSpec(address="ray://head:10001"))
    assert "host:6379" in str(caught.value.hint)


def test_the_address_of_the_mesh_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster._address(RayEngineSpec()) == (None, "started")
    assert cluster.configured(RayEngineSpec()) is None
    monkeypatch.setenv("RAY_ADDRESS", "env:1")
    assert cluster._address(RayEngineSpec()) == ("env:1", "RAY_ADDRESS")
    assert cluster._address(RayEngineSpec(address="mesh:1")) == ("mesh:1", "mesh.yaml")
    assert cluster.configured(RayEngineSpec()) == "env:1 of RAY_ADDRESS"


def test_a_head_that_died_is_not_kept(home: Path) -> None:
    home.mkdir()
    record = '{"address": "127.0.0.1:1", "pid": %d, "born": "%s", "started_at": 0, "log": ""}'
    (home / "cluster.json").write_text(record % (os.getpid(), head._born(os.getpid())))
    assert head.kept() is not None
    (home / "cluster.json").write_text(record % (os.getpid(), "1"))
    assert head.kept() is None, "another process has its id now"


def test_what_stays_behind_when_files_of_a_domain_travel(tmp_path: Path) -> None:
    mesh = tmp_path / "mesh"
    for domain in ("shop", "press"):
        (mesh / "domains" / domain).mkdir(parents=True)
        (mesh / "domains" / domain / "domain.yaml").touch()
    (mesh / "mesh.yaml").write_text("storage: {s3: {secretAccessKey: '${file:keys/s3 secret}'}}\n")
    scratch, warehouse = str(mesh / ".raymesh/scratch"), f"{mesh}/house"
    outputs = tuple(
        Output("main", "shop.made", place, Transform("sql"), ())
        for place in (
            f"{warehouse}/shop/made/data",
            "s3://bucket/house/shop/made/data",
            f"{tmp_path}/house/shop/made/data",
        )
    )
    plan = BuildPlan("shop.made", "r", str(mesh), (), outputs, Limits(1, 1, scratch))
    left = travel.left(plan)
    assert {
        ".env",
        "/mesh.yaml",
        "/governance/",
        "*.parquet",
        "/keys/s3 secret",
        "/domains/press/",
        "/house/",
    } <= set(left)
    assert not any("shop" in pattern or "bucket" in pattern for pattern in left)
    with travel.packed(plan) as keywords:
        assert keywords == {}, "SQL over products needs no files"


def test_a_worker_finds_the_mesh_where_it_was_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = {travel.HOME: "/mesh/of/driver"}
    assert travel.here("/mesh/of/driver", elsewhere) == str(tmp_path)
    assert travel.here("/mesh/of/driver", {}) == "/mesh/of/driver"
    (tmp_path / "mesh.yaml").touch()
    assert travel.here(str(tmp_path), {travel.HOME: str(tmp_path)}) == str(tmp_path)


def test_scratch_of_another_machine_falls_back_to_one_here(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert travel.scratch(str(tmp_path / "scratch")) == str(tmp_path / "scratch")
    assert travel.scratch(str(tmp_path / "file" / "scratch")).endswith("raymesh-scratch")

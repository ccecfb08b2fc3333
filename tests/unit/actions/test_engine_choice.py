"""`engine: auto` and what a product may ask of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from meshes import write_mesh, write_product
from raymesh.actions import engines
from raymesh.actions.invocation import RunOptions
from raymesh.actions.limits import demand_of, limits_for
from raymesh.actions.plan import plan
from raymesh.spec.domain import Quota, Resources


class OneCluster:
    """Stands for whoever handles clusters: one is configured."""

    def __init__(self, where: str | None) -> None:
        self.where = where

    def configured(self, spec: object) -> str | None:
        return self.where


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    write_mesh(tmp_path, engines={"default": "auto"})
    write_product(tmp_path, "shop.all", {"id": "bigint"}, sql="SELECT range AS id FROM range(100000)")
    write_product(tmp_path, "shop.some", {"id": "bigint"}, sql="SELECT id FROM shop.all")
    with raymesh.Mesh.load(tmp_path) as opened:
        assert {r.status for r in opened.run(engine="local").reports} == {"published"}
    write_product(tmp_path, "shop.some", {"id": "bigint"}, sql="SELECT id FROM shop.all WHERE true")
    return tmp_path


def step(root: Path, **settings: Any) -> tuple[str | None, str]:
    with raymesh.Mesh.load(root) as opened:
        found = plan(opened._workspace, ["shop.some"], RunOptions(jobs=1, **settings))[0]
        return found.engine, found.engine_reason


def test_without_a_cluster_auto_is_local(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "clusters", lambda: OneCluster(None))
    assert step(mesh) == ("local", "no cluster is configured")


def test_inputs_that_fit_are_built_here(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "clusters", lambda: OneCluster("host:6379"))
    engine, why = step(mesh)
    assert engine == "local"
    assert why.startswith("its inputs are ")
    assert "and a build here may use" in why


def test_inputs_larger_than_the_memory_of_a_build_go_to_the_cluster(
    mesh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "clusters", lambda: OneCluster("host:6379"))
    write_product(
        mesh,
        "shop.some",
        {"id": "bigint"},
        sql="SELECT id FROM shop.all WHERE true",
        resources={"memory": "1KB"},
    )
    engine, why = step(mesh)
    assert engine == "ray"
    assert why.endswith("more than the 1 kB of a build here")


def test_who_names_an_engine_gets_it_without_a_reason(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "clusters", lambda: OneCluster("host:6379"))
    assert step(mesh, engine="ray") == ("ray", "")
    assert step(mesh, engine="local") == ("local", "")


def test_the_choice_is_evidence_of_the_run(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "clusters", lambda: OneCluster(None))
    with raymesh.Mesh.load(mesh) as opened:
        opened.run()
        (run, *_) = opened._workspace.state.runs(product="shop.some")
    assert run.resources["choices"]["engine"] == "local: no cluster is configured"


def test_a_product_asks_within_what_its_domain_may_use() -> None:
    own = Resources(cpus=8, memory="4GB", gpus=1, custom={"licence": 3}, labels={"zone": "a", "disk": "fast"})
    domain = Resources(cpus=4, labels={"zone": "b"})
    quota = Quota(memory="2GB", custom={"licence": 2})
    found = demand_of(own, domain, quota)
    assert (found.cpus, found.memory, found.gpus) == (4, 2_000_000_000, 1)
    assert found.custom == {"licence": 2}
    assert found.labels == {"zone": "b", "disk": "fast"}
    assert found.shared == {"memory": 2_000_000_000, "licence": 2}


def test_a_product_that_asks_for_nothing_demands_what_its_domain_gives() -> None:
    found = demand_of(None, Resources(cpus=2, gpus=1), None)
    assert (found.cpus, found.memory, found.gpus, found.shared) == (2, None, 0.0, {})


def test_demands_reach_the_plan(mesh: Path) -> None:
    resources = {"cpus": 0.5, "custom": {"licence": 1}, "labels": {"zone": "a"}}
    write_product(mesh, "shop.some", {"id": "bigint"}, sql="SELECT id FROM shop.all", resources=resources)
    with raymesh.Mesh.load(mesh) as opened:
        demand = limits_for(opened._workspace, "shop.some", 1).demand
    assert (demand.cpus, demand.custom, demand.labels) == (0.5, {"licence": 1}, {"zone": "a"})

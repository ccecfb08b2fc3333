"""Where tasks may run and how many at a time, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from raymesh.engines.ray import scheduling
from raymesh.engines.ray.scheduling import Node, beside, options, require_feasible, sharing, small, wanted
from raymesh.errors import ClusterError
from raymesh.mesh.plan import BuildPlan, Demand, Limits
from raymesh.spec.mesh import RayEngineSpec

PLAIN = Node("a", {"CPU": 4.0, "memory": 8e9}, {"zone": "x"})
LARGE = Node("b", {"CPU": 16.0, "GPU": 2.0, "licence": 1.0}, {"zone": "y", "ray.io/node-id": "1"})


def limits(**demand: Any) -> Limits:
    return Limits(1 << 30, 8, "/tmp/scratch", demand=Demand(**demand))


def plan(product: str = "shop.big", **demand: Any) -> BuildPlan:
    return BuildPlan(product, "r", "/", (), (), limits(**demand))


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    found = [PLAIN, LARGE]
    monkeypatch.setattr(scheduling, "nodes", lambda: list(found))
    return found


def test_a_build_without_a_demand_takes_the_threads_of_the_largest_node_at_most() -> None:
    assert options(limits(), [PLAIN]) == {"num_cpus": 4.0}
    assert options(limits(), [PLAIN, LARGE]) == {"num_cpus": 8}


def test_a_demand_becomes_options_of_ray() -> None:
    said = options(limits(cpus=2, memory=10**9, gpus=1, custom={"licence": 1}, labels={"zone": "y"}), [PLAIN])
    assert said == {
        "num_cpus": 2,
        "memory": 10**9,
        "num_gpus": 1,
        "resources": {"licence": 1},
        "label_selector": {"zone": "y"},
    }
    assert wanted(said) == {"CPU": 2.0, "GPU": 1.0, "memory": 1e9, "licence": 1.0}


def test_on_other_machines_the_largest_node_says_what_a_build_may_use() -> None:
    found = scheduling.elsewhere(limits(), [PLAIN, LARGE])
    assert (found.memory_bytes, found.threads, found.scratch) == (4_000_000_000, 16, "/tmp/raymesh-scratch")
    said = scheduling.elsewhere(limits(cpus=2, memory=10**9), [PLAIN, LARGE])
    assert (said.memory_bytes, said.threads) == (10**9, 2)
    assert scheduling.elsewhere(limits(cpus=0.5), []).threads == 1


def test_the_whole_cluster_says_how_many_tasks_run_side_by_side() -> None:
    assert scheduling.parallel(limits(), [PLAIN, LARGE]) == 20
    assert scheduling.parallel(limits(gpus=1), [PLAIN, LARGE]) == 2
    assert scheduling.parallel(limits(labels={"zone": "x"}), [PLAIN, LARGE]) == 4
    assert scheduling.parallel(limits(cpus=0.5), [PLAIN]) == 8


def test_one_of_many_tasks_takes_one_processor_or_less() -> None:
    assert small(limits(cpus=4)) == {"num_cpus": 1.0}
    assert small(limits(cpus=0.5, gpus=1)) == {"num_cpus": 0.5, "num_gpus": 1}


def test_what_feeds_objects_leaves_them_what_they_hold() -> None:
    one, two = [Node("n1", {"CPU": 1.0})], [Node("n1", {"CPU": 1.0}), Node("n2", {"CPU": 1.0})]
    asked = limits(gpus=1, custom={"licence": 1}, labels={})
    assert beside(asked, {"num_cpus": 1.0}, one) == {"num_cpus": 0}
    assert beside(asked, {"num_cpus": 1.0}, two) == {"num_cpus": 1.0}
    elsewhere = limits(labels={"pool": "gpu"})
    assert beside(elsewhere, {"num_cpus": 1.0}, two) == {"num_cpus": 0, "label_selector": {"pool": "gpu"}}


@pytest.mark.parametrize(
    ("asked", "fits"),
    [("x", True), ("y", False), ("!x", False), ("!y", True), ("in(x, z)", True), ("!in(x, z)", False)],
)
def test_labels_are_matched_as_ray_matches_them(asked: str, fits: bool) -> None:
    assert PLAIN.can({}, {"zone": asked}) is fits


@pytest.mark.parametrize(
    "demand", [{"cpus": 16}, {"gpus": 2, "custom": {"licence": 1}}, {"cpus": 4, "labels": {"zone": "x"}}]
)
def test_what_one_node_has_is_feasible(cluster: list[Node], demand: dict[str, Any]) -> None:
    asked = plan(**demand)
    assert require_feasible(asked, options(asked.limits), None) == 0


def test_what_no_single_node_has_is_refused_with_what_there_is(cluster: list[Node]) -> None:
    asked = plan(cpus=16, labels={"zone": "x"})
    with pytest.raises(ClusterError) as caught:
        require_feasible(asked, options(asked.limits), RayEngineSpec())
    said = caught.value.message
    assert "shop.big asks for 16 cpus, label zone=x, which no node" in said
    assert "a (4 cpus, 8 GB memory, zone=x)" in said
    assert "b (16 cpus, 2 gpus, 1 licence, zone=y)" in said


def test_a_cluster_that_grows_is_asked_and_waited_for(
    cluster: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []
    monkeypatch.setattr(scheduling, "ask_for", lambda bundles, labels=None: requests.append(bundles))
    monkeypatch.setattr(scheduling, "POLL_SECONDS", 0)
    ticks = iter(range(100))

    def tick() -> None:
        if next(ticks) == 2:
            cluster.append(Node("new", {"CPU": 64.0}))

    asked = plan(cpus=64)
    assert require_feasible(asked, options(asked.limits), RayEngineSpec(autoscaling=True), tick) == 1
    assert requests == [[{"CPU": 64.0}], []]


def test_a_cluster_that_does_not_grow_in_time_is_an_error(
    cluster: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []
    monkeypatch.setattr(scheduling, "ask_for", lambda bundles, labels=None: requests.append(bundles))
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(
        scheduling, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    )
    spec = RayEngineSpec(autoscaling=True, patience="2m")
    with pytest.raises(ClusterError, match="no such node came within 120 s"):
        require_feasible(plan(cpus=64), {"num_cpus": 64}, spec)
    assert requests[-1] == []


def test_a_build_that_is_alone_has_the_whole_cluster() -> None:
    with sharing(plan(), [PLAIN]) as share:
        for _ in range(20):
            assert share.admits({"CPU": 1.0})
            share.take({"CPU": 1.0})
        assert share.cpu_limit is None


def test_two_domains_have_half_of_it_each_however_many_products_they_build() -> None:
    with (
        sharing(plan("a.one"), [LARGE]) as one,
        sharing(plan("a.two"), [LARGE]) as two,
        sharing(plan("b.only"), [LARGE]) as only,
    ):
        assert (one.cpu_limit, two.cpu_limit, only.cpu_limit) == (4.0, 4.0, 8.0)
        counts = []
        for share in (one, two, only):
            while share.admits({"CPU": 1.0}):
                share.take({"CPU": 1.0})
            counts.append(share.held["CPU"])
        assert counts == [4.0, 4.0, 8.0]
        only.give_back({"CPU": 2.0})
        assert only.admits({"CPU": 1.0})
    with sharing(plan("a.one"), [LARGE]) as alone:
        assert alone.cpu_limit is None


def test_a_build_that_holds_nothing_may_always_submit_one_task() -> None:
    with sharing(plan("a.one"), [PLAIN]), sharing(plan("b.two"), [PLAIN]) as two:
        assert two.admits({"CPU": 4.0})
        two.take({"CPU": 4.0})
        assert not two.admits({"CPU": 1.0})


def test_a_quota_holds_for_all_builds_of_a_domain_together() -> None:
    asked = plan("a.one", shared={"cpus": 3, "licence": 1})
    other = replace(asked, product="a.two")
    with sharing(asked, [LARGE]) as one, sharing(other, [LARGE]) as two:
        one.take({"CPU": 2.0})
        two.take({"CPU": 1.0})
        assert not one.admits({"CPU": 1.0})
        one.give_back({"CPU": 1.0})
        assert one.admits({"CPU": 1.0})
        two.take({"licence": 1.0})
        assert not one.admits({"licence": 1.0})

"""A second run of the demo has nothing to do, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh

pytestmark = pytest.mark.xdist_group("demo")  # one build for all


def test_a_second_run_finds_everything_unchanged(demo_folder: Path) -> None:
    with raymesh.Mesh.load(demo_folder) as mesh:
        finished = mesh.run()
    assert {r.status for r in finished.reports} == {"unchanged"}
    assert len(finished.reports) == 18


def test_every_promise_of_every_product_was_judged(demo_folder: Path) -> None:
    with raymesh.Mesh.load(demo_folder) as mesh:
        state = mesh._workspace.state
        for name in mesh.products:
            version = state.current([name])[(name, "default")]
            checks = state.checks(version.run_id)
            assert len(checks) > 10, name
            blocking = {c.status for c in checks if c.blocking}
            assert blocking == {"pass"}, name


def test_lineage_reaches_from_insights_to_the_sources(demo_folder: Path) -> None:
    with raymesh.Mesh.load(demo_folder) as mesh:
        graph = mesh._workspace.graph
        found = graph.ancestors(["analytics.cross_domain_insights"])
    assert {"orders.order_lines", "customer.households", "product.product_catalog"} <= found.keys()

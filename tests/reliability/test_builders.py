"""Two processes on one mesh: both end well, each version is published once."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh
from reliability.harness import Builder, assert_recovers, assert_sound, two_products


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    state = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return two_products(tmp_path / "mesh", 7, state=state)


def test_two_runs_at_once_publish_each_product_once(root: Path) -> None:
    ends = [b.wait() for b in [Builder(root, nap=0.05) for _ in range(2)]]
    assert [code for code, _ in ends] == [0, 0], ends
    with raymesh.Mesh.load(root) as mesh:
        assert [mesh.product(p).version for p in mesh.products] == [1, 1]
    assert_sound(root, {(7, 1000)})
    assert_recovers(root, (7, 1000))


def test_two_refreshes_at_once_publish_one_after_the_other(root: Path) -> None:
    ends = [b.wait() for b in [Builder(root, nap=0.02, refresh=True) for _ in range(2)]]
    assert [code for code, _ in ends] == [0, 0], ends
    with raymesh.Mesh.load(root) as mesh:
        assert [mesh.product(p).version for p in mesh.products] == [2, 2]
    assert_sound(root, {(7, 1000)})
    assert_recovers(root, (7, 1000))

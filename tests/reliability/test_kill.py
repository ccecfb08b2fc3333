"""`kill -9` at random moments: the product serves exactly the old or the new version."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from reliability.harness import Builder, assert_recovers, assert_sound, two_products

ROUNDS = 5
BATCHES = 6


@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_builders_never_leave_half_a_version(
    batch: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rounds = ROUNDS * (20 if request.config.getoption("--complete") else 1)
    seed = int(os.environ.get("RAYMESH_SEED", "20261122")) + batch
    chance = random.Random(seed)
    root = two_products(tmp_path / "mesh", 0)
    assert_recovers(root, (0, 1000))
    allowed: set[tuple[int, int] | None] = {(0, 1000)}
    for value in range(1, rounds + 1):
        two_products(root, value)
        builder = Builder(root, nap=0.02)
        builder.wait_ready()
        time.sleep(chance.uniform(0, 1.0))
        builder.kill()
        allowed.add((value, 1000))
        assert_sound(root, allowed)
        with_new = {(value, 1000)}
        if value == rounds or chance.random() < 0.4:
            assert_recovers(root, (value, 1000))
            allowed = with_new

"""A7, B8: rows that Ray tasks emit are governed before anything else sees them; every view, as the row-by-row oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

import raymesh
from governed_shops import NAME, customer, governed_shop
from observing import serialised

if TYPE_CHECKING:
    from raymesh.engines.ray.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

READERS = [("anna", "marketing"), ("ursula", None), ("otto", "audit"), ("sam", "service")]


@pytest.fixture(scope="module")
def mesh(ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[raymesh.Mesh]:
    root = governed_shop(tmp_path_factory.mktemp("shop"), [customer(n) for n in range(200)])
    with raymesh.Mesh.load(root) as mesh:
        yield mesh


@pytest.mark.parametrize(("name", "purpose"), READERS)
def test_a7_ray_shows_what_the_local_engine_shows(mesh: raymesh.Mesh, name: str, purpose: str | None) -> None:
    reading = mesh.read(NAME, as_=name, purpose=purpose)
    found = sorted(reading.to_ray().take_all(), key=lambda r: r["id"])
    assert found == sorted(reading.to_arrow().to_pylist(), key=lambda r: r["id"])


def test_a7_a_filter_of_the_reader_is_not_evaluated_on_hidden_rows(mesh: raymesh.Mesh) -> None:
    from ray.data.expressions import col

    seen = mesh.read(NAME, as_="anna", purpose="marketing").to_ray()
    assert seen.filter(expr=col("region") == "US").count() == 0
    assert seen.filter(expr=col("email") == "c1@example.com").count() == 0


def test_b8_blocks_in_the_object_store_hold_nothing_hidden(mesh: raymesh.Mesh) -> None:
    import ray

    blocks = [
        ray.get(ref) for ref in mesh.read(NAME, as_="anna", purpose="marketing").to_ray().to_arrow_refs()
    ]
    content = b"".join(serialised(b) for b in blocks if isinstance(b, pa.Table))
    assert content
    assert b"SECRET" not in content
    assert b"example.com" not in content
    assert b"+49" not in content

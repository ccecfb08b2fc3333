"""Products as Ray Datasets: what is read, by whom, and that nothing in a file is executed."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

import raymesh
from raymesh.errors import NotFoundError
from shops import write_shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raymesh.engines.ray.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def shop(ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[raymesh.Mesh]:
    root = write_shop(tmp_path_factory.mktemp("shop"))
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run(engine="local").exit_code == 0
        yield mesh


def rows(dataset: Any) -> list[dict[str, Any]]:
    return sorted(dataset.take_all(), key=lambda row: row["id"])


def test_a_product_is_read_as_a_dataset(shop: raymesh.Mesh) -> None:
    found = shop.read("shop.orders").to_ray()
    assert rows(found) == shop.read("shop.orders").to_arrow().sort_by("id").to_pylist()


def test_columns_and_types_are_known_before_anything_is_read(shop: raymesh.Mesh) -> None:
    found = shop.read("shop.orders", columns=["day", "id"]).to_ray().schema()
    assert (found.names, [str(t) for t in found.types]) == (["day", "id"], ["date32[day]", "int64"])


def test_a_condition_and_a_limit_hold(shop: raymesh.Mesh) -> None:
    found = shop.read("shop.orders", columns=["id"], where="amount > 3").to_ray()
    assert rows(found) == [{"id": 2}, {"id": 3}]
    assert shop.read("shop.orders", limit=1).to_ray().count() == 1


def test_a_condition_that_no_row_meets_leaves_the_columns(shop: raymesh.Mesh) -> None:
    found = shop.read("shop.orders", columns=["id"], where="amount > 300").to_ray()
    assert found.take_all() == []
    assert found.schema().names == ["id"]


def test_an_unknown_column_is_not_found(shop: raymesh.Mesh) -> None:
    with pytest.raises(NotFoundError):
        shop.read("shop.orders", columns=["nope"])


def test_two_products_can_be_joined(shop: raymesh.Mesh) -> None:
    orders = shop.read("shop.orders", columns=["id", "email"]).to_ray()
    large = shop.read("shop.large", columns=["id", "amount"]).to_ray()
    found = orders.join(large, "inner", 1, on=("id",))
    assert rows(found) == [
        {"id": 2, "email": "c@d.de", "amount": 3.5},
        {"id": 3, "email": None, "amount": 4.5},
    ]


HOSTILE = """
    import json, sys
    import pyarrow as pa, pyarrow.parquet as pq
    from ray import cloudpickle
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectType

    class Bomb:
        def __reduce__(self):
            return open, ({bomb!r}, "w")

    storage = pa.array([cloudpickle.dumps(Bomb())], pa.large_binary())
    pq.write_table(pa.table({{"id": pa.array([1]), "thing": pa.ExtensionArray.from_storage(ArrowPythonObjectType(), storage)}}), {file!r})
    pq.read_table({file!r}).to_pylist()
    """


def test_a_hostile_file_runs_no_code_on_any_way_to_read_it(ray_cluster: Cluster, tmp_path: Path) -> None:
    """The script that makes the file shows what would happen. No read of ours does it, and neither does plain
    pyarrow in any process that has Ray Data because of us."""
    import pyarrow.parquet as pq

    from meshes import write_mesh, write_product, write_source

    bomb, file = tmp_path / "bomb", tmp_path / "hostile.parquet"
    script = dedent(HOSTILE).format(bomb=str(bomb), file=str(file))
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], check=True, capture_output=True, timeout=120
    )
    assert bomb.exists(), "the file is not hostile"
    bomb.unlink()
    write_mesh(tmp_path / "mesh")
    write_source(tmp_path / "mesh", "shop.hostile", str(file), "parquet")
    columns = {"id": "bigint", "thing": {"physicalType": "blob", "logicalType": "string"}}
    write_product(tmp_path / "mesh", "shop.things", columns, source="hostile")
    write_product(
        tmp_path / "mesh",
        "shop.batches",
        columns,
        python="import pyarrow.parquet as pq\nfrom raymesh import batch\n@batch(input='source.hostile')\n"
        f"def transform(rows):\n    pq.read_table({str(file)!r}).to_pylist()\n    rows.to_pylist()\n    return rows\n",
    )
    write_product(
        tmp_path / "mesh",
        "shop.datasets",
        columns,
        python="import pyarrow.parquet as pq\nimport ray.data\nfrom raymesh import product\n"
        "@product(inputs={'rows': 'shop.things'})\ndef transform(rows: ray.data.Dataset):\n"
        f"    pq.read_table({str(file)!r}).to_pylist()\n    rows.take_all()\n    return rows\n",
        engine="ray",
    )
    with raymesh.Mesh.load(tmp_path / "mesh") as mesh:
        finished = mesh.run(engine="ray")
        assert finished.exit_code == 0, [p.reason for p in finished.products]
        for name in mesh.products:
            assert mesh.read(name).to_ray().take_all()[0]["id"] == 1
            mesh.read(name).to_arrow().to_pylist()
        pq.read_table(file).to_pylist()
    assert not bomb.exists()

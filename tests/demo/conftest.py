"""The retail demo, built once for all tests that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import raymesh
from raymesh.actions.demo import write_demo
from raymesh.actions.read import pin

if TYPE_CHECKING:
    import pyarrow as pa


class DemoMesh:
    """The built demo: `read` gives a product's rows as they were published, whoever may see them."""

    def __init__(self, mesh: raymesh.Mesh) -> None:
        self.mesh = mesh

    def read(self, product: str) -> pa.Table:
        storage = self.mesh._workspace.storage
        return self.mesh._local().read(pin(storage, product).scan).read_all()


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder, every product built."""
    root = tmp_path_factory.mktemp("demo") / "retail"
    assert write_demo(root)
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run()
    assert {r.status for r in finished.reports} == {"published"}, finished.reports
    return root


@pytest.fixture(scope="session")
def demo_mesh(demo_folder: Path) -> Iterator[DemoMesh]:
    with raymesh.Mesh.load(demo_folder) as mesh:
        yield DemoMesh(mesh)

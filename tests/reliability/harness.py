"""What must hold after every fault, and how builders are started."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import raymesh
from meshes import write_mesh, write_product
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.maintain import MaintainOptions, maintain
from reliability.builder import Orders, main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["reliability.builder"])
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
)  # the server of forks imports the builder before it knows our path

FAST = "SELECT {value}::bigint AS value, range AS id FROM range({rows})"


def two_products(root: Path, value: int, *, state: str | None = None, rows: int = 1000) -> Path:
    """A mesh whose products hold `value` in every row; the second is made from the first."""
    if not (root / "mesh.yaml").exists():
        write_mesh(root, state=state)
    columns = {
        "value": {"physicalType": "bigint", "logicalType": "integer", "required": True},
        "id": {
            "physicalType": "bigint",
            "logicalType": "integer",
            "primaryKey": True,
            "primaryKeyPosition": 1,
        },
    }
    write_product(root, "shop.first", columns, sql=FAST.format(value=value, rows=rows), targetFileSize="1MB")
    write_product(root, "shop.second", columns, sql="SELECT value, id FROM shop.first")
    return root


class Builder:
    """A builder at work in a process of its own."""

    def __init__(self, root: Path, **orders: Any) -> None:
        descriptor, name = tempfile.mkstemp(prefix="builder-", suffix=".log")
        os.close(descriptor)
        self._log = Path(name)
        self._process = _FORKS.Process(target=main, args=(Orders(str(root), name, **orders),))
        self._process.start()

    def wait(self, seconds: float = 120) -> tuple[int, str]:
        """Its exit code (negative: the signal that killed it) and its output, once it has ended."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"the builder hangs:\n{self._log.read_text()}"
        output = self._log.read_text()
        self._log.unlink()
        return self._process.exitcode, output

    def wait_ready(self) -> None:
        """Return when it has opened its mesh."""
        while "ready" not in self._log.read_text():
            assert self._process.is_alive(), f"the builder died by itself:\n{self._log.read_text()}"
            time.sleep(0.002)

    def kill(self) -> None:
        self._process.kill()
        self.wait()


def build(root: Path, **orders: Any) -> tuple[int, str]:
    """Run a builder to its end: exit code and output."""
    return Builder(root, **orders).wait()


def served(mesh: raymesh.Mesh, product: str) -> tuple[int, int] | None:
    """(value, rows) that the product serves now, None when it was never published; complete or an error."""
    if mesh.product(product).version is None:
        return None
    reading = mesh.read(product)
    table = reading.to_arrow()
    values = set(table["value"].to_pylist())
    assert len(values) == 1, f"{product} mixes versions: {values}"
    assert table.num_rows == reading._pinned.version.rows, f"{product} does not serve all its rows"
    assert len(set(table["id"].to_pylist())) == table.num_rows
    return values.pop(), table.num_rows


def assert_sound(root: Path, allowed: set[tuple[int, int] | None]) -> None:
    """Every product serves one of `allowed`, and evidence and versions belong together."""
    with raymesh.Mesh.load(root) as mesh:
        state, tables = mesh._workspace.state, mesh._workspace.tables
        for product in mesh.products:
            assert served(mesh, product) in allowed, product
            versions = state.versions(product)
            assert len({v.run_id for v in versions}) == len(versions), "one run published twice"
            assert [v.number for v in sorted(versions, key=lambda v: v.number)] == list(
                range(1, len(versions) + 1)
            )
            runs = {r.run_id: r for r in state.runs(product=product, limit=1000)}
            for version in versions:
                assert runs[version.run_id].status == "published"
                if version.kind == "publish":
                    assert state.checks(version.run_id), "a version without evidence"
            published = {r for r, run in runs.items() if run.status == "published"}
            assert published == {v.run_id for v in versions}, "evidence without a version"
            head = tables.heads([product]).get(product)
            current = state.current([product]).get((product, "default"))
            assert head == (current.metadata_location if current else None)


def assert_recovers(root: Path, expected: tuple[int, int]) -> None:
    """The next run succeeds without help, no run stays open, and maintenance leaves no orphan."""
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run()
        assert {r.status for r in finished.reports} <= {"published", "unchanged"}, finished.reports
        for product in mesh.products:
            assert served(mesh, product) == expected
        assert not mesh._workspace.state.runs(status="running")
        with Invocation(mesh._workspace, RunOptions(), lambda _: None) as invocation:
            for product in mesh.products:
                maintain(invocation, product, MaintainOptions())
        tables = mesh._workspace.tables
        for product in mesh.products:
            left = {path for path, _ in tables.list_files(product)} - set(tables.live_files(product))
            assert not left, f"orphans of {product}: {left}"
            assert served(mesh, product) == expected

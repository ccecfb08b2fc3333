"""What must hold after every fault, and how builders are started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import raymesh
from meshes import write_mesh, write_product
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.maintain import MaintainOptions, maintain

BUILDER = Path(__file__).with_name("builder.py")
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


def builder(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a builder of everything in `root`."""
    command = [sys.executable, "-u", str(BUILDER), str(root), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def build(root: Path, *arguments: str) -> tuple[int, str]:
    """Run a builder to its end: exit code (negative: the signal) and output."""
    process = builder(root, *arguments)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


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

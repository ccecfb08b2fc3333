"""What tests do with a whole mesh: run it, read it, roll it back, look after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import raymesh
from meshes import write_product, write_source
from raymesh.actions.events import ProductReport
from raymesh.actions.ids import new_id
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.maintain import Maintained, MaintainOptions, maintain
from raymesh.actions.read import pin
from raymesh.actions.rollback import rollback
from raymesh.spi.state import CheckRecord, Version

KEY = {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1}
"""A bigint column that is the primary key, as a contract property."""
NEEDED = {"physicalType": "bigint", "logicalType": "integer", "required": True}

ONE = "SELECT 1::bigint AS id, {}::bigint AS value"
"""One row for `numbers`, the value left open."""

Reports = dict[str, ProductReport]


def run(root: Path, *selection: str, **options: Any) -> Reports:
    """The report of every product of one run in a freshly opened mesh."""
    with raymesh.Mesh.load(root) as mesh:
        return {r.product: r for r in mesh.run(*selection, **options).reports}


def publish(root: Path, *selection: str, **options: Any) -> Reports:
    """Run, and see everything published or unchanged."""
    reports = run(root, *selection, **options)
    assert {r.status for r in reports.values()} <= {"published", "unchanged"}, reports
    return reports


def failed(root: Path, product: str, code: str, **options: Any) -> raymesh.MeshError:
    """Run one product, see it fail with an error of this code, and leave nothing behind; the error."""
    report = run(root, product, **options)[product]
    assert report.status == "failed", report
    assert report.error is not None
    assert report.error.code == code, (report.error.code, report.error.message)
    assert staged(root, product) == set(), "staged files were left"
    return report.error


def rows(root: Path, name: str, version: int | None = None) -> list[tuple[Any, ...]]:
    """The rows of a version, sorted."""
    with raymesh.Mesh.load(root) as mesh:
        found = rows_of(mesh.read(name, version=version).to_arrow())
        return sorted(found, key=lambda row: [(v is None, 0 if v is None else v) for v in row])


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as tuples in column order."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def columns(root: Path, name: str, version: int | None = None) -> list[str]:
    """The columns of a version with their Arrow types: `id int64`."""
    with raymesh.Mesh.load(root) as mesh:
        return [f"{f.name} {f.type}" for f in mesh.read(name, version=version).to_arrow().schema]


def versions(root: Path, product: str, port: str = "default") -> list[Version]:
    """All versions, the oldest first."""
    with raymesh.Mesh.load(root) as mesh:
        return sorted(mesh._workspace.state.versions(product, port), key=lambda v: v.number)


def current(root: Path, name: str) -> Version:
    """The version that serves now."""
    with raymesh.Mesh.load(root) as mesh:
        return pin(mesh._workspace.storage, name).version


def checks(root: Path, run_id: str | None, port: str | None = None) -> dict[str, CheckRecord]:
    """The evidence of a run by check id."""
    assert run_id is not None
    with raymesh.Mesh.load(root) as mesh:
        return {c.check_id: c for c in mesh._workspace.state.checks(run_id, port)}


def staged(root: Path, product: str) -> set[str]:
    """Data files in the table's folder that no retained version needs."""
    with raymesh.Mesh.load(root) as mesh:
        tables = mesh._workspace.tables
        there = {path for path, _ in tables.list_files(product) if path.endswith(".parquet")}
        return there - set(tables.live_files(product))


def file_states(root: Path, name: str = "shop.events") -> dict[str, Any]:
    """The check states of the current version by file."""
    with raymesh.Mesh.load(root) as mesh:
        state = mesh._workspace.state
        return {f.path: f.state for f in state.files(state.current([name])[name, "default"])}


def foreign_append(root: Path, table: str, **columns: list[int]) -> None:
    """Another program adds rows to the Iceberg table."""
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("raymesh", uri=f"sqlite:///{root}/.raymesh/mesh.db", warehouse=str(root))
    catalog.load_table(table).append(pa.table(columns))
    catalog.engine.dispose()


@contextmanager
def invocation(root: Path, **options: Any) -> Iterator[Invocation]:
    """A command at work in a freshly opened mesh."""
    with (
        raymesh.Mesh.load(root) as mesh,
        Invocation(mesh._workspace, RunOptions(**options), lambda _: None) as opened,
    ):
        yield opened


def roll_back(root: Path, name: str, to: int) -> Version:
    """Make an older version current again."""
    with invocation(root) as opened:
        return rollback(opened, name, to, new_id())


def look_after(root: Path, product: str, **options: bool) -> list[Maintained]:
    """Maintain all tables of a product."""
    with invocation(root) as opened:
        return maintain(opened, product, MaintainOptions(**options))


def write_rows(file: Path, **values: Sequence[Any]) -> Path:
    """A Parquet file of these columns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({k: pa.array(v) for k, v in values.items()}), file)
    return file


def numbers(root: Path, sql: str, **settings: Any) -> Path:
    """Product `shop.numbers` with a key `id` and a `value` that must not be NULL."""
    return write_product(root, "shop.numbers", {"id": KEY, "value": NEEDED}, sql=sql, **settings)


def events(root: Path, folder: Path, **settings: Any) -> Path:
    """Product `shop.events` that appends `id`, `value` from the Parquet files in `folder` by `id`."""
    write_source(root, "shop.arrivals", f"{folder}/*.parquet")
    given: dict[str, Any] = {"mode": "append", "incrementalColumn": "id", **settings}
    sql = given.pop("sql", "SELECT id, value FROM source.arrivals")
    return write_product(root, "shop.events", {"id": KEY, "value": NEEDED}, sql=sql, **given)


def command(
    root: Path, *arguments: str, blocked: Sequence[str] = (), before: str = "", **environment: str
) -> subprocess.Popen[str]:
    """The command line in a process of its own. `blocked` packages are not installed there, nor in what it
    starts; `before` is Python that runs first."""
    site = root / ".site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_BLOCK.format(blocked=list(blocked)))
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND.format(before=before), "-C", str(root), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process; one that does not end is killed with all it started."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"the command did not end:\n{out}\n{err}") from None
    return process.returncode, out, err


_BLOCK = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in {blocked!r} else find(name, *more)
"""
_COMMAND = """
import sys
{before}
from raymesh.cli import main
sys.exit(main())
"""


def settings_of(**values: Any) -> list[Mapping[str, Any]]:
    """raymesh's own settings as custom properties."""
    return [{"property": k, "value": v, "vendor": "raymesh"} for k, v in values.items()]

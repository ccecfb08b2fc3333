"""Python over raw sources on a cluster: read by several tasks, the same rows as on the local engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from meshes import write_mesh, write_product, write_source
from raymesh import Mesh

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.engines.ray.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

ROWS = 3000
MADE = {"id": "bigint", "amount": "double", "day": "date", "task": "varchar"}
COLUMNS = [{"name": n, "type": t} for n, t in MADE.items() if n != "task"]
BATCH = """
import sys
import pyarrow as pa
from raymesh import batch

@batch(input="source.{name}")
def transform(rows: pa.Table) -> pa.Table:
    ray = sys.modules.get("ray")
    task = ray.get_runtime_context().get_task_id() if ray and ray.is_initialized() else "none"
    return rows.append_column("task", pa.array([task] * rows.num_rows))
"""


@pytest.fixture
def root(ray_cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mesh over three files of every kind, of which 100 rows are enough for a task of their own."""
    from raymesh.engines.ray import rows

    monkeypatch.setattr(rows, "_LEAST_ROWS", 100)
    root = write_mesh(tmp_path / "mesh")
    options = {"parquet": "parquet", "csv": "csv, header", "json": "json"}
    for kind, how in options.items():
        (tmp_path / kind).mkdir()
        for at in range(3):
            select = (
                f"SELECT range AS id, range / 8 AS amount, DATE '2024-01-01' + (range % 366)::integer AS day "
                f"FROM range({at * ROWS // 3}, {(at + 1) * ROWS // 3})"
            )
            with duckdb.connect() as con:
                con.execute(f"COPY ({select}) TO '{tmp_path}/{kind}/{at}.{kind}' (FORMAT {how})")
        write_source(root, f"shop.{kind}", tmp_path / kind, kind, columns=COLUMNS)
    write_source(root, "shop.one", tmp_path / "csv/0.csv", "csv")
    return root


def tasks(table: Any) -> set[str]:
    return set(table["task"].to_pylist())


def test_several_tasks_read_a_folder_and_make_the_rows_of_the_local_engine(root: Path) -> None:
    kinds = ("parquet", "csv", "json")
    for kind in kinds:
        write_product(root, f"shop.{kind}_rows", MADE, python=BATCH.format(name=kind))
    tables: dict[str, list[Any]] = {}
    for engine in ("local", "ray"):
        with Mesh.load(root) as mesh:
            reports = mesh.run(engine=engine, refresh=True).reports
            assert {r.status for r in reports} == {"published"}, reports
            tables[engine] = [mesh.read(f"shop.{kind}_rows").to_arrow().sort_by("id") for kind in kinds]
    for local, ray in zip(tables["local"], tables["ray"], strict=True):
        assert ray.drop_columns("task") == local.drop_columns("task")
        assert ray.num_rows == ROWS
        assert (len(tasks(local)), len(tasks(ray))) == (1, 2)


def test_a_dataset_parameter_over_a_source_is_read_by_several_tasks(root: Path, tmp_path: Path) -> None:
    import ray

    from raymesh.adapters import sources
    from raymesh.engines.ray.datasets import _input_dataset
    from raymesh.mesh.plan import BuildPlan, Input, Limits, SourceScan

    spec = {"name": "csv", "type": "csv", "location": str(tmp_path / "csv")}
    source = SourceScan("source.csv", "csv", spec, sources.files().pin(spec, str(root)))
    limits = Limits(1 << 30, 2, str(tmp_path / "scratch"))
    item = Input("source.csv", source)
    found = _input_dataset(item, BuildPlan("shop.x", "r", str(root), (item,), (), limits))

    def note(rows: pa.Table) -> pa.Table:
        task = ray.get_runtime_context().get_task_id()
        return rows.append_column("task", pa.array([task] * rows.num_rows))

    table = pa.concat_tables(ray.get(found.map_batches(note, batch_format="pyarrow").to_arrow_refs()))
    assert sorted(table["id"].to_pylist()) == list(range(ROWS))
    assert len(tasks(table)) == 2


def test_sql_over_folders_of_text_is_dealt_out_by_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.engines.ray import sql, staged

    dealt, counts = staged.dealt, []

    def counting(*given: Any) -> Any:
        found = dealt(*given)
        counts.append(len(found))
        return found

    monkeypatch.setattr(sql, "SMALL", 0)
    monkeypatch.setattr(staged, "_SMALL_EXCHANGE", 0)
    monkeypatch.setattr(staged, "dealt", counting)
    query = (
        "SELECT c.id, c.amount + j.amount AS amount, j.day FROM source.csv c JOIN source.json j USING (id)"
    )
    write_product(root, "shop.both", {n: t for n, t in MADE.items() if n != "task"}, sql=query)
    found = []
    for engine in ("local", "ray"):
        with Mesh.load(root) as mesh:
            (report,) = mesh.run(engine=engine, refresh=True).reports
            assert report.status == "published", report
            found.append(mesh.read("shop.both").to_arrow().sort_by("id"))
    assert found[0] == found[1]
    assert found[0].num_rows == ROWS
    assert max(counts) > 1


def test_the_plan_says_who_reads_and_why(root: Path) -> None:
    from raymesh.actions.explain import stages
    from raymesh.actions.invocation import RunOptions

    for name in ("parquet", "one"):
        write_product(root, f"shop.of_{name}", MADE, python=BATCH.format(name=name))
    with Mesh.load(root) as mesh:
        told = stages(mesh._workspace, ["shop.of_parquet", "shop.of_one"], RunOptions(engine="ray"))
    (side_by_side,) = told["shop.of_parquet"]
    assert (side_by_side.runs, side_by_side.reads[0].how) == ("files", "files")
    assert side_by_side.why.endswith("pieces of 3 files")
    first, second = told["shop.of_one"]
    assert (first.runs, first.reads[0].how, second.runs) == ("one", "whole", "files")
    assert first.why == "one task: one CSV file is read from its beginning to its end"


def test_a_source_that_is_not_whole_fails_as_on_the_local_engine(root: Path, tmp_path: Path) -> None:
    write_product(root, "shop.bad", MADE, python=BATCH.format(name="csv"))
    with (tmp_path / "csv/2.csv").open("a") as file:
        file.write("7,eight,2024-01-01\n")
    with Mesh.load(root) as mesh:
        errors = [mesh.run(engine=engine, refresh=True).reports[0].error for engine in ("local", "ray")]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[0].code == errors[1].code == "source"
    assert str(errors[0]) == str(errors[1])

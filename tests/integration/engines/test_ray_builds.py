"""Builds on Ray when user code misbehaves: exact results, clear errors, nothing left."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clusters import SECRETS
from raymesh import errors
from raymesh.errors import ConformError, MeshError, TransformError
from raymesh.mesh.plan import Limits
from raymesh.spi.conformance.engine_opened import Bench, columns, scan
from reliability.ray_harness import hostile_file

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.engines.ray.cluster import Cluster
    from raymesh.mesh.plan import BuildPlan

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
MANY = "select range as id, 'n' || range as name from range(300000)"
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, MeshError)]


@pytest.fixture
def bench(ray_cluster: Cluster, tmp_path: Path) -> Bench:
    from raymesh.engines.ray import RayEngine

    found = Bench(RayEngine(Limits(1 << 30, 2, str(tmp_path / "scratch"))), tmp_path)
    found.inputs = {"d.a": scan(found.sql(MANY))}
    return found


def test_a_table_is_mapped_by_several_tasks(bench: Bench) -> None:
    staged = bench.python("def transform(batch): return batch", columns(id="bigint", name="varchar"))
    assert len(staged.files) > 1
    assert sorted(r["id"] for r in bench.rows(staged)) == list(range(300_000))
    assert sum(s.rows for s in staged.measurements.files.values()) == 300_000


def test_a_process_that_dies_once_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    code = f"""
        import os, pathlib
        def transform(batch):
            yield batch.select(["id"]).slice(0, 10)
            try:
                os.close(os.open({str(tmp_path / "died")!r}, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                yield batch.select(["id"]).slice(10)
            else:
                os._exit(1)
        """
    before = set(bench.staged_files())
    staged = bench.python(code, columns(id="bigint"))
    assert sorted(r["id"] for r in bench.rows(staged)) == list(range(300_000))
    assert {f.path for f in staged.files} == set(bench.staged_files()) - before


@pytest.mark.parametrize(
    "code",
    [
        "import os\nclass transform:\n    def __call__(self, batch): os._exit(1)",
        "import os\nclass transform:\n    def __init__(self): os._exit(1)\n    def __call__(self, batch): return batch",
    ],
    ids=["in a call", "at the start"],
)
def test_a_class_whose_process_always_dies_ends_with_its_name(bench: Bench, code: str) -> None:
    bench.timeout = 100.0
    before = bench.staged_files()
    with pytest.raises(TransformError, match=r"transform\.py: .*d\.p died") as caught:
        bench.python(code, columns(id="bigint", name="varchar"))
    assert "100 s" not in caught.value.message
    assert bench.staged_files() == before


def test_an_error_in_the_start_of_a_class_is_told_with_its_place(bench: Bench) -> None:
    code = "class transform:\n    def __init__(self): raise OSError('no model')\n    def __call__(self, batch): return batch"
    with pytest.raises(TransformError, match="no model") as caught:
        bench.python(code)
    assert caught.value.spans[0].line == 2


def test_types_that_differ_between_tasks_are_refused_by_name(bench: Bench) -> None:
    code = """
        import pyarrow as pa
        def transform(batch):
            late = batch["id"][0].as_py() >= 150000
            return pa.table({"x": pa.array([1.5] if late else [1])})
        """
    before = bench.staged_files()
    with pytest.raises(ConformError, match=r"'x' is .*(long|double)"):
        bench.python(code)
    assert bench.staged_files() == before


def test_a_column_without_any_value_in_one_task_has_the_type_of_the_others(bench: Bench) -> None:
    code = """
        import pyarrow as pa
        def transform(batch):
            late = batch["id"][0].as_py() >= 150000
            return pa.table({"x": pa.nulls(batch.num_rows) if late else batch["id"]})
        """
    assert [str(f.type) for f in bench.python(code).schema] == ["long"]
    staged = bench.python(code, columns(x="bigint"))
    assert sum(row["x"] is None for row in bench.rows(staged)) < 300_000 == sum(f.rows for f in staged.files)


@pytest.mark.parametrize(
    ("secret", "whole"), [(SECRETS[0], False), (SECRETS[1], True)], ids=["batch", "whole"]
)
def test_h9_user_code_in_a_cluster_finds_no_secret_in_its_environment(
    bench: Bench, secret: str, whole: bool
) -> None:
    code = f"""
        import os
        import pyarrow as pa
        def transform(rows: pa.Table): return pa.table({{"seen": [os.environ.get("{secret}")]}})
        """
    plan = bench.python_plan(code, columns(seen="varchar"), bindings={"rows": "d.a"} if whole else None)

    def seen(plan: BuildPlan) -> set[str | None]:
        return {row["seen"] for row in bench.rows(bench.run(plan).outputs[0])}

    assert seen(plan) == {"withheld"}
    assert seen(replace(plan, run_id="second", withheld=(secret,))) == {None}


DATASET = """
import ray.data

def work(batch):
    {work}

def transform(rows: ray.data.Dataset) -> ray.data.Dataset:
    return rows.map_batches(work, batch_format="pyarrow")
"""


def test_a_dataset_function_has_all_of_ray_data(bench: Bench) -> None:
    code = DATASET.format(work="return batch.slice(0, batch.num_rows // 2)")
    staged = bench.python(code, columns(id="bigint", name="varchar"), bindings={"rows": "d.a"})
    assert sum(f.rows for f in staged.files) == 150_000


@pytest.mark.parametrize("size", ["", ", batch_size=10_000"], ids=["blocks", "batches"])
def test_what_a_dataset_function_maps_is_read_and_mapped_by_several_tasks(bench: Bench, size: str) -> None:
    note = 'return batch.append_column("task", [[ray.get_runtime_context().get_task_id()] * batch.num_rows])'
    code = DATASET.format(work=note).replace('"pyarrow")', f'"pyarrow"{size})')
    staged = bench.python(
        code, columns(id="bigint", name="varchar", task="varchar"), bindings={"rows": "d.a"}
    )
    rows = bench.rows(staged)
    assert len(rows) == 300_000
    assert len({row["task"] for row in rows}) > 1


def test_a_dataset_without_rows_keeps_its_columns(bench: Bench) -> None:
    code = DATASET.format(work="return batch.slice(0, 0)")
    staged = bench.python(code, columns(id="bigint", name="varchar"), bindings={"rows": "d.a"})
    assert (staged.files, staged.schema.names) == ((), ("id", "name"))


def test_an_error_in_a_task_of_ray_data_has_the_users_place(bench: Bench) -> None:
    before = bench.staged_files()
    with pytest.raises(TransformError, match="ValueError: no ü") as caught:
        bench.python(DATASET.format(work="raise ValueError('no ü')"), bindings={"rows": "d.a"})
    assert caught.value.spans[0].line == 5
    assert bench.staged_files() == before


def test_a_pickle_in_a_foreign_file_stays_bytes_in_a_process_where_only_user_code_runs(
    bench: Bench, tmp_path: Path
) -> None:
    file, marker = hostile_file(tmp_path)
    code = f"""
        import pyarrow as pa, pyarrow.parquet as pq
        import ray.data

        def work(batch):
            found = pq.read_table({str(file)!r})["payload"].to_pylist()
            return pa.table({{"id": [1], "name": [type(found[0]).__name__]}})

        def transform(rows: ray.data.Dataset) -> ray.data.Dataset:
            alone = {{"env_vars": {{"NO_OTHER_TASK_HAS": "this"}}}}
            made = ray.data.range(1).map_batches(work, batch_format="pyarrow", runtime_env=alone)
            return made
        """
    staged = bench.python(code, columns(id="bigint", name="varchar"), bindings={"rows": "d.a"})
    assert bench.rows(staged) == [{"id": 1, "name": "bytes"}]
    assert not marker.exists()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_travels_whole(kind: type[MeshError]) -> None:
    error = kind.__new__(kind)
    MeshError.__init__(error, "what", hint="way out", spans=(errors.SourceSpan("a.sql", 3, 4),))
    error.more = "traceback"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), vars(again)) == (str(error), vars(error))

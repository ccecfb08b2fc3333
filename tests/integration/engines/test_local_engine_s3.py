"""The local engine over an object store: staging, reading, partitions, cleaning up, its lock."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raymesh.engines.local import LocalEngine
from raymesh.errors import StorageError, TransformError
from raymesh.mesh.plan import Layout, Limits
from raymesh.spec.secrets import SecretRef
from raymesh.spi import faults
from raymesh.spi.conformance.engine_opened import Bench, columns, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3 import Bucket

pytestmark = pytest.mark.s3


@pytest.fixture
def engine(s3_bucket: Bucket, tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(Limits(1 << 30, 2, str(tmp_path / "scratch")), storage={"s3": s3_bucket.storage})
    yield engine
    engine.close()


class S3Bench(Bench):
    bucket: Bucket

    def plan(self, *args, **more):
        plan = super().plan(*args, **more)
        outputs = tuple(
            replace(o, location=f"{self.bucket.address}/warehouse/d/p/data") for o in plan.outputs
        )
        return replace(plan, outputs=outputs, storage={"s3": self.bucket.storage})

    def objects(self) -> list[str]:
        return sorted(self.bucket.files.find(self.bucket.name))


@pytest.fixture
def bench(engine: LocalEngine, s3_bucket: Bucket, tmp_path: Path) -> S3Bench:
    bench = S3Bench(engine, tmp_path)
    bench.bucket = s3_bucket
    return bench


def test_a_build_reads_and_writes_objects(bench: S3Bench) -> None:
    first = bench.sql("select range as id, 'n' || range as name from range(1000)")
    assert [f.path.removeprefix("s3://") for f in first.files] == bench.objects()
    bench.inputs = {"d.a": scan(first)}
    second = bench.sql("select count(*) as n, max(name) as last from d.a where id < 100")
    assert bench.rows(second) == [{"n": 100, "last": "n99"}]
    found = bench.engine.query("select sum(id) as s from d.a", {"d.a": scan(first)}).read_all()
    assert found.to_pylist() == [{"s": 499500}]


def test_sizes_and_partitions_hold_in_an_object_store(bench: S3Bench) -> None:
    rows = "select range as id, range % 3 as part from range(3000)"
    staged = bench.sql(rows, layout=Layout(partition_by=("part",), target_bytes=1 << 20))
    assert {f.partition for f in staged.files} == {(("part", "0"),), (("part", "1"),), (("part", "2"),)}
    assert len(bench.rows(staged)) == 3000


def test_python_builds_write_objects_too(bench: S3Bench) -> None:
    bench.inputs = {"d.a": scan(bench.sql("select range as id from range(10)"))}
    staged = bench.python("def transform(batch): return batch.slice(0, 3)", columns(id="bigint"))
    assert len(bench.rows(staged)) == 3


def test_secret_references_are_looked_up_where_they_are_used(
    bench: S3Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_TESTS", bench.bucket.storage["secretAccessKey"])
    plan = bench.plan(bench_transform())
    plan = replace(
        plan, storage={"s3": bench.bucket.storage | {"secretAccessKey": SecretRef("${env:KEY_OF_TESTS}")}}
    )
    assert len(bench.run(plan).outputs[0].files) == 1


def bench_transform():
    from raymesh.mesh.plan import Transform

    return Transform("sql", sql="select 1 as a", sql_file="transform.sql")


def test_a_failed_build_leaves_no_object(bench: S3Bench) -> None:
    with pytest.raises(TransformError):
        bench.sql(
            "select range as id, case when range = 190000 then error('x')::integer end as x from range(200000)"
        )
    assert bench.objects() == []


def test_an_error_after_staging_leaves_no_object(bench: S3Bench) -> None:
    def fail(point: str) -> None:
        if point == "file_closed":
            raise OSError("boom")

    faults.observer = fail
    try:
        with pytest.raises(OSError, match="boom"):
            bench.sql("select 1 as a")
    finally:
        faults.observer = None
    assert bench.objects() == []


def test_sql_reaches_no_other_object(bench: S3Bench) -> None:
    address = bench.bucket.put("secret.csv", b"a\n1\n")
    bench.inputs = {"d.a": scan(bench.sql("select 1 as id"))}
    with pytest.raises(TransformError, match="Cannot access"):
        bench.sql(f"select * from read_csv('{address}')")


def test_a_missing_object_is_named(bench: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    staged = bench.sql("select 1 as id")
    bench.bucket.files.rm(staged.files[0].path)
    with pytest.raises(StorageError, match=staged.files[0].path.rsplit("/", 1)[-1]):
        bench.rows(staged)


def test_a_bucket_that_does_not_exist_is_a_storage_error(bench: S3Bench) -> None:
    plan = bench.plan(bench_transform())
    outputs = tuple(replace(o, location="s3://no-such-bucket-here/x") for o in plan.outputs)
    with pytest.raises(StorageError):
        bench.run(replace(plan, outputs=outputs))


def test_rows_are_set_aside_in_an_object_store(bench: S3Bench) -> None:
    from datetime import UTC, datetime

    from raymesh.mesh.plan import Quarantine
    from raymesh.quality.model import Check
    from raymesh.spec.expression import Column, Compare, Value

    place = Quarantine(
        port="quarantine",
        table="d.p__quarantine",
        location=f"{bench.bucket.address}/warehouse/d/p__quarantine/data",
        limit=0.1,
        at=datetime(2024, 5, 1, tzinfo=UTC),
    )
    small = Check(
        "small",
        "row",
        "maximum",
        columns=("id",),
        violates=Compare(">", Column(("id",)), Value(94)),
        on_violation="quarantine",
    )
    rows = "select range as id from range(100)"
    staged = bench.sql(rows, columns(id="bigint"), checks=(small,), quarantine=place)
    assert staged.quarantine is not None
    assert (len(bench.rows(staged)), len(bench.rows(staged.quarantine))) == (95, 5)
    files = [f.path for s in (staged, staged.quarantine) for f in s.files]
    assert sorted(f.removeprefix("s3://") for f in files) == bench.objects()
    strict = replace(small, violates=Compare(">", Column(("id",)), Value(50)))
    too_many = bench.sql(rows, columns(id="bigint"), checks=(strict,), quarantine=place)
    assert too_many.over_limit == 49
    assert len(bench.objects()) == len(files) + len(too_many.files)

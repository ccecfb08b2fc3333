"""The core of a product's life with state in PostgreSQL, and with the warehouse in an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh
from lives import KEY, NEEDED, current, events, look_after, publish, roll_back, rows, rows_of, run, write_rows
from meshes import write_mesh, write_product, write_source
from raymesh.actions.read import pin
from s3 import Bucket

HEAD = "from raymesh import batch\nimport pyarrow as pa\n\n"
DOUBLE = HEAD + (
    "@batch(input='shop.events')\ndef transform(rows: pa.Table) -> pa.Table:\n"
    "    return rows.set_column(1, 'value', [[2 * v.as_py() for v in rows['value']]]).cast(rows.schema)\n"
)


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("s3", marks=pytest.mark.s3),
        pytest.param("postgres and s3", marks=[pytest.mark.postgres, pytest.mark.s3]),
    ]
)
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty mesh whose state, warehouse or both are those of production."""
    if " and " in request.param and not request.config.getoption("--complete"):
        pytest.skip("sampled: run with --complete")
    state = request.getfixturevalue("postgres_url") if "postgres" in request.param else None
    if "s3" not in request.param:
        return write_mesh(tmp_path / "mesh", state=state)
    bucket: Bucket = request.getfixturevalue("s3_bucket")
    monkeypatch.setenv("TEST_S3_KEY", bucket.storage["accessKeyId"])
    (tmp_path / "mesh" / "keys").mkdir(parents=True)
    (tmp_path / "mesh" / "keys" / "secret").write_text(bucket.storage["secretAccessKey"] + "\n")
    keys = {"accessKeyId": "${env:TEST_S3_KEY}", "secretAccessKey": "${file:keys/secret}"}
    return write_mesh(
        tmp_path / "mesh",
        state=state,
        warehouse=f"{bucket.address}/warehouse",
        storage={"s3": {**bucket.storage, **keys}},
    )


def orphans(root: Path, table: str) -> set[str]:
    with raymesh.Mesh.load(root) as mesh:
        tables = mesh._workspace.tables
        return {path for path, _ in tables.list_files(table)} - set(tables.live_files(table))


def test_a_product_lives_the_same_life(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "arrivals"
    write_rows(folder / "1.parquet", id=[1, 2], value=[1, 1])
    events(root, folder, snapshots={"keep": 3})
    twice = "SELECT id, 2 * value AS value FROM shop.events"
    write_product(root, "shop.double", {"id": KEY, "value": NEEDED}, sql=twice)
    publish(root)
    assert {r.status for r in publish(root).values()} == {"unchanged"}

    for i in (3, 4):
        write_rows(folder / f"{i}.parquet", id=[i], value=[1])
        assert {r.status for r in publish(root).values()} == {"published"}
    assert rows(root, "shop.events") == [(i, 1) for i in range(1, 5)]
    assert rows(root, "shop.double") == [(i, 2) for i in range(1, 5)]
    assert [len(rows(root, "shop.events", n)) for n in (1, 2, 3)] == [2, 3, 4]

    write_rows(folder / "5.parquet", id=[5], value=[-1])
    promise = {**NEEDED, "logicalTypeOptions": {"minimum": 0}}
    write_product(
        root,
        "shop.events",
        {"id": KEY, "value": promise},
        sql="SELECT id, value FROM source.arrivals",
        mode="append",
        incrementalColumn="id",
        snapshots={"keep": 3},
    )
    assert {p: r.status for p, r in run(root).items()} == {"shop.events": "blocked", "shop.double": "skipped"}
    assert len(rows(root, "shop.events")) == 4
    assert orphans(root, "shop.events") == set()

    assert roll_back(root, "shop.events", 1).number == 4
    assert rows(root, "shop.events") == [(1, 1), (2, 1)]
    write_rows(folder / "5.parquet", id=[5], value=[1])
    publish(root)
    write_rows(folder / "6.parquet", id=[6], value=[1])
    publish(root)
    assert rows(root, "shop.events") == [(i, 1) for i in range(1, 7)]

    (done,) = look_after(root, "shop.events")
    assert (done.compacted_from, done.compacted_to) == (2, 1)
    assert done.expired_versions
    assert done.removed_files > 0
    assert orphans(root, "shop.events") == set()
    assert look_after(root, "shop.events") == [type(done)("shop.events")]
    assert rows(root, "shop.events") == [(i, 1) for i in range(1, 7)]
    assert publish(root)["shop.events"].status == "unchanged"
    with raymesh.Mesh.load(root) as mesh:
        assert not pin(mesh._workspace.storage, "shop.events").foreign
        answer = mesh.sql("SELECT count(*) AS n, sum(value) AS total FROM shop.double")
        assert rows_of(answer) == [(6, 12)]


def test_python_builds_from_and_into_the_store(root: Path) -> None:
    write_product(
        root, "shop.events", {"id": KEY, "value": NEEDED}, sql="SELECT 1::bigint AS id, 5::bigint AS value"
    )
    write_product(root, "shop.double", {"id": KEY, "value": NEEDED}, python=DOUBLE)
    publish(root)
    assert rows(root, "shop.double") == [(1, 10)]


def test_a_schema_evolves_and_a_breaking_change_is_refused(root: Path) -> None:
    write_product(root, "shop.table", {"a": "integer"}, sql="SELECT 1 AS a")
    publish(root)
    more = {"a": "bigint", "b": "varchar"}
    write_product(root, "shop.table", more, sql="SELECT 5000000000 AS a, 'x' AS b", version="1.1.0")
    publish(root)
    assert (rows(root, "shop.table"), rows(root, "shop.table", 1)) == ([(5_000_000_000, "x")], [(1,)])
    write_product(root, "shop.table", {"b": "varchar"}, sql="SELECT 'x' AS b", version="1.2.0")
    report = run(root)["shop.table"]
    assert report.error is not None
    assert report.error.code == "breaking-change"
    assert current(root, "shop.table").number == 2


def test_secrets_of_the_store_are_in_no_message_and_no_evidence(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_product(root, "shop.table", {"a": "integer"}, sql="SELECT error('broken')::integer AS a")
    report = run(root)["shop.table"]
    assert report.status == "failed"
    with raymesh.Mesh.load(root) as mesh:
        said = repr(report) + repr(mesh._workspace.state.runs()) + "".join(capfd.readouterr())
    assert "secret-of-tests" not in said


@pytest.mark.s3
def test_a_source_in_the_mesh_s_own_store_is_read_with_its_keys(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("accessKeyId", "secretAccessKey"):
        monkeypatch.setenv(f"TEST_{name}", s3_bucket.storage[name])
    keys = {name: f"${{env:TEST_{name}}}" for name in ("accessKeyId", "secretAccessKey")}
    root = write_mesh(tmp_path / "mesh", storage={"s3": {**s3_bucket.storage, **keys}})
    file = write_rows(tmp_path / "in.parquet", id=[1, 2], value=[1, 1])
    address = s3_bucket.put("raw/in.parquet", file.read_bytes())
    write_source(root, "shop.raw", address)
    write_product(root, "shop.copy", {"id": "bigint", "value": "bigint"}, sql="SELECT * FROM source.raw")
    publish(root)
    assert rows(root, "shop.copy") == [(1, 1), (2, 1)]
    assert publish(root)["shop.copy"].status == "unchanged"


@pytest.mark.postgres
def test_a_source_in_a_database_is_read_with_its_user(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as con:
        con.execute("CREATE TABLE orders AS SELECT 1::bigint AS id, 10::bigint AS value")
    monkeypatch.setenv("TEST_USER", "postgres")
    monkeypatch.setenv("TEST_PASSWORD", "not-needed")
    root = write_mesh(tmp_path / "mesh")
    address = postgres_url.replace("postgres@", "")
    keys = {"user": "${env:TEST_USER}", "password": "${env:TEST_PASSWORD}"}
    write_source(root, "shop.raw", address, "postgres", table="public.orders", **keys)
    write_product(root, "shop.copy", {"id": "bigint", "value": "bigint"}, sql="SELECT * FROM source.raw")
    publish(root)
    assert rows(root, "shop.copy") == [(1, 10)]

"""Contracts checked where their servers say the data is: S3, PostgreSQL, Iceberg, Delta."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from checking import table, write_contract
from raymesh.actions.check import check_contract
from raymesh.errors import SourceError

ORDERS = table(
    "orders", {"name": "id", "logicalType": "integer", "primaryKey": True}, physicalName="fact_orders"
)
GOOD = pa.table({"id": pa.array([1, 2, 3], pa.int64())})
BAD = pa.table({"id": pa.array([1, 1, None], pa.int64())})


def found(path: Path, **options: Any) -> dict[str, str]:
    (report,) = check_contract(path, **options)
    return {r.check.id: r.status for r in report.verdict.results}


def contract(folder: Path, **server: Any) -> Path:
    return write_contract(folder / "c.yaml", ORDERS, servers=[{"server": "s", **server}])


def parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    return sink.getvalue()


@pytest.mark.s3
def test_an_s3_server_is_read_with_keys_of_the_environment(s3_bucket, tmp_path, monkeypatch):
    s3_bucket.put("orders/1.parquet", parquet(GOOD))
    path = contract(
        tmp_path,
        type="s3",
        location=f"{s3_bucket.address}/{{model}}/*.parquet",
        format="parquet",
        endpointUrl=s3_bucket.endpoint,
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_bucket.storage["accessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_bucket.storage["secretAccessKey"])
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert set(found(path).values()) == {"pass"}
    s3_bucket.put("orders/2.parquet", parquet(BAD))
    assert found(path)["primaryKey"] == "fail"


@pytest.mark.postgres
def test_a_postgres_server_is_read_as_the_user_of_the_environment(postgres_url, tmp_path, monkeypatch):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as con:
        con.execute("CREATE TABLE fact_orders (id bigint)")
        con.execute("INSERT INTO fact_orders VALUES (1), (2)")
    parts = urlsplit(postgres_url)
    monkeypatch.setenv("PGUSER", parts.username or "")
    monkeypatch.setenv("PGPASSWORD", "not-shown")
    monkeypatch.setenv("PGHOST", parse_qs(parts.query)["host"][0])
    path = contract(tmp_path, type="postgres", host="", port=5432, database=parts.path[1:], schema="public")
    assert set(found(path).values()) == {"pass"}
    with psycopg.connect(postgres_url, autocommit=True) as con:
        con.execute("INSERT INTO fact_orders VALUES (1)")
    assert found(path)["primaryKey"] == "fail"


@pytest.mark.postgres
def test_a_password_of_the_environment_is_in_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PGUSER", "someone")
    monkeypatch.setenv("PGPASSWORD", "not-shown")
    path = contract(tmp_path, type="postgresql", host="127.0.0.1", port=1, database="d", schema="public")
    with pytest.raises(SourceError) as refused:
        check_contract(path)
    assert "not-shown" not in str(refused.value)


def test_an_iceberg_server_is_read_through_its_catalog(tmp_path):
    from pyiceberg.catalog.sql import SqlCatalog

    uri = f"sqlite:///{tmp_path}/catalog.db"
    catalog = SqlCatalog("lake", uri=uri, warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("sales")
    stored = catalog.create_table("sales.fact_orders", GOOD.schema)
    stored.append(GOOD)
    catalog.close()
    path = contract(tmp_path, type="iceberg", catalog="lake", catalogUrl=uri, namespace="sales")
    assert set(found(path).values()) == {"pass"}


def test_a_delta_table_is_a_format_of_a_server(tmp_path):
    import deltalake

    deltalake.write_deltalake(str(tmp_path / "orders"), BAD)
    path = contract(tmp_path, type="local", path="orders", format="delta")
    assert found(path)["primaryKey"] == "fail"
    assert found(path, data=str(tmp_path / "orders"))["id.logicalType"] == "pass"


def test_the_delimiter_of_a_json_server_says_how_records_are_written(tmp_path):
    (tmp_path / "o.json").write_text('[{"id": 1}, {"id": 2}]')
    written = {"type": "local", "path": "o.json", "format": "json"}
    assert set(found(contract(tmp_path, **written)).values()) == {"pass"}

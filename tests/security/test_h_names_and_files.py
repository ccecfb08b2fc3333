"""H: names that reach elsewhere, formats that run code, keys and nonces; C: what the consumer's database may call."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raymesh
from governed_shops import NAME, governed_shop
from lives import publish, rows
from meshes import write_mesh, write_product, write_source
from raymesh.engines.kernel import consumer
from raymesh.engines.kernel.functions import FUNCTIONS, TABLE_FUNCTIONS
from raymesh.engines.kernel.gate import require_select
from raymesh.errors import DocumentsInvalidError, MeshError
from raymesh.governance.audit import AuditRecord, seal
from raymesh.mesh.plan import Limits
from s3 import Bucket


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return governed_shop(tmp_path_factory.mktemp("shop"))


ELSEWHERE = [
    "../shop.customers", "shop.customers/../customers", "shop..customers", "/etc/passwd", "shop.%2e%2e",
    "shop.customers\0", "shop.customers ", "shop.customers.", "SHOP.CUSTOMERS", "shop.сustomers", "shop.*",
    "shop.customers'--", 'shop."customers"', "CON.NUL", "s3://bucket/x", "file:///etc/passwd", "",
]  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_h2_a_name_that_reaches_elsewhere_is_no_product(shop: Path, name: str) -> None:
    before = sorted(p for p in shop.rglob("*") if "audit" not in p.name)
    with raymesh.Mesh.load(shop) as mesh, pytest.raises(MeshError) as caught:
        mesh.read(name, as_="otto", purpose="audit").to_arrow()
    assert "root:" not in str(caught.value)
    assert {p for p in shop.rglob("*") if "audit" not in p.name} - set(before) <= {
        shop / ".raymesh" / f"mesh.db{end}" for end in ("-wal", "-shm")
    }


@pytest.mark.parametrize("format_", ["pickle", "pkl", "webdataset", "pt", "numpy", "torch", "orc"])
def test_h7_formats_that_can_hold_code_are_no_formats(tmp_path: Path, format_: str) -> None:
    write_mesh(tmp_path)
    (tmp_path / f"x.{format_}").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    write_source(tmp_path, "shop.raw", f"x.{format_}", format_)
    with pytest.raises(DocumentsInvalidError):
        raymesh.Mesh.load(tmp_path)


LOOK = """import os, pathlib
import pyarrow as pa
from raymesh import batch, product

{head}
def transform(rows: pa.Table) -> pa.Table:
    started = pathlib.Path("/proc/self/environ").read_bytes().decode().split("\\0")
    now = [f"{{name}}={{value}}" for name, value in os.environ.items()]
    return pa.table({{"x": rows["x"].slice(0, 1), "seen": ["\\n".join(started + now)]}})
"""
HEADS = {"batch": "@batch(input='source.raw')", "whole": "@product(inputs={'rows': 'source.raw'})"}


@pytest.mark.s3
def test_h9_user_code_finds_no_secret_in_its_environment(
    tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process reads the source with keys that are in no environment, and what is the user's own stays there."""
    keys = {"accessKeyId": "${env:MESH_KEY}", "secretAccessKey": "${env:MESH_SECRET}"}
    for name in ("MESH_KEY", "MESH_SECRET", "MESH_TOKENS", "MESH_CLUSTER", "RAYMESH_TOKEN", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "h1dden")
    monkeypatch.setenv("OWN_API_KEY", "mine")
    write_mesh(
        tmp_path, keys={"tokens": "${env:MESH_TOKENS}"}, engines={"ray": {"token": "${env:MESH_CLUSTER}"}}
    )
    made = io.BytesIO()
    pq.write_table(pa.table({"x": [1, 2]}), made)
    address = s3_bucket.put("in/rows.parquet", made.getvalue())
    write_source(tmp_path, "shop.raw", address, storage={**s3_bucket.storage, **keys})
    for name, head in HEADS.items():
        write_product(
            tmp_path, f"shop.{name}", {"x": "bigint", "seen": "varchar"}, python=LOOK.format(head=head)
        )
    publish(tmp_path, jobs=1)
    for name in HEADS:
        ((x, seen),) = rows(tmp_path, f"shop.{name}")
        assert x == 1
        assert "h1dden" not in seen
        assert {"OWN_API_KEY=mine", "PYTHONUNBUFFERED=1"} <= set(seen.split("\n"))


def test_h13_no_key_and_no_nonce_seals_twice(shop: Path) -> None:
    """Particulars are encrypted under a key of their record alone, so that no nonce can meet its key again."""
    from raymesh.actions.workspace import open_storage_only

    with raymesh.Mesh.load(shop) as mesh:
        for _ in range(2):
            mesh.sql(f"select count(*) from {NAME}", as_="otto", purpose="audit")
    with open_storage_only(shop) as storage:
        entries = storage.state.audit.records()
        found = [s for e in entries if (s := storage.state.audit.private(e.index)) is not None]
    assert len(found) >= 2
    for part in ("key", "nonce", "ciphertext", "commitment"):
        assert len({getattr(s, part) for s in found}) == len(found)
    record = AuditRecord("read", datetime.now(UTC), "anna", private={"sql": "select 'Ann'"})
    sealed = seal(record, bytes(32), bytes(12))
    assert sealed is not None
    assert b"Ann" not in sealed.ciphertext


@pytest.fixture
def sealed(tmp_path: Path) -> Any:
    con = consumer.connect(Limits(1 << 26, 1, str(tmp_path)))
    consumer.seal(con)
    yield con
    con.close()


CLOSED = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
    "temp_directory": "",
    "allowed_paths": "[]",
    "allowed_directories": "[]",
    "max_temp_directory_size": "0 bytes",
    "memory_limit": "64.0 MiB",
    "threads": "1",
}


def test_c9_every_setting_that_closes_a_way_out_is_set(sealed: duckdb.DuckDBPyConnection) -> None:
    found = dict(sealed.execute("select name, value from duckdb_settings()").fetchall())
    assert {name: found[name] for name in CLOSED} == CLOSED


REACHING = [
    "stats",
    "query",
    "query_table",
    "json_execute_serialized_sql",
    "json_serialize_sql",
    "json_serialize_plan",
    "getvariable",
    "getenv",
    "current_setting",
    "sleep_ms",
    "write_log",
    "error",
    "read_csv",
    "read_csv_auto",
    "read_parquet",
    "parquet_scan",
    "read_text",
    "read_blob",
    "read_json",
    "read_json_auto",
    "read_ndjson",
    "glob",
    "sniff_csv",
    "parquet_metadata",
    "parquet_schema",
    "parquet_file_metadata",
    "arrow_scan",
    "arrow_scan_dumb",
    "pandas_scan",
    "python_map_function",
    "seq_scan",
    "sql_auto_complete",
    "which_secret",
    "nextval",
    "currval",
    "setseed",
    "add_parquet_key",
    "in_search_path",
    "current_schemas",
    "txid_current",
    "checkpoint",
    "force_checkpoint",
    "enable_logging",
]


def test_c14_no_function_that_reaches_out_of_its_arguments_is_allowed(
    sealed: duckdb.DuckDBPyConnection,
) -> None:
    """Of everything the installed DuckDB has: what it may be called for is a list, and these are not on it."""
    allowed = FUNCTIONS | TABLE_FUNCTIONS
    assert not allowed & set(REACHING)
    rows = sealed.execute("select distinct function_name, function_type from duckdb_functions()").fetchall()
    assert len(rows) > 500
    inside = ("duckdb_", "pragma_", "pg_", "test_", "sqlite_", "parquet_", "read_", "write_", "current_s")
    assert not [name for name, _ in rows if name.startswith(inside) and name in allowed]


def test_c14_every_other_table_function_is_refused(sealed: duckdb.DuckDBPyConnection) -> None:
    kinds = "('table', 'table_macro', 'pragma')"
    rows = sealed.execute(
        f"select distinct function_name from duckdb_functions() where function_type in {kinds}"
    ).fetchall()
    names = {name for (name,) in rows} - TABLE_FUNCTIONS
    assert {"repeat", "read_csv", "duckdb_tables", "parquet_scan"} <= names
    for name in names:
        with pytest.raises(MeshError):
            require_select(sealed, f'select * from "{name}"(1)', ())
    require_select(sealed, "select * from range(1)", ())

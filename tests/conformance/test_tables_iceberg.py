"""The table store's suite on Iceberg: on a local disk with SQLite and PostgreSQL, and in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from raymesh.adapters.iceberg import IcebergTables
from raymesh.adapters.state import SqlStateStore
from raymesh.spi.conformance.tables import LocalFaultConformance, TableStoreConformance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.spi.conformance.tables_opened import OpenTables

SQLITE = "sqlite:///.raymesh/mesh.db"


def open_tables(root: str, url: str = SQLITE, warehouse: str = ".raymesh/warehouse", storage=None):
    state = SqlStateStore(url, root=root)
    return state, IcebergTables(warehouse=warehouse, root=root, state=state, storage=storage)


class TestLocalSqlite(TableStoreConformance, LocalFaultConformance):
    @pytest.fixture
    def open_tables(self, tmp_path: Path) -> OpenTables:
        return partial(open_tables, str(tmp_path))


@pytest.mark.postgres
class TestLocalPostgres(TableStoreConformance, LocalFaultConformance):
    @pytest.fixture
    def open_tables(self, tmp_path: Path, postgres_url: str) -> OpenTables:
        return partial(open_tables, str(tmp_path), postgres_url)


@dataclass(frozen=True)
class Secret:
    """A secret as documents hold it: only a reference."""

    name: str

    def resolve(self, environment: Any) -> str:
        return f"{environment['RAYMESH_TEST_PREFIX']}{self.name}"


@dataclass(frozen=True)
class ObjectShelf:
    """Copies files to and from the test's object store."""

    endpoint: str

    @cached_property
    def _system(self) -> Any:
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(
            endpoint_override=self.endpoint,
            access_key="x",
            secret_key="y",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def put(self, local: Path, address: str) -> None:
        with self._system.open_output_stream(address.removeprefix("s3://")) as out:
            out.write(local.read_bytes())
        local.unlink()

    def get(self, address: str, folder: Path) -> Path:
        copy = folder / f"{uuid4().hex}.parquet"
        with self._system.open_input_file(address.removeprefix("s3://")) as source:
            copy.write_bytes(source.read())
        return copy


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    from moto import server as server_module

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.s3
class TestObjectStore(TableStoreConformance):
    @pytest.fixture
    def shelf(self, s3_endpoint: str) -> ObjectShelf:
        return ObjectShelf(s3_endpoint)

    @pytest.fixture
    def open_tables(
        self, tmp_path: Path, s3_endpoint: str, shelf: ObjectShelf, monkeypatch: pytest.MonkeyPatch
    ) -> OpenTables:
        monkeypatch.setenv("RAYMESH_TEST_PREFIX", "secret-")
        bucket = f"mesh-{uuid4().hex}"
        shelf._system.create_dir(bucket)
        storage = {
            "s3": {
                "endpointUrl": s3_endpoint,
                "region": "us-east-1",
                "accessKeyId": Secret("id"),
                "secretAccessKey": Secret("key"),
            }
        }
        return partial(open_tables, str(tmp_path), SQLITE, f"s3://{bucket}/warehouse/", storage)

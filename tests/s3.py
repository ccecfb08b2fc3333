"""A real S3 endpoint over HTTP for tests: one in-memory server per pytest process, a fresh bucket per test."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

import pytest


@dataclass(frozen=True)
class Bucket:
    """An empty bucket: `storage` as a source document writes it, `files` to put objects in and look at them."""

    name: str
    endpoint: str

    @property
    def address(self) -> str:
        return f"s3://{self.name}"

    @property
    def storage(self) -> dict[str, str]:
        return {
            "endpointUrl": self.endpoint,
            "region": "us-east-1",
            "accessKeyId": "key-of-tests",
            "secretAccessKey": "secret-of-tests",
        }

    @cached_property
    def files(self) -> Any:
        """An fsspec file system."""
        import s3fs

        return s3fs.S3FileSystem(
            key=self.storage["accessKeyId"],
            secret=self.storage["secretAccessKey"],
            endpoint_url=self.endpoint,
            client_kwargs={"region_name": "us-east-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def put(self, path: str, content: bytes) -> str:
        """Writes an object; returns its address."""
        self.files.pipe_file(f"{self.name}/{path}", content)
        return f"{self.address}/{path}"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a running server on loopback."""
    from moto import server as server_module

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket of the test's own."""
    bucket = Bucket(f"test-{uuid4().hex[:12]}", s3_endpoint)
    bucket.files.call_s3("create_bucket", Bucket=bucket.name)
    return bucket

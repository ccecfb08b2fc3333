"""Sources read as an engine reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from raymesh.adapters import sources
from raymesh.mesh.plan import SourceScan

_ADAPTERS = {
    "parquet": sources.files,
    "csv": sources.files,
    "json": sources.files,
    "iceberg": sources.iceberg,
    "delta": sources.delta,
    "postgres": sources.postgres,
}


class Reader:
    """Pins and reads source documents through one connection, set up like an engine's."""

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path) -> None:
        self.con, self.root = con, root

    def adapter(self, spec: dict[str, Any]) -> Any:
        return _ADAPTERS[spec["type"]]()

    def scan(self, spec: dict[str, Any]) -> SourceScan:
        """The source, pinned."""
        pin = self.adapter(spec).pin(spec, str(self.root))
        return SourceScan(f"source.{spec.get('name', 'given')}", spec["type"], spec, pin)

    def relation(self, spec: dict[str, Any] | SourceScan) -> duckdb.DuckDBPyRelation:
        scan = spec if isinstance(spec, SourceScan) else self.scan(spec)
        return self.adapter({"type": scan.type}).relation(self.con, scan, str(self.root))

    def rows(self, spec: dict[str, Any] | SourceScan) -> list[tuple[Any, ...]]:
        """All rows in order of their columns."""
        return self.relation(spec).order("ALL").fetchall()

    def describe(self, spec: dict[str, Any]) -> Any:
        return self.adapter(spec).describe(spec, str(self.root))

    def verify(self, scan: SourceScan, error: Exception | None = None) -> None:
        self.adapter({"type": scan.type}).verify(scan, str(self.root), error)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Reads sources of a mesh in `tmp_path`."""
    con = duckdb.connect(
        config={
            "threads": 2,
            "temp_directory": str(tmp_path / ".scratch"),
            "preserve_insertion_order": False,
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "errors_as_json": True,
        }
    )
    con.execute("SET TimeZone='UTC'")
    yield Reader(con, tmp_path)
    con.close()

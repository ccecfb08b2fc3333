"""Outside data: files, Iceberg and Delta tables, PostgreSQL. Nothing heavy is imported until one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raymesh.spi.source import SourceAdapter


def files() -> SourceAdapter:
    """Parquet, CSV and JSON files: local paths, globs, folders, `s3://` addresses."""
    from raymesh.adapters.sources.file_source import FileSource

    return FileSource()


def iceberg() -> SourceAdapter:
    """An Apache Iceberg table at a folder, a metadata file or in a catalog."""
    from raymesh.adapters.sources.iceberg_source import IcebergSource

    return IcebergSource()


def delta() -> SourceAdapter:
    """A Delta Lake table."""
    from raymesh.adapters.sources.delta_source import DeltaSource

    return DeltaSource()


def postgres() -> SourceAdapter:
    """A table or query of a PostgreSQL database."""
    from raymesh.adapters.sources.postgres_source import PostgresSource

    return PostgresSource()

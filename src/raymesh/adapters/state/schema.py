"""The tables of the state store, as the newest migration leaves them: what queries are built from.

Names carry the prefix `raymesh_`, so the tables can live in a database that others use too, next to the
table catalog. Moments are BIGINT microseconds since 1970 UTC; JSON is canonical text (see `values`).
Columns are named like the attributes of the values they keep (`table_name` and `column_name` apart:
`table` and `column` are reserved words). Keys, references and indexes are made by the migrations alone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, SmallInteger, Table, Text, text

metadata = MetaData()


def _text(*names: str, null: bool = False) -> list[Column[str]]:
    return [Column(name, Text, nullable=null) for name in names]


def _big(*names: str, null: bool = False) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=null) for name in names]


migrations = Table("raymesh_migrations", metadata, *_big("number"), *_text("name"), *_big("applied_at"))

leases = Table("raymesh_leases", metadata, *_text("name", "owner"), *_big("fence", "until"))

runs = Table(
    "raymesh_runs",
    metadata,
    *_text("run_id", "invocation", "product", "engine"),
    *_big("started_at"),
    *_text("status"),
    *_big("finished_at", null=True),
    *_text("fingerprint", "reason"),
    *_big("rows", "bytes", null=True),
    Column("quality_score", Double),
    *_text("resources", "checks"),
    *_text("error", null=True),
    *_text("actor", "host"),
)

versions = Table(
    "raymesh_versions",
    metadata,
    *_text("product", "port"),
    *_big("number"),
    *_text("kind", "table_name", "run_id"),
    *_big("snapshot_id"),
    *_text("metadata_location", "schema", "contract", "contract_version"),
    *_big("rows", "bytes"),
    *_text("fingerprint"),
    *_big("published_at"),
    Column("quality_score", Double),
    *_text("watermark", null=True),
    *_big("of_version", "expired_at", null=True),
    Column("is_current", SmallInteger, nullable=False),
)

IS_CURRENT = text("raymesh_versions.is_current = 1")
"""A literal, not a bound value: only so does SQLite use the partial index of current versions."""

files = Table(
    "raymesh_files",
    metadata,
    *_text("product", "port", "path"),
    *_big("added_version"),
    *_big("removed_version", null=True),
    Column("ordinal", Integer, nullable=False),
    *_big("rows", "bytes"),
    *_text("state"),
)

checks = Table(
    "raymesh_checks",
    metadata,
    *_text("run_id", "port"),
    Column("ordinal", Integer, nullable=False),
    *_text("check_id", "kind", "status", "value", "unit"),
    *_text("dimension", null=True),
    *_text("severity"),
    Column("blocking", SmallInteger, nullable=False),
    *_text("detail"),
)

lineage = Table(
    "raymesh_lineage",
    metadata,
    *_text("run_id"),
    Column("ordinal", Integer, nullable=False),
    *_text("product", "column_name", "source", "source_column", "kind"),
)

inputs = Table(
    "raymesh_inputs",
    metadata,
    *_text("run_id", "input"),
    Column("ordinal", Integer, nullable=False),
    *_big("version", "snapshot_id", null=True),
    *_text("pin"),
)

outbox = Table(
    "raymesh_outbox",
    metadata,
    *_big("id"),
    *_text("kind", "payload"),
    *_big("created_at"),
    Column("attempts", Integer, nullable=False),
)

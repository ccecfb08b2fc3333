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
    *_text("governance", null=True),
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

profiles = Table("raymesh_profiles", metadata, *_text("product", "port", "path", "profile"))

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

audit = Table(
    "raymesh_audit",
    metadata,
    *_big("number"),
    *_text("leaf"),
    *_big("at"),
    *_text("kind", "principal", "product", "outcome", "record"),
)

audit_head = Table(
    "raymesh_audit_head",
    metadata,
    Column("one", Integer, nullable=False),
    *_text("log"),
    *_big("size"),
    *_text("peaks"),
)

audit_checkpoints = Table(
    "raymesh_audit_checkpoints",
    metadata,
    *_big("size"),
    *_text("root"),
    *_big("at"),
    *_text("signing_key", "signature"),
)

audit_payloads = Table(
    "raymesh_audit_payloads",
    metadata,
    *_big("number"),
    *_text("about", "commitment", "nonce", "ciphertext"),
)

audit_keys = Table("raymesh_audit_keys", metadata, *_big("number"), *_text("about", "payload_key"))

bundles = Table(
    "raymesh_bundles", metadata, *_big("version"), *_text("digest"), *_big("at"), *_text("signer")
)

agreement_events = Table(
    "raymesh_agreement_events",
    metadata,
    *_text("agreement"),
    *_big("number"),
    *_text("kind"),
    *_big("at"),
    *_text("actor", "product", "body"),
)

agreement_usage = Table(
    "raymesh_agreement_usage", metadata, *_text("agreement"), *_big("rows", "queries", "last_at")
)

classifications = Table("raymesh_classifications", metadata, *_text("product", "port", "record"))

acts = Table(
    "raymesh_classification_acts",
    metadata,
    *_big("id"),
    *_text("product", "port"),
    *_big("field"),
    *_text("column_name", "kind", "tags"),
    *_big("version"),
    *_text("actor", "reason"),
    *_big("at"),
    *_big("of_act", null=True),
)

violations = Table(
    "raymesh_violations", metadata, *_text("rule", "product", "port", "column_name"), *_big("since")
)

"""Runs, versions, intervals of live files, evidence, outbox, leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

# SQLite would use the number of a deleted event again; AUTOINCREMENT, like an identity, never does.
_EVENT_ID = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}

_STATEMENTS = (
    """CREATE TABLE raymesh_leases (
        name TEXT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        fence BIGINT NOT NULL,
        until BIGINT NOT NULL
    )""",
    """CREATE TABLE raymesh_runs (
        run_id TEXT NOT NULL PRIMARY KEY,
        invocation TEXT NOT NULL,
        product TEXT NOT NULL,
        engine TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        status TEXT NOT NULL,
        finished_at BIGINT,
        fingerprint TEXT NOT NULL,
        reason TEXT NOT NULL,
        rows BIGINT,
        bytes BIGINT,
        quality_score DOUBLE PRECISION,
        resources TEXT NOT NULL,
        checks TEXT NOT NULL,
        error TEXT,
        actor TEXT NOT NULL,
        host TEXT NOT NULL
    )""",
    "CREATE INDEX raymesh_runs_product ON raymesh_runs (product, started_at)",
    "CREATE INDEX raymesh_runs_invocation ON raymesh_runs (invocation, started_at)",
    "CREATE INDEX raymesh_runs_status ON raymesh_runs (status, started_at)",
    "CREATE INDEX raymesh_runs_started ON raymesh_runs (started_at)",
    # UNIQUE (run_id, …): a run publishes a port once, so a second delivery of one publish is refused.
    """CREATE TABLE raymesh_versions (
        product TEXT NOT NULL,
        port TEXT NOT NULL,
        number BIGINT NOT NULL,
        kind TEXT NOT NULL,
        table_name TEXT NOT NULL,
        run_id TEXT NOT NULL REFERENCES raymesh_runs (run_id),
        snapshot_id BIGINT NOT NULL,
        metadata_location TEXT NOT NULL,
        schema TEXT NOT NULL,
        contract TEXT NOT NULL,
        contract_version TEXT NOT NULL,
        rows BIGINT NOT NULL,
        bytes BIGINT NOT NULL,
        fingerprint TEXT NOT NULL,
        published_at BIGINT NOT NULL,
        quality_score DOUBLE PRECISION,
        watermark TEXT,
        of_version BIGINT,
        expired_at BIGINT,
        PRIMARY KEY (product, port, number),
        UNIQUE (run_id, product, port)
    )""",
    # A file is live in the versions from added_version up to, not including, removed_version.
    """CREATE TABLE raymesh_files (
        product TEXT NOT NULL,
        port TEXT NOT NULL,
        path TEXT NOT NULL,
        added_version BIGINT NOT NULL,
        removed_version BIGINT,
        ordinal INTEGER NOT NULL,
        rows BIGINT NOT NULL,
        bytes BIGINT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (product, port, path, added_version),
        FOREIGN KEY (product, port, added_version) REFERENCES raymesh_versions (product, port, number)
    )""",
    "CREATE INDEX raymesh_files_live ON raymesh_files (product, port, removed_version)",
    """CREATE TABLE raymesh_checks (
        run_id TEXT NOT NULL REFERENCES raymesh_runs (run_id),
        port TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        check_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        value TEXT NOT NULL,
        unit TEXT NOT NULL,
        dimension TEXT,
        severity TEXT NOT NULL,
        blocking SMALLINT NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (run_id, port, ordinal)
    )""",
    """CREATE TABLE raymesh_lineage (
        run_id TEXT NOT NULL REFERENCES raymesh_runs (run_id),
        ordinal INTEGER NOT NULL,
        product TEXT NOT NULL,
        column_name TEXT NOT NULL,
        source TEXT NOT NULL,
        source_column TEXT NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (run_id, ordinal)
    )""",
    """CREATE TABLE raymesh_inputs (
        run_id TEXT NOT NULL REFERENCES raymesh_runs (run_id),
        input TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        version BIGINT,
        snapshot_id BIGINT,
        pin TEXT NOT NULL,
        PRIMARY KEY (run_id, input)
    )""",
    """CREATE TABLE raymesh_outbox (
        id {event_id},
        kind TEXT NOT NULL,
        payload TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0
    )""",
)


def apply(connection: Connection) -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement.replace("{event_id}", _EVENT_ID[connection.dialect.name]))

"""The audit log, bundles that were in force, agreements and what was used of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_STATEMENTS = (
    # `leaf` and `text` are what is hashed; the other columns repeat parts of the text to find it by.
    """CREATE TABLE raymesh_audit (
        number BIGINT NOT NULL PRIMARY KEY,
        leaf TEXT NOT NULL,
        at BIGINT NOT NULL,
        kind TEXT NOT NULL,
        principal TEXT NOT NULL,
        product TEXT NOT NULL,
        outcome TEXT NOT NULL,
        record TEXT NOT NULL
    )""",
    "CREATE INDEX raymesh_audit_product ON raymesh_audit (product, number)",
    "CREATE INDEX raymesh_audit_principal ON raymesh_audit (principal, number)",
    """CREATE TABLE raymesh_audit_head (
        one INTEGER NOT NULL PRIMARY KEY,
        log TEXT NOT NULL,
        size BIGINT NOT NULL,
        peaks TEXT NOT NULL
    )""",
    """CREATE TABLE raymesh_audit_checkpoints (
        size BIGINT NOT NULL PRIMARY KEY,
        root TEXT NOT NULL,
        at BIGINT NOT NULL,
        signing_key TEXT NOT NULL,
        signature TEXT NOT NULL
    )""",
    """CREATE TABLE raymesh_audit_payloads (
        number BIGINT NOT NULL PRIMARY KEY,
        about TEXT NOT NULL,
        commitment TEXT NOT NULL,
        nonce TEXT NOT NULL,
        ciphertext TEXT NOT NULL
    )""",
    """CREATE TABLE raymesh_audit_keys (
        number BIGINT NOT NULL PRIMARY KEY,
        about TEXT NOT NULL,
        payload_key TEXT NOT NULL
    )""",
    "CREATE INDEX raymesh_audit_keys_about ON raymesh_audit_keys (about)",
    """CREATE TABLE raymesh_bundles (
        version BIGINT NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        at BIGINT NOT NULL,
        signer TEXT NOT NULL
    )""",
    """CREATE TABLE raymesh_agreement_events (
        agreement TEXT NOT NULL,
        number BIGINT NOT NULL,
        kind TEXT NOT NULL,
        at BIGINT NOT NULL,
        actor TEXT NOT NULL,
        product TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (agreement, number)
    )""",
    "CREATE INDEX raymesh_agreement_events_product ON raymesh_agreement_events (product, agreement)",
    """CREATE TABLE raymesh_agreement_usage (
        agreement TEXT NOT NULL PRIMARY KEY,
        rows BIGINT NOT NULL,
        queries BIGINT NOT NULL,
        last_at BIGINT NOT NULL
    )""",
)


def apply(connection: Connection) -> None:
    """Create the tables; the log gets its name, which no other log has."""
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
    connection.execute(
        text("INSERT INTO raymesh_audit_head (one, log, size, peaks) VALUES (1, :log, 0, '')"),
        {"log": os.urandom(16).hex()},
    )

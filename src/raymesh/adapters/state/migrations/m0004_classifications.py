"""Tags of columns by port, acts of classification, what governance said about each version, since when standards
are broken.

The tags of ports that are published already are gathered from their versions.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ID = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}

_STATEMENTS = (
    "ALTER TABLE raymesh_versions ADD COLUMN governance TEXT",
    """CREATE TABLE raymesh_classifications (
        product TEXT NOT NULL,
        port TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (product, port)
    )""",
    """CREATE TABLE raymesh_classification_acts (
        id {id},
        product TEXT NOT NULL,
        port TEXT NOT NULL,
        field BIGINT NOT NULL,
        column_name TEXT NOT NULL,
        kind TEXT NOT NULL,
        tags TEXT NOT NULL,
        version BIGINT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        at BIGINT NOT NULL,
        of_act BIGINT
    )""",
    """CREATE TABLE raymesh_violations (
        rule TEXT NOT NULL,
        product TEXT NOT NULL,
        port TEXT NOT NULL,
        column_name TEXT NOT NULL,
        since BIGINT NOT NULL,
        PRIMARY KEY (rule, product, port, column_name)
    )""",
    "CREATE INDEX raymesh_classification_acts_of ON raymesh_classification_acts (product, id)",
)

_VERSIONS = """SELECT product, port, number, kind, table_name, run_id, schema, contract, fingerprint, of_version
    FROM raymesh_versions ORDER BY published_at, number"""
_LINEAGE = """SELECT product, run_id, column_name, source, source_column, kind FROM raymesh_lineage
    WHERE kind <> 'indirect'"""
_INPUTS = "SELECT run_id, input, version FROM raymesh_inputs WHERE version IS NOT NULL"


def apply(connection: Connection) -> None:
    """Create the tables and gather what is known."""
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement.replace("{id}", _ID[connection.dialect.name]))
    _gather(connection)


def _gather(connection: Connection) -> None:
    from raymesh.adapters.state.folding import Folding, write

    rows = connection.exec_driver_sql(_VERSIONS).mappings().all()
    if not rows:
        return
    edges: dict[str, list[Any]] = {}
    for edge in connection.exec_driver_sql(_LINEAGE).mappings():
        edges.setdefault(edge["run_id"], []).append(edge)
    pins: dict[str, dict[str, int]] = {}
    for pin in connection.exec_driver_sql(_INPUTS).mappings():
        pins.setdefault(pin["run_id"], {})[pin["input"]] = pin["version"]
    folding = Folding({})
    for row in rows:
        folding.version(
            (row["product"], row["port"]),
            number=row["number"],
            kind=row["kind"],
            schema=json.loads(row["schema"]),
            contract=json.loads(row["contract"]),
            fingerprint=row["fingerprint"],
            of_version=row["of_version"],
        )
        found = [(e["column_name"], e["source"], e["source_column"]) for e in edges.get(row["run_id"], ())]
        if row["kind"] == "publish":
            folding.lineage((row["product"], row["port"]), found)
            folding.pins((row["product"], row["port"]), pins.get(row["run_id"], {}))
    write(connection, folding.records)

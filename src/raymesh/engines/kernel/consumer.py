"""The consumer's side of a governed read: a database of its own that holds nothing and reaches nothing.

It has no file system, no extensions to load, no room to spill, no Python variables and no settings to change.
Each serves one query of one principal and is closed with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.failures import Report, explain
from raymesh.errors import (
    AccessDeniedError,
    CancelledError,
    InternalError,
    MeshError,
    StorageError,
    TransformError,
    TransformMemoryError,
    TransformTimeoutError,
)
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from raymesh.engines.kernel.failures import Origin
    from raymesh.mesh.plan import Limits

SECONDS = 300.0
"""How long a batch of a query's answer may take when nobody says."""
_LEAST_MEMORY = 64 * 1024 * 1024
_LOCKED = {
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "max_temp_directory_size": "0 bytes",
    "lock_configuration": True,
}


def sealed(limits: Limits) -> duckdb.DuckDBPyConnection:
    """An empty database with every way out closed. Register what may be seen; text of the reader cannot."""
    con = connect(limits)
    try:
        seal(con)
    except BaseException:
        con.close()
        raise
    return con


def connect(limits: Limits) -> duckdb.DuckDBPyConnection:
    """An empty database that keeps the order of rows, still to `seal`."""
    config: dict[str, Any] = {
        "memory_limit": f"{max(limits.memory_bytes, _LEAST_MEMORY)}B",
        "threads": limits.threads,
        "temp_directory": "",
        "max_temp_directory_size": "0KB",
        "preserve_insertion_order": True,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "errors_as_json": True,
    }
    con = stoppable(duckdb.connect(":memory:", config=config))
    try:
        con.execute("SET GLOBAL TimeZone='UTC'")
    except BaseException:
        con.close()
        raise
    return con


def seal(con: duckdb.DuckDBPyConnection) -> None:
    """Close every way out, for good, and look whether it is closed. Raises InternalError otherwise."""
    con.execute("SET enable_external_access=false")
    con.execute("SET disabled_filesystems='LocalFileSystem'")
    con.execute("SET lock_configuration=true")
    asked = ", ".join(f"current_setting('{name}')" for name in _LOCKED)
    if con.execute(f"SELECT {asked}").fetchall() != [tuple(_LOCKED.values())]:
        raise InternalError("the consumer's database could not be locked")


_DATA_FREE = (
    "Parser",
    "Syntax",
    "Binder",
    "Catalog",
    "Permission",
    "Not implemented",
    "Parameter Not Resolved",
)
_TELLING = {
    "Conversion": "a value cannot be converted to the type that is asked for; TRY_CAST gives NULL instead",
    "Out of Range": "a result is out of the range of its type",
    "Divide by Zero": "a number is divided by zero",
    "Constraint": "a subquery gives more than one row",
}
_QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'')


def sanitised(error: Exception, origin: Origin | None, limits: Limits) -> MeshError:
    """A consumer's error in words that hold no value of any row."""
    if isinstance(error, MeshError):
        return error
    found = explain(error, origin=origin, limits=limits)
    if isinstance(found, CancelledError):
        return TransformTimeoutError(
            "the query was stopped: it took too long", hint="ask for less, or aggregate in steps"
        )
    if isinstance(found, TransformMemoryError):
        return TransformMemoryError(
            "the query needs more memory than a governed query may have", hint="ask for fewer rows or columns"
        )
    report = Report.of(error)
    if report.kind in _DATA_FREE and isinstance(found, TransformError):
        return found
    told = _TELLING.get(report.kind, f"the query failed on a value ({_QUOTED.sub('…', report.kind)})")
    return TransformError(told, spans=found.spans)


def unreadable(error: Exception) -> MeshError:
    """What a consumer is told when the trusted side failed: nothing about files or values."""
    if isinstance(error, AccessDeniedError | CancelledError):
        return error
    told = "the rows could not be read"
    return StorageError(
        told, hint="whoever runs the mesh sees why: raymesh doctor, or a read without policies"
    )

"""DuckDB connections with every limit set, and the lock that keeps user SQL inside its inputs."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.failures import translated
from raymesh.engines.kernel.sqltext import quote, text, texts
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raymesh.mesh.plan import Limits

UNSTABLE = "aggregate_function_rewriter"
"""Turns avg(x) into sum(x) / count(x), with another last digit, when statistics or other columns suggest it: the
answer to a query would depend on what else is asked and on how its rows lie in files."""
_MINIMUM_MEMORY = 64 * 1024 * 1024


@contextmanager
def session(limits: Limits, *, ordered: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own in-memory database, closed at the end; DuckDB's errors leave as ours.

    `ordered` keeps the order rows are read in; without it DuckDB may reorder, which needs less memory.
    """
    con = connect(limits, ordered=ordered)
    try:
        with translated(limits=limits):
            yield con
    finally:
        con.close()


def connect(limits: Limits, *, ordered: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a connection under `limits`; the caller closes it.

    It spills into a folder of its own below `limits.scratch`, loads no extension, looks at no Python variable,
    reports errors as JSON and counts time in UTC.
    """
    config: dict[str, Any] = {
        "memory_limit": f"{max(limits.memory_bytes, _MINIMUM_MEMORY)}B",
        "threads": limits.threads,
        "temp_directory": _scratch_folder(limits.scratch),
        "preserve_insertion_order": ordered,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "errors_as_json": True,
        "disabled_optimizers": UNSTABLE,
    }
    con = stoppable(duckdb.connect(config=config))
    try:
        _prepare(con, limits)
    except BaseException:
        con.close()
        raise
    return con


def _prepare(con: duckdb.DuckDBPyConnection, limits: Limits) -> None:
    if limits.scratch_bytes is not None:  # in the config it would be shown but not enforced
        con.execute(f"SET max_temp_directory_size='{limits.scratch_bytes}B'")
    con.execute("SET GLOBAL TimeZone='UTC'")  # cursors take over what is global only
    con.execute("SET enable_progress_bar=true")  # without the three, query_progress() stays at -1
    con.execute("SET enable_progress_bar_print=false")
    con.execute("SET progress_bar_time=0")


def lock(con: duckdb.DuckDBPyConnection, *, files: Iterable[str] = (), folders: Iterable[str] = ()) -> None:
    """From now on this connection reaches `files` and what lies in `folders`, and nothing else.

    No other file, address, extension or setting; what stays possible is reading (not only through the views)
    the named files, and reading and writing below the named folders.
    """
    plain = [f.rstrip("/") for f in folders]
    con.execute(f"SET allowed_paths={texts([*files, *plain])}")  # COPY looks at the folder itself too
    con.execute(f"SET allowed_directories={texts(f + '/' for f in plain)}")
    con.execute("SET enable_external_access=false")
    con.execute("SET lock_configuration=true")


def use_schema(con: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make `name` the schema in which unqualified names are created; it is created when missing."""
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}")
    con.execute(f"SET schema={text(quote(name))}")


def sweep(scratch: str) -> None:
    """Remove the spill folders that killed processes of this machine left below `scratch`."""
    for folder in Path(scratch).glob("spill-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    with suppress(PermissionError):  # somebody else's process is alive
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def _scratch_folder(scratch: str) -> str:
    """A name no other connection uses: two databases must not share spill files. DuckDB makes and removes it."""
    folder = Path(scratch)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(folder.resolve() / f"spill-{os.getpid()}-{uuid.uuid4().hex[:12]}")

"""SQL rules of contracts, run where they can see the judged table and nothing else."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.engines.kernel.additive import adds_up
from raymesh.engines.kernel.duck import UNSTABLE
from raymesh.engines.kernel.sqltext import quote, texts
from raymesh.errors import UsageError
from raymesh.mesh.plan import Scan
from raymesh.spi.scan_sql import scan_sql
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from raymesh.engines.kernel.rows import Table
    from raymesh.quality.model import Check

_PLACEHOLDER = re.compile(r"(\"?)\$?\{(object|table|property|column)\}(\"?)")
MOST_ALONE = 64
"""Up to so many files a rule that adds up is asked of each file alone; of more it is asked once, of all."""
_SELECT = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)


@contextmanager
def rule_connection(
    table: Table, names: Iterable[str], prepare: Callable[[duckdb.DuckDBPyConnection], None]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own that reaches the table's files and holds a view of it under each of `names`.

    It has the memory, threads and time zone of the table's connection. `prepare` may register file
    systems, and keep the connection to interrupt it.
    """
    con = stoppable(duckdb.connect(config=_config(table)))
    try:
        con.execute("SET TimeZone='UTC'")
        prepare(con)
        for name in names:
            _view(con, name, table)
        con.execute(f"SET allowed_paths={texts(table.files)}")
        con.execute("SET enable_external_access=false")
        con.execute("SET lock_configuration=true")
        yield con
    finally:
        con.close()


def rule_value(con: duckdb.DuckDBPyConnection, check: Check) -> Any:
    """The one number or truth a rule's query returns; raises UsageError for anything else."""
    sql = bound(check.query or "", check.arguments["tables"][0], check.arguments["column"])
    statements = con.extract_statements(sql)
    if len(statements) != 1 or statements[0].type not in _SELECT:
        raise UsageError("the query must be exactly one SELECT")
    body = statements[0].query.rstrip().rstrip(";")
    found = con.execute(f"SELECT * FROM (\n{body}\n) AS q LIMIT 2").fetchall()
    if len(found) != 1 or len(found[0]) != 1:
        shape = f"{len(found[0])} columns" if found and len(found[0]) != 1 else _rows(len(found))
        raise UsageError(f"the query must return one value, not {shape}")
    return _value(found[0][0])


def rule_basis(table: Table, check: Check) -> str:
    """What exactly a rule asks, as a digest: its query, its names and the columns of the table."""
    columns = [(f.id, f.name, str(f.type)) for f in table.schema]
    said = f"{check.query}\0{check.arguments['tables']}\0{check.arguments['column']}\0{columns}"
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def counts_rows(con: duckdb.DuckDBPyConnection, table: Table, check: Check) -> bool:
    """Whether the value of a rule for the table is the sum of its values for the files."""
    tables = check.arguments["tables"]
    query = bound(check.query or "", tables[0], check.arguments["column"])
    return adds_up(con, query, tables, table.schema.names)


def rule_counts(
    con: duckdb.DuckDBPyConnection, check: Check, table: Table, files: Sequence[str]
) -> dict[str, int]:
    """The values of a rule that adds up, for each of `files` alone: the same query, over one file at a time."""
    found = {}
    names = check.arguments["tables"]
    try:
        for file in files:
            for name in names:
                _view(con, name, table, (file,))
            found[file] = int(rule_value(con, check))
    finally:
        for name in names:
            _view(con, name, table)
    return found


def bound(query: str, table: str, column: list[str]) -> str:
    """`query` with the standard's placeholders replaced: `{object}` `{table}` `{property}` `{column}`, `$` or not.

    Raises UsageError when it names a column and belongs to none.
    """

    def name(match: re.Match[str]) -> str:
        before, what, after = match.groups()
        if what in ("object", "table"):
            text = quote(table)
        elif column:
            text = ".".join(quote(c) for c in column)
        else:
            raise UsageError(f"{{{what}}} has no meaning in a rule of the table; it belongs to a column")
        return text if before and after else before + text + after

    return _PLACEHOLDER.sub(name, query)


def _rows(n: int) -> str:
    return "no row" if n == 0 else "several rows"


def _value(value: Any) -> Any:
    if value is None:
        raise UsageError("the query returned NULL")
    if isinstance(value, bool | int | float | Decimal | str):
        return value
    if isinstance(value, date | time):
        return value.isoformat()
    raise UsageError(f"the query returned a {type(value).__name__}, not a number or a truth")


def _config(table: Table) -> dict[str, Any]:
    memory, threads, scratch = table.all(
        "SELECT current_setting('memory_limit'), current_setting('threads'), current_setting('temp_directory')"
    )[0]
    return {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": f"{scratch}-rules" if scratch else "",
        "preserve_insertion_order": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "disabled_optimizers": UNSTABLE,
    }


def _view(
    con: duckdb.DuckDBPyConnection, name: str, table: Table, files: tuple[str, ...] | None = None
) -> None:
    """`domain.product` is a view in a schema, so that both `{table}` and the plain name work."""
    rows = scan_sql(Scan(table.schema, table.files if files is None else files))
    con.execute(f"CREATE OR REPLACE VIEW {quote(name)} AS {rows}")
    schema, dot, inner = name.partition(".")
    if dot:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        con.execute(f"CREATE OR REPLACE VIEW {quote(schema)}.{quote(inner)} AS {rows}")

"""What a task of a staged query does: bind what it is given, run its SELECT, deal out the rows by hash.

Nothing here talks to Ray, so it runs in any process; tests run it in their own. Rows come and go as Arrow tables
whose types DuckDB restores exactly. A task uses as many threads as it has processors: with one, running it again
gives the same rows in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.failures import Origin, translated
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.increment import known_files
from raymesh.engines.kernel.inputs import bind, reading
from raymesh.engines.kernel.query import Rows
from raymesh.engines.kernel.sqltext import qualified, quote
from raymesh.engines.ray import tasks
from raymesh.engines.ray.relations import Column, hashed
from raymesh.engines.ray.stages import Read, Stage
from raymesh.engines.ray.travel import here, scratch
from raymesh.engines.ray.usage import Used, counted
from raymesh.mesh.plan import Input, Limits, Scan, SourceScan
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from raymesh.mesh.plan import BuildPlan, Output

_ROWS = "the rows"
_PART = "the partition"


@dataclass(frozen=True, slots=True)
class Share:
    """Some of an input: the content narrowed to some files and, of a single one, to `rows` (first, behind last)."""

    content: Scan | SourceScan
    rows: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where rows go: `parts` tables by the hash of `key`, or one table of all."""

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Writing:
    """The last stage writes: part `index` of `output`."""

    plan: BuildPlan
    output: Output
    index: int


@dataclass(frozen=True, slots=True)
class Unit:
    """One task. `shares` are inputs (or parts of them) by the alias of their read; `given` says how many of the
    tables that come with the task belong to each alias, in order; of one in `slices` only the i-th of k slices
    counts. Reads with neither are empty. `file` is where the user's query stands."""

    stage: Stage
    root: str
    storage: Mapping[str, Any]
    limits: Limits
    shares: Mapping[str, Share] = field(default_factory=dict)
    given: tuple[tuple[str, int], ...] = ()
    slices: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    outlets: tuple[Outlet, ...] = ()
    writing: Writing | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a task says of its rows: rows and bytes per outlet and part."""

    rows: tuple[tuple[int, ...], ...] = ()
    used: Used = field(default_factory=Used)


def produce(unit: Unit, *tables: pa.Table) -> Iterator[Any]:
    """Run the unit and give a table for every part of every outlet in order, then a `Made`."""
    with counted() as used:
        rows: list[int] = []
        with _opened(unit, tables) as con:
            for table in _dealt(con, unit):
                rows.append(table.num_rows)
                yield table
    counts = iter(rows)
    yield Made(tuple(tuple(next(counts) for _ in range(o.parts)) for o in unit.outlets), used)


def _dealt(con: duckdb.DuckDBPyConnection, unit: Unit) -> Iterator[pa.Table]:
    source = f"({unit.stage.sql}) AS q"
    if len(unit.outlets) == 1 and unit.outlets[0].parts == 1:
        yield _answer(con, unit, f"SELECT {_list(unit.outlets[0].columns)} FROM {source}")
        return
    made = f"CREATE TEMP TABLE {quote(_ROWS)} AS {_numbered(unit, source)}"
    with translated(origin=_origin(unit, made), limits=unit.limits):
        con.execute(made)
    for at, outlet in enumerate(unit.outlets):
        for part in range(outlet.parts):
            where = f" WHERE {quote(f'{_PART} {at}')} = {part}" if outlet.parts > 1 else ""
            yield con.sql(f"SELECT {_list(outlet.columns)} FROM {quote(_ROWS)}{where}").to_arrow_table()


def _answer(con: duckdb.DuckDBPyConnection, unit: Unit, sql: str) -> pa.Table:
    with translated(origin=_origin(unit, sql), limits=unit.limits):
        return con.sql(sql).to_arrow_table()


def _origin(unit: Unit, statement: str) -> Origin | None:
    """Where the stage's text, somewhere in a statement of ours, comes from in the user's file."""
    if not unit.file:
        return None
    before = len(statement[: statement.index(unit.stage.sql)].encode())
    return Origin("", unit.file, before, places=_places(unit))


def _places(unit: Unit) -> dict[int, tuple[int, int]]:
    return {at: (line, column) for at, line, column in unit.stage.places}


def write(unit: Unit, *tables: pa.Table) -> tasks.Part:
    """Run a unit of the last stage and stage its rows as files of the output."""
    writing = unit.writing
    if writing is None:
        raise ValueError("the unit writes nothing")
    output = writing.output
    plan = replace(writing.plan, limits=replace(unit.limits, scratch=scratch(unit.limits.scratch)))
    with _opened(unit, tables, output) as con:
        file = output.transform.sql_file or "transform.sql"
        rows = Rows(f"({unit.stage.sql})", "", file, 1, _places(unit))
        return tasks.write_rows(con, plan, output, rows, writing.index)


def collect(unit: Unit, *tables: pa.Table) -> pa.Table:
    """The rows of a unit as they are."""
    with _opened(unit, tables) as con:
        return _answer(con, unit, unit.stage.sql)


class _opened:  # noqa: N801 - reads as a block
    """A connection that sees the reads of a unit and nothing else, closed at the end."""

    def __init__(self, unit: Unit, tables: Sequence[pa.Table], output: Output | None = None) -> None:
        self.unit, self.tables, self.output = unit, tables, output

    def __enter__(self) -> duckdb.DuckDBPyConnection:
        unit = self.unit
        ordered = unit.stage.runs == "one" or bool(self.output and self.output.layout.sort_by)
        limits = replace(unit.limits, scratch=scratch(unit.limits.scratch))
        self.session = duck.session(limits, ordered=ordered)
        con = self.session.__enter__()
        try:
            inputs = _inputs(unit)
            self.reading = reading(inputs, here(unit.root))
            self.reading.__enter__()
            self._bind(con, inputs)
        except BaseException as error:
            if not self.session.__exit__(type(error), error, error.__traceback__):
                raise
        return con

    def __exit__(self, *failure: Any) -> None:
        try:
            self.reading.__exit__(*failure)
        except BaseException as error:
            self.session.__exit__(type(error), error, error.__traceback__)
            raise
        self.session.__exit__(*failure)

    def _bind(self, con: duckdb.DuckDBPyConnection, inputs: Sequence[Input]) -> None:
        unit, given = self.unit, _given(self.unit, self.tables)
        files = list(bind(con, inputs, here(unit.root), unit.storage))
        files += _bind_narrowed(con, unit)
        for read in unit.stage.reads:
            if read.alias in given:
                _bind_tables(con, read, given[read.alias])
            elif read.alias in unit.shares:
                _narrow(con, read)
            else:
                con.execute(f"CREATE TEMP VIEW {quote(read.alias)} AS {_empty(read.columns)}")
        folders = [self.output.location] if self.output is not None else []
        files += known_files(self.output) if self.output is not None else ()
        duck.lock(con, files=files, folders=folders)


def _inputs(unit: Unit) -> list[Input]:
    """Inputs under the names that views of reads are made over; an untouched one under its own."""
    shares = [(r, unit.shares[r.alias]) for r in unit.stage.reads if r.alias in unit.shares]
    return [Input(_bound(r), s.content) for r, s in shares if not _is_narrowed(r, s)]


def _is_narrowed(read: Read, share: Share) -> bool:
    return isinstance(share.content, Scan) and (share.rows is not None or bool(read.file))


def _bind_narrowed(con: duckdb.DuckDBPyConnection, unit: Unit) -> list[str]:
    """Views of some rows of one file, and of rows with their file; returns the files."""
    files: list[str] = []
    for read in unit.stage.reads:
        share = unit.shares.get(read.alias)
        if share is None or not isinstance(share.content, Scan) or not _is_narrowed(read, share):
            continue
        stores.attach(con, unit.storage, share.content.files)
        require_field_ids(con, share.content.files)
        rows = scan_sql(share.content, read.file or None)
        if share.rows is not None:
            first, behind = share.rows
            rows += f" WHERE file_row_number >= {first:d} AND file_row_number < {behind:d}"
        con.execute("CREATE SCHEMA IF NOT EXISTS shares")
        con.execute(f"CREATE VIEW {qualified(_bound(read))} AS {rows}")
        files += share.content.files
    return files


def _bound(read: Read) -> str:
    return f"shares.{read.alias}" if read.columns else read.source


def _narrow(con: duckdb.DuckDBPyConnection, read: Read) -> None:
    if not read.columns:
        return  # the user's own SQL names it
    columns = ", ".join(quote(c.name) for c in read.columns)
    con.execute(f"CREATE TEMP VIEW {quote(read.alias)} AS SELECT {columns} FROM {qualified(_bound(read))}")


def _given(unit: Unit, tables: Sequence[pa.Table]) -> dict[str, pa.Table]:
    import pyarrow as pa

    found, at = {}, 0
    for alias, count in unit.given:
        table = pa.concat_tables(tables[at : at + count])
        number, of = unit.slices.get(alias, (0, 1))
        first, last = (table.num_rows * n // of for n in (number, number + 1))
        found[alias] = table.slice(first, last - first)
        at += count
    return found


def _bind_tables(con: duckdb.DuckDBPyConnection, read: Read, table: pa.Table) -> None:
    """The rows of one read as a view in the read's exact types."""
    name = f"{read.alias} as it came"
    con.register(name, table)
    relation = con.table(quote(name))
    held = {n: str(t) for n, t in zip(relation.columns, relation.types, strict=True)}
    columns = ", ".join(
        quote(c.name) if held[c.name] == c.type else f"CAST({quote(c.name)} AS {c.type}) AS {quote(c.name)}"
        for c in read.columns
    )
    con.execute(f"CREATE TEMP VIEW {quote(read.alias)} AS SELECT {columns} FROM {quote(name)}")


def _empty(columns: Sequence[Column]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {c.type}) AS {quote(c.name)}" for c in columns)
    return f"SELECT {nulls} WHERE FALSE"


def _list(columns: Sequence[Column]) -> str:
    return ", ".join(quote(c.name) for c in columns)


def _numbered(unit: Unit, source: str) -> str:
    """The rows with the number of the part they belong to, for every outlet that has parts."""
    types = {c.name: c.type for c in unit.stage.columns}
    wanted = [quote(n) for n in dict.fromkeys(c.name for outlet in unit.outlets for c in outlet.columns)]
    numbers = [
        f"CAST(hash({', '.join(hashed(quote(n), types[n]) for n in outlet.key)}) % {outlet.parts} AS USMALLINT) "
        f"AS {quote(f'{_PART} {at}')}"
        for at, outlet in enumerate(unit.outlets)
        if outlet.parts > 1
    ]
    return f"SELECT {', '.join(wanted + numbers)} FROM {source}"

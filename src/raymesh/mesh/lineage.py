"""Which columns every column of a port comes from, and where a column goes through the whole mesh."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from raymesh.errors import NotFoundError
from raymesh.mesh.reading import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from raymesh.mesh.model import Edge, Graph, Port
    from raymesh.mesh.sql_lineage import SqlColumn, SqlLineage

    Schemas = Mapping[str, Mapping[str, Sequence[str]]]
    """Columns by table and input name."""

Kind = Literal["direct", "indirect", "opaque"]
Direction = Literal["up", "down"]

EVERY = "*"
SPELLED_OUT = 10_000
"""More edges than this between one input and one port are written with `*` in place of the columns."""


@dataclass(frozen=True, slots=True, order=True)
class ColumnEdge:
    """`column` of a port comes from `source_column` of `source` (a table, or the id of a source).

    direct    its values are computed from it
    indirect  it decides which rows there are, in which group or order
    opaque    it may come from it: code or a construct nobody can follow stands between
    `*` stands for every column, where the columns are unknown or too many to write out. `chooses` marks an
    indirect edge that decides the column's own values (a condition inside a subquery), not which rows there are.
    """

    column: str
    source: str
    source_column: str
    kind: Kind
    chooses: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class PortLineage:
    """Edges of one port, sorted. `opaque` says why some or all could not be followed exactly."""

    table: str
    edges: tuple[ColumnEdge, ...] = ()
    opaque: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class TraceEdge:
    """One step of a trace: `column` of `table` comes from `source_column` of `source`."""

    table: str
    column: str
    source: str
    source_column: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything one column comes from, or goes into. `edges` in order of distance."""

    table: str
    column: str
    direction: Direction
    edges: tuple[TraceEdge, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """The columns the trace reaches, nearest first, without the one it starts from."""
        up = self.direction == "up"
        ends = ((e.source, e.source_column) if up else (e.table, e.column) for e in self.edges)
        return tuple(dict.fromkeys(end for end in ends if end != (self.table, self.column)))


def input_columns(graph: Graph, port: Port) -> dict[str, tuple[str, ...]]:
    """The columns of the port's inputs, by the name its transform uses, as far as documents say: those
    contracts promise and source documents declare."""
    found: dict[str, tuple[str, ...]] = {}
    for edge in port.inputs:
        if edge.kind == "product":
            columns = graph.products[edge.origin].port(edge.origin_port).columns
        else:
            columns = tuple(graph.sources[edge.origin].columns or ())
        if columns:
            found[edge.name] = columns
    return found


def follow(
    port: Port, schemas: Mapping[str, Sequence[str]], columns: Sequence[str] | None = None
) -> PortLineage:
    """Lineage of one port.

    `schemas` are the columns of its inputs by the name the transform uses; `columns` those of the port itself,
    the contract's when not given. SQL is followed column by column; Python is opaque, every column of its
    inputs into every column of the port, and behind a transform.sql only the columns that SQL hands on;
    an ingested source is direct by name.
    """
    return _Lineage(port, schemas, tuple(port.columns if columns is None else columns)).compute()


def lineage(graph: Graph, table: str, schemas: Schemas | None = None) -> PortLineage:
    """Lineage of one table of the mesh. Columns of inputs are those the documents promise or declare, and
    what `schemas` says in their place. Raises NotFoundError for an unknown table."""
    port = graph.port(table)
    return follow(port, {**input_columns(graph, port), **(schemas or {}).get(port.table, {})})


def port_lineage(graph: Graph, port: Port) -> tuple[ColumnEdge, ...]:
    """The column edges of one port, from documents."""
    return lineage(graph, port.table).edges


@dataclass(slots=True)
class _Lineage:
    """Collects the edges of one port."""

    port: Port
    schemas: Mapping[str, Sequence[str]]
    columns: tuple[str, ...]
    edges: set[ColumnEdge] = field(default_factory=set)
    reason: str | None = None

    def compute(self) -> PortLineage:
        files = self.port.transform
        if self.port.kind == "ingest":
            self._ingest()
        elif files is not None and files.sql is not None:
            self._sql(files.sql)
        else:
            self._all_to_all("Python is not looked into")
        return PortLineage(self.port.table, tuple(sorted(self.edges)), self.reason)

    def _known(self, edge: Edge) -> Sequence[str]:
        return self.schemas.get(edge.name) or ()

    def _origin(self, name: str) -> str:
        """A table as the transform names it → the table, or the id of the source."""
        return next((_source_name(e) for e in self.port.inputs if e.name == name), name)

    def _ingest(self) -> None:
        for edge in self.port.inputs:
            known = {c.lower(): c for c in self._known(edge)}
            for column in self.columns or (EVERY,):
                found = known.get(column.lower()) if known else column
                kind: Kind = "direct" if found else "opaque"
                self.edges.add(ColumnEdge(column, _source_name(edge), found or EVERY, kind))

    def _all_to_all(self, reason: str) -> None:
        self.reason = reason
        for edge in self.port.inputs:
            known = tuple(self._known(edge)) or (EVERY,)
            self._spell_out(self.columns or (EVERY,), _source_name(edge), known, "opaque")

    def _spell_out(
        self,
        columns: Collection[str],
        source: str,
        source_columns: Collection[str],
        kind: Kind,
        *,
        chooses: bool = False,
    ) -> None:
        if len(columns) * len(source_columns) > SPELLED_OUT:
            columns = (EVERY,)
            source_columns = (
                source_columns if len(source_columns) <= SPELLED_OUT and kind != "opaque" else (EVERY,)
            )
        # the first of equal edges stays, so those that choose come before those of the rows
        self.edges.update(ColumnEdge(c, source, s, kind, chooses) for c in columns for s in source_columns)

    # SQL

    def _sql(self, text: str) -> None:
        from raymesh.mesh.sql_lineage import sql_lineage  # loads sqlglot

        found = sql_lineage(text, self.schemas)
        if found.opaque:
            self._all_to_all(found.opaque)
            return
        if self.port.kind == "sql":
            self._follow(found)
        else:
            self._through_python(found)
        self._indirect(self.columns or tuple(c.name for c in found.columns) or (EVERY,), found.rows)

    def _follow(self, found: SqlLineage) -> None:
        by_name = {c.name: c for c in found.columns}
        for name in self.columns or tuple(by_name):
            column = by_name.get(name.lower()) or _passed_on(name, found) or by_name.get(EVERY)
            if column is None:
                self._unknown_output(name)
                continue
            kind: Kind = "direct" if column.exact else "opaque"
            if not column.exact:
                self.reason = f"nobody can tell where `{name}` comes from"
            for table, origin in column.direct:
                self.edges.add(ColumnEdge(name, self._origin(table), origin, kind))
            self._indirect((name,), column.indirect, chooses=True)

    def _unknown_output(self, name: str) -> None:
        self.reason = f"the query does not name a column `{name}`"
        for edge in self.port.inputs:
            self._spell_out((name,), _source_name(edge), tuple(self._known(edge)) or (EVERY,), "opaque")

    def _through_python(self, found: SqlLineage) -> None:
        """Python may use every column the SQL hands it, and no other."""
        self.reason = "Python is not looked into"
        sources: dict[str, set[str]] = {table: {EVERY} for table in found.wildcards}
        for column in found.columns:
            for table, origin in column.direct:
                sources.setdefault(table, set()).add(origin)
        for table, origins in sources.items():
            self._spell_out(self.columns or (EVERY,), self._origin(table), origins, "opaque")
        for column in found.columns:
            self._indirect(self.columns or (EVERY,), column.indirect, chooses=True)

    def _indirect(
        self, columns: Collection[str], origins: Iterable[tuple[str, str]], *, chooses: bool = False
    ) -> None:
        by_table: dict[str, set[str]] = {}
        for table, origin in origins:
            by_table.setdefault(table, set()).add(origin)
        for table, names in by_table.items():
            self._spell_out(columns, self._origin(table), names, "indirect", chooses=chooses)


def _source_name(edge: Edge) -> str:
    return edge.origin if edge.kind == "source" else edge.name


def _passed_on(name: str, found: SqlLineage) -> SqlColumn | None:
    """A column that only a `*` over tables of unknown columns can have brought."""
    if not found.wildcards:
        return None
    from raymesh.mesh.sql_lineage import SqlColumn

    origins = frozenset((table, name) for table in found.wildcards)
    return SqlColumn(name, origins, exact=len(origins) == 1)


# the whole mesh


def trace(
    graph: Graph,
    product: str,
    column: str,
    direction: Direction = "up",
    *,
    kinds: Collection[Kind] = ("direct", "opaque"),
) -> Trace:
    """Follow one column of a product (or of a port's table): `up` to what it comes from, `down` to what comes
    from it. Indirect lineage is followed only when `kinds` asks for it.

    Raises NotFoundError for an unknown product or column.
    """
    port = graph.port(product)
    table, column = port.table, _spelled(port, column)
    steps = _Steps(graph, frozenset(kinds))
    found: list[TraceEdge] = []
    seen = {(table, column)}
    queue = deque(seen)
    while queue:
        node = queue.popleft()
        for edge, end in steps.up(*node) if direction == "up" else steps.down(*node):
            found.append(edge)
            if end not in seen:
                seen.add(end)
                queue.append(end)
    return Trace(table, column, direction, tuple(dict.fromkeys(found)))


def _spelled(port: Port, column: str) -> str:
    """The column as the contract writes it; a contract without columns takes any name."""
    found = next((c for c in port.columns if c.lower() == column.lower()), None)
    if found is None and port.columns:
        hint = did_you_mean(column, port.columns, otherwise="its columns: " + ", ".join(port.columns[:20]))
        raise NotFoundError(f"{port.table} has no column `{column}`", hint=hint)
    return found or column


class _Steps:
    """Column edges of the mesh, computed per table when a trace gets there."""

    def __init__(self, graph: Graph, kinds: frozenset[Kind]) -> None:
        self.graph = graph
        self.kinds = kinds
        self._edges: dict[str, tuple[ColumnEdge, ...]] = {}

    def _of(self, table: str) -> tuple[ColumnEdge, ...]:
        if table not in self._edges:
            port = self.graph.tables.get(table)
            edges = port_lineage(self.graph, port) if port else ()
            self._edges[table] = tuple(e for e in edges if e.kind in self.kinds)
        return self._edges[table]

    def up(self, table: str, column: str) -> Iterator[tuple[TraceEdge, tuple[str, str]]]:
        for edge in self._of(table):
            if EVERY in (column, edge.column) or edge.column.lower() == column.lower():
                step = TraceEdge(table, column, edge.source, edge.source_column, edge.kind)
                yield step, (edge.source, edge.source_column)

    def down(self, table: str, column: str) -> Iterator[tuple[TraceEdge, tuple[str, str]]]:
        for reader in self._readers(table):
            for edge in self._of(reader):
                if edge.source == table and (
                    EVERY in (column, edge.source_column) or edge.source_column.lower() == column.lower()
                ):
                    step = TraceEdge(reader, edge.column, table, column, edge.kind)
                    yield step, (reader, edge.column)

    def _readers(self, table: str) -> Iterator[str]:
        port = self.graph.tables.get(table)
        readers = self.graph.downstream.get(port.product, ()) if port else ()
        for reader in readers:
            for reading in self.graph.products[reader].ports:
                if any(e.name == table for e in reading.inputs):
                    yield reading.table

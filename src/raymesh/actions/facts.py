"""The facts of a mesh as Arrow tables, filled when a query names them, and queries over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions import fact_documents
from raymesh.actions.fact_evidence import Candidate, EvidenceFacts
from raymesh.errors import MeshError, UsageError
from raymesh.governance.facts import BY_NAME, TABLES, FactTable

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.actions.governed import Claim, Known
    from raymesh.actions.workspace import Storage, Workspace
    from raymesh.mesh.graph import Graph
    from raymesh.spec.documents import MeshDocuments
    from raymesh.spi.engine import TableQueries


class Facts:
    """What is known about a mesh at one moment. Without `storage` evidence tables are empty: then only what
    documents say is known. `shown` says of which product and port what was measured in rows may be seen."""

    def __init__(
        self,
        documents: MeshDocuments,
        graph: Graph,
        storage: Storage | None = None,
        now: datetime | None = None,
        *,
        shown: Callable[[str, str], bool] = lambda _product, _port: True,
    ) -> None:
        self.documents = documents
        self.graph = graph
        self.now = now or datetime.now(UTC)
        self._evidence = EvidenceFacts(storage, self.now, shown=shown) if storage is not None else None
        self._tables: dict[str, pa.Table] = {}

    def table(self, name: str) -> pa.Table:
        """One table. Raises UsageError for an unknown one."""
        if name not in BY_NAME:
            raise unknown_table(name)
        if name not in self._tables:
            self._tables[name] = arrow(BY_NAME[name], self._rows(name))
        return self._tables[name]

    def _rows(self, name: str) -> Iterable[tuple[Any, ...]]:
        if BY_NAME[name].basis == "documents":
            return fact_documents.rows_of(name, self.documents, self.graph, self.now)
        return self._evidence.rows_of(name) if self._evidence is not None else ()

    def tables(self, names: Iterable[str]) -> dict[str, pa.Table]:
        """Several tables by name."""
        return {name: self.table(name) for name in sorted(set(names))}

    def about(self, candidates: Sequence[Candidate], *, alone: bool = False) -> Facts:
        """The facts as they would be with these versions published, at the moment of their publication. What
        documents say is not gathered again. `alone` is for queries that look at one version at a time: of versions
        and check results only the candidates are there."""
        other = Facts(self.documents, self.graph, None, max(c.version.published_at for c in candidates))
        other._tables = {
            n: t for n, t in self._tables.items() if BY_NAME[n].basis == "documents" and n != "mesh"
        }
        if self._evidence is not None:
            other._evidence = self._evidence.with_candidates(candidates, alone=alone)
            other._evidence.now = other.now
        return other


def facts_for(workspace: Workspace, claim: Claim | None = None, now: datetime | None = None) -> Facts:
    """The facts as a reader may know them: in a governed mesh, what was measured in rows that the reader may not
    all see is left out."""
    storage = workspace.storage
    seen: list[Known] = []

    def shown(product: str, port: str) -> bool:
        if not seen:
            from raymesh.actions.governed import known

            seen.append(known(storage, storage.state.current().values(), claim))
        return seen[0].everything or (product, port) in seen[0].columns

    return Facts(workspace.documents, workspace.graph, storage, now, shown=shown)


def unknown_table(name: str) -> UsageError:
    """There is no such table; the hint names close ones, or all."""
    from raymesh.spec.wording import did_you_mean

    hint = did_you_mean(name, BY_NAME) or "tables: " + ", ".join(t.name for t in TABLES)
    return UsageError(f"there is no table of facts called `{name}`", hint=hint)


def arrow(table: FactTable, rows: Iterable[Sequence[Any]]) -> pa.Table:
    """Rows as an Arrow table with the columns of the schema."""
    import pyarrow as pa

    schema = arrow_schema(table)
    columns: list[Any] = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, f.type) for values, f in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def arrow_schema(table: FactTable) -> pa.Schema:
    """The Arrow schema of a table of facts."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(c.name, kinds[c.kind]) for c in table.columns])


def query(facts: Facts, sql: str, engine: TableQueries | None = None) -> pa.Table:
    """The answer to one SELECT over facts.

    Raises TransformError when the query is wrong, UsageError when it names a table that does not exist.
    """
    answer = ask(facts, {"query": sql}, engine)["query"]
    if isinstance(answer, MeshError):
        raise answer
    return answer


def ask(
    facts: Facts, queries: Mapping[str, str], engine: TableQueries | None = None
) -> dict[str, pa.Table | MeshError]:
    """The answers to several queries, each by its name, or what is wrong with it. One locked database answers
    all of them, and only the tables that they name are gathered."""
    if engine is None:
        opened = open_queries()
        try:
            return ask(facts, queries, opened)
        finally:
            opened.close()
    wrong: dict[str, pa.Table | MeshError] = {}
    needed: set[str] = set()
    for name, found in named_tables(engine, queries).items():
        if isinstance(found, MeshError):
            wrong[name] = found
        elif unknown := sorted(t for t in found if t not in BY_NAME):
            wrong[name] = unknown_table(unknown[0])
        else:
            needed |= found
    rest = {name: sql for name, sql in queries.items() if name not in wrong}
    return {**engine.answers(rest, facts.tables(needed)), **wrong} if rest else wrong


def named_tables(engine: TableQueries, queries: Mapping[str, str]) -> dict[str, frozenset[str] | MeshError]:
    """The tables of facts that each query names, or what is wrong with it."""
    return engine.named_tables(queries, BY_NAME)


def open_queries() -> TableQueries:
    """What answers queries over tables in memory; the caller closes it."""
    from raymesh.spi import registry

    engine: TableQueries = registry.load("engines", "local")()
    return engine

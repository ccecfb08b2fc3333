"""Compares contracts of files, documents and published versions, and refuses to publish what breaks readers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.read import split_name, unpublished
from raymesh.errors import BreakingChangeError, MeshError, NotFoundError, SourceSpan, UsageError
from raymesh.mesh.lineage import EVERY, lineage
from raymesh.spec.change import Change, entries
from raymesh.spec.comparison import Comparison, compare

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Graph, Port, Product
    from raymesh.spi.state import Version

Readers = Mapping[str, tuple[str, ...]]
"""Tables that read a column, by its name; under the empty name all that read the table."""


@dataclass(frozen=True, slots=True)
class NamedContract:
    """A contract as written, what it is called, and the table of the mesh it is about, if any."""

    label: str
    document: Mapping[str, Any]
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two contracts, how they differ, and who reads the product downstream."""

    old: NamedContract
    new: NamedContract
    comparison: Comparison
    readers: Readers = field(default_factory=dict)

    def read_by(self, change: Change) -> tuple[str, ...]:
        """The tables downstream a change concerns, as far as lineage knows."""
        if change.section != "schema":
            return ()
        column = change.column.partition(".")[0]
        was = {c.column: str(c.old) for c in self.comparison.changes if c.field == "name" and c.column}
        return self.readers.get(was.get(column, column), ())


def compare_named(old: str, new: str | None, folder: Path | None = None) -> Compared:
    """Compare what two names stand for: a contract file, `domain.product` (its documents) or `domain.product@N`
    (published version N). With one name, what is published is compared with the documents.

    Raises NotFoundError, UsageError, DocumentsInvalidError.
    """
    if new is None:
        product, at, _ = old.partition("@")
        if at or Path(old).is_file():
            raise UsageError(f"what shall {old} be compared with?", hint=f"raymesh contract diff {old} OTHER")
        old, new = f"{product}@", product
    return compared(named_contract(old, folder), named_contract(new, folder), _graph(old, new, folder))


def compared(old: NamedContract, new: NamedContract, graph: Graph | None) -> Compared:
    """The comparison with the readers that `graph` knows."""
    found = compare(old.document, new.document)
    table = new.table or old.table
    if graph is None or table is None or table not in graph.tables or not found.changes:
        return Compared(old, new, found)
    columns = (*column_names(old.document), *column_names(new.document))
    return Compared(old, new, found, readers(graph, table, tuple(dict.fromkeys(columns))))


def named_contract(name: str, folder: Path | None = None) -> NamedContract:
    """The contract a name of `raymesh contract diff` stands for."""
    from raymesh.spec.load import load_contract

    path = Path(name)
    if path.is_file():
        return NamedContract(name, load_contract(path, os.environ).raw)
    if "/" in name or path.suffix in (".yaml", ".yml"):
        raise NotFoundError(f"there is no file {name}")
    table, at, number = name.partition("@")
    return _published(table, number, folder) if at else _documented(table, folder)


def _published(table: str, number: str, folder: Path | None) -> NamedContract:
    from raymesh.actions.workspace import open_storage_only

    if number and not number.isdecimal():
        raise UsageError(f"{number} is no version number", hint=f"raymesh history {table} lists the versions")
    product, port = split_name(table)
    with open_storage_only(folder) as storage:
        current = storage.state.current([product]).get((product, port))
        if current is None:
            raise unpublished(storage, table)
        found = storage.state.version(product, port, int(number)) if number else current
    if found is None:
        hint = f"the current one is {current.number}; raymesh history {table} lists them"
        raise NotFoundError(f"{table} has no version {number}", hint=hint)
    return NamedContract(f"{table}@{found.number}", dict(found.contract), table)


def _documented(table: str, folder: Path | None) -> NamedContract:
    from raymesh.actions.workspace import find_root, load_documents

    _, graph = load_documents(find_root(folder))
    product, port = split_name(table)
    found = graph.product(product).port(port)
    return NamedContract(found.table, found.documents.contract.raw, found.table)


def _graph(old: str, new: str, folder: Path | None) -> Graph | None:
    """The mesh around the two, when one of them is a product of it and its documents can be understood."""
    from raymesh.actions.workspace import find_root, load_documents

    if all(Path(name).is_file() for name in (old, new)):
        return None
    try:
        return load_documents(find_root(folder))[1]
    except MeshError:
        return None  # published contracts can be compared while documents are being repaired


def column_names(contract: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns a contract as written promises."""
    tables = entries(contract.get("schema"))
    return tuple(str(p.get("name")) for p in entries(tables[0].get("properties"))) if tables else ()


def readers(graph: Graph, table: str, columns: Sequence[str]) -> Readers:
    """Who reads each column of `table`, directly; `columns` are all it has or had."""
    found: dict[str, list[str]] = {"": []}
    for port in _reading(graph, table):
        found[""].append(port.table)
        edges = lineage(graph, port.table, {port.table: {table: columns}}).edges
        read = {e.source_column.lower() for e in edges if e.source == table}
        for column in columns:
            if EVERY in read or column.lower() in read:
                found.setdefault(column, []).append(port.table)
    return {column: tuple(tables) for column, tables in found.items()}


def _reading(graph: Graph, table: str) -> list[Port]:
    product = graph.tables[table].product
    below = (graph.products[name] for name in graph.downstream.get(product, ()))
    return [port for p in below for port in p.ports if any(e.name == table for e in port.inputs)]


# publishing


def pending_changes(
    workspace: Workspace, product: Product, current: Mapping[str, Version]
) -> tuple[Compared, ...]:
    """How the documents' contracts differ from the published ones, per published port that differs at all."""
    found = []
    for port in product.ports:
        version = current.get(port.name)
        if version is None or version.contract == port.documents.contract.raw:
            continue
        old = NamedContract(f"{port.table}@{version.number}", dict(version.contract), port.table)
        new = NamedContract(port.documents.contract.path, port.documents.contract.raw, port.table)
        result = compared(old, new, workspace.graph)
        if result.comparison.changes:
            found.append(result)
    return tuple(found)


def refuse_breaking(product: Product, current: Mapping[str, Version]) -> None:
    """Raise BreakingChangeError when a contract breaks what is published without a new major version.

    The error lists every breaking change with its place in the contract. A declared rename is not held back:
    field ids carry the rows over, and `validate` finds the readers in the mesh that use the old name.
    """
    for port in product.ports:
        version = current.get(port.name)
        if version is None or version.contract == port.documents.contract.raw:
            continue
        found = compare(version.contract, port.documents.contract.raw)
        held = [c for c in found.breaking if (c.kind, c.field) != ("change", "name")]
        if held and not found.announced:
            raise _refusal(port, version, found, held)


def _refusal(port: Port, version: Version, found: Comparison, held: Sequence[Change]) -> BreakingChangeError:
    listed = "".join(f"\n  {change}" for change in held)
    number = len(held)
    return BreakingChangeError(
        f"{port.table}: {number} {'changes break' if number > 1 else 'change breaks'} readers of version "
        f"{version.number} (contract {found.old_version}):{listed}",
        hint=f"raise it to a new major version, {found.suggested_version}, in {port.documents.contract.path} and "
        "product.yaml; or leave this contract as it is and promise the new shape on a port beside it",
        spans=tuple(dict.fromkeys(_span(port, c) for c in held)),
    )


def _span(port: Port, change: Change) -> SourceSpan:
    """Where the new contract says it; for what is gone, the list it is missing from."""
    loc = change.new_loc if change.new_loc is not None else (change.old_loc or ())[:-1]
    return port.documents.contract.positions.key(loc)

"""Checks everything the documents say without reading data: structure, graph, SQL against contracts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.actions.workspace import environment
from raymesh.errors import Diagnostic, DocumentsInvalidError, MeshError, SourceSpan, TransformError

if TYPE_CHECKING:
    from raymesh.mesh.model import Graph, Port
    from raymesh.spec.types import Field, TableSchema
    from raymesh.spi.engine import Engine


@dataclass(frozen=True, slots=True)
class Validation:
    """What validation found: how much there is, and every problem, errors and warnings, in file order."""

    domains: int
    products: int
    diagnostics: tuple[Diagnostic, ...]


def validate(root: Path, *, bind: bool = True) -> Validation:
    """All problems of the mesh at `root`.

    With `bind`, SQL is also bound by DuckDB against the promised columns of its inputs, so that unknown
    columns, wrong types and columns that miss the product's own contract show before anything runs. Documents
    that are right by themselves are then held against the standards of the mesh.
    """
    from raymesh.mesh.graph import examine
    from raymesh.spec.load import load_mesh

    try:
        documents = load_mesh(root, environment(root))
    except DocumentsInvalidError as invalid:
        return Validation(*_count(root), invalid.diagnostics)
    graph, problems = examine(documents)
    if bind and not any(d.severity == "error" for d in problems):
        problems = (*problems, *_bind(graph))
    if documents.governance is not None and not any(d.severity == "error" for d in problems):
        from raymesh.actions.standards import document_problems
        from raymesh.governance.check import policy_problems

        problems = (*problems, *policy_problems(documents, graph))
        problems = (*problems, *document_problems(documents, graph))
    return Validation(len(documents.domains), len(documents.products), tuple(problems))


def _count(root: Path) -> tuple[int, int]:
    domains = [d for d in (root / "domains").glob("*") if d.is_dir()] if (root / "domains").is_dir() else []
    return len(domains), sum(1 for d in domains for p in (d / "products").glob("*") if p.is_dir())


def _bind(graph: Graph) -> Iterator[Diagnostic]:
    from raymesh.spi import registry

    ports = [
        p for product in graph.products.values() for p in product.ports if p.transform and p.transform.sql
    ]
    if not ports:
        return
    engine: Engine = registry.load("engines", "local")()
    try:
        for port in ports:
            yield from _bind_port(graph, port, engine)
    finally:
        engine.close()


def _bind_port(graph: Graph, port: Port, engine: Engine) -> Iterator[Diagnostic]:
    """Problems of one SQL transform; nothing is said when an input's columns are not fully known."""
    from raymesh.mesh.build_plan import promised_schema

    inputs: dict[str, TableSchema] = {}
    for edge in port.inputs:
        known = promised_schema(graph, edge)
        if known is None:
            return
        inputs[edge.name] = known
    transform = port.transform
    assert transform is not None and transform.sql is not None  # noqa: S101, PT018  # chosen by the caller
    file = transform.sql_path or "transform.sql"
    try:
        columns = engine.describe(transform.sql, inputs)
    except TransformError as error:
        spans = error.spans or (SourceSpan(file),)
        place = SourceSpan(file, spans[0].line, spans[0].column, spans[0].end_column)
        yield Diagnostic("sql-binding", error.message, place, help=error.hint)
        return
    except MeshError as error:
        yield Diagnostic("sql-binding", error.message, SourceSpan(file), help=error.hint)
        return
    if not transform.python:
        yield from _compare(port, columns, file)


def _compare(port: Port, columns: tuple[Field, ...], file: str) -> Iterator[Diagnostic]:
    """Columns the query makes against those the contract promises."""
    made = {c.name.lower(): c for c in columns}
    promised = {p.name.lower(): i for i, p in enumerate(port.properties)}
    document = port.documents.contract
    for key, i in promised.items():
        if key not in made:
            name = port.properties[i].name
            yield Diagnostic(
                "missing-column",
                f"the contract promises `{name}`, which the transform does not make",
                document.span("schema", 0, "properties", i, "name"),
                help=f"add it to {file} or take it out of the contract",
            )
    for key, column in made.items():
        if key not in promised:
            yield Diagnostic(
                "unpromised-column",
                f"the transform makes `{column.name}`, which the contract does not promise",
                SourceSpan(file),
                help=f"describe it in {document.path} or leave it out of the query",
            )

"""The mesh graph: documents in, resolved products in build order out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.mesh.model import Domain, Edge, Graph, Port, Product, Source, assemble, source_id
from raymesh.mesh.resolve import resolve

if TYPE_CHECKING:
    from raymesh.spec.documents import MeshDocuments

__all__ = [
    "Domain",
    "Edge",
    "Graph",
    "Port",
    "Product",
    "Source",
    "assemble",
    "build_graph",
    "examine",
    "source_id",
]


def build_graph(documents: MeshDocuments) -> Graph:
    """The resolved mesh; its `diagnostics` are the warnings of documents and graph.

    Raises DocumentsInvalidError with every problem at once: unknown, undeclared and circular inputs, SQL and
    Python that cannot be read, products that nothing makes.
    """
    graph, problems = examine(documents)
    if any(d.severity == "error" for d in problems):
        raise DocumentsInvalidError(problems)
    return graph


def examine(documents: MeshDocuments) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """The mesh as far as it can be resolved, and all problems, errors and warnings, sorted by place.

    For tools that go on in spite of errors; everybody else wants `build_graph`.
    """
    found = resolve(documents)
    graph, cycles = assemble(found.domains, found.products)
    problems = [*documents.diagnostics, *found.problems, *(_cycle(c, graph) for c in cycles)]
    problems.sort(key=_place)
    warnings = tuple(d for d in problems if d.severity != "error")
    return replace(graph, diagnostics=warnings), tuple(problems)


def _place(diagnostic: Diagnostic) -> tuple[str, int, int]:
    span = diagnostic.span
    return (span.file, span.line, span.column) if span else ("", 0, 0)


def _cycle(cycle: tuple[str, ...], graph: Graph) -> Diagnostic:
    """A circle of inputs, placed where its first product reads the second."""
    following = cycle[1] if len(cycle) > 1 else cycle[0]
    span = next((e.span for e in graph.products[cycle[0]].inputs if e.origin == following), None)
    path = " → ".join((*cycle, cycle[0]))
    return Diagnostic(
        "input-cycle",
        f"products read each other in a circle: {path}",
        span,
        help="a product can only be made from products that do not need it; split one of them",
    )

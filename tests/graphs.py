"""Mesh graphs for tests: from a few lines of SQL, or of given shape without any document."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from meshes import write_domain, write_mesh, write_product, write_source
from raymesh.mesh.graph import Domain, Edge, Graph, Port, Product, assemble, build_graph, examine
from raymesh.spec.contract import Contract
from raymesh.spec.contract_schema import Property, SchemaObject
from raymesh.spec.documents import Document, DomainDocuments, PortDocuments, ProductDocuments
from raymesh.spec.domain import DomainSpec
from raymesh.spec.load import load_mesh
from raymesh.spec.product import DataProduct
from raymesh.spec.settings import Settings
from raymesh.spec.yaml import Positions

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.errors import Diagnostic


def write(root: Path, products: dict[str, Any], sources: dict[str, Any] | None = None) -> Path:
    """A mesh whose products are SQL text, or arguments of `write_product`; columns default to `id`."""
    write_mesh(root)
    for domain in {name.split(".")[0] for name in (*products, *(sources or {}))}:
        write_domain(root, domain)
    for name, columns in (sources or {}).items():
        declared = [{"name": n, "type": t} for n, t in (columns or {}).items()]
        write_source(root, name, "data.parquet", **({"columns": declared} if declared else {}))
    for name, given in products.items():
        arguments = {"sql": given} if isinstance(given, str) else dict(given)
        write_product(root, name, arguments.pop("columns", {"id": "bigint"}), **arguments)
    return root


def graph(root: Path, products: dict[str, Any], sources: dict[str, Any] | None = None) -> Graph:
    return build_graph(load_mesh(write(root, products, sources), {}))


def problems(root: Path, products: dict[str, Any], sources: dict[str, Any] | None = None) -> list[Diagnostic]:
    """Every problem of the graph, documents being fine."""
    return list(examine(load_mesh(write(root, products, sources), {}))[1])


def shaped(upstream: dict[str, list[str]], tags: dict[str, list[str]] | None = None) -> Graph:
    """A graph of the given shape: product → products it reads. Raises nothing on circles."""
    products = [_product(name, origins, (tags or {}).get(name, [])) for name, origins in upstream.items()]
    names = sorted({p.domain for p in products})
    domains = [Domain(d, _domain(d), tuple(p.name for p in products if p.domain == d)) for d in names]
    return assemble(domains, products)[0]


def _document(path: str, model: Any) -> Document[Any]:
    return Document(path, model, {}, Positions(path, "{}"))


def _domain(name: str) -> DomainDocuments:
    return DomainDocuments(name, name, _document(name, DomainSpec.model_construct(name=name)), (), ())


def _product(name: str, origins: list[str], tags: list[str]) -> Product:
    domain, short = name.split(".")
    port, document = _contents(tuple(tags))
    documents = ProductDocuments(domain, short, name, document, port.settings, (port,))
    edges = tuple(Edge(o, "product", o, name) for o in origins)
    return Product(name, domain, documents, (Port(name, "default", name, "sql", port, edges),))


@cache
def _contents(tags: tuple[str, ...]) -> tuple[PortDocuments, Document[DataProduct]]:
    """What products with equal tags can share; thousands of them are made faster that way."""
    column = Property.model_construct(name="id", tags=tags)
    table = SchemaObject.model_construct(name="table", properties=(column,))
    contract = Contract.model_construct(id="contract", version="1.0.0", objects=(table,))
    port = PortDocuments("default", _document("contract", contract), None, Settings.model_construct())
    return port, _document("product", DataProduct.model_construct(id="product"))

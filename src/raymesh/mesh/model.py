"""The resolved mesh as values: domains, products, ports, sources and who reads whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raymesh.errors import NotFoundError
from raymesh.mesh.order import reach, reverse, topological
from raymesh.mesh.reading import did_you_mean
from raymesh.spec.documents import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raymesh.errors import Diagnostic, SourceSpan
    from raymesh.mesh.plan import TransformKind
    from raymesh.spec.contract import Contract
    from raymesh.spec.contract_schema import Property
    from raymesh.spec.documents import (
        Document,
        DomainDocuments,
        PortDocuments,
        ProductDocuments,
        TransformFiles,
    )
    from raymesh.spec.settings import Settings
    from raymesh.spec.source import Source as SourceSpec


@dataclass(frozen=True, slots=True)
class Edge:
    """One input of one port.

    `name` is what the transform says (`orders.order_lines__daily`, `source.transactions`), `origin` what that
    is: a product (`orders.order_lines`) with its `origin_port`, or a source (`customer.source.transactions`).
    `product` and `port` are the reader.
    """

    name: str
    kind: Literal["product", "source"]
    origin: str
    product: str
    port: str = DEFAULT_PORT
    origin_port: str = DEFAULT_PORT
    span: SourceSpan | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Outside data of one domain. `id` is unique in the mesh (`customer.source.transactions`)."""

    domain: str
    name: str
    document: Document[SourceSpec] = field(repr=False)

    @property
    def id(self) -> str:
        return source_id(self.domain, self.name)

    @property
    def columns(self) -> dict[str, str] | None:
        """Declared columns with their types, None when the document declares none."""
        return {c.name: c.type for c in self.document.model.columns} or None


def source_id(domain: str, name: str) -> str:
    return f"{domain}.source.{name}"


@dataclass(frozen=True, slots=True)
class Port:
    """One promised table and how it is made.

    `table` is its name in SQL and in the catalog. `bindings` maps parameters of Python to inputs, `options` are
    the decorator's settings, `needs_ray` says that only the Ray engine can build it.
    """

    product: str
    name: str
    table: str
    kind: TransformKind
    documents: PortDocuments = field(repr=False)
    inputs: tuple[Edge, ...] = ()
    bindings: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    needs_ray: bool = False

    @property
    def contract(self) -> Contract:
        return self.documents.contract.model

    @property
    def settings(self) -> Settings:
        return self.documents.settings

    @property
    def transform(self) -> TransformFiles | None:
        return self.documents.transform

    @property
    def properties(self) -> tuple[Property, ...]:
        """The columns the contract promises, in order; none when it describes no table."""
        objects = self.contract.objects
        return objects[0].properties if objects else ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.properties)


@dataclass(frozen=True, slots=True)
class Product:
    """One data product. `name` is `domain.product`; `ports` starts with the default port."""

    name: str
    domain: str
    documents: ProductDocuments = field(repr=False)
    ports: tuple[Port, ...] = ()

    @property
    def short_name(self) -> str:
        return self.name.split(".", 1)[1]

    @property
    def settings(self) -> Settings:
        return self.documents.settings

    @property
    def inputs(self) -> tuple[Edge, ...]:
        """The inputs of all ports."""
        return tuple(e for p in self.ports for e in p.inputs)

    def port(self, name: str = DEFAULT_PORT) -> Port:
        """Raises NotFoundError that names the ports there are."""
        for port in self.ports:
            if port.name == name:
                return port
        names = [p.name for p in self.ports]
        hint = did_you_mean(name, names, otherwise="its ports: " + ", ".join(names))
        raise NotFoundError(f"{self.name} has no port `{name}`", hint=hint)


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain with the names of its products, sorted, and its sources by name."""

    name: str
    documents: DomainDocuments = field(repr=False)
    products: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole mesh, resolved and free of cycles.

    `products` is in build order: each product after those it reads. `upstream` and `downstream` map a product
    to its neighbours, `tables` a table name to its port, `sources` a source's id to the source.
    `diagnostics` holds warnings only.
    """

    domains: Mapping[str, Domain]
    products: Mapping[str, Product]
    sources: Mapping[str, Source] = field(default_factory=dict)
    upstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    downstream: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, Port] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """All product names in build order."""
        return tuple(self.products)

    @property
    def edges(self) -> Iterator[Edge]:
        return (e for p in self.products.values() for e in p.inputs)

    def product(self, name: str) -> Product:
        """By full name, or by short name when only one domain has it; raises NotFoundError with close names."""
        found = self.products.get(name) or self._by_short_name(name)
        if found is None:
            hint = did_you_mean(name, self.products, otherwise="raymesh ls shows the products")
            raise NotFoundError(f"there is no product `{name}`", hint=hint)
        return found

    def _by_short_name(self, name: str) -> Product | None:
        found = [p for p in self.products.values() if p.short_name == name]
        if len(found) > 1:
            names = ", ".join(p.name for p in found)
            raise NotFoundError(f"several products are called `{name}`", hint=f"say which: {names}")
        return found[0] if found else None

    def port(self, table: str) -> Port:
        """The port behind a table name; a product's name is its default port. Raises NotFoundError."""
        if table in self.tables:
            return self.tables[table]
        product, _, port = table.partition("__")
        return self.product(product).port(port or DEFAULT_PORT)

    def ancestors(self, names: Iterable[str], hops: int | None = None) -> dict[str, int]:
        """What `names` are made from, themselves included, with the distance in steps."""
        return reach(self.upstream, names, hops)

    def descendants(self, names: Iterable[str], hops: int | None = None) -> dict[str, int]:
        """What is made from `names`, themselves included, with the distance in steps."""
        return reach(self.downstream, names, hops)


def assemble(
    domains: Iterable[Domain], products: Iterable[Product]
) -> tuple[Graph, tuple[tuple[str, ...], ...]]:
    """The graph of resolved values and the cycles in it (each as a reads b reads … reads a)."""
    by_domain = {d.name: d for d in domains}
    by_name = {p.name: p for p in products}
    upstream = {name: _origins(product, by_name) for name, product in by_name.items()}
    order, cycles = topological(upstream)
    graph = Graph(
        domains=by_domain,
        products={name: by_name[name] for name in order},
        sources={s.id: s for d in by_domain.values() for s in d.sources.values()},
        upstream=upstream,
        downstream=reverse(upstream),
        tables={port.table: port for name in order for port in by_name[name].ports},
    )
    return graph, cycles


def _origins(product: Product, known: Mapping[str, Product]) -> tuple[str, ...]:
    return tuple(sorted({e.origin for p in product.ports for e in p.inputs if e.origin in known}))

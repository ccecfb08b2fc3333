"""From documents to resolved ports: every name a transform uses is found, or reported with a place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic
from raymesh.mesh.model import Domain, Edge, Port, Product, Source, source_id
from raymesh.mesh.python import read_python
from raymesh.mesh.reading import Reading, Reference, did_you_mean
from raymesh.spec.documents import DEFAULT_PORT, TransformFiles
from raymesh.spec.settings import VENDOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raymesh.errors import Severity, SourceSpan
    from raymesh.mesh.plan import TransformKind
    from raymesh.spec.documents import DomainDocuments, MeshDocuments, PortDocuments, ProductDocuments

SOURCE = "source"


@dataclass(slots=True)
class Resolution:
    """Everything found in the documents; `problems` is complete only after `resolve`."""

    domains: list[Domain] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)


def resolve(documents: MeshDocuments) -> Resolution:
    """Resolve all products; a product with problems is in the result with the inputs that were found."""
    names = _Names(documents)
    out = Resolution()
    for domain in sorted(documents.domains, key=lambda d: d.name):
        sources = {s.model.name: Source(domain.name, s.model.name, s) for s in domain.sources}
        products = sorted(domain.products, key=lambda p: p.name)
        out.domains.append(Domain(domain.name, domain, tuple(p.id for p in products), sources))
        for product in products:
            reader = _ProductReader(product, domain, names, out.problems)
            out.products.append(reader.product())
    return out


class _Names:
    """What a transform may name: tables with their product and port, contract ids."""

    def __init__(self, documents: MeshDocuments) -> None:
        self.tables: dict[str, tuple[str, str]] = {}
        self.contracts: dict[str, str] = {}
        for product in documents.products:
            for port in product.ports:
                table = product.table(port.name)
                self.tables[table] = (product.id, port.name)
                self.contracts.setdefault(port.contract.model.id, table)


@dataclass(slots=True)
class _ProductReader:
    """Reads one product's ports and reports what is wrong with them."""

    documents: ProductDocuments
    domain: DomainDocuments
    names: _Names
    problems: list[Diagnostic]

    def product(self) -> Product:
        ports = tuple(self._port(p) for p in self.documents.ports)
        product = Product(self.documents.id, self.documents.domain, self.documents, ports)
        self._check_input_ports(product)
        return product

    def _report(
        self,
        code: str,
        message: str,
        span: SourceSpan | None,
        help_: str | None = None,
        severity: Severity = "error",
    ) -> None:
        self.problems.append(Diagnostic(code, message, span, severity, help_))

    # ports

    def _port(self, port: PortDocuments) -> Port:
        kind, reading = self._read(port)
        self.problems.extend(reading.diagnostics)
        edges = tuple(e for r in reading.references if (e := self._edge(r, port.name)) is not None)
        if reading.needs_ray and port.settings.engine == "local":
            message = f"the transform of {self.documents.id} takes a Ray Dataset, but its engine is `local`"
            self._report("engine-ray", message, self._setting_span("engine"), "set engine to ray")
        table = self.documents.table(port.name)
        return Port(
            self.documents.id,
            port.name,
            table,
            kind,
            port,
            edges,
            reading.bindings,
            reading.options,
            reading.needs_ray,
        )

    def _read(self, port: PortDocuments) -> tuple[TransformKind, Reading]:
        files = port.transform or TransformFiles()
        source = port.settings.source
        if source is not None and (files.sql is not None or files.python is not None):
            help_ = f"remove the setting, or read source.{source.removeprefix('source.')} in the transform"
            message = f"{self.documents.id} has both a transform and the setting `source`"
            self._report("transform-and-source", message, self._setting_span("source"), help_)
        if files.python is not None:
            return self._read_python(files)
        if files.sql is not None:
            return "sql", self._read_sql(files)
        return "ingest", self._read_ingest(port)

    def _read_sql(self, files: TransformFiles) -> Reading:
        from raymesh.mesh.sql import read_sql  # loads sqlglot, which a mesh without SQL does not need

        return read_sql(files.sql or "", files.sql_path or "transform.sql")

    def _read_python(self, files: TransformFiles) -> tuple[TransformKind, Reading]:
        after_sql = files.sql is not None
        reading = read_python(files.python or "", files.python_path or "transform.py", after_sql=after_sql)
        if not after_sql:
            return ("dataset" if reading.form == "dataset" else "batch"), reading
        rows = self._read_sql(files)
        both = (*rows.diagnostics, *reading.diagnostics)
        return "batch", replace(reading, form="batch", references=rows.references, diagnostics=both)

    def _read_ingest(self, port: PortDocuments) -> Reading:
        source = port.settings.source
        if source is None:
            where = "" if port.name == DEFAULT_PORT else f" (port {port.name})"
            file = "transform.sql" if port.name == DEFAULT_PORT else f"transforms/{port.name}.sql"
            help_ = f"write {self.documents.directory}/{file}, or set `source` to a source of the domain"
            self._report(
                "transform-missing",
                f"nothing says how {self.documents.id}{where} is made",
                self.documents.document.span(),
                help_,
            )
            return Reading("sql")
        name = source.removeprefix("source.").lower()
        return Reading("sql", (Reference(f"source.{name}", self._setting_span("source")),))

    def _setting_span(self, name: str) -> SourceSpan:
        properties = self.documents.document.raw.get("customProperties") or []
        for index, item in enumerate(properties):
            if isinstance(item, dict) and item.get("property") == name and item.get("vendor") == VENDOR:
                return self.documents.document.span("customProperties", index, "value")
        return self.documents.document.span()

    # names

    def _edge(self, reference: Reference, port: str) -> Edge | None:
        parts = reference.name.split(".")
        if len(parts) == 2 and parts[0] == SOURCE:
            return self._source_edge(reference, parts[1], port)
        found = self.names.tables.get(reference.name)
        if found is None:
            self._unknown(reference, parts)
            return None
        origin, origin_port = found
        if origin == self.documents.id:
            self._report(
                "input-self",
                f"{origin} reads itself",
                reference.span,
                "a version is made from others' versions; use mode: append to add to what is there",
            )
            return None
        return Edge(reference.name, "product", origin, self.documents.id, port, origin_port, reference.span)

    def _source_edge(self, reference: Reference, name: str, port: str) -> Edge | None:
        known = sorted(s.model.name for s in self.domain.sources)
        if name in known:
            origin = source_id(self.domain.name, name)
            return Edge(reference.name, "source", origin, self.documents.id, port, span=reference.span)
        help_ = did_you_mean(
            reference.name,
            [f"source.{n}" for n in known],
            otherwise=f"declare it in {self.domain.directory}/sources/{name}.yaml",
        )
        message = f"the domain {self.domain.name} has no source `{name}`"
        self._report("source-unknown", message, reference.span, help_)
        return None

    def _unknown(self, reference: Reference, parts: list[str]) -> None:
        if len(parts) == 1:
            message = f"`{reference.name}` does not say which domain's product it is"
            self._report("input-unqualified", message, reference.span, self._qualified(reference.name))
        elif len(parts) > 2:
            message = (
                f"`{reference.name}` has {len(parts)} parts; an input is `domain.product` or `source.name`"
            )
            help_ = did_you_mean(".".join(parts[-2:]), self._known())
            if SOURCE in parts[:-1]:
                help_ = f"only the own domain's sources can be read, as source.{parts[-1]}"
            self._report("input-unknown", message, reference.span, help_)
        else:
            message = f"there is no product `{reference.name}`"
            otherwise = "raymesh ls shows the products; a source of the own domain is source.<name>"
            help_ = did_you_mean(reference.name, self._known(), otherwise=otherwise)
            self._report("input-unknown", message, reference.span, help_)

    def _qualified(self, name: str) -> str | None:
        own = f"{self.documents.domain}.{name}"
        if own in self.names.tables:
            return f"did you mean `{own}`?"
        if name in {s.model.name for s in self.domain.sources}:
            return f"did you mean `source.{name}`?"
        same = sorted(t for t in self.names.tables if t.split(".", 1)[1] == name)[:3]
        if same:
            return "did you mean " + " or ".join(f"`{t}`" for t in same) + "?"
        return did_you_mean(own, self._known(), otherwise="write domain.product")

    def _known(self) -> list[str]:
        return [t for t in self.names.tables if not t.startswith(self.documents.id)] + [
            f"source.{s.model.name}" for s in self.domain.sources
        ]

    # input ports of product.yaml

    def _check_input_ports(self, product: Product) -> None:
        """With inputPorts, the document declares the inputs, and transforms must agree with it."""
        document = self.documents.document
        declared = dict(self._declared())
        if not document.model.input_ports:
            return
        for edge in product.inputs:
            if edge.name not in declared:
                message = f"{product.name} reads {edge.name}, which its inputPorts do not declare"
                help_ = f"add it to inputPorts in {document.path}"
                self._report("input-undeclared", message, edge.span, help_)
        used = {e.name for e in product.inputs}
        for name, index in declared.items():
            if name not in used:
                span = document.span("inputPorts", index, "name")
                message = f"{product.name} declares the input {name} but does not read it"
                self._report("input-unused", message, span, "remove the input port", "warning")

    def _declared(self) -> Iterator[tuple[str, int]]:
        known: Mapping[str, object] = self.names.tables
        for index, port in enumerate(self.documents.document.model.input_ports):
            yield (
                (
                    port.name
                    if port.name in known
                    else self.names.contracts.get(port.contract_id or "", port.name)
                ),
                index,
            )

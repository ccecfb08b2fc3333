"""What documents must agree on with their folders and with each other."""

from typing import Any

from raymesh.errors import SourceSpan
from raymesh.spec.crossing_ports import setting_loc
from raymesh.spec.documents import Document, DomainDocuments, ProductDocuments
from raymesh.spec.model import NAME_WORDS, is_name, name_like
from raymesh.spec.reading import Reader
from raymesh.spec.settings import setting_values
from raymesh.spec.wording import did_you_mean

RESERVED_DOMAINS = frozenset({"source", "main", "temp", "system", "information_schema", "pg_catalog"})


def check_mesh(reader: Reader, domains: tuple[DomainDocuments, ...]) -> None:
    """Ids that must be unique in the mesh; an empty mesh."""
    products = [product for domain in domains for product in domain.products]
    if not products and not reader.diagnostics:
        what = "domains" if not domains else "products"
        way = f"raymesh new {what.removesuffix('s')} adds one"
        reader.warn(f"no-{what}", f"the mesh has no {what} yet", SourceSpan("mesh.yaml"), way)
    _check_unique(reader, [(p.document.model.id, p.document) for p in products], "product")
    contracts = [port.contract for product in products for port in product.ports]
    _check_unique(reader, [(f"{c.model.id} {c.model.version}", c) for c in contracts], "contract")


def _check_unique(reader: Reader, named: list[tuple[str, Document[Any]]], what: str) -> None:
    first: dict[str, Document[Any]] = {}
    for name, document in named:
        if name in first:
            message = f"the {what} id `{document.model.id}` is already that of {first[name].path}"
            way = (
                "give every contract its own id or version"
                if what == "contract"
                else "give every product its own id"
            )
            reader.report("duplicate-id", message, document.span("id"), way)
        first.setdefault(name, document)


def check_domain(reader: Reader, domain: DomainDocuments) -> None:
    """Names of the domain, its sources and products against their folders; sources that products name."""
    _check_name(reader, domain.document, domain.name, "domain", "folder")
    if domain.name in RESERVED_DOMAINS:
        message = f"a domain cannot be called `{domain.name}`: SQL uses that name for something else"
        reader.report("wrong-name", message, domain.document.span("name"), "rename the domain and its folder")
    for source in domain.sources:
        stem = source.path.rpartition("/")[2].removesuffix(".yaml")
        _check_name(reader, source, stem, "source", "file")
    known = [source.model.name for source in domain.sources]
    for product in domain.products:
        _check_product(reader, product)
        _check_sources(reader, product, known)


def _check_name(reader: Reader, document: Document[Any], name: str, what: str, holder: str) -> None:
    declared = document.model.name
    if declared != name:
        message = f"the {what} is called `{declared}`, but its {holder} `{name}`"
        reader.report(
            "name-mismatch", message, document.span("name"), f"rename one: both must be the {what}'s name"
        )


def _check_product(reader: Reader, product: ProductDocuments) -> None:
    document, model = product.document, product.document.model
    if not is_name(product.name):
        close = name_like(product.name)
        message = f"the folder `{product.name}` cannot be the name of a product: it takes {NAME_WORDS}"
        reader.report("wrong-name", message, document.span(), f"did you mean `{close}`?" if close else None)
    elif model.name is not None and name_like(model.name) != product.name:
        message = f"the product is called `{model.name}`, but its folder `{product.name}`"
        reader.report(
            "name-mismatch",
            message,
            document.span("name"),
            f"write `name: {product.name}`, or rename the folder",
        )
    documents: list[Document[Any]] = [document, *(port.contract for port in product.ports)]
    for checked in documents:
        declared = checked.model.domain
        if declared is not None and declared != product.domain:
            message = f"the domain is `{declared}` here, but the folder lies in `{product.domain}`"
            reader.report(
                "name-mismatch", message, checked.span("domain"), f"write `domain: {product.domain}`"
            )


def _check_sources(reader: Reader, product: ProductDocuments, known: list[str]) -> None:
    documents: list[Document[Any]] = [product.document, *(port.contract for port in product.ports)]
    for document in documents:
        source = setting_values(document.model.custom_properties).get("source")
        if isinstance(source, str) and source.removeprefix("source.") not in known:
            way = did_you_mean(source, known) or f"raymesh new source {product.domain}.{source} adds it"
            place = document.span(*setting_loc(document, "source"))
            reader.report(
                "unknown-source", f"the domain {product.domain} has no source `{source}`", place, way
            )

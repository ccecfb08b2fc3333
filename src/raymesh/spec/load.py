"""From a folder to the documents of a mesh: every file is read, every problem is reported at once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from raymesh.errors import Diagnostic, DocumentsInvalidError, SourceSpan
from raymesh.spec.contract import Contract
from raymesh.spec.crossing import check_domain, check_mesh
from raymesh.spec.crossing_people import check_people
from raymesh.spec.crossing_ports import check_contract, check_ports
from raymesh.spec.crossing_tags import check_tags
from raymesh.spec.documents import (
    DEFAULT_PORT,
    Document,
    DomainDocuments,
    MeshDocuments,
    PortDocuments,
    ProductDocuments,
    TransformFiles,
)
from raymesh.spec.domain import DomainSpec
from raymesh.spec.governance_files import read_governance
from raymesh.spec.mesh import MeshSpec
from raymesh.spec.model import Model
from raymesh.spec.product import DataProduct
from raymesh.spec.reading import Reader
from raymesh.spec.secrets import variables_of
from raymesh.spec.settings import NO_SETTINGS, Settings, setting_values, settings_in
from raymesh.spec.source import Source
from raymesh.spec.wording import did_you_mean

T = TypeVar("T")
M = TypeVar("M", bound=Model)

_PRODUCT_FILES = ("product.yaml", "contract.yaml", "transform.sql", "transform.py")
_DOCUMENT_ENDINGS = (".yaml", ".yml", ".sql")


def load_mesh(root: Path, env: Mapping[str, str]) -> MeshDocuments:
    """Every document below `root`, the folder of mesh.yaml, with the variables of `env` resolved.

    Raises DocumentsInvalidError once, with every problem of every file; warnings alone are returned in
    `.diagnostics`.
    """
    reader = Reader(root, env)
    document = _named(reader, "mesh.yaml", MeshSpec, "raymesh init writes one")
    domains = tuple(
        found for name in _folders(reader, "domains") if (found := _domain(reader, f"domains/{name}", name))
    )
    governance = read_governance(reader)
    check_mesh(reader, domains)
    check_tags(reader, domains, governance)
    check_people(reader, document, domains, governance)
    _raise_errors(reader)
    assert document is not None  # noqa: S101  # a missing document is an error, raised above
    secrets = variables_of([document.raw, *(source.raw for domain in domains for source in domain.sources)])
    return MeshDocuments(root, document, domains, _ordered(reader.diagnostics), governance, secrets)


def load_contract(path: Path, env: Mapping[str, str]) -> Document[Contract]:
    """A contract on its own, wherever it lies. Raises DocumentsInvalidError.

    Pass an empty `env` for a contract from somebody else: its variables must not show what this
    process knows.
    """
    reader = Reader(path.parent, env)
    document = reader.document(path.name, Contract)
    _raise_errors(reader)
    assert document is not None  # noqa: S101
    return document


def load_product(path: Path, env: Mapping[str, str]) -> Document[DataProduct]:
    """A product document on its own, wherever it lies. Raises DocumentsInvalidError."""
    reader = Reader(path.parent, env)
    document = reader.document(path.name, DataProduct)
    _raise_errors(reader)
    assert document is not None  # noqa: S101
    return document


def load_source(path: Path, env: Mapping[str, str]) -> Document[Source]:
    """A source document on its own, wherever it lies. Raises DocumentsInvalidError."""
    reader = Reader(path.parent, env)
    document = reader.document(path.name, Source)
    _raise_errors(reader)
    assert document is not None  # noqa: S101
    return document


@dataclass(frozen=True, slots=True)
class _Listing:
    """Names in a folder, sorted; hidden ones and caches left out."""

    files: tuple[str, ...]
    folders: tuple[str, ...]


def _listing(folder: Path) -> _Listing:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not entry.name.startswith((".", "__")):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        pass  # an absent folder is an empty one
    return _Listing(tuple(sorted(files)), tuple(sorted(folders)))


def _folders(reader: Reader, path: str) -> tuple[str, ...]:
    listing = _listing(reader.root / path)
    for name in listing.files:
        _stray(reader, f"{path}/{name}", ())
    return listing.folders


def _domain(reader: Reader, directory: str, name: str) -> DomainDocuments | None:
    document = _named(reader, f"{directory}/domain.yaml", DomainSpec, "raymesh new domain writes one")
    for file in _listing(reader.root / directory).files:
        _stray(reader, f"{directory}/{file}", ("domain.yaml", "standards.yaml"))
    sources = [
        _source(reader, f"{directory}/sources/{file}")
        for file in _listing(reader.root / directory / "sources").files
    ]
    products = [
        _product(reader, name, product, f"{directory}/products/{product}")
        for product in _folders(reader, f"{directory}/products")
    ]
    if document is None:
        return None
    domain = DomainDocuments(name, directory, document, _found(sources), _found(products))
    check_domain(reader, domain)
    return domain


def _found(documents: Sequence[T | None]) -> tuple[T, ...]:
    return tuple(document for document in documents if document is not None)


def _source(reader: Reader, path: str) -> Document[Source] | None:
    if path.endswith(".yaml"):
        return reader.document(path, Source)
    _stray(reader, path, ())
    return None


def _product(reader: Reader, domain: str, name: str, directory: str) -> ProductDocuments | None:
    listing = _listing(reader.root / directory)
    _check_files(reader, directory, listing)
    document = _named(reader, f"{directory}/product.yaml", DataProduct, "raymesh new product writes one")
    contracts = _contracts(reader, directory, listing)
    settings, problems = (
        settings_in(document.model.custom_properties, Settings, ("customProperties",))
        if document
        else (None, ())
    )
    if document:
        reader.place(document, problems)
        check_ports(reader, document, contracts)
    base = settings or NO_SETTINGS
    ports = tuple(
        PortDocuments(
            port,
            contract,
            _transform(reader, directory, port, listing),
            _port_settings(reader, document, contract, base),
        )
        for port, contract in contracts.items()
        if contract is not None
    )
    if document is None:
        return None
    return ProductDocuments(domain, name, directory, document, base, ports)


def _contracts(reader: Reader, directory: str, listing: _Listing) -> dict[str, Document[Contract] | None]:
    paths = {DEFAULT_PORT: "contract.yaml"} if "contract.yaml" in listing.files else {}
    if "contracts" in listing.folders:
        for file in _listing(reader.root / directory / "contracts").files:
            if file == f"{DEFAULT_PORT}.yaml":
                message = "the contract of the default port is contract.yaml, beside product.yaml"
                place = SourceSpan(f"{directory}/contracts/{file}")
                reader.report("wrong-name", message, place, f"rename it to {directory}/contract.yaml")
            elif file.endswith(".yaml"):
                paths[file.removesuffix(".yaml")] = f"contracts/{file}"
            else:
                _stray(reader, f"{directory}/contracts/{file}", ())
    return {port: reader.document(f"{directory}/{path}", Contract) for port, path in paths.items()}


def _port_settings(
    reader: Reader, product: Document[DataProduct] | None, contract: Document[Contract], base: Settings
) -> Settings:
    own, problems = settings_in(contract.model.custom_properties, Settings, ("customProperties",))
    reader.place(contract, problems)
    if own is not None and product is not None:
        both = setting_values(product.model.custom_properties) | setting_values(
            contract.model.custom_properties
        )
        own = Settings.model_validate(both) if base is not NO_SETTINGS else own
    found = own or base
    check_contract(reader, contract, found, product if own is None else None)
    return found


def _transform(reader: Reader, directory: str, port: str, listing: _Listing) -> TransformFiles | None:
    if port == DEFAULT_PORT:
        stem, names = f"{directory}/transform", listing.files
    elif "transforms" in listing.folders:
        stem, names = f"{directory}/transforms/{port}", _listing(reader.root / directory / "transforms").files
    else:
        return None
    base = stem.rpartition("/")[2]
    sql = f"{stem}.sql" if f"{base}.sql" in names else None
    python = f"{stem}.py" if f"{base}.py" in names else None
    if sql is None and python is None:
        return None
    return TransformFiles(sql, sql and reader.text(sql), python, python and reader.text(python))


def _named(reader: Reader, path: str, model: type[M], way_out: str) -> Document[M] | None:
    if (reader.root / path).is_file():
        return reader.document(path, model)
    other = path.removesuffix(".yaml") + ".yml"
    if (reader.root / other).is_file():
        way_out = f"rename {other} to {path}"
    reader.report("missing-document", f"{path} is missing", SourceSpan(path), way_out)
    return None


def _check_files(reader: Reader, directory: str, listing: _Listing) -> None:
    for file in listing.files:
        _stray(reader, f"{directory}/{file}", _PRODUCT_FILES)
    for folder in listing.folders:
        if folder not in ("contracts", "transforms") and (
            close := did_you_mean(folder, ("contracts", "transforms"))
        ):
            reader.warn(
                "stray-file", f"the folder {folder} is not read", SourceSpan(f"{directory}/{folder}"), close
            )
    if "transforms" in listing.folders:
        ports = {f.removesuffix(".yaml") for f in _listing(reader.root / directory / "contracts").files}
        for file in _listing(reader.root / directory / "transforms").files:
            port, _, ending = file.rpartition(".")
            if ending in ("sql", "py") and port not in ports:
                path = f"{directory}/transforms/{file}"
                way = f"the port `{port}` needs {directory}/contracts/{port}.yaml"
                reader.warn("stray-file", "no port has this transform", SourceSpan(path), way)


def _stray(reader: Reader, path: str, known: tuple[str, ...]) -> None:
    name = path.rpartition("/")[2]
    close = did_you_mean(name, known) if known and name not in known else None
    if name not in known and (name.endswith(_DOCUMENT_ENDINGS) or (name.endswith(".py") and close)):
        reader.warn("stray-file", "the file is not read", SourceSpan(path), close or "documents end in .yaml")


def _raise_errors(reader: Reader) -> None:
    if any(d.severity == "error" for d in reader.diagnostics):
        raise DocumentsInvalidError(_ordered(reader.diagnostics))


def _ordered(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, by file and place."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span or SourceSpan(""), d.code)))

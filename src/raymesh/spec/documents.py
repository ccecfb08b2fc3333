"""The documents of a mesh as values: what `load` returns and every other part reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:  # reading published data needs these names, not the models of every document
    from pathlib import Path

    from raymesh.errors import Diagnostic, SourceSpan
    from raymesh.spec.contract import Contract
    from raymesh.spec.domain import DomainSpec
    from raymesh.spec.governance_files import GovernanceDocuments
    from raymesh.spec.mesh import MeshSpec
    from raymesh.spec.product import DataProduct
    from raymesh.spec.settings import Settings
    from raymesh.spec.source import Source
    from raymesh.spec.yaml import Positions

T = TypeVar("T")

DEFAULT_PORT = "default"


@dataclass(frozen=True, slots=True)
class Document(Generic[T]):
    """One file: `path` relative to the mesh folder, the typed `model` with variables resolved, and the
    `raw` content exactly as written (variables unresolved, unknown vendors included)."""

    path: str
    model: T
    raw: dict[str, Any] = field(repr=False)
    positions: Positions = field(repr=False, compare=False)

    def span(self, *loc: str | int) -> SourceSpan:
        """Where the value at `loc` stands in the file."""
        return self.positions.value(loc)


@dataclass(frozen=True, slots=True)
class TransformFiles:
    """A port's transform as text; paths are relative to the mesh folder."""

    sql_path: str | None = None
    sql: str | None = None
    python_path: str | None = None
    python: str | None = None


@dataclass(frozen=True, slots=True)
class PortDocuments:
    """One port: its contract, transform (None: it only ingests a source) and settings.

    `settings` are the product's, with what the contract itself sets in their place.
    """

    name: str
    contract: Document[Contract]
    transform: TransformFiles | None
    settings: Settings


@dataclass(frozen=True, slots=True)
class ProductDocuments:
    """A product folder; `ports` starts with the default port. `directory` is relative to the mesh folder."""

    domain: str
    name: str
    directory: str
    document: Document[DataProduct]
    settings: Settings
    ports: tuple[PortDocuments, ...]

    @property
    def id(self) -> str:
        return f"{self.domain}.{self.name}"

    def port(self, name: str = DEFAULT_PORT) -> PortDocuments | None:
        return next((p for p in self.ports if p.name == name), None)

    def table(self, port: str = DEFAULT_PORT) -> str:
        """The name of the port's table, in SQL too: `domain.product` or `domain.product__port`."""
        return self.id if port == DEFAULT_PORT else f"{self.id}__{port}"


@dataclass(frozen=True, slots=True)
class DomainDocuments:
    name: str
    directory: str
    document: Document[DomainSpec]
    sources: tuple[Document[Source], ...]
    products: tuple[ProductDocuments, ...]


@dataclass(frozen=True, slots=True)
class MeshDocuments:
    """Every document of a mesh; `diagnostics` holds the warnings. `governance` is None for a mesh without any.

    `secrets` are the names of the environment variables that documents refer to as secrets.
    """

    root: Path
    document: Document[MeshSpec]
    domains: tuple[DomainDocuments, ...]
    diagnostics: tuple[Diagnostic, ...] = ()
    governance: GovernanceDocuments | None = None
    secrets: frozenset[str] = frozenset()

    @property
    def products(self) -> tuple[ProductDocuments, ...]:
        return tuple(p for d in self.domains for p in d.products)

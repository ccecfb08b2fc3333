"""The mesh in Python: thin handles over `raymesh.actions`.

    >>> mesh = raymesh.Mesh.load("retail")                                     # doctest: +SKIP
    >>> mesh.run("+customer.customer_360")                                     # doctest: +SKIP
    >>> mesh.read("customer.customer_360", columns=["household_id"]).to_pandas()   # doctest: +SKIP

Policies on reads in this process are advisory: whoever holds the files can read them without raymesh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.workspace import Workspace, find_root, load_documents, open_storage
from raymesh.errors import NotFoundError
from raymesh.handles import Access, Audit

if TYPE_CHECKING:
    import threading

    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import ray.data

    from raymesh.actions.events import Event, RunFinished
    from raymesh.actions.governed import Claim
    from raymesh.actions.read import Pinned
    from raymesh.mesh import model
    from raymesh.spi.engine import Engine


class Mesh:
    """An open mesh. Use it as a context manager, or call `close()`; a closed mesh cannot read."""

    def __init__(self, workspace: Workspace, claim: Claim | None = None) -> None:
        self._workspace = workspace
        self._claim = claim
        self._engine: Engine | None = None

    @classmethod
    def load(
        cls, path: str | Path | None = None, *, as_: str | None = None, purpose: str | None = None
    ) -> Mesh:
        """The mesh in the folder `path`, or around the working directory.

        `as_` and `purpose` say who reads and what for, where the mesh is governed and a call does not say it.
        Raises DocumentsInvalidError with every problem of its documents, UsageError when there is no mesh.
        """
        root = find_root(Path(path) if path is not None else None)
        documents, graph = load_documents(root)
        workspace = Workspace(root, documents, graph, open_storage(root, documents.document.model))
        return cls(workspace, _claim(None, as_, purpose))

    @property
    def name(self) -> str:
        return self._workspace.spec.name

    @property
    def root(self) -> Path:
        return self._workspace.root

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self._workspace.graph.domains)

    @property
    def products(self) -> tuple[str, ...]:
        """Names of all products (`domain.product`) in build order."""
        return self._workspace.graph.order

    @property
    def access(self) -> Access:
        """Access by agreement: `mesh.access.request(…)`, `approve`, `deny`, `revoke`, `renew`, `list`."""
        return Access(self._workspace.storage, self._claim)

    @property
    def audit(self) -> Audit:
        """The audit log: `mesh.audit.tail()`, `verify`, `prove`."""
        return Audit(self._workspace.storage)

    def domain(self, name: str) -> Domain:
        """Raises NotFoundError when there is no such domain."""
        if name not in self._workspace.graph.domains:
            raise NotFoundError(f"there is no domain {name}", hint=f"domains: {', '.join(self.domains)}")
        return Domain(self, name)

    def product(self, name: str) -> Product:
        """By `domain.product`, or by its short name when only one domain has it; raises NotFoundError."""
        return Product(self, self._workspace.graph.product(name))

    def run(
        self,
        *selection: str,
        engine: str | None = None,
        jobs: int | None = None,
        refresh: bool = False,
        on_event: Callable[[Event], None] | None = None,
        stop: threading.Event | None = None,
    ) -> RunFinished:
        """Build, check and publish the selected products (all when none are named).

        Returns the reports of all products; failures are in them and raise nothing. `on_event` is called with
        every event on the calling thread; setting `stop` ends the run early, with nothing half-done published.
        """
        from raymesh.actions.events import RunFinished
        from raymesh.actions.invocation import RunOptions, default_jobs
        from raymesh.actions.run import run
        from raymesh.actions.select import select

        products = select(self._workspace, selection)
        options = RunOptions(engine=engine, refresh=refresh, jobs=jobs or default_jobs())
        finished: RunFinished | None = None
        for event in run(self._workspace, products, options, stop):
            if on_event is not None:
                on_event(event)
            if isinstance(event, RunFinished):
                finished = event
        assert finished is not None  # noqa: S101  # a run always ends with RunFinished
        return finished

    def read(
        self,
        product: str,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
        version: int | None = None,
        as_: str | None = None,
        purpose: str | None = None,
    ) -> Reading:
        """A pinned version of `domain.product` (or `domain.product__port`), read when converted.

        `where` is a condition over columns such as `amount > 10 and country = 'DE'`; see `raymesh read`. In a
        governed mesh `as_` is who reads and `purpose` what for; the decision is made anew for every conversion.
        Raises NotFoundError for an unknown product, version or column, UsageError for another condition,
        AccessDeniedError.
        """
        from raymesh.actions.read import allowed, pin

        claim = _claim(self._claim, as_, purpose)
        pinned = pin(self._workspace.storage, product, version)
        seen, condition = allowed(
            self._workspace.storage, product, pinned, claim, columns=columns, where=where, surface="python"
        )
        arguments = {"columns": columns, "where": condition, "limit": limit}
        return Reading(self, product, seen, arguments, pinned, claim)

    def sql(self, query: str, *, as_: str | None = None, purpose: str | None = None) -> pa.Table:
        """The answer to one SELECT over products named domain.product, computed in a sandbox.

        In a governed mesh `as_` is who asks and `purpose` what for. Raises UsageError when it is not one SELECT,
        NotFoundError for unknown products, TransformError when the query itself is wrong, AccessDeniedError.
        """
        from raymesh.actions.read import products_of
        from raymesh.actions.read import query as act

        claim = _claim(self._claim, as_, purpose)
        _, rows = act(self._workspace.storage, self._local(), query, products_of(query), claim)
        table: pa.Table = rows.read_all()
        return table

    def facts(self, query: str) -> pa.Table:
        """The answer to one SELECT over the facts of the mesh, or a whole table of them by its name.

        Tables and columns: docs/reference/facts.md. Raises UsageError for a table that does not exist,
        TransformError for a wrong query.
        """
        from raymesh.actions.facts import facts_for
        from raymesh.actions.facts import query as act

        known = facts_for(self._workspace, self._claim)
        return known.table(query) if query.isidentifier() else act(known, query)

    def lineage(self, product: str, *, column: str | None = None, hops: int | None = None) -> Lineage:
        """What a product (or one of its columns) is made from and what is made from it."""
        from raymesh.mesh.lineage import trace
        from raymesh.render.lineage import neighbourhood

        graph = self._workspace.graph
        if column is not None:
            return Lineage(trace(graph, product, column, "up"))
        return Lineage(neighbourhood(graph, product, 1 if hops is None else hops))

    def history(self, product: str, limit: int = 20) -> list[dict[str, Any]]:
        """The versions of a product, newest first; without numbers of rows for those who may not know them."""
        from raymesh.actions.inspect import history, version_json

        found = history(self._workspace.storage, product, limit, self._claim)
        return [version_json(v, counted=found.counted) for v in found.versions]

    def _local(self) -> Engine:
        if self._engine is None:
            from raymesh.actions.read import open_engine

            self._engine = open_engine(self._workspace.storage)
        return self._engine

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._workspace.storage.close()

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        domains = f"{len(self.domains)} domain{'' if len(self.domains) == 1 else 's'}"
        products = f"{len(self.products)} product{'' if len(self.products) == 1 else 's'}"
        return f"<Mesh {self.name}: {domains}, {products} at {self.root}>"

    def _repr_html_(self) -> str:
        from raymesh.render.html import mesh_card

        return mesh_card(self._workspace.graph, self.name)


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of a mesh."""

    mesh: Mesh
    name: str

    @property
    def products(self) -> tuple[str, ...]:
        return self.mesh._workspace.graph.domains[self.name].products

    def product(self, name: str) -> Product:
        """By its name within the domain; raises NotFoundError."""
        return self.mesh.product(f"{self.name}.{name}")

    def run(self, **options: Any) -> RunFinished:
        """Build the domain's products; options as `Mesh.run`."""
        return self.mesh.run(f"domain:{self.name}", **options)


@dataclass(frozen=True, slots=True, repr=False)
class Product:
    """A product of a mesh."""

    mesh: Mesh
    _product: model.Product

    @property
    def name(self) -> str:
        """`domain.product`."""
        return self._product.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns its contract promises."""
        return self._product.port().columns

    @property
    def contract(self) -> Mapping[str, Any]:
        """The contract of the default port, as written."""
        return self._product.port().documents.contract.raw

    @property
    def version(self) -> int | None:
        """The number of the current version; None when it was never published."""
        found = self.mesh._workspace.state.current([self.name]).get((self.name, "default"))
        return found.number if found else None

    def run(self, **options: Any) -> RunFinished:
        """Build this product only; options as `Mesh.run`."""
        return self.mesh.run(self.name, **options)

    def read(self, **options: Any) -> Reading:
        """As `Mesh.read`."""
        return self.mesh.read(self.name, **options)

    def lineage(self, *, column: str | None = None, hops: int | None = None) -> Lineage:
        """As `Mesh.lineage`."""
        return self.mesh.lineage(self.name, column=column, hops=hops)

    def __repr__(self) -> str:
        return f"<Product {self.name}: {len(self.columns)} columns>"

    def _repr_html_(self) -> str:
        from raymesh.render.html import product_card

        return product_card(self._product)


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """Rows of one pinned version; every conversion reads them anew from the same files."""

    mesh: Mesh
    name: str
    _pinned: Pinned
    _arguments: Mapping[str, Any]
    _plain: Pinned
    _claim: Claim | None = None

    @property
    def version(self) -> int:
        return self._pinned.version.number

    @property
    def snapshot_id(self) -> int:
        return self._pinned.version.snapshot_id

    @property
    def quality_score(self) -> float | None:
        """The quality of the version, 0–1, as judged when it was published."""
        return self._pinned.version.quality_score

    def to_batches(self) -> pa.RecordBatchReader:
        """A stream of Arrow batches; memory stays bounded."""
        from raymesh.actions.read import rows_of

        return rows_of(self.mesh._local(), self._allowed(), **self._arguments)

    def _allowed(self) -> Pinned:
        """The version as its reader may see it now, written down as one more read."""
        from raymesh.actions.read import allowed

        storage, where = self.mesh._workspace.storage, self._arguments["where"]
        return allowed(storage, self.name, self._plain, self._claim, where=where, surface="python")[0]

    def to_arrow(self) -> pa.Table:
        return self.to_batches().read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Raises MissingExtraError without pandas."""
        _need("pandas")
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Raises MissingExtraError without Polars."""
        _need("polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)  # noqa: S101  # a table never becomes a series
        return frame

    def to_ray(self) -> ray.data.Dataset:
        """A `ray.data.Dataset` of the rows, read lazily and in parallel by tasks of the mesh's Ray cluster.

        What a policy hides or masks is hidden and masked inside those tasks. Datasets of two products can be joined.
        Raises MissingExtraError without Ray, ClusterError when the cluster cannot be reached.
        """
        from raymesh.actions.read import dataset_of

        found: ray.data.Dataset = dataset_of(self.mesh._workspace.storage, self._allowed(), **self._arguments)
        return found

    def to_duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """A relation over the rows, in `connection` or in a new one of its own."""
        import duckdb

        con = connection if connection is not None else duckdb.connect()
        return con.from_arrow(self.to_arrow())

    def __repr__(self) -> str:
        return f"<Reading of {self.name} version {self.version}: {', '.join(self._pinned.scan.shown.names)}>"


def _claim(before: Claim | None, as_: str | None, purpose: str | None) -> Claim | None:
    """What a call says of its reader, and what was said before."""
    if as_ is None and purpose is None:
        return before
    from raymesh.actions.governed import Claim

    name = as_ if as_ is not None or before is None else before.name
    return Claim(name, purpose if purpose is not None or before is None else before.purpose)


def _need(package: str) -> None:
    from importlib.util import find_spec

    from raymesh.errors import MissingExtraError

    if find_spec(package) is None:
        raise MissingExtraError(f"to_{package}()", package)


@dataclass(frozen=True, slots=True, repr=False)
class Lineage:
    """A lineage picture: text, SVG and Mermaid of the same graph."""

    graph: Any

    def to_text(self) -> str:
        from raymesh.render.lineage import text

        return text(self.graph)

    def to_svg(self) -> str:
        from raymesh.render.lineage import svg

        return svg(self.graph)

    def to_mermaid(self) -> str:
        from raymesh.render.lineage import mermaid

        return mermaid(self.graph)

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return self.to_svg()

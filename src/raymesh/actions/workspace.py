"""Opens a mesh: its documents, graph, state store and table store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.errors import UsageError
from raymesh.spec.folders import nearest_mesh
from raymesh.spi import registry

if TYPE_CHECKING:
    from raymesh.mesh.graph import Graph
    from raymesh.spec.documents import MeshDocuments
    from raymesh.spec.mesh import MeshSpec
    from raymesh.spi.state import StateStore
    from raymesh.spi.tables import TableStore


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a mesh keeps data and state; enough to read published products."""

    root: Path
    spec: MeshSpec
    state: StateStore
    tables: TableStore

    def close(self) -> None:
        self.tables.close()
        self.state.close()


@dataclass(frozen=True, slots=True)
class Workspace:
    """A mesh with its documents understood and its storage open."""

    root: Path
    documents: MeshDocuments
    graph: Graph
    storage: Storage

    @property
    def state(self) -> StateStore:
        return self.storage.state

    @property
    def tables(self) -> TableStore:
        return self.storage.tables

    @property
    def spec(self) -> MeshSpec:
        return self.documents.document.model


def find_root(start: Path | None = None) -> Path:
    """The folder of mesh.yaml: `start` when given, otherwise here or the nearest folder above.

    Raises UsageError when there is none.
    """
    if start is not None:
        if not start.is_dir():
            raise UsageError(f"there is no folder {start}", hint="-C names the folder that holds mesh.yaml")
        if not (start / "mesh.yaml").is_file():
            raise UsageError(f"{start} holds no mesh.yaml", hint=f"raymesh init {start}")
        return start.resolve()
    found = nearest_mesh(Path())
    if found is not None:
        return found
    raise UsageError(
        f"no mesh.yaml in {Path.cwd()} or above",
        hint="raymesh init starts a mesh here, raymesh demo shows one, -C DIR names another folder",
    )


def load_documents(root: Path) -> tuple[MeshDocuments, Graph]:
    """The documents of the mesh at `root` and the graph they describe; nothing is opened.

    Raises DocumentsInvalidError with every problem of documents and transforms.
    """
    from raymesh.mesh.graph import build_graph
    from raymesh.spec.load import load_mesh

    documents = load_mesh(root, environment(root))
    return documents, build_graph(documents)


def environment(root: Path) -> Mapping[str, str]:
    """Variables that documents and secrets may use: the process's own, with the mesh's `.env` behind them.

    The file's variables are put into the process's environment, because builds in child processes and clients
    of databases and object stores look there; variables already set stay as they are.
    """
    file = root / ".env"
    if file.is_file():
        for line in file.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition("=")
            if equals and not name.lstrip().startswith("#"):
                os.environ.setdefault(name.strip(), value.strip())
    return os.environ


def open_storage(root: Path, spec: MeshSpec) -> Storage:
    """State and tables of a mesh, migrated to this version's schema.

    Raises StorageError when the database cannot be reached, NotFoundError for an unset secret.
    """
    from raymesh.spec.secrets import reveal

    env = environment(root)
    state: StateStore = registry.load("states", "sql")(reveal(spec.state, env, root), root=str(root))
    state.migrate()
    s3 = spec.storage.s3
    tables: TableStore = registry.load("tables", "iceberg")(
        warehouse=spec.warehouse,
        root=str(root),
        state=state,
        storage=reveal(s3.model_dump(by_alias=True, exclude_none=True), env, root) if s3 else None,
    )
    return Storage(root, spec, state, tables)


@contextmanager
def open_workspace(folder: Path | None = None) -> Iterator[Workspace]:
    """The mesh in `folder` (or around here), closed again at the end of the block."""
    root = find_root(folder)
    documents, graph = load_documents(root)
    storage = open_storage(root, documents.document.model)
    try:
        yield Workspace(root, documents, graph, storage)
    finally:
        storage.close()


@contextmanager
def open_storage_only(folder: Path | None = None) -> Iterator[Storage]:
    """State and tables without reading any document but mesh.yaml: the quick way to published data."""
    from raymesh.spec.mesh_file import load_mesh_document

    root = find_root(folder)
    storage = open_storage(root, load_mesh_document(root, environment(root)).model)
    try:
        yield storage
    finally:
        storage.close()

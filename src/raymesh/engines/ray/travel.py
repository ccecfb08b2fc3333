"""What travels to a cluster that does not see our files: the code of one domain and its small files. No secrets."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.build import is_python
from raymesh.engines.ray import parcels
from raymesh.mesh.plan import SourceScan
from raymesh.spec.folders import domain_names

if TYPE_CHECKING:
    from raymesh.mesh.plan import BuildPlan

HOME = "RAYMESH_ROOT_OF_DRIVER"
"""Environment variable of a worker that got files: the mesh folder as the driver calls it."""
LEFT = (
    "/mesh.yaml",
    "/governance/",
    ".raymesh/",
    ".git/",
    ".venv/",
    "venv/",
    "node_modules/",
    "__pycache__/",
    ".env",
    ".env.*",
    "*.key",
    "*.pem",
    "*.p12",
    "*.token",
    "*.parquet",
    "*.csv",
    "*.duckdb",
    "*.db",
    "*.db-*",
)
"""Never travels: what user code has no business with, state, data, keys. Patterns as in .gitignore."""
_SECRET_FILE = re.compile(r"\$\{file:([^{}]+)\}")


@contextmanager
def packed(plan: BuildPlan) -> Iterator[dict[str, Any]]:
    """Keywords of `ray.remote` for the tasks of a build on a cluster that does not see our files.

    Tasks of builds that call user code, or read sources, get the files of the product's domain as their working
    folder, and so a process that no other domain's tasks use; other builds need nothing. The files are kept on the
    cluster while the block runs. Raises ClusterError.
    """
    root = Path(plan.root).resolve()
    if not (root / "mesh.yaml").is_file() or not _needs_files(plan):
        yield {}
        return
    with parcels.kept(root, left(plan)) as address:
        yield {"runtime_env": {"working_dir": address, "env_vars": {HOME: plan.root}}}


def left(plan: BuildPlan) -> tuple[str, ...]:
    """What of the mesh folder does not travel for a build: LEFT, every file that documents name as a secret, the
    folders of other domains, and what builds write."""
    root = Path(plan.root).resolve()
    own = plan.product.split(".")[0]
    others = (f"/domains/{name}/" for name in domain_names(root) if name != own)
    return (*LEFT, *others, *sorted({*_secret_files(root), *_written(plan, root)}))


def _needs_files(plan: BuildPlan) -> bool:
    sources = any(isinstance(i.content, SourceScan) for i in plan.inputs)
    return sources or any(is_python(output) for output in plan.outputs)


def _written(plan: BuildPlan, root: Path) -> Iterator[str]:
    """The warehouse and the scratch folder, when they lie in the mesh folder."""
    warehouses = (
        o.location.rpartition(f"/{o.table.replace('.', '/')}/")[0] or o.location for o in plan.outputs
    )
    for folder in (plan.limits.scratch, *warehouses):
        place = Path(folder).resolve()
        if Path(folder).is_absolute() and place.is_relative_to(root) and place != root:
            yield f"/{place.relative_to(root)}/"


def _secret_files(root: Path) -> Iterator[str]:
    """Files that documents refer to by `${file:PATH}`, as patterns."""
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("venv", "node_modules")]
        for name in files:
            if name.endswith((".yaml", ".yml")):
                text = (Path(folder) / name).read_text(encoding="utf-8", errors="replace")
                yield from (f"/{m[1].strip().lstrip('/')}" for m in _SECRET_FILE.finditer(text))


def here(root: str, env: Mapping[str, str] = os.environ) -> str:
    """The mesh folder as this process sees it: `root` of the driver, or where its files were unpacked."""
    if env.get(HOME) == root and not (Path(root) / "mesh.yaml").is_file():
        return str(Path.cwd())
    return root


def scratch(folder: str) -> str:
    """A folder of this machine for what spills: `folder` of the driver when it can be made here, else a common one.

    Tasks on other machines do not have the mesh's folder.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = str(Path(tempfile.gettempdir()) / "raymesh-scratch")
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder

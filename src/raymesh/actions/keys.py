"""Keys of the mesh: from a reference in mesh.yaml, or made on first use and kept in `.raymesh`."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from raymesh.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spec.secrets import SecretRef

KEY_BYTES = 32
MAKES_A_KEY = f'python -c "import secrets; print(secrets.token_hex({KEY_BYTES}))"'


def key(root: Path, reference: SecretRef | None, default: str) -> bytes:
    """The 32 bytes `reference` names as 64 hexadecimal digits; without one those of the file `.raymesh/<default>`,
    which is made with a random key, for its owner alone, when it is not there.

    Raises NotFoundError when the secret is missing, UsageError when it is no key or the file is open to others.
    """
    from raymesh.actions.workspace import environment

    if reference is not None:
        return _parsed(reference.resolve(environment(root), root), f"the secret {reference}")
    return read_key(root / ".raymesh" / default, make=True)


def read_key(path: Path, *, make: bool = False) -> bytes:
    """The 32 bytes a key file holds; with `make` the file is made when it is not there.

    Raises NotFoundError when it is not there, UsageError when it is no key or others may read it.
    """
    if make and not path.exists():
        _make(path)
    if not path.is_file():
        raise NotFoundError(f"there is no key {path}", hint=f"raymesh bundle key {path} makes one")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError(
            f"others may read the key {path}", hint=f"chmod 600 {path}, and think of changing it"
        )
    return _parsed(path.read_text(encoding="ascii"), f"the key {path}")


def _parsed(text: str, name: str) -> bytes:
    with suppress(ValueError):
        found = bytes.fromhex(text.strip())
        if len(found) == KEY_BYTES:
            return found
    raise UsageError(f"{name} is not 64 hexadecimal digits", hint=f"{MAKES_A_KEY} makes one")


def _make(path: Path) -> None:
    """Write a new key where no other process has: the file appears whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(os.urandom(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()

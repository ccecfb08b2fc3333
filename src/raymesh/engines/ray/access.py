"""Who may use a cluster: its token, and a look at the cluster that says at once what is wrong with it."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from raymesh.engines.ray.quiet import hush_native
from raymesh.errors import ClusterError, StorageError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
REACH_SECONDS = 3.0


def home() -> Path:
    """The folder for what raymesh keeps per user: `$RAYMESH_HOME`, or the place the system has for state."""
    if said := os.environ.get("RAYMESH_HOME"):
        return Path(said)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "raymesh"


def private_folder() -> Path:
    """`home()`, made if need be, for the user's eyes only. Raises StorageError."""
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made: {error.strerror}", hint="RAYMESH_HOME names another folder"
        ) from None
    return folder


def own_token() -> Path:
    """The file of the token for clusters that raymesh starts, made on first use: 32 random bytes, mode 0600.

    Raises StorageError when it cannot be written, or when others may read it.
    """
    path = private_folder() / "ray.token"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise StorageError(
                f"{path} may be read by others, so everybody on this machine may use your clusters",
                hint=f"rm {path}, and raymesh makes another one",
            ) from None
        return path
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    return path


def use_own_token() -> None:
    """Make this process, and clusters that it starts, use `own_token()`; unless the user chose otherwise.

    Raises ClusterError when the file that the user named cannot be read, StorageError as `own_token`.
    """
    if os.environ.get(MODE, "token").lower() != "token":
        return
    os.environ[MODE] = "token"
    said = os.environ.get(TOKEN_PATH)
    if not (os.environ.get(TOKEN) or said):
        os.environ[TOKEN_PATH] = str(own_token())
    elif said and not os.environ.get(TOKEN) and not os.access(said, os.R_OK):
        raise ClusterError(
            f"{TOKEN_PATH} names {said}, which cannot be read",
            hint=f"unset {TOKEN_PATH}, and raymesh makes a token of its own",
        )
    _reread()


def use_token(token: str | None) -> None:
    """Make this process show `token` to clusters; None: what the environment or `~/.ray/auth_token` holds."""
    if token is not None:
        os.environ[TOKEN], os.environ[MODE] = token, "token"
    elif MODE not in os.environ and has_token():
        os.environ[MODE] = "token"
    _reread()


def has_token() -> bool:
    """Whether this process has a token to show."""
    if os.environ.get(TOKEN) or os.environ.get(TOKEN_PATH):
        return True
    with suppress(RuntimeError):  # no home folder
        return (Path.home() / ".ray" / "auth_token").is_file()
    return False


def _reread() -> None:
    """Ray keeps what it read of the environment when it was imported."""
    if "ray" in sys.modules:
        native = _native()
        native.Config.initialize("")
        native.AuthenticationTokenLoader.instance().reset_cache()


def _native() -> Any:
    """Ray's compiled part, which its own commands use the same way."""
    return import_module("ray._raylet")


def require_reachable(address: str, origin: str) -> None:
    """Return when a cluster answers at `address` and takes our token.

    Raises ClusterError that says which of the two it is; Ray itself would say nothing for 20 seconds and then
    neither. `origin` is where the address comes from.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(f"{address!r} ({origin}) is no address of a cluster", hint="host:6379, or auto")
    try:
        _knock(address)
    except OSError as error:
        raise ClusterError(
            f"nothing answers at {address} ({origin}): {error.strerror or error}",
            hint="is the cluster running, and may this machine reach it?",
        ) from None
    _require_welcome(address, origin)


def answers(address: str) -> bool:
    """Whether anything listens at `address` (`host:port`)."""
    try:
        _knock(address)
    except OSError:
        return False
    return True


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()


def _require_welcome(address: str, origin: str) -> None:
    from ray.exceptions import AuthenticationError, RpcError

    try:
        with hush_native():
            _native().GcsClient(address=address).get_all_node_info(timeout=REACH_SECONDS)
    except AuthenticationError:
        shown = "takes another token than ours" if has_token() else "wants a token and we have none"
        raise ClusterError(
            f"the cluster at {address} ({origin}) {shown}",
            hint="set engines.ray.token in mesh.yaml to a reference, or RAY_AUTH_TOKEN_PATH to its file",
        ) from None
    except RpcError as error:
        raise ClusterError(f"what answers at {address} ({origin}) is no Ray cluster: {error}") from None

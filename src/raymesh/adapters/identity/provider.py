"""The keys an OpenID Connect provider publishes: found by discovery, kept for a while, renewed on rotation."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from raymesh.errors import AccessDeniedError, StorageError

KEPT_SECONDS: Final = 300.0
"""How long keys are used without asking again: so long a withdrawn key is still believed at most."""
PAUSE_SECONDS: Final = 10.0
"""Tokens with unknown key names make us ask again at most so often."""
_TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 1_000_000
_FAMILIES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_HINT = "is the issuer in mesh.yaml right, and can this machine reach it?"


class _NoRedirect(HTTPRedirectHandler):
    """The provider's documents are where it says; nobody sends us elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Provider:
    """The published keys of one issuer. Threads may share it."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str | None, Any] = {}
        self._asked_at: float | None = None

    def key(self, name: str | None, algorithm: Any, allowed: Sequence[str]) -> Any:
        """The key called `name` for `algorithm`, one of those allowed; the only key when a token names none.

        Raises AccessDeniedError when there is none, StorageError when the provider cannot be asked.
        """
        if algorithm not in allowed:
            raise AccessDeniedError("the token is refused: its algorithm is not among those of mesh.yaml")
        with self._lock:
            if self._is_stale(name):
                self._keys, self._asked_at = self._ask(), self._clock()
            found = self._keys.get(name)
            if name is None and len(self._keys) == 1:
                found = next(iter(self._keys.values()))
        if found is None or found.key_type != _FAMILIES[algorithm[:2]]:
            raise AccessDeniedError(
                "the token is refused: the provider publishes no such key",
                hint="sign in again for a new token",
            )
        return found.key

    def _is_stale(self, name: str | None) -> bool:
        if self._asked_at is None:
            return True
        age = self._clock() - self._asked_at
        return age >= KEPT_SECONDS or (name not in self._keys and name is not None and age >= PAUSE_SECONDS)

    def _ask(self) -> dict[str | None, Any]:
        import jwt

        discovery = _document(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if discovery.get("issuer") != self._issuer:
            raise StorageError(f"{self._issuer} says it is another issuer", hint=_HINT)
        address = discovery.get("jwks_uri")
        if not isinstance(address, str) or not _is_safe(address, self._issuer):
            raise StorageError(f"{self._issuer} publishes its keys at no https address", hint=_HINT)
        keys: dict[str | None, Any] = {}
        for said in _document(address).get("keys", []):
            if not isinstance(said, dict) or said.get("use", "sig") != "sig" or said.get("kty") == "oct":
                continue
            try:
                keys[said.get("kid")] = jwt.PyJWK(said)
            except jwt.PyJWTError:
                continue  # a kind of key we do not know verifies nothing
        return keys


def _is_safe(address: str, issuer: str) -> bool:
    """https; or, for a provider on this machine, the same host and port."""
    found = urlsplit(address)
    own = urlsplit(issuer)
    return found.scheme == "https" or (found.scheme, found.netloc) == (own.scheme, own.netloc)


def _document(address: str) -> dict[str, Any]:
    try:
        with build_opener(_NoRedirect).open(address, timeout=_TIMEOUT_SECONDS) as answer:
            content = answer.read(_MOST_BYTES + 1)
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise StorageError(
            f"the identity provider cannot be asked at {address}: {reason}", hint=_HINT
        ) from None
    try:
        found = json.loads(content) if len(content) <= _MOST_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise StorageError(f"the identity provider's answer at {address} is no JSON document", hint=_HINT)
    return found

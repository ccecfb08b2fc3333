"""Ways to prove who somebody is: the users file of one machine, and OpenID Connect.

Implementations are loaded on first use, so that looking at this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raymesh.adapters.identity.local import LocalIdentity
    from raymesh.adapters.identity.oidc import OidcIdentity

__all__ = ["LocalIdentity", "OidcIdentity"]

_PLACES = {"LocalIdentity": "local", "OidcIdentity": "oidc"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)

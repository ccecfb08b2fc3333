"""Who somebody is: one implementation per way of proving it, found by entry point `raymesh.identities`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.governance.model import Principal


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody shows: a `name` alone, or a `token` (which is never shown in turn)."""

    name: str | None = None
    token: str | None = field(default=None, repr=False)


class Identity(Protocol):
    """Knows the principals of one issuer."""

    def principal(self, credential: Credential, now: datetime) -> Principal:
        """Whoever the credential proves at the moment `now`.

        Raises AccessDeniedError for anything but a proof, in words that hold nothing of the token.
        """
        ...

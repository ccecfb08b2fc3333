"""Which bundles of policies and standards were in force: the store never goes back to an older one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from raymesh.spi.state import Transaction


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """One bundle that came into force: its number, the hash of its content, since when, and the hexadecimal
    public key that signed it (empty for an unsigned one)."""

    version: int
    digest: str
    at: datetime
    signer: str = ""


class BundleStore(Protocol):
    """Append-only. Raises StorageError."""

    def newest(self, within: Transaction | None = None) -> BundleRecord | None:
        """The bundle in force; None when this mesh was never governed."""
        ...

    def remember(self, record: BundleRecord, within: Transaction | None = None) -> bool:
        """Put a bundle in force; False when exactly it is already. One of several at once wins.

        Raises BundleRollbackError, changing nothing, for a version below the newest one, and for the newest
        version with another digest; and when a signed one is to be followed by an unsigned one.
        """
        ...

    def history(self, limit: int = 100) -> Sequence[BundleRecord]:
        """The newest first."""
        ...

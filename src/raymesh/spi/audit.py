"""The audit log in the state database: append-only, in one order, signed with every append.

Actions call `raymesh.actions.audit.record`, which knows the mesh's key; nothing else appends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from raymesh.governance.audit import AuditHead, AuditRecord, Checkpoint, Sealed, Signer

if TYPE_CHECKING:
    from raymesh.spi.state import Transaction

__all__ = ["AuditEntry", "AuditFilter", "AuditHead", "AuditLog", "AuditRecord", "Checkpoint", "Signer"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Record number `index` (from 0) as it is kept: `text` is what was hashed to `leaf`; the other attributes
    are those it is found by, which must say the same."""

    index: int
    text: str
    leaf: bytes
    at: datetime
    kind: str
    principal: str
    product: str
    outcome: str

    @property
    def said(self) -> Any:
        """The record as a mapping."""
        import json

        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which records: all that is given must hold; those from `since` on.

    `product` also stands for its ports (`shop.sales` finds `shop.sales__quarantine`)."""

    product: str | None = None
    principal: str | None = None
    kind: str | None = None
    outcome: str | None = None
    since: datetime | None = None


class AuditLog(Protocol):
    """Append-only; every method is one transaction unless it takes `within`. Raises StorageError."""

    def append(
        self, records: Sequence[AuditRecord], *, sign: Signer, within: Transaction | None = None
    ) -> range:
        """Add records at the end, in order, durable when this returns (with `within`: when that commits);
        returns their numbers.

        The head they make is signed and its checkpoint kept in the same transaction. Appends of several
        threads at once share a commit. Raises AuditTamperedError, adding nothing, when the log is not as it was
        last signed.
        """
        ...

    def head(self, within: Transaction | None = None) -> AuditHead: ...

    def records(self, wanted: AuditFilter = AuditFilter(), *, limit: int = 100) -> Sequence[AuditEntry]:
        """The newest that match, the latest first."""
        ...

    def entry(self, index: int) -> AuditEntry | None: ...

    def entries(self, within: Transaction | None = None) -> Iterator[AuditEntry]:
        """Everything there is, by number, without holding it in memory."""
        ...

    def leaves(self, size: int) -> Sequence[bytes]:
        """The first `size` leaf hashes as kept."""
        ...

    def checkpoints(self, above: int = -1, within: Transaction | None = None) -> Sequence[Checkpoint]:
        """Those of a size greater than `above`, the smallest first."""
        ...

    def private(self, index: int) -> Sealed | None:
        """The sealed particulars of a record; None when it has none or their key was erased."""
        ...

    def erase(self, about: str, within: Transaction | None = None) -> int:
        """Destroy the keys of all particulars about somebody; returns how many. Proofs stay as they are."""
        ...

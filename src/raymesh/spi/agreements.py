"""Agreements in the state database: append-only events per agreement, and what was used of each budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from raymesh.governance.agreements import AgreementEvent

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.spi.state import Transaction

__all__ = ["AgreementEvent", "AgreementStore", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What reads have taken of an agreement so far."""

    rows: int = 0
    queries: int = 0
    last_at: datetime | None = None


class AgreementStore(Protocol):
    """Events are only added, numbered from 1 per agreement without gaps. Raises StorageError."""

    def add(self, event: AgreementEvent, within: Transaction | None = None) -> None:
        """Add an event whose number follows the last one. Raises CommitConflictError, changing nothing, when
        that number is taken: somebody else acted on the agreement first."""
        ...

    def events(self, agreement: str, within: Transaction | None = None) -> Sequence[AgreementEvent]:
        """All events of one agreement, in order; empty for an unknown one."""
        ...

    def about(
        self, product: str | None = None, within: Transaction | None = None
    ) -> Sequence[tuple[AgreementEvent, ...]]:
        """The events of every agreement on a product (or of all), one tuple each, the newest agreement first."""
        ...

    def usage(self, agreement: str, within: Transaction | None = None) -> Usage: ...

    def use(
        self,
        agreement: str,
        *,
        rows: int,
        queries: int,
        at: datetime,
        limits: tuple[int | None, int | None] = (None, None),
        within: Transaction | None = None,
    ) -> bool:
        """Take rows and queries from the budgets `limits` (rows, queries; None: no limit); False, taking
        nothing, when that would exceed one. Readers at once never take more than there is."""
        ...

"""Evidence of the whole mesh at once, for questions about many products: few queries, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.spi.state import CheckRecord, LineageEdge, Run, Transaction, Version


Broken: TypeAlias = tuple[str, str, str, str]
"""A standard that is broken: rule, product, port, column; empty where a violation is about no single one."""


class Evidence(Protocol):
    """Each method is one query, or one transaction. Raises StorageError."""

    def since(
        self, broken: Iterable[Broken], now: datetime, product: str | None = None
    ) -> Mapping[Broken, datetime]:
        """Note what is broken now, and say since when each is. What was noted before (of `product`, when one is
        named) and is not among `broken` has been mended and is forgotten."""
        ...

    def versions(self, within: Transaction | None = None) -> Sequence[tuple[Version, bool]]:
        """Every version that can still be read, and whether it is the current one."""
        ...

    def checks(
        self, runs: Iterable[str], within: Transaction | None = None
    ) -> Sequence[tuple[str, str, CheckRecord]]:
        """(run, port, result) for the runs named."""
        ...

    def lineage(
        self, runs: Iterable[str], within: Transaction | None = None
    ) -> Sequence[tuple[str, LineageEdge]]:
        """(product, edge) for the runs named."""
        ...

    def runs(self, limit: int, within: Transaction | None = None) -> Sequence[Run]:
        """The latest runs of all products."""
        ...

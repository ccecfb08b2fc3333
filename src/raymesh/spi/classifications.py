"""What the state store keeps of classification: one record per port, and every act that changed one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from raymesh.governance.classification import Key, PortRecord
    from raymesh.spi.state import Transaction

ActKind = Literal["confirm", "propose", "lower", "refuse"]
"""confirm  somebody looked at a column and says that it has `tags`
propose  somebody asks to take `tags` away from a column
lower    somebody else agreed to the proposal `of`, and the tags are gone
refuse   the proposal `of` came to nothing"""


@dataclass(frozen=True, slots=True)
class Act:
    """One act of classification, never changed or removed. `id` 0 is one that is not recorded yet. `version` is
    the version that was looked at."""

    id: int
    product: str
    port: str
    field: int
    column: str
    kind: ActKind
    tags: tuple[str, ...]
    version: int
    actor: str
    reason: str
    at: datetime
    of: int | None = None


class Classifications(Protocol):
    """Records are folded forward by the store itself, in the transaction of every version it records."""

    def records(
        self, ports: Iterable[Key] | None = None, within: Transaction | None = None
    ) -> Mapping[Key, PortRecord]:
        """The records of the ports, of all when none are named, in one query. Ports without one are left out."""
        ...

    def acts(
        self, product: str | None = None, *, limit: int = 1000, within: Transaction | None = None
    ) -> Sequence[Act]:
        """Acts, the latest first."""
        ...

    def act(self, act: Act, within: Transaction | None = None) -> Act:
        """Record an act and apply it to its port; the act comes back with its number.

        Raises NotFoundError when the port has no such column, or `of` names no open proposal for it;
        GovernanceError when who agrees to a proposal is who made it.
        """
        ...

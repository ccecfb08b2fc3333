"""Handles of an open mesh for access and audit: `mesh.access.request(…)`, `mesh.audit.tail()`.

Each method is one verb of `raymesh.actions`, done as the mesh's reader or whoever `as_` names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from raymesh.actions.governed import Claim
    from raymesh.actions.workspace import Storage
    from raymesh.governance.agreements import Agreement
    from raymesh.governance.audit_check import Examination
    from raymesh.governance.model import Principal


@dataclass(frozen=True, slots=True)
class Access:
    """Access by agreement. Who acts is `as_`, or the reader the mesh was loaded for; every act is recorded.

    Acts raise AccessDeniedError when they are not for whoever acts, NotFoundError for an agreement or product that is
    not there, GovernanceError when there is nothing to decide or to end.
    """

    _storage: Storage
    _claim: Claim | None = None

    def request(  # noqa: PLR0913 (all that can be asked for)
        self,
        product: str,
        *,
        purpose: str,
        duration: str,
        reason: str,
        columns: Sequence[str] | None = None,
        rows: str | None = None,
        groups: Sequence[str] = (),
        max_rows: int | None = None,
        max_queries: int | None = None,
        clear: bool = False,
        as_: str | None = None,
    ) -> Agreement:
        """Ask for access, for a `duration` such as `30d`, to some columns and rows or to all; `groups` are groups of
        one's own that it is for. Raises UsageError for terms that cannot be granted."""
        from raymesh.actions.access import request
        from raymesh.governance.agreements import Terms

        now = datetime.now(UTC)
        who = self._who(as_, now)
        terms = Terms(
            purpose=purpose,
            justification=reason,
            seconds=_seconds(duration),
            principals=() if groups else (who.id,),
            groups=tuple(groups),
            columns=None if columns is None else tuple(columns),
            rows=rows,
            max_rows=max_rows,
            max_queries=max_queries,
            clear=clear,
        )
        return request(self._storage, product, who, terms, now)

    def list(self, product: str | None = None, *, status: str | None = None) -> list[Agreement]:
        """Agreements, the newest first: all, those on a product, those that are `requested`, `granted`, `denied`,
        `withdrawn`, `revoked` or `expired`."""
        from raymesh.actions.access import listing, note_expiries

        now = datetime.now(UTC)
        note_expiries(self._storage, now)
        return [a for a in listing(self._storage, product) if status in (None, a.status(now))]

    def show(self, agreement: str) -> Agreement:
        """Where one agreement stands."""
        from raymesh.actions.access import show

        return show(self._storage, agreement)

    def approve(self, agreement: str, *, reason: str, as_: str | None = None) -> Agreement:
        """Approve what waits; it is granted with the last approval needed."""
        from raymesh.actions.access import approve

        now = datetime.now(UTC)
        return approve(self._storage, agreement, self._who(as_, now), reason, now)

    def deny(self, agreement: str, *, reason: str, as_: str | None = None) -> Agreement:
        """Refuse what waits; a grant that holds stays."""
        from raymesh.actions.access import deny

        now = datetime.now(UTC)
        return deny(self._storage, agreement, self._who(as_, now), reason, now)

    def revoke(self, agreement: str, *, reason: str, as_: str | None = None) -> Agreement:
        """End a grant at once, or withdraw a request."""
        from raymesh.actions.access import revoke

        now = datetime.now(UTC)
        return revoke(self._storage, agreement, self._who(as_, now), reason, now)

    def renew(
        self, agreement: str, *, duration: str, reason: str, shorten: bool = False, as_: str | None = None
    ) -> Agreement:
        """Ask to prolong a grant on its own terms. Raises UsageError when it would end earlier than it does, unless
        that is meant (`shorten`)."""
        from raymesh.actions.access import renew

        now = datetime.now(UTC)
        who, seconds = self._who(as_, now), _seconds(duration)
        return renew(self._storage, agreement, who, seconds=seconds, reason=reason, now=now, shorten=shorten)

    def _who(self, as_: str | None, now: datetime) -> Principal:
        from raymesh.actions.identity import principal_of

        said = self._claim
        name = as_ if as_ is not None or said is None else said.name
        return principal_of(self._storage, name, None if said is None else said.token, now=now)


@dataclass(frozen=True, slots=True)
class Audit:
    """The log of what was done with the mesh."""

    _storage: Storage

    def tail(
        self,
        limit: int = 20,
        *,
        product: str | None = None,
        principal: str | None = None,
        kind: str | None = None,
        outcome: str | None = None,
        private: bool = False,
    ) -> list[dict[str, Any]]:
        """The newest records that match, the latest last; with `private` their particulars, such as query text."""
        from raymesh.actions.audit_log import tail
        from raymesh.spi.audit import AuditFilter

        found = tail(self._storage, AuditFilter(product, principal, kind, outcome), limit, private=private)
        return [s.to_json(private=private) for s in found]

    def verify(self, against: str | Path | None = None) -> Examination:
        """The whole log recomputed and held against every checkpoint, also those of the file `against`."""
        from pathlib import Path

        from raymesh.actions.audit_log import verify

        return verify(self._storage, None if against is None else Path(against))

    def prove(self, number: int) -> dict[str, Any]:
        """The proof that a record is in the log, which anybody can check. Raises NotFoundError."""
        from raymesh.actions.audit_log import prove

        return prove(self._storage, number)


def _seconds(duration: str) -> int:
    from raymesh.errors import UsageError
    from raymesh.spec.model import parse_duration

    if found := parse_duration(duration):
        return found
    raise UsageError(f"{duration!r} is no duration", hint="such as 12h, 30d or 8w")

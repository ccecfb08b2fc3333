"""The one door to published rows: who reads, what may be seen of what, and a record before the first row.

Every read surface goes through `enter`. In a mesh without governance it lets everything pass; in a governed one
it resolves the reader, decides, writes the audit log, and gives back scans with a view, which engines apply.
In this process all that is advisory: whoever holds the files can read them without raymesh.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from raymesh.errors import AccessDeniedError
from raymesh.governance.model import Asked, Deny, GovernedColumn, Principal, ReadPlan, Target
from raymesh.mesh.plan import EVERY_ROW, View
from raymesh.mesh.quarantine import NOTED, guarded_port
from raymesh.spec.expression import Column
from raymesh.spec.mask import Absent, Raw, Token
from raymesh.spec.secrets import SecretRef
from raymesh.spec.types import TableSchema

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.actions.read import Pinned
    from raymesh.actions.workspace import Storage
    from raymesh.governance.model import Action, Bundle, Decision
    from raymesh.spi.state import Version

ENFORCEMENT = "advisory"
TOKEN_KEY = "token.key"  # noqa: S105  # the name of a file
RECHECK = timedelta(seconds=30)
"""How long a read goes on at most without asking again whether it still may."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who reads and what for, as said on the command line or in a call; None where nothing was said.

    `clear` asks for values without masks, which only a grant of clear access gives; it is recorded as such.
    """

    name: str | None = None
    purpose: str | None = None
    token: str | None = field(default=None, repr=False)
    clear: bool = False


NOBODY = Claim()


@dataclass(frozen=True, slots=True)
class Access:
    """What one read may see: `pinned` by name, their scans with views where the mesh is governed.

    `principal` is None in a mesh that is not.
    """

    pinned: Mapping[str, Pinned]
    principal: Principal | None = None
    claim: Claim = NOBODY
    plans: Mapping[str, ReadPlan] = field(default_factory=dict)
    _guard: _Guard | None = field(default=None, repr=False)

    def checked(self, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The batches of `reader`, each handed out only while the read is still allowed, budgets included."""
        if self._guard is None:
            return reader
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(reader.schema, self._guard.watch(reader))

    def renewable(self) -> Callable[[], datetime] | None:
        """What decides anew whether the rows may still be read elsewhere, and says until when; None where nothing is
        to be decided. Raises AccessDeniedError when rows have to be counted, which only reads in this process do."""
        if self._guard is None:
            return None
        self._guard.require_uncounted()
        return self._guard.renewed

    def told(self) -> dict[str, Any]:
        """What JSON documents say of the read."""
        if self.principal is None:
            return {"enforcement": None, "principal": None, "purpose": None, "masked": {}}
        masks = {
            n: {c.name: word(c.mask) for c in p.columns if c.mask != Raw()} for n, p in self.plans.items()
        }
        return {
            "enforcement": ENFORCEMENT,
            "principal": self.principal.id,
            "purpose": self.claim.purpose,
            "masked": next(iter(masks.values())) if len(masks) == 1 else masks,
        }

    def raw(self, name: str) -> frozenset[str] | None:
        """The columns shown as they are in every row there is; None means all."""
        return None if self.principal is None else _seen_everywhere(self.plans[name])

    def whole(self, name: str) -> bool:
        """Whether no row is hidden, so that counts of all rows may be told."""
        return self.principal is None or self.plans[name].view.rows == EVERY_ROW


def word(mask: object) -> str:
    """A mask as one word."""
    return type(mask).__name__.lower().replace("literally", "constant")


def enter(
    storage: Storage,
    pinned: Mapping[str, Pinned],
    claim: Claim,
    *,
    surface: str,
    columns: Sequence[str] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Access:
    """Decide about a read of `pinned`, write it down, and say what may be seen.

    `surface` names the way of reading, `columns` those it needs (None: all that may be seen), `said` are the
    reader's own words (a query, a condition), which the log keeps apart. Raises AccessDeniedError when the answer
    is no, StorageError when it cannot be recorded: then nothing is shown.
    """
    now = datetime.now(UTC)
    bundle = _bundle(storage, now)
    if bundle is None:
        return Access(pinned)
    from raymesh.actions.identity import principal_of

    principal = principal_of(storage, claim.name, claim.token, now=now)
    action: Action = "read_clear" if claim.clear else "read"
    asked = Asked(action, None if columns is None else tuple(columns), claim.purpose)
    guard = _Guard(storage, principal, asked, pinned, now)
    decisions = guard.decide(bundle, now)
    _record(storage, _Told(principal, claim, surface, said), pinned, decisions, now)
    plans = {name: _allowed(d) for name, d in decisions.items()}
    guard.begin(plans)
    views = {name: guard.tables[name].back(_keyed(storage, plan.view)) for name, plan in plans.items()}
    seen = {n: replace(p, scan=replace(p.scan, view=views[n])) for n, p in pinned.items()}
    return Access(seen, principal, claim, plans, guard)


@dataclass(frozen=True, slots=True)
class Known:
    """What a reader may learn of versions besides their rows: `columns` by (product, port) are those whose values
    may be seen in all rows; numbers of rows only of those that are there. `everything`: there is no governance.
    `groups` are the reader's."""

    everything: bool = True
    columns: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()

    def counts(self, version: Version) -> bool:
        """Whether the reader may know how many rows the version has, and what was measured in them."""
        return self.everything or (version.product, version.port) in self.columns

    def sample(self, version: Version, row: Mapping[str, Any]) -> dict[str, Any]:
        """What of a sample row the reader may see."""
        shown = self.columns.get((version.product, version.port), frozenset())
        return {k: v for k, v in row.items() if self.everything or k in shown}


def known(storage: Storage, versions: Iterable[Version], claim: Claim | None = None) -> Known:
    """What a reader may learn about versions: numbers are for those who see all rows, and for the team that owns
    the product. Who is nobody, or cannot say who, learns none."""
    now = datetime.now(UTC)
    bundle = _bundle(storage, now)
    if bundle is None:
        return Known()
    from raymesh.actions.identity import principal_of
    from raymesh.actions.read import Pinned
    from raymesh.mesh.plan import Scan

    claim = claim or NOBODY
    try:
        principal = principal_of(storage, claim.name, claim.token, now=now)
    except AccessDeniedError:
        return Known(everything=False)
    found = {(v.product, v.port): v for v in versions}
    schemas = {key: TableSchema.from_json(dict(v.schema)) for key, v in found.items()}
    pinned = {
        f"{product}/{port}": Pinned(v, Scan(schemas[product, port], ()))
        for (product, port), v in found.items()
    }
    guard = _Guard(storage, principal, Asked(purpose=claim.purpose), pinned, now)
    decisions = guard.decide(bundle, now)
    told = {
        (table.target.product, table.target.port): _seen_everywhere(decisions[name])
        for name, table in guard.tables.items()
        if table.target.owner in principal.groups or _whole(decisions[name])
    }
    return Known(everything=False, columns=told, groups=principal.groups)


def _whole(decision: Decision) -> bool:
    return isinstance(decision, ReadPlan) and decision.view.rows == EVERY_ROW


def _seen_everywhere(decision: Decision) -> frozenset[str]:
    """The columns shown as they are in every row there is."""
    if not isinstance(decision, ReadPlan) or not _whole(decision):
        return frozenset()
    return frozenset(c.name for c in decision.view.columns if c.mask == Raw() and c.visible == EVERY_ROW)


def _bundle(storage: Storage, now: datetime) -> Bundle | None:
    from raymesh.spec.governance_files import is_governed

    if not is_governed(storage.root) and storage.state.bundles.newest() is None:
        return None
    from raymesh.actions.bundle import bundle_in_force

    return bundle_in_force(storage, now)


def _allowed(decision: Decision) -> ReadPlan:
    if isinstance(decision, Deny):
        reason, _, hint = decision.reason.partition("; ")
        raise AccessDeniedError(reason, hint=hint or None)
    return decision


def _keyed(storage: Storage, view: View) -> View:
    """The view with the place of the secret its tokens need, which is made on first use."""
    if not any(isinstance(c.mask, Token) for c in view.columns):
        return view
    from raymesh.actions.keys import key

    said = storage.spec.keys.tokens
    key(storage.root, said, TOKEN_KEY)
    reference = said or SecretRef(f"${{file:.raymesh/{TOKEN_KEY}}}")
    return replace(view, key=reference.anchored(storage.root))


@dataclass(frozen=True, slots=True)
class _Table:
    """A version as today's policies know it: under the names its columns have now. `names` maps these to the
    version's own."""

    target: Target
    names: Mapping[str, str]

    @classmethod
    def of(cls, storage: Storage, pinned: Pinned) -> _Table:
        from raymesh.actions.targets import target_of

        target = target_of(storage, pinned.version, pinned.scan.schema)
        target = replace(target, columns=tuple(_noted(target, c) for c in target.columns))
        today = storage.state.current([target.product]).get((target.product, target.port))
        if today is None or today.number == pinned.version.number:
            return cls(target, {c.name: c.name for c in target.columns})
        return cls._renamed(target, target_of(storage, today), TableSchema.from_json(dict(today.schema)))

    @classmethod
    def _renamed(cls, target: Target, today: Target, schema: TableSchema) -> _Table:
        """A column that was dropped keeps its name, unless another one has it now: then nobody sees it."""
        now = {f.id: f.name for f in schema}
        kept = [c for c in target.columns if c.id in now or c.name not in now.values()]
        columns = tuple(replace(c, name=now.get(c.id, c.name)) for c in kept)
        names = {new.name: old.name for new, old in zip(columns, kept, strict=True)}
        since = replace(target, purposes=today.purposes, consent=today.consent, current=False)
        return cls(replace(since, columns=columns), names)

    def asked(self, columns: Sequence[str] | None) -> tuple[str, ...] | None:
        """The version's column names as today's."""
        if columns is None:
            return None
        today = {old: new for new, old in self.names.items()}
        return tuple(today.get(c, c) for c in columns)

    def back(self, view: View) -> View:
        """A view in the version's own names."""
        columns = tuple(
            replace(c, name=self.names[c.name], visible=self._own(c.visible))
            for c in view.columns
            if not isinstance(c.mask, Absent)
        )
        return replace(view, rows=self._own(view.rows), columns=columns)

    def _own(self, part: Any) -> Any:
        if isinstance(part, Column):
            return Column((self.names.get(part.path[0], part.path[0]), *part.path[1:]))
        if isinstance(part, tuple):
            return tuple(self._own(item) for item in part)
        if is_dataclass(part) and not isinstance(part, type):
            return replace(part, **{f: self._own(getattr(part, f)) for f in part.__dataclass_fields__})
        return part


def _noted(target: Target, column: GovernedColumn) -> GovernedColumn:
    """What raymesh itself notes beside rows set aside needs nobody's classification."""
    if guarded_port(target.port) is not None and column.name in NOTED and not column.tags:
        return replace(column, classified=True)
    return column


class _Guard:
    """Asks again, while rows flow, whether they may."""

    def __init__(
        self,
        storage: Storage,
        principal: Principal,
        asked: Asked,
        pinned: Mapping[str, Pinned],
        now: datetime,
    ) -> None:
        self.storage = storage
        self.principal = principal
        self.asked = asked
        self.pinned = pinned
        self.tables = self._tables()
        self.plans: Mapping[str, ReadPlan] = {}
        self._began = now, time.monotonic()
        self._until = now

    def _tables(self) -> dict[str, _Table]:
        """What is read, as it stands to what is published now."""
        return {name: _Table.of(self.storage, p) for name, p in self.pinned.items()}

    def decide(self, bundle: Bundle | None, now: datetime) -> dict[str, Decision]:
        from raymesh.actions.access import grants_for
        from raymesh.governance.decide import decide

        found: dict[str, Decision] = {}
        for name, table in self.tables.items():
            asked = replace(self.asked, columns=table.asked(self.asked.columns))
            grants = grants_for(self.storage.state, self.principal, table.target.table, now)
            found[name] = decide(self.principal, table.target, asked, bundle, grants, now)
        return found

    def begin(self, plans: Mapping[str, ReadPlan]) -> None:
        """Count one query against the budgets these plans rest on. Raises AccessDeniedError when one is used up."""
        self.plans = plans
        self._until = self._ends(self._began[0])
        self._consume(0, 1, self._began[0])

    def watch(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in reader:
            now = self.now()
            if now >= self._until:
                self._again(now)
            self._consume(batch.num_rows, 0, now)
            yield batch

    def now(self) -> datetime:
        """The time, which never goes back while a read lasts."""
        began, at = self._began
        return max(datetime.now(UTC), began + timedelta(seconds=time.monotonic() - at))

    def renewed(self) -> datetime:
        """Decide anew; until when the answer holds. Raises AccessDeniedError when it is another one."""
        self._again(self.now())
        return self._until

    def require_uncounted(self) -> None:
        from raymesh.actions.access import counted

        for name in counted(self.storage.state, sorted({g for p in self.plans.values() for g in p.grants})):
            raise AccessDeniedError(
                f"agreement {name} allows a number of rows, which cannot be counted in tasks of a cluster",
                hint="read in this process: to_batches(), to_arrow()",
            )

    def _ends(self, now: datetime) -> datetime:
        return min([now + RECHECK, *(p.valid_until for p in self.plans.values())])

    def _again(self, now: datetime) -> None:
        self.tables = self._tables()
        decisions = self.decide(_bundle(self.storage, now), now)
        for name, decision in decisions.items():
            if not isinstance(decision, ReadPlan) or decision.view != self.plans[name].view:
                raise AccessDeniedError(
                    "what may be read has changed while it was read",
                    hint="read again for what may be seen now",
                )
        self.plans = {n: d for n, d in decisions.items() if isinstance(d, ReadPlan)}
        self._until = self._ends(now)

    def _consume(self, rows: int, queries: int, now: datetime) -> None:
        from raymesh.actions.access import AGREEMENT, consume

        agreed = {g for p in self.plans.values() for g in p.grants if g.startswith(AGREEMENT)}
        if agreed:
            consume(self.storage.state, sorted(agreed), rows=rows, queries=queries, now=now)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a record says about the reader."""

    principal: Principal
    claim: Claim
    surface: str
    said: Mapping[str, Any] | None


def _record(
    storage: Storage,
    told: _Told,
    pinned: Mapping[str, Pinned],
    decisions: Mapping[str, Decision],
    now: datetime,
) -> None:
    """One durable record per product, before anything of it is shown."""
    from raymesh.actions import audit
    from raymesh.governance.audit import AuditRecord

    records = []
    for name, decision in decisions.items():
        version = pinned[name].version
        detail = {
            "surface": told.surface,
            "purpose": told.claim.purpose,
            "version": version.number,
            "snapshot_id": version.snapshot_id,
            **_reasons(decision),
        }
        records.append(
            AuditRecord(
                kind="break-glass" if told.claim.clear else "read",
                at=now,
                principal=told.principal.id,
                product=version.table,
                outcome="denied" if isinstance(decision, Deny) else "allowed",
                detail=detail,
                private=told.said or None,
                about=told.principal.id if told.said else "",
            )
        )
    audit.record(storage, records)


def _reasons(decision: Decision) -> dict[str, Any]:
    if isinstance(decision, Deny):
        return {"code": decision.code, "rules": list(decision.rules)}
    return {
        "bundle": decision.bundle,
        "grants": list(decision.grants),
        "row_rules": list(decision.row_rules),
        "columns": {c.name: word(c.mask) for c in decision.columns},
        "conflicts": list(decision.conflicts),
        "valid_until": decision.valid_until.isoformat(),
    }

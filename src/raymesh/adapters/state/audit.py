"""The audit log: one transaction adds records, the tree over them and a signed checkpoint.

The row of the head is what appenders take turns on, so the log has one order on every database. Threads that
append at once share a transaction: whoever gets the turn commits for all who wait.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from raymesh.adapters.state.group import Group
from raymesh.adapters.state.schema import (
    audit,
    audit_checkpoints,
    audit_head,
    audit_keys,
    audit_payloads,
)
from raymesh.adapters.state.values import clean, from_micros, to_micros
from raymesh.errors import AuditTamperedError
from raymesh.governance.audit import AuditHead, Checkpoint, Sealed, leaf, record_text, seal
from raymesh.governance.merkle import Tree
from raymesh.spi.audit import AuditEntry, AuditFilter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raymesh.adapters.state.store import SqlStateStore
    from raymesh.governance.audit import AuditRecord, Signer
    from raymesh.spi.state import Transaction

_KEY_BYTES, _NONCE_BYTES = 32, 12
_COLUMNS = "number, leaf, at, kind, principal, product, outcome, record"
_INSERT = {  # written out: building it from the table anew for every row takes as long as the row itself
    dialect: f"INSERT INTO raymesh_audit ({_COLUMNS}) VALUES ({', '.join([mark] * 8)})"
    for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
}
_PAGE = 5000
"""Rows that are read at once when the whole log is."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A record ready to be kept: its text, its sealed particulars, the columns it is found by."""

    text: str
    sealed: Sealed | None
    found_by: tuple[int, str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Work:
    """Records of one caller."""

    written: Sequence[_Written]
    sign: Signer


class SqlAuditLog:
    """An `AuditLog` in the database of a state store."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store
        self._group: Group[_Work, range] = Group(self._commit)
        self._trusted: Checkpoint | None = None

    def append(
        self, records: Sequence[AuditRecord], *, sign: Signer, within: Transaction | None = None
    ) -> range:
        """Add records in order and sign the head they make; their numbers.

        Raises AuditTamperedError, adding nothing, when the log is not as it was last signed.
        """
        written = [_written(r) for r in records]
        if within is not None:
            with self._store.writing(within) as connection:
                return self._add(connection, written, sign)
        self._store.refuse_nested()
        return self._group.submit(_Work(written, sign))

    def _commit(self, works: Sequence[_Work]) -> list[range]:
        """The records of several callers in one transaction, signed once."""
        everything = [w for work in works for w in work.written]
        with self._store.writing() as connection:
            first = self._add(connection, everything, works[0].sign).start
        ends = list(accumulate((len(work.written) for work in works), initial=first))
        return [range(start, end) for start, end in pairwise(ends)]

    def _add(self, connection: Connection, written: Sequence[_Written], sign: Signer) -> range:
        head = _head(connection, locked=True)
        self._verify(connection, head)
        first = head.size
        if not written:
            return range(first, first)
        leaves = [leaf(n, w.text) for n, w in enumerate(written, start=first)]
        grown = AuditHead(head.log, head.tree.grown(leaves))
        rows = [
            (n, hashed.hex(), *w.found_by, w.text)
            for n, (hashed, w) in enumerate(zip(leaves, written, strict=True), start=first)
        ]
        connection.exec_driver_sql(_INSERT[connection.dialect.name], rows)
        _keep_private(connection, written, first)
        _move_head(connection, grown)
        self._sign(connection, grown, sign)
        return range(first, grown.size)

    def _verify(self, connection: Connection, head: AuditHead) -> None:
        """Refuse to sign what somebody else made of the log since it was last signed."""
        last = _checkpoints(connection, head.log, newest=True)
        found = last[0] if last else None
        if found is None and head.size == 0:
            return
        if found is None or (found.log, found.size, found.root) != (head.log, head.size, head.tree.root):
            raise _tampered(f"it holds {head.size} records, which nobody signed")
        if found != self._trusted and not found.genuine:
            raise _tampered(f"the signature of its head at {head.size} records is not genuine")

    def _sign(self, connection: Connection, head: AuditHead, sign: Signer) -> None:
        made = sign(head)
        connection.execute(
            insert(audit_checkpoints).values(
                size=made.size,
                root=made.root.hex(),
                at=to_micros(made.at),
                signing_key=made.key.hex(),
                signature=made.signature.hex(),
            )
        )
        self._trusted = made

    def head(self, within: Transaction | None = None) -> AuditHead:
        """The log as it stands."""
        with self._store.reading(within) as connection:
            return _head(connection)

    def records(self, wanted: AuditFilter = AuditFilter(), *, limit: int = 100) -> Sequence[AuditEntry]:  # noqa: B008  # frozen
        """The newest that match, the latest first."""
        query = select(audit)
        if wanted.product is not None:
            ports = audit.c.product.startswith(f"{wanted.product}__", autoescape=True)
            query = query.where((audit.c.product == wanted.product) | ports)
        for column in ("principal", "kind", "outcome"):
            if (value := getattr(wanted, column)) is not None:
                query = query.where(audit.c[column] == clean(value))
        if wanted.since is not None:
            query = query.where(audit.c.at >= to_micros(wanted.since))
        with self._store.reading() as connection:
            found = connection.execute(query.order_by(audit.c.number.desc()).limit(limit))
            return [_entry(row) for row in found]

    def entry(self, index: int) -> AuditEntry | None:
        """Record number `index`."""
        with self._store.reading() as connection:
            row = connection.execute(select(audit).where(audit.c.number == index)).one_or_none()
        return None if row is None else _entry(row)

    def entries(self, within: Transaction | None = None) -> Iterator[AuditEntry]:
        """Everything there is, by number; one snapshot, so appends meanwhile do not show."""
        with self._store.reading(within) as connection:
            after = -(2**62)
            while True:
                query = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(_PAGE)
                page = connection.execute(query).all()
                for row in page:
                    yield _entry(row)
                if len(page) < _PAGE:
                    return
                after = page[-1].number

    def leaves(self, size: int) -> Sequence[bytes]:
        """The first `size` leaf hashes as kept."""
        query = select(audit.c.leaf).where(audit.c.number < size).order_by(audit.c.number)
        with self._store.reading() as connection:
            return [bytes.fromhex(row.leaf) for row in connection.execute(query)]

    def checkpoints(self, above: int = -1, within: Transaction | None = None) -> Sequence[Checkpoint]:
        """Those of a size greater than `above`, the smallest first."""
        with self._store.reading(within) as connection:
            return _checkpoints(connection, _head(connection).log, above)

    def private(self, index: int) -> Sealed | None:
        """The sealed particulars of a record; None when it has none or their key was erased."""
        joined = audit_payloads.join(audit_keys, audit_keys.c.number == audit_payloads.c.number)
        query = (
            select(audit_payloads, audit_keys.c.payload_key)
            .select_from(joined)
            .where(audit_payloads.c.number == index)
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        key, nonce, ciphertext = map(bytes.fromhex, (row.payload_key, row.nonce, row.ciphertext))
        return Sealed(row.about, key, nonce, ciphertext, row.commitment)

    def erase(self, about: str, within: Transaction | None = None) -> int:
        """Destroy the keys of all particulars about somebody; returns how many there were."""
        with self._store.writing(within) as connection:
            if connection.dialect.name == "sqlite":  # otherwise the bytes stay in free pages of the file
                connection.exec_driver_sql("PRAGMA secure_delete = on")
            gone = connection.execute(delete(audit_keys).where(audit_keys.c.about == clean(about)))
            return gone.rowcount


def _tampered(what: str) -> AuditTamperedError:
    return AuditTamperedError(
        f"the audit log is not as it was last signed: {what}", hint="raymesh audit verify names the place"
    )


def _written(record: AuditRecord) -> _Written:
    sealed = None
    if record.private is not None:
        sealed = seal(record, os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES))
    text = record_text(record, sealed.commitment if sealed else None)
    names = record.kind, record.principal, record.product, record.outcome
    kind, principal, product, outcome = map(clean, names)
    return _Written(text, sealed, (to_micros(record.at), kind, principal, product, outcome))


def _head(connection: Connection, *, locked: bool = False) -> AuditHead:
    query = select(audit_head)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        raise _tampered("its head is missing")
    peaks = tuple(bytes.fromhex(p) for p in row.peaks.split())
    tree = Tree(row.size, peaks)
    if not tree.whole:
        raise _tampered("its head is torn")
    return AuditHead(row.log, tree)


def _move_head(connection: Connection, head: AuditHead) -> None:
    peaks = " ".join(p.hex() for p in head.tree.peaks)
    connection.execute(update(audit_head).values(size=head.size, peaks=peaks))


def _keep_private(connection: Connection, written: Sequence[_Written], first: int) -> None:
    sealed = [(n, w.sealed) for n, w in enumerate(written, start=first) if w.sealed is not None]
    if not sealed:
        return
    payloads = [
        {
            "number": n,
            "about": clean(s.about),
            "commitment": s.commitment,
            "nonce": s.nonce.hex(),
            "ciphertext": s.ciphertext.hex(),
        }
        for n, s in sealed
    ]
    connection.execute(insert(audit_payloads), payloads)
    keys = [{"number": n, "about": clean(s.about), "payload_key": s.key.hex()} for n, s in sealed]
    connection.execute(insert(audit_keys), keys)


def _checkpoints(
    connection: Connection, log: str, above: int = -1, *, newest: bool = False
) -> list[Checkpoint]:
    query = select(audit_checkpoints).where(audit_checkpoints.c.size > above)
    if newest:
        query = query.order_by(audit_checkpoints.c.size.desc()).limit(1)
    else:
        query = query.order_by(audit_checkpoints.c.size)
    return [
        Checkpoint(
            log,
            row.size,
            bytes.fromhex(row.root),
            from_micros(row.at),
            bytes.fromhex(row.signing_key),
            bytes.fromhex(row.signature),
        )
        for row in connection.execute(query)
    ]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        index=row.number,
        text=row.record,
        leaf=bytes.fromhex(row.leaf),
        at=from_micros(row.at),
        kind=row.kind,
        principal=row.principal,
        product=row.product,
        outcome=row.outcome,
    )

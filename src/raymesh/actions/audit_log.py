"""Looks into the audit log: the newest records, a full examination, proofs, erasure of particulars."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.audit import KEY_FILE, audit_key, noted_checkpoints, record, witness_path
from raymesh.errors import AuditTamperedError, NotFoundError, UsageError
from raymesh.governance import signing
from raymesh.governance.audit import KINDS, AuditRecord, Checkpoint, unseal
from raymesh.governance.audit_check import Examination, Finding, Witnesses, examine
from raymesh.governance.merkle import Tree, consistency, consistent, inclusion
from raymesh.mesh.reading import did_you_mean
from raymesh.spi.audit import AuditEntry, AuditFilter

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.spi.state import Transaction


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as people see it; `private` holds its particulars where asked for, None when they are gone."""

    entry: AuditEntry
    private: Any = None

    def to_json(self, *, private: bool) -> dict[str, Any]:
        """The record with its number, with its particulars where they were asked for."""
        particulars = {"private": self.private} if private else {}
        return {"number": self.entry.index, **self.entry.said, **particulars}


def tail(storage: Storage, wanted: AuditFilter, limit: int, *, private: bool = False) -> list[Shown]:
    """The newest records that match, the oldest of them first. Raises UsageError for a kind there is none of."""
    if wanted.kind is not None and wanted.kind not in KINDS:
        shown = f"kinds: {', '.join(KINDS)}"
        raise UsageError(
            f"there is no kind of records `{wanted.kind}`",
            hint=did_you_mean(wanted.kind, KINDS, otherwise=shown),
        )
    found = storage.state.audit.records(wanted, limit=limit)
    return [Shown(e, _particulars(storage, e.index) if private else None) for e in reversed(found)]


def _particulars(storage: Storage, index: int) -> Any:
    sealed = storage.state.audit.private(index)
    return unseal(sealed) if sealed else None


def verify(storage: Storage, against: Path | None = None) -> Examination:
    """Recompute the whole log and compare it with every checkpoint there is: those in the database, those noted
    in `.raymesh`, those of the file `against`.

    Raises UsageError when a file holds anything but checkpoints, NotFoundError when `against` is not there.
    """
    if against is not None and not against.is_file():
        raise NotFoundError(
            f"there is no file {against}", hint="raymesh audit checkpoint --to FILE writes one"
        )
    others = noted_checkpoints(witness_path(storage.root))  # before the log, which may have grown since
    others += noted_checkpoints(against) if against else ()
    log = storage.state.audit
    bad: list[Finding] = []
    with storage.state.read() as tx:  # one moment, whatever is appended meanwhile
        try:
            head = log.head(within=tx)
        except AuditTamperedError as torn:
            return Examination(0, b"", 0, (), (Finding("rewrite", 0, torn.message),))
        witnesses = Witnesses(log.checkpoints(within=tx), others, trusted_keys(storage))
        found = examine(head, _checked(storage, bad, tx), witnesses)
    findings = tuple(sorted((*found.findings, *bad), key=lambda f: f.first))
    return Examination(found.size, found.root, found.checkpoints, found.signers, findings)


def _checked(storage: Storage, bad: list[Finding], tx: Transaction) -> Iterator[AuditEntry]:
    """The records; those whose particulars are no longer what they committed to are added to `bad`."""
    for entry in storage.state.audit.entries(within=tx):
        if '"private":"' in entry.text:
            sealed = storage.state.audit.private(entry.index)
            if sealed is not None and (sealed.commitment not in entry.text or unseal(sealed) is None):
                bad.append(
                    Finding("edit", entry.index, f"the particulars of record {entry.index} were changed")
                )
        yield entry


def trusted_keys(storage: Storage) -> frozenset[bytes]:
    """The public keys that may sign: those of mesh.yaml, and this machine's when it has one."""
    keys = {bytes.fromhex(k) for k in storage.spec.governance.audit_keys}
    if storage.spec.keys.audit is not None or (storage.root / ".raymesh" / KEY_FILE).exists():
        keys.add(signing.public_key(audit_key(storage)))
    return frozenset(keys)


def newest_checkpoint(storage: Storage) -> Checkpoint:
    """The last signed word on the log. Raises NotFoundError while nothing was recorded."""
    found = storage.state.audit.checkpoints(storage.state.audit.head().size - 1)
    if not found:
        raise NotFoundError("nothing was recorded yet", hint="raymesh run publishes, which is recorded")
    return found[-1]


def note(checkpoint: Checkpoint, to: Path) -> None:
    """Add a checkpoint to a file that somebody else keeps."""
    line = json.dumps(checkpoint.to_json()) + "\n"
    with to.open("a", encoding="utf-8") as file:
        file.write(line)


def prove(storage: Storage, index: int) -> dict[str, Any]:
    """Everything needed to see, without raymesh, that a record is in the log: the record's text, the hashes from
    its leaf to the root, the signed checkpoint with that root.

    Raises NotFoundError for a number there is no record of, UsageError when the log does not fit its checkpoint.
    """
    checkpoint = newest_checkpoint(storage)
    found = storage.state.audit.entry(index)
    if found is None or index >= checkpoint.size:
        raise NotFoundError(f"there is no record {index}", hint=f"records go from 0 to {checkpoint.size - 1}")
    leaves = storage.state.audit.leaves(checkpoint.size)
    if Tree().grown(leaves).root != checkpoint.root:
        raise UsageError("the log is not what was signed", hint="raymesh audit verify names the place")
    return {
        "index": index,
        "record": found.text,
        "proof": [h.hex() for h in inclusion(leaves, index)],
        "checkpoint": checkpoint.to_json(),
    }


def prove_growth(storage: Storage, since: int) -> dict[str, Any]:
    """Everything needed to see, without the records, that the log of `since` records was only added to: the two
    signed checkpoints and the hashes between them.

    Raises NotFoundError when no checkpoint was signed at that size.
    """
    newest = newest_checkpoint(storage)
    old = [c for c in storage.state.audit.checkpoints(since - 1) if c.size == since]
    if not old:
        raise NotFoundError(
            f"nothing was signed at {since} records", hint="raymesh audit checkpoint tells the newest size"
        )
    leaves = storage.state.audit.leaves(newest.size)
    proof = consistency(leaves, since)
    if not consistent((since, old[0].root), (newest.size, newest.root), proof):
        raise UsageError("the log is not what was signed", hint="raymesh audit verify names the place")
    return {"old": old[0].to_json(), "new": newest.to_json(), "proof": [h.hex() for h in proof]}


def erase(storage: Storage, about: str, by: str, reason: str) -> int:
    """Destroy the keys of all particulars about somebody, and record that it was done; how many there were.

    The record holds a number and the reason, not the name.
    """
    with storage.state.write() as tx:
        gone = storage.state.audit.erase(about, within=tx)
        made = AuditRecord(
            "erasure", datetime.now(UTC), by, outcome="erased", detail={"keys": gone, "reason": reason}
        )
        record(storage, [made], within=tx)
    return gone

"""Writes the audit log of a mesh: every record is durable, and signed, before its caller goes on."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.actions.identity import service_principal
from raymesh.actions.ids import actor
from raymesh.errors import MeshError, UsageError
from raymesh.governance.audit import AuditHead, AuditRecord, Checkpoint, checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from raymesh.actions.workspace import Storage
    from raymesh.spi.state import Transaction, Version

KEY_FILE = "audit.key"
WITNESS = "audit/checkpoints"
_TAIL_BYTES = 4096
"""More than one line of the file of checkpoints takes."""


def record(storage: Storage, records: Sequence[AuditRecord], *, within: Transaction | None = None) -> range:
    """Add records to the log; their numbers. When this returns they are durable (with `within`: when that
    transaction commits; call `witness` afterwards).

    Raises StorageError (AuditTamperedError among them) when they could not be: then nothing may be shown.
    """
    seed = audit_key(storage)
    made: list[Checkpoint] = []

    def sign(head: AuditHead) -> Checkpoint:
        made.append(checkpoint(head, seed, datetime.now(UTC)))
        return made[-1]

    numbers = storage.state.audit.append(records, sign=sign, within=within)
    if within is None:
        _note(storage.root, made)
    return numbers


def audit_key(storage: Storage) -> bytes:
    """The seed of the Ed25519 key that signs this mesh's log here."""
    from raymesh.actions.keys import key

    return key(storage.root, storage.spec.keys.audit, KEY_FILE)


def witness(storage: Storage) -> None:
    """Bring the file of checkpoints beside the database up to date: a second word on what the log was."""
    with suppress(MeshError):  # what was done is done and recorded: this must not make it look undone
        _note(storage.root, storage.state.audit.checkpoints(_last_noted(witness_path(storage.root))))


def published(storage: Storage, version: Version, within: Transaction, **detail: Any) -> None:
    """Record, in the transaction that publishes it, that a version was published by the service that builds it."""
    said = {
        "version": version.number,
        "port": version.port,
        "kind": version.kind,
        "run_id": version.run_id,
        "rows": version.rows,
        "contract_version": version.contract_version,
        "actor": actor(),
        **detail,
    }
    principal = service_principal(version.product).id
    made = AuditRecord("publish", datetime.now(UTC), principal, version.table, version.kind, said)
    record(storage, [made], within=within)


def expired(storage: Storage, current: Version, numbers: Sequence[int], within: Transaction) -> None:
    """Record, in the transaction that does it, that old versions of a port can no longer be read."""
    said = {"versions": list(numbers), "port": current.port, "actor": actor()}
    principal = service_principal(current.product).id
    made = AuditRecord("publish", datetime.now(UTC), principal, current.table, "expired", said)
    record(storage, [made], within=within)


def held(storage: Storage, current: Version, numbers: Sequence[int], reason: str) -> None:
    """Record that old versions of a port did not expire, because a legal hold keeps them."""
    said = {"versions": list(numbers), "port": current.port, "reason": reason, "actor": actor()}
    principal = service_principal(current.product).id
    record(storage, [AuditRecord("publish", datetime.now(UTC), principal, current.table, "held", said)])


def refused(storage: Storage, product: str, run_id: str, rules: Sequence[str], within: Transaction) -> None:
    """Record, in the transaction that ends the run, that standards kept a product from being published."""
    said = {"run_id": run_id, "rules": list(rules), "actor": actor()}
    principal = service_principal(product).id
    made = AuditRecord("standard", datetime.now(UTC), principal, product, "refused", said)
    record(storage, [made], within=within)


def witness_path(root: Path) -> Path:
    """Where checkpoints are noted outside the database."""
    return root / ".raymesh" / WITNESS


def noted_checkpoints(path: Path) -> tuple[Checkpoint, ...]:
    """The checkpoints a file holds, one JSON document a line; none when there is no file.

    Raises UsageError for a line that is no checkpoint; a last line without its end was torn and does not count.
    """
    if not path.exists():
        return ()
    text = path.read_text(encoding="utf-8")
    return tuple(_parsed(line, path) for line in text.split("\n")[:-1] if line)


def _last_noted(path: Path) -> int:
    """The size of the last checkpoint in the file, -1 without one; what cannot be read is noted again."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["size"])
    except (OSError, ValueError, LookupError, TypeError):
        return -1


def _parsed(line: str, path: Path) -> Checkpoint:
    try:
        return Checkpoint.from_json(json.loads(line))
    except (ValueError, UsageError):
        raise UsageError(f"a line of {path} is no checkpoint of an audit log") from None


def _note(root: Path, made: Iterable[Checkpoint]) -> None:
    lines = "".join(json.dumps(c.to_json()) + "\n" for c in made)
    if not lines:
        return
    path = witness_path(root)
    with suppress(OSError):  # the log itself is durable; `audit verify` tells what the file lacks
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)

"""The audit log as values: records, the leaves they become, signed checkpoints, sealed particulars.

A record becomes canonical JSON; its leaf is the record's number and the text's length, eight bytes each, and
the text, so no text can pass for two records or for another place in the log. What may identify a person (the
literals of a query) is kept apart under a key of its own; the record holds a keyed commitment to it. When the
key is erased, the text is gone and every proof still holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from raymesh.errors import UsageError
from raymesh.governance import signing
from raymesh.governance.merkle import Tree, leaf_hash

KINDS = (
    "decision",
    "read",
    "grant",
    "publish",
    "policy",
    "classification",
    "declassification",
    "standard",
    "break-glass",
    "identity",
    "sign-in",
    "erasure",
)
"""What is recorded. `sign-in` are those that were refused: a wrong name or token. `grant` is everything about agreements: request, decision, renewal, revocation, expiry."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that happened: who (`Principal.id`) did what to which product (or table), and how it ended.

    `outcome` is one word, such as `allowed`, `denied`, `published`. `detail` is JSON without values of data;
    everything that may hold some (query text, literals) belongs into `private`, which is encrypted and can be
    erased, by record or by the subject it is `about`.
    """

    kind: str
    at: datetime
    principal: str
    product: str = ""
    outcome: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    private: Mapping[str, Any] | None = None
    about: str = ""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Particulars of a record, unreadable without `key`; `about` says by whose name the key is erased."""

    about: str
    key: bytes = field(repr=False)
    nonce: bytes
    ciphertext: bytes
    commitment: str


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The log as it stands: its name, given at random when it began, and the tree over its leaves."""

    log: str
    tree: Tree

    @property
    def size(self) -> int:
        return self.tree.size


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Somebody's signed word that the log of this name had this root at this size."""

    log: str
    size: int
    root: bytes
    at: datetime
    key: bytes
    signature: bytes

    @property
    def message(self) -> bytes:
        """The bytes that are signed."""
        return _message(self.log, self.size, self.root, self.at)

    @property
    def genuine(self) -> bool:
        """Whether `key` signed it; whose key that is, is another question."""
        return signing.signed_by(self.key, self.signature, self.message)

    def to_json(self) -> dict[str, Any]:
        """The checkpoint as text that others can keep."""
        return {
            "log": self.log,
            "size": self.size,
            "root": self.root.hex(),
            "at": self.at.isoformat(),
            "key": self.key.hex(),
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Checkpoint:
        """Raises UsageError for anything that is no checkpoint."""
        try:
            return cls(
                log=str(said["log"]),
                size=int(said["size"]),
                root=bytes.fromhex(said["root"]),
                at=datetime.fromisoformat(said["at"]),
                key=bytes.fromhex(said["key"]),
                signature=bytes.fromhex(said["signature"]),
            )
        except (KeyError, TypeError, ValueError):
            raise UsageError("this is no checkpoint of an audit log") from None


Signer: TypeAlias = Callable[[AuditHead], Checkpoint]
"""Signs a head of the log."""


def _message(log: str, size: int, root: bytes, at: datetime) -> bytes:
    moment = at.astimezone(UTC).isoformat()
    return f"raymesh-audit-checkpoint/1\n{log}\n{size}\n{root.hex()}\n{moment}\n".encode()


def checkpoint(head: AuditHead, seed: bytes, at: datetime) -> Checkpoint:
    """The head, signed with the Ed25519 key `seed` stands for."""
    root = head.tree.root
    signature = signing.sign(seed, _message(head.log, head.size, root, at))
    return Checkpoint(head.log, head.size, root, at, signing.public_key(seed), signature)


def canonical(value: Any) -> str:
    """JSON with one form per value: sorted keys, ASCII, no NaN.

    Raises UsageError for what JSON cannot hold.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"an audit record cannot hold this: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__}")


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_plain
)


def record_text(record: AuditRecord, commitment: str | None = None) -> str:
    """The record as it is kept and hashed."""
    if record.at.tzinfo is None:
        raise UsageError(f"{record.at.isoformat()} has no time zone", hint="pass an aware datetime")
    at = record.at if record.at.tzinfo is UTC else record.at.astimezone(UTC)
    said: dict[str, Any] = {
        "at": at.isoformat(),
        "detail": record.detail,
        "kind": record.kind,
        "outcome": record.outcome,
        "principal": record.principal,
        "product": record.product,
    }
    if commitment is not None:
        said["private"] = commitment
    return canonical(said)


def leaf(index: int, text: str) -> bytes:
    """The leaf hash of record number `index`, counted from 0."""
    content = text.encode("ascii")
    return leaf_hash(index.to_bytes(8, "big") + len(content).to_bytes(8, "big") + content)


def seal(record: AuditRecord, key: bytes, nonce: bytes) -> Sealed | None:
    """The record's particulars under `key` (32 random bytes, for this record only); None without any."""
    if record.private is None:
        return None
    text = canonical(record.private).encode("ascii")
    commitment = committed(key, text)
    ciphertext = signing.encrypt(key, nonce, text, commitment.encode())
    return Sealed(record.about, key, nonce, ciphertext, commitment)


def committed(key: bytes, text: bytes) -> str:
    """What a record says of its particulars: nobody without the key can test a guess against it."""
    return hmac.new(signing.derived(key, "commitment"), text, hashlib.sha256).hexdigest()


def unseal(sealed: Sealed) -> Any:
    """The particulars, None when they are not what the record committed to."""
    text = signing.decrypt(sealed.key, sealed.nonce, sealed.ciphertext, sealed.commitment.encode())
    if text is None or not hmac.compare_digest(committed(sealed.key, text), sealed.commitment):
        return None
    return json.loads(text)

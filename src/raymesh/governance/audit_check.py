"""Recomputes an audit log from its records and tells what somebody made of it.

What each kind of damage looks like: an edit or a move breaks the leaf of its record, a deletion leaves a gap, a
truncation leaves fewer records than a checkpoint counted, an injection leaves records no checkpoint covers, and
whoever recomputes leaves, tree and checkpoints has another root than the checkpoints that others keep, or
signs with another key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from raymesh.governance.audit import AuditHead, Checkpoint, canonical, leaf
from raymesh.governance.merkle import Tree

Damage = Literal["edit", "deletion", "duplicate", "injection", "truncation", "rewrite", "signature"]


class Entry(Protocol):
    """A record as it is kept; see `raymesh.spi.audit.AuditEntry`."""

    @property
    def index(self) -> int: ...
    @property
    def text(self) -> str: ...
    @property
    def leaf(self) -> bytes: ...
    @property
    def kind(self) -> str: ...
    @property
    def principal(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def outcome(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the log: `first` is the number of the first record concerned."""

    damage: Damage
    first: int
    message: str


@dataclass(frozen=True, slots=True)
class Examination:
    """What the log is, computed from its records. `signers` are the keys (hexadecimal) that signed it."""

    size: int
    root: bytes
    checkpoints: int
    signers: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What the log is compared with: its own checkpoints, those somebody else keeps, the keys that may sign."""

    own: Sequence[Checkpoint]
    others: Sequence[Checkpoint] = ()
    trusted: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class _Walk:
    """The log read so far: the tree over it, and its roots at the sizes that checkpoints name."""

    sizes: frozenset[int]
    tree: Tree = field(default_factory=Tree)
    roots: dict[int, bytes] = field(default_factory=dict)
    expected: int = 0
    findings: list[Finding] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        if entry.index > self.expected:
            gone = f"record {self.expected} is missing" + (
                f", and all up to {entry.index - 1}" if entry.index > self.expected + 1 else ""
            )
            self.findings.append(Finding("deletion", self.expected, gone))
        elif entry.index < self.expected:
            self.findings.append(Finding("duplicate", entry.index, f"record {entry.index} is there twice"))
        self.expected = entry.index + 1
        made = leaf(entry.index, entry.text)
        if made != entry.leaf:
            said = f"record {entry.index} is not what was written there: its text was changed or moved"
            self.findings.append(Finding("edit", entry.index, said))
        elif wrong := _column_that_lies(entry):
            said = f"record {entry.index} would be found under another {wrong} than it says"
            self.findings.append(Finding("edit", entry.index, said))
        self.tree = self.tree.grown([made])
        if self.tree.size in self.sizes:
            self.roots[self.tree.size] = self.tree.root


def _column_that_lies(entry: Entry) -> str | None:
    """The column that says otherwise than the record it belongs to."""
    try:
        said = json.loads(entry.text)
    except ValueError:
        return "form"
    if not isinstance(said, Mapping) or canonical(said) != entry.text:
        return "form"
    for name in ("kind", "principal", "product", "outcome"):
        if _shown(said.get(name)) != getattr(entry, name):
            return name
    return None


def _shown(value: Any) -> str:
    """Text as a database column holds it: NUL and lone surrogates escaped."""
    return str(value).replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def examine(head: AuditHead, entries: Iterable[Entry], witnesses: Witnesses) -> Examination:
    """Recompute the log from `entries`, all records in order, and compare it with what was signed.

    Findings stand in the order of the records they begin at.
    """
    everything = [*witnesses.own, *witnesses.others]
    walk = _Walk(frozenset(c.size for c in everything))
    for entry in entries:
        walk.take(entry)
    if walk.tree.size == 0:
        walk.roots[0] = walk.tree.root
    found = [*walk.findings, *_against_head(head, walk), *_signatures(head, everything, witnesses.trusted)]
    if not walk.findings:  # otherwise every root after the first bad record differs, which says nothing more
        found += _against_checkpoints(walk, witnesses.own)
        found += _against_checkpoints(walk, witnesses.others)
        found += _unsigned(walk, witnesses.own)
    signers = tuple(dict.fromkeys(c.key.hex() for c in witnesses.own))
    found = sorted(dict.fromkeys(found), key=lambda finding: finding.first)
    return Examination(walk.tree.size, walk.tree.root, len(witnesses.own), signers, tuple(found))


def _against_head(head: AuditHead, walk: _Walk) -> Iterable[Finding]:
    size = walk.tree.size
    if walk.findings:
        return
    if head.size > size:
        yield Finding("truncation", size, f"records from {size} on are missing: the log counted {head.size}")
    elif head.size < size:
        yield Finding(
            "injection", head.size, f"records from {head.size} on were put behind the end of the log"
        )
    elif head.tree != walk.tree:
        yield Finding("rewrite", 0, "the tree that is kept is not the tree over the records")


def _signatures(
    head: AuditHead, checkpoints: Sequence[Checkpoint], trusted: frozenset[bytes]
) -> Iterable[Finding]:
    for c in checkpoints:
        start = max(c.size - 1, 0)
        if not c.genuine:
            yield Finding("signature", start, f"the checkpoint at {c.size} records has no genuine signature")
        elif c.log != head.log:
            said = f"the checkpoint at {c.size} records is of another log ({c.log[:8]}…): this one was put in its place"
            yield Finding("rewrite", 0, said)
        elif trusted and c.key not in trusted:
            said = f"the checkpoint at {c.size} records was signed by a key nobody trusts here: {c.key.hex()}"
            yield Finding("signature", start, said)


def _against_checkpoints(walk: _Walk, checkpoints: Sequence[Checkpoint]) -> Iterable[Finding]:
    """The first disagreement between the log and the checkpoints one party keeps; what agrees with one party
    may have been made to, and says nothing about another."""
    agreed = 0
    for c in sorted(checkpoints, key=lambda c: c.size):
        if c.size > walk.tree.size:
            said = f"records from {walk.tree.size} on are missing: a checkpoint counted {c.size}"
            yield Finding("truncation", walk.tree.size, said)
            return
        if walk.roots.get(c.size) != c.root:
            first, last = min(agreed, c.size - 1), c.size - 1
            span = f"record {first}" if first == last else f"one of the records {first} to {last}"
            said = f"{span} is not what was signed at {c.size} records: the log was rewritten"
            yield Finding("rewrite", first, said)
            return
        agreed = c.size


def _unsigned(walk: _Walk, own: Sequence[Checkpoint]) -> Iterable[Finding]:
    signed = max((c.size for c in own), default=0)
    if signed < walk.tree.size:
        yield Finding("injection", signed, f"records from {signed} on were never signed")

"""Proposes classifications from names, types and sampled values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raymesh.actions.classify_sample import Found, look
from raymesh.actions.infer_patterns import snake, tags_of_name
from raymesh.actions.read import pin, split_name
from raymesh.actions.targets import effective_tags
from raymesh.governance.inheritance import NOTHING, Effective
from raymesh.spec.classifications import Taxonomy, normal, taxonomy
from raymesh.spec.types import Field, Primitive
from raymesh.spi.classifications import Act
from raymesh.spi.detector import Finding

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.spi.engine import Engine

SAMPLE_ROWS = 10_000
BY_NAME = 0.6
"""How sure a name alone is; enough for a proposal, never for certainty."""
ENOUGH = 0.5
_DENIED = 0.5
"""A name counts this much when values that should have a form do not have it."""

_BUILT_IN = {
    "email": "pii.direct.email",
    "phone": "pii.direct.phone",
    "iban": "pii.direct.bank_account",
    "payment_card": "pii.direct.payment_card",
    "national_id": "pii.direct.national_id",
    "ip_address": "pii.quasi.ip_address",
    "coordinates": "pii.quasi.location",
    "birth_date": "pii.quasi.birth_date",
    "person_name": "pii.direct.name",
    "postal_address": "pii.direct.address",
    "postcode": "pii.quasi.postcode",
}
_SPECIFIC = frozenset(
    ("pii.direct.email", "pii.direct.bank_account", "pii.direct.payment_card", "pii.quasi.ip_address")
)
"""Tags whose values always have the form: without it the name is misleading."""
_NUMBERS_THAT_ARE_NOT = re.compile(
    r"(^|_)(order|invoice|tracking|shipment|sku|ean|upc|gtin|isbn|article|product|item|batch|serial|imei|version|"
    r"build|release|price|amount|total|quantity|ticket)(_|$)"
)
"""Names of things that are numbered like people and accounts."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tag a column probably deserves: how sure (0-1) and what speaks for it, never a value."""

    tag: str
    confidence: float
    evidence: str


@dataclass(frozen=True, slots=True)
class ColumnProposal:
    """What is known and what is proposed for one column of a version."""

    field: int
    column: str
    type: str
    now: Effective
    suggestions: tuple[Suggestion, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Proposed tags that the column does not have."""
        return tuple(s.tag for s in self.suggestions if s.tag not in self.now.tags)


@dataclass(frozen=True, slots=True)
class Proposals:
    """Proposals for all columns of one version, and the open requests to take tags away."""

    product: str
    port: str
    version: int
    columns: tuple[ColumnProposal, ...]
    open: tuple[Act, ...] = ()
    sampled: int = 0

    def column(self, name: str) -> ColumnProposal:
        """By name; raises NotFoundError."""
        found = next((c for c in self.columns if c.column.casefold() == name.casefold()), None)
        if found is None:
            from raymesh.actions.read import unknown_columns

            raise unknown_columns(self.product, [name], [c.column for c in self.columns])
        return found


def mesh_taxonomy(storage: Storage) -> Taxonomy:
    """The taxonomy of a mesh: its governance document's, otherwise the built-in one."""
    from raymesh.actions.workspace import environment
    from raymesh.spec.governance_files import load_governance

    found = load_governance(storage.root, environment(storage.root))
    document = found.classifications if found else None
    return taxonomy(document.model if document else None)


def propose(
    storage: Storage, engine: Engine, name: str, *, known: Taxonomy | None = None, rows: int = SAMPLE_ROWS
) -> Proposals:
    """Proposals for the current version of a port, after a look at about `rows` of its rows.

    It looks as the service that builds the product does, and shows nothing of what it saw. Raises NotFoundError.
    """
    tags = known or mesh_taxonomy(storage)
    with storage.state.read() as tx:
        acts = storage.state.classifications.acts(split_name(name)[0], within=tx)
    pinned = pin(storage, name)
    version = pinned.version
    now = effective_tags(storage, [version])[version.product, version.port, version.number]
    found, sampled = look(engine, pinned, rows)
    columns = tuple(
        ColumnProposal(
            f.id, f.name, str(f.type), now.get(f.id, NOTHING), suggest(f, found.get(f.name, Found(0)), tags)
        )
        for f in pinned.scan.schema
    )
    return Proposals(
        version.product, version.port, version.number, columns, tuple(_open(acts, version.port)), sampled
    )


def _open(acts: Sequence[Act], port: str) -> Iterator[Act]:
    answered = {a.of for a in acts if a.of is not None}
    return (a for a in acts if a.kind == "propose" and a.port == port and a.id not in answered)


# names and values together


def suggest(column: Field, found: Found, known: Taxonomy) -> tuple[Suggestion, ...]:
    """The tags that name, type and values of a column speak for, the surest first."""
    plain = snake(column.name)
    other = _NUMBERS_THAT_ARE_NOT.search(plain) is not None
    by_name = [] if other else list(_by_name(column, known))
    best: dict[str, Suggestion] = {}
    for finding in _by_values(found, known):
        tag, named = finding.tag, finding.tag in by_name
        sure = finding.confidence * (0.6 if other else 1.0)
        sure = 1 - (1 - sure) * (1 - BY_NAME) if named else sure
        words = f"{finding.share:.0%} of {found.values:,} different values are {finding.words}"
        words += ", and the name says so" if named else (", but the name speaks against it" if other else "")
        if tag not in best or sure > best[tag].confidence:
            best[tag] = Suggestion(tag, round(sure, 2), words)
    for tag in by_name:
        if tag not in best:
            sure, words = _from_name(tag, found, known)
            best[tag] = Suggestion(tag, sure, words)
    chosen = sorted((s for s in best.values() if s.confidence >= ENOUGH), key=lambda s: -s.confidence)
    return tuple(_without_weaker(chosen))


def _by_values(found: Found, known: Taxonomy) -> Iterator[Finding]:
    """What detectors found, under tags of the mesh."""
    for pattern, (detector, share, holds) in found.matched.items():
        if holds and (tag := _tag_for(pattern, known)) is not None:
            yield Finding(tag, detector.words, share, detector.confidence)
    for finding in found.others:
        if known.knows(finding.tag):
            yield replace(finding, tag=normal(finding.tag))


def _by_name(column: Field, known: Taxonomy) -> Iterator[str]:
    for tag in tags_of_name(column.name):
        if tag in known.tags and _fits(tag, column):
            yield tag
    plain = snake(column.name)
    for name, tag_ in known.tags.items():
        if tag_.detect is not None and any(re.search(p, plain) for p in tag_.detect.names):
            yield name


_TEXT_ONLY = frozenset(("pii.direct.email", "pii.direct.name", "pii.direct.address", "pii.quasi.ip_address"))


def _fits(tag: str, column: Field) -> bool:
    """Whether a column of this type can hold what the tag is about: flags about e-mail hold no e-mail."""
    name = column.type.name if isinstance(column.type, Primitive) else "number"
    if name == "boolean":
        return False
    if tag == "pii.quasi.birth_date":
        return name in ("date", "timestamp", "timestamptz", "string", "int", "long")
    return name == "string" or tag not in _TEXT_ONLY


def _from_name(tag: str, found: Found, known: Taxonomy) -> tuple[float, str]:
    patterns = [p for p, t in _BUILT_IN.items() if t == tag]
    detector = known.tags[tag].detect
    if detector is not None and detector.pattern is not None:
        patterns.append(detector.pattern)
    share = max((found.matched[p][1] for p in patterns if p in found.matched), default=0.0)
    if found.values and tag in _SPECIFIC and share < 0.2:
        return BY_NAME * _DENIED, "the name says so, but the values do not look like it"
    return BY_NAME, "the name says so"


def _without_weaker(chosen: Sequence[Suggestion]) -> Iterator[Suggestion]:
    """One column is rarely two things at once: what only half explains it goes."""
    top = chosen[0].confidence if chosen else 0.0
    return (s for s in chosen if s.confidence >= top - 0.25)


def _tag_for(pattern: str, known: Taxonomy) -> str | None:
    """The tag of the taxonomy for what a detector finds."""
    own = next(
        (n for n, t in known.tags.items() if t.detect is not None and t.detect.pattern == pattern), None
    )
    return own or (_BUILT_IN[pattern] if _BUILT_IN[pattern] in known.tags else None)

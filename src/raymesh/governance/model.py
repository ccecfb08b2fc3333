"""Who asks, what about, under which rules, and the answer: the values governance works with.

Everything here is data. Predicates are closed expressions, never SQL text; what a reader may see ends as a
`View`, which engines apply without knowing why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from raymesh.errors import SourceSpan
from raymesh.mesh.plan import View
from raymesh.spec.expression import Expression
from raymesh.spec.mask import Mask
from raymesh.spec.types import Type

LOCAL_ISSUER = "local"
GLOBAL = "global"

Action = Literal["read", "read_clear"]
Effect = Literal["grant", "restrict", "mask", "deny", "delegate"]
"""grant     who may read what: the rows for which `rows` is true, the named columns
restrict  rows for which `rows` is not true are hidden from whom it matches
mask      columns with one of the tags (or names) are masked
deny      nothing is shown, whatever else is granted
delegate  a domain may issue grants on its own products, except for columns with `what.tags`"""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was authenticated: `subject` as `issuer` names it; the two together are the identity.

    `purposes` are those approved for this principal. `expires_at` is when the authentication ends, None for
    the users file of one machine.
    """

    issuer: str
    subject: str
    groups: frozenset[str] = frozenset()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    purposes: frozenset[str] = frozenset()
    kind: Literal["person", "service"] = "person"
    expires_at: datetime | None = None

    @property
    def id(self) -> str:
        """`subject` of the local issuer, otherwise `issuer|subject`."""
        return self.subject if self.issuer == LOCAL_ISSUER else f"{self.issuer}|{self.subject}"


@dataclass(frozen=True, slots=True)
class GovernedColumn:
    """A column with its effective tags: its own, those of nested members, those of all its history, inherited
    ones. `classified` says that somebody (or the lineage of classified inputs) has confirmed them."""

    id: int
    name: str
    type: Type
    tags: frozenset[str] = frozenset()
    classified: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One version of one port as decisions see it. `purposes` are those its contract allows (None: any),
    `consent` maps a purpose to the boolean column in which a subject consented to it. `current` is false for a
    version that another one has followed: what it says of consent may have been withdrawn since."""

    product: str
    port: str
    table: str
    domain: str
    owner: str
    major: int
    version: int
    snapshot_id: int
    columns: tuple[GovernedColumn, ...]
    purposes: frozenset[str] | None = None
    consent: Mapping[str, str] = field(default_factory=dict)
    current: bool = True


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a rule is about: every condition that is given must hold; none given means everybody.

    `groups` and `principals` hold when one of them does; `attributes` when each has one of its values.
    """

    groups: frozenset[str] = frozenset()
    principals: frozenset[str] = frozenset()
    attributes: Mapping[str, frozenset[Any]] = field(default_factory=dict)
    purposes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class What:
    """What a rule is about: `domains`, `products` (`customer.*` is all of a domain), and for columns `tags`
    (a tag stands for all below it: `pii` for `pii.direct.email`) or names; none given means everything."""

    domains: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """One rule. `origin` is `GLOBAL` or the domain that wrote it. `rows` is None when the policy says nothing
    about rows. `exception_to` names policies that do not apply to whom and what this one matches; only global
    ones may, with `reason`, `expires_at` and two different `approved_by`."""

    name: str
    origin: str
    effect: Effect
    who: Who = Who()
    what: What = What()
    action: Action = "read"
    rows: Expression | None = None
    mask: Mask | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    exception_to: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    reason: str = ""
    span: SourceSpan | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """An agreement in force: what `decide` needs of it. `columns` None means all that had only `tags` when it
    was granted; a column with a sensitive tag that is not among them needs a new agreement. Budgets are what
    is left, None for no limit."""

    id: str
    product: str
    port: str
    major: int
    principals: frozenset[str]
    groups: frozenset[str]
    purpose: str
    tags: frozenset[str]
    not_before: datetime
    expires_at: datetime
    columns: frozenset[str] | None = None
    rows: Expression | None = None
    action: Action = "read"
    rows_left: int | None = None
    queries_left: int | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that decides, content-hashed. `taxonomy` holds every tag there is, `sensitive` those whose
    columns need a purpose. `ttl` is for how many seconds a decision may be relied on at most."""

    policies: tuple[Policy, ...]
    taxonomy: frozenset[str]
    sensitive: frozenset[str]
    version: int
    digest: str
    purposes: frozenset[str] = frozenset()
    ttl: int = 300


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. `columns` None means all that may be seen."""

    action: Action = "read"
    columns: tuple[str, ...] | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class Deny:
    """No. `code` is a stable word, `reason` a sentence that reveals nothing about hidden data, `rules` the
    policies that decided (for owners and audit, not for the reader)."""

    code: str
    reason: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnReason:
    """Why a column is shown as it is: the mask and the rules that determined it."""

    name: str
    mask: Mask
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """Yes, in this way. `view` is all an engine needs; the rest says what the answer rests on and how long it
    holds. `conflicts` are columns whose masks could not be combined and ended as null."""

    target: Target
    view: View
    purpose: str | None
    bundle: str
    valid_until: datetime
    grants: tuple[str, ...]
    row_rules: tuple[str, ...]
    columns: tuple[ColumnReason, ...]
    conflicts: tuple[str, ...] = ()
    rows_left: int | None = None


Decision: TypeAlias = Deny | ReadPlan

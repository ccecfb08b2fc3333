"""`kind: Policies` and `kind: PolicyTests`: rules about who may see what, and cases they are tested by."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from raymesh.spec.mask_words import MaskWord
from raymesh.spec.model import Many, Maybe, Model, Scalar
from raymesh.spec.problems import RULE
from raymesh.spec.wording import described

POLICY_NAME = r"^[a-z0-9]([-_.]?[a-z0-9])*$"
_MOMENT = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?$"

PolicyName = Annotated[str, Field(pattern=POLICY_NAME)]
Named = Annotated[str, Field(min_length=1)]
Effect = Literal["grant", "restrict", "mask", "deny", "delegate"]
Action = Literal["read", "read_clear"]


def _moment(value: Any) -> Any:
    """A day is its first moment in UTC, a time without zone is UTC."""
    from pydantic_core import PydanticCustomError

    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and re.match(_MOMENT, value) else None
    except ValueError:
        found = None
    if found is None:
        text = f"a date such as 2027-01-01 or a time such as 2027-01-01T12:00:00Z, not {described(value)}"
        context = {"text": f"this must be {text}", "help": None, "at": "value"}
        raise PydanticCustomError(f"{RULE}wrong-value", "{text}", context)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "pattern": _MOMENT})]
"""A point in time; always with a zone."""


class WhoClause(Model):
    """Whom a policy is about; see governance.model.Who."""

    groups: Many[Named] = ()
    principals: Many[Named] = ()
    attributes: dict[str, Many[Scalar]] = Field(default_factory=dict)
    purposes: Many[Named] = ()


class WhatClause(Model):
    """What a policy is about; see governance.model.What."""

    domains: Many[Named] = ()
    products: Many[Named] = ()
    tags: Many[Named] = ()
    columns: Many[Named] = ()


class PolicySpec(Model):
    """One rule as written. `rows` is a condition (spec.condition), `expires` the first moment it is over."""

    name: PolicyName
    description: Maybe[str] = None
    effect: Effect
    who: WhoClause = WhoClause.model_construct()
    what: WhatClause = WhatClause.model_construct()
    action: Action = "read"
    rows: Maybe[str] = None
    mask: Maybe[MaskWord] = None
    not_before: Maybe[Moment] = None
    expires: Maybe[Moment] = None
    exception_to: Many[PolicyName] = ()
    approved_by: Many[Named] = ()
    reason: Maybe[str] = None


class Policies(Model):
    """A file of rules: global ones in governance/policies, a domain's own in domains/<domain>/policies."""

    api_version: Literal["raymesh/v1"]
    kind: Literal["Policies"]
    policies: Many[PolicySpec]


class CasePrincipal(Model):
    """Somebody who need not exist, for a test."""

    name: Named
    groups: Many[Named] = ()
    attributes: dict[str, Scalar | Many[Scalar]] = Field(default_factory=dict)
    purposes: Many[Named] = ()


class Expectation(Model):
    """What a decision must be: a denial (`deny: true`, or the code of one), or what is seen.

    `columns` maps columns to mask words (`raw`, `token` …); `only` are all columns that are there. `shows` and
    `hides` are rows, as far as the predicates look at them, that must be visible and hidden.
    """

    deny: Maybe[bool | str] = None
    columns: Maybe[dict[str, MaskWord]] = None
    only: Maybe[Many[str]] = None
    shows: Many[dict[str, Scalar]] = ()
    hides: Many[dict[str, Scalar]] = ()


class PolicyCase(Model):
    """One case: who asks (`as` a user of users.yaml, or a `principal` described here) for what, and the answer."""

    name: Named
    as_: Maybe[Named] = Field(None, alias="as")
    principal: Maybe[CasePrincipal] = None
    product: Named
    purpose: Maybe[Named] = None
    action: Action = "read"
    columns: Maybe[Many[str]] = None
    at: Maybe[Moment] = None
    expect: Expectation


class PolicyTests(Model):
    api_version: Literal["raymesh/v1"]
    kind: Literal["PolicyTests"]
    tests: Many[PolicyCase]

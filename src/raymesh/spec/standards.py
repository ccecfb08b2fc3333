"""`kind: Standards`: what an organisation, or a domain on top of it, demands of every product.

Thresholds and switches become rules with names (`minimum-completeness`, `encryption-required` …); `rules` says
how strictly each is applied, `exceptions` to whom it does not apply for a while, `requirements` which articles
of a law or a norm it serves. More rules are queries over the facts of the mesh: governance/standards/*.sql.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from raymesh.spec.diagnostics import placed, problems_of
from raymesh.spec.documents import Document
from raymesh.spec.model import Many, Maybe, Model, Number, Seconds
from raymesh.spec.policies import Moment
from raymesh.spec.problems import Problem, entries, mapping, validated
from raymesh.spec.reading import Reader
from raymesh.spec.yaml import read_yaml

Severity = Literal["error", "warning", "info"]
Applies = Literal["documents", "evidence", "continuous"]
"""documents   what documents say: told by `validate` and `plan`
evidence    what was measured: decides at publish
continuous  what changes without a publish (age, expiry): told by the report and the server"""

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Share = Annotated[Number, Field(ge=0, le=1)]
_GRACE = re.compile(r"grace until (\S+)")


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Whether a rule is only looked at (`draft`), warns until `until` and holds from then on (`grace`), or holds
    (`enforced`)."""

    stage: Literal["draft", "grace", "enforced"] = "enforced"
    until: datetime | None = None


def _lifecycle(value: Any) -> Any:
    if isinstance(value, Lifecycle):
        return value
    if value in ("draft", "enforced"):
        return Lifecycle(value)
    match = _GRACE.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        until = datetime.fromisoformat(match[1]) if match else None
    except ValueError:
        until = None
    if until is None:
        raise PydanticCustomError(
            "wrong-value", "draft, enforced, or `grace until` and a date such as 2027-01-01"
        )
    return Lifecycle("grace", until if until.tzinfo else until.replace(tzinfo=UTC))


LifecycleWord = Annotated[
    Any,
    BeforeValidator(_lifecycle),
    WithJsonSchema({"type": "string", "pattern": "^(draft|enforced|grace until .+)$"}),
]


class Scope(Model):
    """What a rule is about: products that match all that is given (`orders.*` is a whole domain; a tag of one of
    the product's columns, or of the product itself). Nothing given means every product."""

    domains: Many[str] = ()
    products: Many[str] = ()
    tags: Many[str] = ()


class DataQuality(Model):
    """`minimum_completeness` is the smallest share of values that are not NULL, `maximum_error_rate` the largest
    share of rows that break a promise, `freshness` the greatest age in seconds, `minimum_quality` the lowest
    quality score."""

    minimum_completeness: Maybe[Share] = None
    maximum_error_rate: Maybe[Share] = None
    freshness: Maybe[Seconds] = None
    minimum_quality: Maybe[Share] = None


class Security(Model):
    encryption_required: bool = False
    access_logging: bool = False
    pii_protection: bool = False


class Compliance(Model):
    gdpr_compliance: bool = False
    data_retention_policies: bool = False
    audit_trail_required: bool = False


class AppliedRule(Model):
    """How one rule is applied. `severity` `error` blocks what it judges; a `warning` is only told."""

    severity: Severity = "error"
    lifecycle: LifecycleWord = Lifecycle()
    scope: Scope = Scope.model_construct()


class StandardException(Model):
    """Products to which a rule does not apply until `expires`, by the word of two people."""

    rule: RuleName
    products: Annotated[Many[str], Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    approved_by: Many[str]
    expires: Moment


class Requirement(Model):
    """An article that rules serve: `GDPR Art. 32` or a paragraph of the organisation's own handbook."""

    id: str
    title: Maybe[str] = None
    rules: Annotated[Many[RuleName], Field(min_length=1)]


class Standards(Model):
    """The standards of a mesh, or a domain's own."""

    api_version: Literal["raymesh/v1"]
    kind: Literal["Standards"]
    version: str
    description: Maybe[str] = None
    data_quality: DataQuality = DataQuality.model_construct()
    security: Security = Security.model_construct()
    compliance: Compliance = Compliance.model_construct()
    rules: dict[RuleName, AppliedRule] = Field(default_factory=dict)
    exceptions: Many[StandardException] = ()
    requirements: Many[Requirement] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, _problems, info)
        return model


def _problems(document: dict[str, Any]) -> Iterator[Problem]:
    for index, item in entries(document.get("exceptions")):
        people = item.get("approvedBy")
        if isinstance(people, list) and len({str(p).strip().casefold() for p in people}) < 2:
            message = "an exception takes two different people"
            yield Problem(("exceptions", index, "approvedBy"), "two-people", message)


class StandardHeader(Model):
    """What the comment at the head of a query says about it, line by line: `-- name: every-product-has-an-owner`."""

    name: RuleName
    title: str
    severity: Severity = "error"
    lifecycle: LifecycleWord = Lifecycle()
    applies: Maybe[Applies] = None
    scope: Scope = Scope.model_construct()
    requirements: Many[str] = ()


@dataclass(frozen=True, slots=True)
class StandardQuery:
    """A rule as a query: it returns one row per violation, with `product` and `message` and, where it can,
    `port`, `column` and `evidence`."""

    header: Document[StandardHeader]
    sql: str

    @property
    def path(self) -> str:
        return self.header.path


def read_query(reader: Reader, path: str, text: str) -> StandardQuery | None:
    """The query in a file; None when its head cannot be understood, which is reported to the reader."""
    head = "\n".join(_uncommented(line) for line in _head(text))
    read = read_yaml(head.encode(), path)
    reader.diagnostics += read.diagnostics
    raw = read.value
    if not isinstance(raw, dict):
        if not read.diagnostics:
            way = "begin the file with `-- name: …` and `-- title: …`"
            reader.report(
                "missing-key", "the query does not say which rule it is", read.positions.value(()), way
            )
        return None
    problems: list[Problem] = []
    try:
        model = StandardHeader.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(error, StandardHeader, raw)
    reader.diagnostics += placed(problems, read.positions)
    return None if problems else StandardQuery(Document(path, model, mapping(raw), read.positions), text)


def _head(text: str) -> Iterator[str]:
    """The comment lines a file begins with."""
    for line in text.splitlines():
        if not line.startswith("--"):
            return
        yield line


def _uncommented(line: str) -> str:
    return line.removeprefix("--").removeprefix(" ")

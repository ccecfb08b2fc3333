"""Standards as rules: each is a query over the facts of a mesh that returns its violations.

Thresholds and switches of standards.yaml become the rules below; queries of the organisation join them. A
domain's own standards hold on top of the organisation's, for that domain. What a rule does depends on where it
stands in its life: a draft informs, one in its grace warns, an enforced one has its severity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raymesh.errors import SourceSpan
from raymesh.governance.model import GLOBAL
from raymesh.governance.standard_queries import ARTICLES, QUERIES, Builtin
from raymesh.spec.standards import Applies, Lifecycle, Scope, Severity, Standards

if TYPE_CHECKING:
    from raymesh.spec.documents import Document
    from raymesh.spec.governance_files import GovernanceDocuments


@dataclass(frozen=True, slots=True)
class Rule:
    """One standard. `origin` is `GLOBAL` or the domain that demands it; `applies` None is found out from the
    tables that its query names. `span` is where it stands."""

    name: str
    title: str
    sql: str
    origin: str = GLOBAL
    applies: Applies | None = None
    severity: Severity = "error"
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    scope: Scope = field(default_factory=Scope)
    requirements: tuple[str, ...] = ()
    span: SourceSpan | None = None
    built_in: bool = True

    @property
    def id(self) -> str:
        """The name, with the domain before it when that demands it: `orders/minimum-quality`."""
        return self.name if self.origin == GLOBAL else f"{self.origin}/{self.name}"

    def stage(self, now: datetime) -> str:
        """draft, grace or enforced at `now`."""
        ends = self.lifecycle.until
        if self.lifecycle.stage == "grace" and ends is not None and now >= ends:
            return "enforced"
        return self.lifecycle.stage

    def severity_at(self, now: datetime) -> Severity:
        """What a violation is at `now`: `info` for a draft, at most a warning in the time of grace."""
        stage = self.stage(now)
        if stage == "draft":
            return "info"
        return "warning" if stage == "grace" and self.severity == "error" else self.severity

    def concerns(self, product: str | None, tags: frozenset[str]) -> bool:
        """Whether a violation of `product` (None: of the mesh as a whole) is this rule's business. `tags` are those
        of the product and its columns."""
        scope = self.scope
        if product is None:
            return not (scope.domains or scope.products or scope.tags)
        domain = product.partition(".")[0]
        return (
            self.origin in (GLOBAL, domain)
            and (not scope.domains or domain in scope.domains)
            and (not scope.products or any(matches(product, p) for p in scope.products))
            and (not scope.tags or any(_under(tag, t) for tag in tags for t in scope.tags))
        )


@dataclass(frozen=True, slots=True)
class Exemption:
    """Products to which the rule `rule` of `origin` does not apply before `expires_at`."""

    rule: str
    origin: str
    products: tuple[str, ...]
    reason: str
    approved_by: tuple[str, ...]
    expires_at: datetime

    def covers(self, rule: Rule, product: str | None, now: datetime) -> bool:
        return (
            self.rule == rule.name
            and self.origin == rule.origin
            and product is not None
            and now < self.expires_at
            and any(matches(product, p) for p in self.products)
        )


@dataclass(frozen=True, slots=True)
class Violation:
    """One row a rule returned. `product` None is the mesh as a whole; `evidence` is what the query showed."""

    rule: str
    product: str | None
    message: str
    port: str | None = None
    column: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class StandardSet:
    """All rules of a mesh. `version` is that of the organisation's document, `digest` the hash of them all."""

    rules: tuple[Rule, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    version: str | None = None
    digest: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    def exempted(self, rule: Rule, product: str | None, now: datetime) -> Exemption | None:
        """The exception under which `product` need not keep the rule at `now`."""
        return next((e for e in self.exemptions if e.covers(rule, product, now)), None)


def matches(product: str, pattern: str) -> bool:
    """Whether a product is meant: its name, or `orders.*` for a whole domain."""
    return product == pattern or (pattern.endswith(".*") and product.startswith(pattern[:-1]))


def _under(tag: str, above: str) -> bool:
    return tag == above or tag.startswith(f"{above}.")


def standards_of(governance: GovernanceDocuments | None) -> StandardSet:
    """The rules that the documents of a mesh demand; none for a mesh without standards."""
    if governance is None:
        return StandardSet()
    documents = [(GLOBAL, governance.standards)] if governance.standards else []
    documents += list(governance.domain_standards)
    rules = [rule for origin, document in documents for rule in _built_in(origin, document)]
    rules += [_of_query(query) for query in governance.standard_rules]
    articles = _articles(documents)
    rules = [_with_articles(rule, articles) for rule in rules]
    exemptions = tuple(e for origin, document in documents for e in _exemptions(origin, document))
    return StandardSet(
        tuple(sorted(rules, key=lambda r: (r.origin != GLOBAL, r.id))),
        exemptions,
        governance.standards.model.version if governance.standards else None,
        _digest(documents, governance),
        _titles(documents),
    )


def _built_in(origin: str, document: Document[Standards]) -> Iterator[Rule]:
    for built in QUERIES:
        threshold = _threshold(document.model, built)
        if threshold is None or threshold is False:
            continue
        settings = document.model.rules.get(built.name)
        yield Rule(
            built.name,
            built.title_for(threshold),
            built.sql_for(threshold),
            origin,
            built.applies,
            settings.severity if settings else built.severity,
            settings.lifecycle if settings else Lifecycle(),
            settings.scope if settings else Scope(),
            built.requirements,
            document.span(built.section, built.key),
        )


def _threshold(model: Standards, built: Builtin) -> Any:
    return getattr(getattr(model, _snake(built.section)), _snake(built.key))


def _snake(key: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


def _of_query(query: Any) -> Rule:
    header = query.header.model
    return Rule(
        header.name,
        header.title,
        query.sql,
        GLOBAL,
        header.applies,
        header.severity,
        header.lifecycle,
        header.scope,
        tuple(header.requirements),
        SourceSpan(query.path),
        built_in=False,
    )


def _articles(documents: Iterable[tuple[str, Document[Standards]]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for _, document in documents:
        for requirement in document.model.requirements:
            for rule in requirement.rules:
                found.setdefault(rule, []).append(requirement.id)
    return found


def _with_articles(rule: Rule, articles: Mapping[str, list[str]]) -> Rule:
    added = articles.get(rule.name, [])
    return replace(rule, requirements=tuple(dict.fromkeys((*rule.requirements, *added))))


def _exemptions(origin: str, document: Document[Standards]) -> Iterator[Exemption]:
    """A domain can except its products from its own rules only, never from the organisation's."""
    for said in document.model.exceptions:
        yield Exemption(said.rule, origin, said.products, said.reason, said.approved_by, said.expires)


def _titles(documents: Iterable[tuple[str, Document[Standards]]]) -> dict[str, str]:
    said = {r.id: r.title for _, d in documents for r in d.model.requirements if r.title}
    return {**ARTICLES, **said}


def _digest(documents: Iterable[tuple[str, Document[Standards]]], governance: GovernanceDocuments) -> str:
    content = [[path, origin, d.raw] for origin, d in documents for path in (d.path,)]
    queries = [[path, text] for path, text in governance.standard_queries]
    text = json.dumps([content, queries], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Loosened:
    """A domain demands less than the organisation: where, and in a sentence."""

    path: str
    loc: tuple[str | int, ...]
    message: str


_TIGHTER: dict[str, Callable[[Any, Any], bool]] = {
    "minimumCompleteness": lambda mine, theirs: mine >= theirs,
    "maximumErrorRate": lambda mine, theirs: mine <= theirs,
    "freshness": lambda mine, theirs: mine <= theirs,
    "minimumQuality": lambda mine, theirs: mine >= theirs,
}


def loosened(governance: GovernanceDocuments) -> Iterator[Loosened]:
    """Where domains try to demand less than the organisation, name rules that do not exist, or except themselves
    from a rule that is not theirs."""
    known = {b.name for b in QUERIES} | {q.header.model.name for q in governance.standard_rules}
    documents = [(GLOBAL, governance.standards)] if governance.standards else []
    for origin, document in [*documents, *governance.domain_standards]:
        yield from _unknown_rules(document, known)
        if origin != GLOBAL:
            own = {rule.name for rule in _built_in(origin, document)}
            yield from _weaker(origin, document, governance.standards)
            yield from _foreign_exceptions(document, own)


def _unknown_rules(document: Document[Standards], known: set[str]) -> Iterator[Loosened]:
    for name in document.model.rules:
        if name not in known:
            yield Loosened(document.path, ("rules", name), f"there is no rule `{name}`")
    for index, said in enumerate(document.model.exceptions):
        if said.rule not in known:
            yield Loosened(document.path, ("exceptions", index, "rule"), f"there is no rule `{said.rule}`")
    for index, requirement in enumerate(document.model.requirements):
        for n, rule in enumerate(requirement.rules):
            if rule not in known:
                yield Loosened(
                    document.path, ("requirements", index, "rules", n), f"there is no rule `{rule}`"
                )


def _weaker(
    origin: str, document: Document[Standards], above: Document[Standards] | None
) -> Iterator[Loosened]:
    if above is None:
        return
    for key, tighter in _TIGHTER.items():
        mine = getattr(document.model.data_quality, _snake(key))
        theirs = getattr(above.model.data_quality, _snake(key))
        if mine is not None and theirs is not None and not tighter(mine, theirs):
            message = f"the domain {origin} may only be stricter than the organisation's {key} of {theirs}"
            yield Loosened(document.path, ("dataQuality", key), message)


def _foreign_exceptions(document: Document[Standards], own: set[str]) -> Iterator[Loosened]:
    for index, said in enumerate(document.model.exceptions):
        if said.rule not in own:
            message = (
                f"the rule `{said.rule}` is not this domain's own, so only the organisation makes exceptions"
            )
            yield Loosened(document.path, ("exceptions", index, "rule"), message)

"""Evaluates standards: which rules products break, by documents, at publish, and at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raymesh.actions.facts import Facts, ask, named_tables, open_queries
from raymesh.errors import Diagnostic, MeshError, SourceSpan
from raymesh.governance.classification import contract_tags
from raymesh.governance.facts import basis_of
from raymesh.governance.standards import Exemption, Rule, StandardSet, Violation, standards_of

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from raymesh.mesh.graph import Graph
    from raymesh.spec.documents import MeshDocuments
    from raymesh.spec.governance_files import GovernanceDocuments
    from raymesh.spec.standards import Applies, Severity
    from raymesh.spi.engine import TableQueries

_NEEDED = ("product", "message")
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation with what it means now. `exemption` is the exception it falls under, if any."""

    rule: Rule
    violation: Violation
    severity: Severity
    exemption: Exemption | None = None

    @property
    def blocks(self) -> bool:
        """Whether it keeps a version from being published."""
        return self.severity == "error" and self.exemption is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of rules: violations found, and rules that could not be evaluated with the reason."""

    broken: tuple[Broken, ...] = ()
    failed: tuple[tuple[Rule, MeshError], ...] = ()


def found_standards(documents: MeshDocuments, engine: TableQueries | None = None) -> StandardSet:
    """The rules of a mesh; for queries that do not say when they apply, that is found out from their tables."""
    return with_bases(standards_of(documents.governance), engine)


def with_bases(standards: StandardSet, engine: TableQueries | None = None) -> StandardSet:
    """The rules with `applies` filled in everywhere."""
    unsaid = {rule.id: rule.sql for rule in standards.rules if rule.applies is None}
    if not unsaid:
        return standards
    opened = engine or open_queries()
    try:
        named = named_tables(opened, unsaid)
    finally:
        if engine is None:
            opened.close()

    def said(rule: Rule) -> Rule:
        tables = named.get(rule.id)
        if rule.applies is not None:
            return rule
        return replace(
            rule,
            applies="documents" if tables is None or isinstance(tables, MeshError) else basis_of(set(tables)),
        )

    return replace(standards, rules=tuple(said(rule) for rule in standards.rules))


def evaluate(
    standards: StandardSet,
    facts: Facts,
    applies: Iterable[Applies],
    *,
    engine: TableQueries | None = None,
    only: str | None = None,
) -> Outcome:
    """Evaluate the rules about `applies` over `facts`; with `only`, violations of that product alone count."""
    wanted = frozenset(applies)
    rules = {rule.id: rule for rule in standards.rules if rule.applies in wanted}
    if not rules:
        return Outcome()
    answers = ask(facts, {id_: rule.sql for id_, rule in rules.items()}, engine)
    tags = _Tags(facts.graph)
    broken: list[Broken] = []
    failed: list[tuple[Rule, MeshError]] = []
    for id_, rule in rules.items():
        answer = answers[id_]
        if isinstance(answer, MeshError):
            failed.append((rule, _placed(rule, answer)))
        elif missing := [c for c in _NEEDED if c not in answer.column_names]:
            failed.append((rule, _incomplete(rule, missing)))
        else:
            broken += _broken(standards, rule, answer, tags, facts.now)
    if only is not None:
        broken = [b for b in broken if b.violation.product == only]
    return Outcome(tuple(broken), tuple(failed))


def _placed(rule: Rule, error: MeshError) -> MeshError:
    """The error with the place in the rule's own file."""
    if rule.built_in or rule.span is None:
        return error
    spans = tuple(SourceSpan(rule.span.file, s.line, s.column, s.end_column) for s in error.spans)
    error.spans = spans or (rule.span,)
    return error


def _incomplete(rule: Rule, missing: Sequence[str]) -> MeshError:
    return MeshError(
        f"the rule {rule.id} returns no column {' and '.join(missing)}",
        hint="a rule returns a row per violation: product, message, and where it can port, column, evidence",
        spans=(rule.span,) if rule.span else (),
    )


class _Tags:
    """Tags of products, looked up when a rule's scope asks for them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, frozenset[str]] = {}

    def of(self, product: str | None) -> frozenset[str]:
        if product is None or product not in self._graph.products:
            return frozenset()
        if product not in self._known:
            found = self._graph.products[product]
            tags = set(found.documents.document.model.tags)
            for port in found.ports:
                tags |= {t for ts in contract_tags(port.documents.contract.raw).values() for t in ts}
            self._known[product] = frozenset(tags)
        return self._known[product]


def _broken(
    standards: StandardSet, rule: Rule, answer: pa.Table, tags: _Tags, now: datetime
) -> Iterable[Broken]:
    severity = rule.severity_at(now)
    for row in answer.to_pylist():
        violation = _violation(rule, row)
        if rule.concerns(violation.product, tags.of(violation.product) if rule.scope.tags else frozenset()):
            yield Broken(rule, violation, severity, standards.exempted(rule, violation.product, now))


def _violation(rule: Rule, row: Mapping[str, Any]) -> Violation:
    def text(name: str) -> str | None:
        value = row.get(name)
        return None if value is None else str(value)

    return Violation(
        rule.id,
        text("product"),
        text("message") or rule.title,
        text("port"),
        text("column"),
        text("evidence"),
    )


# at validate and plan


def document_problems(documents: MeshDocuments, graph: Graph) -> list[Diagnostic]:
    """What documents say against standards, each with a place: violations of rules about documents, and rules
    that cannot be evaluated. Nothing is opened."""
    governance = documents.governance
    if governance is None:
        return []
    problems = list(_loosened(governance))
    engine = open_queries()
    try:
        standards = found_standards(documents, engine)
        if not standards.rules:
            return problems
        facts = Facts(documents, graph)
        outcome = evaluate(standards, facts, ("documents",), engine=engine)
        later = evaluate(_own_queries(standards), facts, ("evidence", "continuous"), engine=engine)
    finally:
        engine.close()
    problems += [_failed(rule, error) for rule, error in (*outcome.failed, *later.failed)]
    problems += [_diagnostic(b, graph, documents) for b in outcome.broken if b.exemption is None]
    return problems


def _own_queries(standards: StandardSet) -> StandardSet:
    """The queries people wrote: over no evidence at all they show whether they can be evaluated."""
    return replace(standards, rules=tuple(r for r in standards.rules if not r.built_in))


def _loosened(governance: GovernanceDocuments) -> Iterable[Diagnostic]:
    from raymesh.governance.standards import loosened

    documents = [d for d in (governance.standards, *(d for _, d in governance.domain_standards)) if d]
    by_path = {d.path: d for d in documents}
    for found in loosened(governance):
        place = by_path[found.path].span(*found.loc)
        yield Diagnostic(
            "standard-loosened", found.message, place, help="raymesh governance report lists the rules"
        )


def _failed(rule: Rule, error: MeshError) -> Diagnostic:
    place = error.spans[0] if error.spans else rule.span
    return Diagnostic(
        "standard-query", f"the rule {rule.id} cannot be evaluated: {error.message}", place, help=error.hint
    )


def _diagnostic(broken: Broken, graph: Graph, documents: MeshDocuments) -> Diagnostic:
    said = broken.violation
    subject = said.product or "the mesh"
    column = f", column `{said.column}`" if said.column else ""
    message = f"{subject}{column}: {said.message}"
    way = f"standard {broken.rule.id}: {broken.rule.title}"
    return Diagnostic("standard", message, place_of(said, graph, documents), broken.severity, way)


def place_of(violation: Violation, graph: Graph, documents: MeshDocuments) -> SourceSpan:
    """Where the document stands that a violation is about."""
    product = graph.products.get(violation.product or "")
    if product is None:
        return documents.document.span()
    port = next((p for p in product.ports if p.name == violation.port), None)
    if port is None:
        return product.documents.document.span()
    contract = port.documents.contract
    if violation.column is not None:
        for index, item in enumerate(port.properties):
            if item.name == violation.column:
                return contract.span("schema", 0, "properties", index, "name")
    return contract.span()

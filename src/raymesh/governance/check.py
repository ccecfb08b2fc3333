"""Policies held against the mesh: do the products, columns and people they name exist, do their conditions fit.

Errors are what makes a rule say something else than its author meant; warnings are what a careful author looks
at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic
from raymesh.governance.compile import compiled_policies, taxonomy_of
from raymesh.governance.lint import lint
from raymesh.governance.model import GLOBAL
from raymesh.governance.predicate import UnfitError, attributes_in, check, columns_in, folded
from raymesh.spec.physical import declared_type
from raymesh.spec.settings import renamed_from
from raymesh.spec.types import Field, Primitive, TableSchema
from raymesh.spec.wording import did_you_mean, listed

if TYPE_CHECKING:
    from raymesh.errors import Severity, SourceSpan
    from raymesh.governance.model import Policy
    from raymesh.mesh.model import Graph, Port
    from raymesh.spec.contract_schema import Property
    from raymesh.spec.documents import Document, MeshDocuments
    from raymesh.spec.governance_files import GovernanceDocuments
    from raymesh.spec.policies import Policies

_LOGICAL = {
    "string": "string",
    "boolean": "boolean",
    "integer": "long",
    "number": "double",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
}


def policy_problems(documents: MeshDocuments, graph: Graph) -> Iterator[Diagnostic]:
    """Everything wrong with the policies of a mesh, errors and warnings; nothing for a mesh without any."""
    governance = documents.governance
    if governance is None:
        return
    compiled = compiled_policies(governance)
    yield from compiled.problems
    places = _places(governance)
    for checked in _checked(governance, compiled.policies, graph):
        yield from checked.problems()
    yield from _people(governance, compiled.policies, places)
    yield from lint(graph, compiled.policies, taxonomy_of(governance))


def unfit_policies(documents: MeshDocuments, graph: Graph, products: frozenset[str]) -> Iterator[Diagnostic]:
    """Those problems for which `products` must not be built: policies that do not compile, or that are about one of
    them and name columns it does not have."""
    governance = documents.governance
    if governance is None:
        return
    compiled = compiled_policies(governance)
    yield from compiled.problems
    for checked in _checked(governance, compiled.policies, graph):
        yield from checked.unfit(products)


def _places(governance: GovernanceDocuments) -> list[tuple[Document[Policies], int]]:
    return [(f.document, n) for f in governance.policies for n in range(len(f.document.model.policies))]


def _checked(
    governance: GovernanceDocuments, policies: tuple[Policy, ...], graph: Graph
) -> Iterator[_Checked]:
    tables = tuple(_table(port) for product in graph.products.values() for port in product.ports)
    for policy, (document, number) in zip(policies, _places(governance), strict=True):
        yield _Checked(policy, Place(document, number), tables, frozenset(graph.domains))


@dataclass(frozen=True, slots=True)
class Place:
    """Policy number `number` of a document."""

    document: Document[Policies]
    number: int

    def span(self, *loc: str | int) -> SourceSpan:
        return self.document.span("policies", self.number, *loc)


@dataclass(frozen=True, slots=True)
class Table:
    """A port's promised columns; `typed` says that all their types are known, `renamed` maps old names, folded, to
    new ones."""

    product: str
    domain: str
    name: str
    schema: TableSchema
    typed: bool
    renamed: Mapping[str, str]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(folded(n) for n in self.schema.names)


def _table(port: Port) -> Table:
    fields = tuple(_field(p) for p in port.properties)
    schema = TableSchema(
        tuple(f or Field(p.name, Primitive("string")) for f, p in zip(fields, port.properties, strict=True))
    )
    renamed = {folded(old): p.name for p in port.properties if (old := renamed_from(p))}
    return Table(
        port.product, port.product.partition(".")[0], port.table, schema, None not in fields, renamed
    )


def _field(item: Property) -> Field | None:
    kind = declared_type(item)
    if kind is None and item.logical_type in _LOGICAL:
        kind = Primitive(_LOGICAL[item.logical_type])  # type: ignore[arg-type]  # names of the table above
    return None if kind is None else Field(item.name, kind)


@dataclass(frozen=True, slots=True)
class _Checked:
    """One policy and the tables of the mesh."""

    policy: Policy
    place: Place
    tables: tuple[Table, ...]
    domains: frozenset[str]

    def problems(self) -> Iterator[Diagnostic]:
        yield from self._names()
        meant = tuple(t for t in self.tables if self._about(t))
        yield from self._columns(meant)
        yield from self._condition(meant)

    def unfit(self, products: frozenset[str]) -> Iterator[Diagnostic]:
        """Problems with columns, where the policy is about one of `products`."""
        meant = tuple(t for t in self.tables if self._about(t))
        if any(t.product in products for t in meant):
            yield from self._columns(meant)
            yield from self._condition(tuple(t for t in meant if t.product in products))

    def _about(self, table: Table) -> bool:
        what, origin = self.policy.what, self.policy.origin
        return (
            origin in (GLOBAL, table.domain)
            and (not what.domains or table.domain in what.domains)
            and (not what.products or bool({table.product, f"{table.domain}.*"} & what.products))
        )

    def _names(self) -> Iterator[Diagnostic]:
        spec = self.place.document.model.policies[self.place.number].what
        for n, name in enumerate(spec.domains):
            if name not in self.domains:
                way = did_you_mean(name, self.domains) or "raymesh ls shows the domains"
                yield self._problem(
                    "unknown-domain", f"there is no domain `{name}`", ("what", "domains", n), way
                )
        known = {t.product for t in self.tables} | {f"{d}.*" for d in self.domains}
        for n, name in enumerate(spec.products):
            if name not in known:
                way = did_you_mean(name, known) or "write domain.product, or domain.* for all of a domain"
                yield self._problem(
                    "unknown-product", f"there is no product `{name}`", ("what", "products", n), way
                )

    def _columns(self, meant: tuple[Table, ...]) -> Iterator[Diagnostic]:
        known = {folded(n): n for t in meant for n in t.schema.names}
        spec = self.place.document.model.policies[self.place.number].what
        for n, name in enumerate(spec.columns):
            if folded(name) not in known and meant:
                message = f"no product that the policy is about has a column `{name}`"
                way = did_you_mean(name, known.values()) or f"columns: {_some(known.values())}"
                yield self._problem("unknown-column", message, ("what", "columns", n), way)
            for table in meant:
                new = table.renamed.get(folded(name))
                if new is not None and folded(name) not in table.columns:
                    message = (
                        f"`{name}` of {table.name} is called `{new}` now, so the policy is no longer about it"
                    )
                    way = f"add `{new}`, or use a tag: tags stay with a column that is renamed"
                    yield self._problem("unknown-column", message, ("what", "columns", n), way)

    def _condition(self, meant: tuple[Table, ...]) -> Iterator[Diagnostic]:
        """Where the condition cannot be decided it is false: an error where the policy names the product."""
        rows = self.policy.rows
        if rows is None:
            return
        unfit: dict[str, list[str]] = {}
        for table in meant:
            why = self._why_unfit(table)
            if why is None:
                continue
            if table.product in self.policy.what.products:
                known = table.schema.names
                way = did_you_mean(why.column, known) or f"columns: {_some(known)}" if why.column else None
                yield self._problem("policy-column", f"{table.name}: {why.message}", ("rows",), way)
            else:
                unfit.setdefault(why.message, []).append(table.name)
        for message, names in unfit.items():
            told = f"{message} in {_some(names)}, so the condition is false there"
            way = "name the products it is meant for in what.products"
            yield self._problem("policy-column", told, ("rows",), way, "warning")

    def _why_unfit(self, table: Table) -> UnfitError | None:
        assert self.policy.rows is not None  # noqa: S101  # asked for policies with a condition only
        try:
            if table.typed:
                check(self.policy.rows, table.schema)
            else:
                missing = [p for p in columns_in(self.policy.rows) if folded(p[0]) not in table.columns]
                if missing:
                    return UnfitError(f"there is no column `{missing[0][0]}`", column=missing[0][0])
        except UnfitError as error:
            return error
        return None

    def _problem(
        self,
        code: str,
        message: str,
        loc: tuple[str | int, ...],
        way: str | None,
        severity: Severity = "error",
    ) -> Diagnostic:
        return Diagnostic(code, message, self.place.span(*loc), severity, way)


def _some(names: Iterable[str]) -> str:
    found = sorted(set(names))
    more = [f"{len(found) - 4} more"] if len(found) > 5 else []
    return listed([*found[:4], *more] if more else found) if found else "none"


def _people(
    governance: GovernanceDocuments,
    policies: tuple[Policy, ...],
    places: list[tuple[Document[Policies], int]],
) -> Iterator[Diagnostic]:
    """Names of people and groups that nobody has, and approvers who benefit: known with a users file only."""
    if governance.users is None:
        return
    users = {u.name: u for u in governance.users.model.users}
    groups = {g for u in users.values() for g in u.groups}
    attributes = {a for u in users.values() for a in u.attributes}
    for policy, (document, number) in zip(policies, places, strict=True):
        place = Place(document, number)
        spec = document.model.policies[number]
        for n, name in enumerate(spec.who.groups):
            if name not in groups:
                message, loc = f"no user is in a group `{name}`", place.span("who", "groups", n)
                yield Diagnostic("unknown-group", message, loc, "warning", did_you_mean(name, groups))
        for n, name in enumerate(spec.who.principals):
            if name not in users and "|" not in name and ":" not in name:
                message, loc = f"there is no user `{name}`", place.span("who", "principals", n)
                yield Diagnostic("unknown-user", message, loc, "warning", did_you_mean(name, users))
        for name in sorted(set(attributes_in(policy.rows) if policy.rows else ()) - attributes):
            message = f"no user has an attribute `{name}`, so the condition is false for all of them"
            yield Diagnostic(
                "unknown-attribute", message, place.span("rows"), "warning", did_you_mean(name, attributes)
            )
        for n, name in enumerate(spec.approved_by):
            own = users.get(name)
            if policy.exception_to and own is not None and not policy.who.groups.isdisjoint(own.groups):
                message = f"{name} is one of those whom the exception is for, and so cannot approve it"
                yield Diagnostic(
                    "policy-exception",
                    message,
                    place.span("approvedBy", n),
                    help="let somebody else approve it",
                )

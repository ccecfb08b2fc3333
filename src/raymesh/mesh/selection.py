"""Which products a command is about.

    customer.customer_360     one product; `customer_360` when only one domain has it; `customer.*` by pattern
    +x   x+   +x+   2+x   x+1  with what it is made from, with what is made from it, within so many steps
    domain:customer           the products of a domain
    tag:pii                   products with the tag, or one below it (`pii.direct.email`), on themselves, a port,
                              a contract or a column
    source:transactions       products that read the source
    state:changed             products a state says something of

Several arguments, or words in one, are united; a comma intersects; `!` takes away: `domain:customer,!tag:pii`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from raymesh.errors import NotFoundError, UsageError
from raymesh.mesh.reading import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from raymesh.mesh.model import Graph, Port
    from raymesh.spec.contract_schema import Item

    State = Callable[[str], bool] | Collection[str]

METHODS = ("domain", "tag", "source", "state")
_ATOM = re.compile(r"(?P<no>!)?(?:(?P<up>\d*)(?P<plus>\+))?(?P<body>[^+!\s,]+)(?:(?P<also>\+)(?P<down>\d*))?")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Atom:
    """One condition: `method` and `value`, widened by steps up and down (0 none, None any number)."""

    method: str
    value: str
    up: int | None = 0
    down: int | None = 0
    negated: bool = False

    def __str__(self) -> str:
        up = "" if self.up == 0 else f"{self.up or ''}+"
        down = "" if self.down == 0 else f"+{self.down or ''}"
        body = self.value if self.method == "name" else f"{self.method}:{self.value}"
        return f"{'!' if self.negated else ''}{up}{body}{down}"


def parse(selectors: Iterable[str]) -> tuple[tuple[Atom, ...], ...]:
    """The union of intersections that `selectors` stand for; raises UsageError for what is no selector."""
    return tuple(
        tuple(_atom(part, term) for part in term.split(",")) for text in selectors for term in text.split()
    )


def select(
    graph: Graph,
    selectors: Sequence[str] = (),
    *,
    exclude: Sequence[str] = (),
    states: Mapping[str, State] | None = None,
) -> tuple[str, ...]:
    """Names of the selected products in build order; all when nothing is selected.

    `states` gives each `state:` its products, as names or as a function of the name.
    Raises NotFoundError for a name, tag, domain or source that does not exist, UsageError for a selector that
    cannot be read or a state nobody knows.
    """
    chooser = _Chooser(graph, states or {})
    chosen = chooser.union(parse(selectors))
    if exclude:
        chosen -= chooser.union(parse(exclude))
    return tuple(name for name in graph.products if name in chosen)


def _atom(text: str, term: str) -> Atom:
    match = _ATOM.fullmatch(text)
    if match is None:
        raise UsageError(f"`{term}` is no selection", hint="such as customer.customer_360, +x, x+, tag:pii")
    method, colon, value = match["body"].partition(":")
    if not colon:
        method, value = "name", method
    elif method not in METHODS or not value:
        known = ", ".join(f"{m}:…" for m in METHODS)
        hint = did_you_mean(method, METHODS) if value and method not in METHODS else None
        raise UsageError(f"`{text}` is no selection", hint=hint or f"there are {known}")
    up = _steps(match["plus"], match["up"])
    return Atom(method, value, up, _steps(match["also"], match["down"]), match["no"] is not None)


def _steps(plus: str | None, count: str | None) -> int | None:
    if plus is None:
        return 0
    return int(count) if count else None


class _Chooser:
    """Answers atoms over one graph; indexes are made when first needed."""

    def __init__(self, graph: Graph, states: Mapping[str, State]) -> None:
        self.graph = graph
        self.states = states
        self._tags: dict[str, set[str]] | None = None

    def union(self, terms: Sequence[tuple[Atom, ...]]) -> set[str]:
        """Lone negations take away from the union of the rest, or from everything when there is no rest."""
        positive = [t for t in terms if len(t) > 1 or not t[0].negated]
        negative = [t for t in terms if len(t) == 1 and t[0].negated]
        chosen = set().union(*map(self.intersection, positive)) if positive else set(self.graph.products)
        for term in negative:
            chosen -= self.widened(term[0])
        return chosen

    def intersection(self, atoms: tuple[Atom, ...]) -> set[str]:
        chosen = set(self.graph.products)
        for atom in atoms:
            found = self.widened(atom)
            chosen = chosen - found if atom.negated else chosen & found
        return chosen

    def widened(self, atom: Atom) -> set[str]:
        """What the atom names with its neighbours, whatever its sign."""
        found = getattr(self, f"_{atom.method}")(atom.value)
        out = set(found)
        if atom.up != 0:
            out |= self.graph.ancestors(found, atom.up).keys()
        if atom.down != 0:
            out |= self.graph.descendants(found, atom.down).keys()
        return out

    def _name(self, value: str) -> set[str]:
        if not _PATTERN.search(value):
            if value in self.graph.tables:
                return {self.graph.tables[value].product}
            return {self.graph.product(value).name}
        full = "." in value
        products = self.graph.products.values()
        found = {p.name for p in products if fnmatchcase(p.name if full else p.short_name, value)}
        if not found:
            raise NotFoundError(f"no product matches `{value}`", hint="raymesh ls shows the products")
        return found

    def _domain(self, value: str) -> set[str]:
        domain = self.graph.domains.get(value)
        if domain is None:
            hint = did_you_mean(value, self.graph.domains, otherwise=_listing("domains", self.graph.domains))
            raise NotFoundError(f"there is no domain `{value}`", hint=hint)
        return set(domain.products)

    def _source(self, value: str) -> set[str]:
        sources = self.graph.sources.values()
        found = {s.id for s in sources if value in (s.name, f"{s.domain}.{s.name}", s.id)}
        if not found:
            names = sorted({s.name for s in sources})
            hint = did_you_mean(value, names, otherwise=_listing("sources", names))
            raise NotFoundError(f"there is no source `{value}`", hint=hint)
        return {e.product for e in self.graph.edges if e.origin in found}

    def _state(self, value: str) -> set[str]:
        state = self.states.get(value)
        if state is None:
            hint = did_you_mean(value, self.states, otherwise=_listing("states", self.states))
            raise UsageError(f"there is no state `{value}` here", hint=hint)
        if callable(state):
            return {name for name in self.graph.products if state(name)}
        return {name for name in self.graph.products if name in state}

    def _tag(self, value: str) -> set[str]:
        if self._tags is None:
            self._tags = tags(self.graph)
        if value not in self._tags:
            hint = did_you_mean(value, self._tags, otherwise=_listing("tags", self._tags))
            raise NotFoundError(f"nothing has the tag `{value}`", hint=hint)
        return set(self._tags[value])


def _listing(what: str, names: Collection[str]) -> str:
    shown = sorted(names)[:20]
    return (
        f"{what}: {', '.join(shown)}{' …' if len(names) > len(shown) else ''}"
        if shown
        else f"there are no {what}"
    )


def tags(graph: Graph) -> dict[str, set[str]]:
    """Each tag, and each tag above it (`pii` above `pii.email`), with the products that carry it."""
    out: defaultdict[str, set[str]] = defaultdict(set)
    for product in graph.products.values():
        document = product.documents.document.model
        found = {*document.tags, *(t for p in document.output_ports for t in p.tags)}
        found.update(t for port in product.ports for t in _port_tags(port))
        for tag in found:
            parts = tag.split(".")
            for length in range(1, len(parts) + 1):
                out[".".join(parts[:length])].add(product.name)
    return dict(out)


def _port_tags(port: Port) -> Iterator[str]:
    yield from port.contract.tags
    for table in port.contract.objects:
        yield from table.tags
        for column in table.properties:
            yield from _item_tags(column)


def _item_tags(item: Item) -> Iterator[str]:
    yield from item.tags
    for member in item.properties:
        yield from _item_tags(member)
    if item.items is not None:
        yield from _item_tags(item.items)
    if item.map is not None:
        yield from _item_tags(item.map.key)
        yield from _item_tags(item.map.value)

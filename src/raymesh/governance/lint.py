"""What can be known in advance about masks and files that show more than they seem to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from raymesh.errors import Diagnostic
from raymesh.governance.classification import contract_tags
from raymesh.governance.matching import above
from raymesh.governance.model import GLOBAL
from raymesh.governance.predicate import folded
from raymesh.spec.mask import Bucket, Partial, Token, Truncate, fitting
from raymesh.spec.physical import declared_type

if TYPE_CHECKING:
    from raymesh.governance.model import Policy
    from raymesh.mesh.model import Graph, Port
    from raymesh.spec.classifications import Taxonomy
    from raymesh.spec.contract_schema import Property

FEW = 1_000_000
"""Domains smaller than this can be tried out, value by value."""


def lint(graph: Graph, policies: tuple[Policy, ...], known: Taxonomy) -> Iterator[Diagnostic]:
    """Warnings about masks, errors about files of published products that are laid out by tagged columns."""
    masks = [p for p in policies if p.effect == "mask" and p.mask is not None]
    for product in graph.products.values():
        for port in product.ports:
            tags = contract_tags(port.documents.contract.raw)
            yield from _layout(port, tags, known)
            for policy in masks:
                yield from _masks(port, policy, tags)


def _layout(port: Port, tags: dict[str, frozenset[str]], known: Taxonomy) -> Iterator[Diagnostic]:
    """Paths and statistics of files show the values they are laid out by, whatever a mask says."""
    for column in port.settings.partition_by:
        own = tags.get(folded(column), frozenset())
        if any(not known.sensitive.isdisjoint(above(t)) for t in own):
            yield Diagnostic(
                "partition-sensitive",
                f"{port.table} is partitioned by `{column}`, which is {', '.join(sorted(own))}",
                port.documents.contract.span(),
                help="the names of its files would hold the values; partition by another column",
            )


def _masks(port: Port, policy: Policy, tags: dict[str, frozenset[str]]) -> Iterator[Diagnostic]:
    for item in _meant(port, policy, tags):
        kind = declared_type(item)
        if isinstance(policy.mask, Token) and (few := _few(item)):
            yield Diagnostic(
                "token-few-values",
                f"{port.table}.{item.name} has few values ({few}): who knows them can try out which token is which",
                policy.span,
                "warning",
                "hide the column, or generalise it",
            )
        elif (
            kind is not None
            and isinstance(policy.mask, Partial | Truncate | Bucket)
            and (fitting(policy.mask, kind) != policy.mask)
        ):
            yield Diagnostic(
                "mask-unfit",
                f"the mask does not fit {port.table}.{item.name}, which is {kind}: it shows NULL",
                policy.span,
                "warning",
            )


def _meant(port: Port, policy: Policy, tags: dict[str, frozenset[str]]) -> Iterable[Property]:
    what, domain = policy.what, port.product.partition(".")[0]
    about = policy.origin in (GLOBAL, domain) and (not what.domains or domain in what.domains)
    if not about or (what.products and not {port.product, f"{domain}.*"} & what.products):
        return
    names = {folded(c) for c in what.columns}
    for item in port.properties:
        own = {stem for t in tags.get(folded(item.name), ()) for stem in above(t)}
        if (not names or folded(item.name) in names) and (not what.tags or own & what.tags):
            yield item


def _few(item: Property) -> str:
    """Why a column has fewer than a million values; empty when nothing says so."""
    if item.logical_type in ("boolean", "date"):
        return f"it is a {item.logical_type}"
    if item.enum:
        return f"{len(item.enum)} are listed"
    options = item.logical_type_options or {}
    low, high = options.get("minimum"), options.get("maximum")
    whole = item.logical_type == "integer"
    if whole and isinstance(low, int) and isinstance(high, int) and high - low < FEW:
        return f"{low} to {high}"
    longest = options.get("maxLength")
    return f"at most {longest} characters" if isinstance(longest, int) and longest <= 4 else ""

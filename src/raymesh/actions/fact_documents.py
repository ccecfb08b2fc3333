"""Facts that documents alone tell, as rows in the order of the columns of governance.facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from raymesh.governance.classification import contract_tags
from raymesh.governance.facts import FACTS_VERSION
from raymesh.quality.compile import compile_checks
from raymesh.spec.model import VENDOR, parse_duration

if TYPE_CHECKING:
    from raymesh.mesh.model import Graph, Port, Product
    from raymesh.spec.contract import SlaProperty
    from raymesh.spec.documents import MeshDocuments

Row: TypeAlias = tuple[Any, ...]

_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
    **dict.fromkeys(("mo", "month", "months"), 2629800),
    **dict.fromkeys(("y", "yr", "year", "years"), 31557600),
}
_LOOPBACK = re.compile(r"^[a-z+]+://([^@/]*@)?(localhost|127\.|\[::1\])")


def rows_of(table: str, documents: MeshDocuments, graph: Graph, now: datetime) -> Iterator[Row]:
    """The rows of one table made from documents."""
    if table == "mesh":
        yield _mesh(documents, now)
    elif table == "policies":
        yield from _policies(documents)
    else:
        yield from _BY_TABLE[table](graph)


def _mesh(documents: MeshDocuments, now: datetime) -> Row:
    spec, governance = documents.document.model, documents.governance
    standards = governance.standards if governance else None
    stated = spec.storage.encryption
    return (
        spec.name,
        FACTS_VERSION,
        now,
        governance is not None,
        standards.model.version if standards else None,
        sum(len(f.document.model.policies) for f in governance.policies) if governance else 0,
        "s3" if spec.warehouse.startswith("s3:") else "file",
        stated.at_rest if stated else None,
        stated.stated_by if stated else None,
        not list(_plain_addresses(documents)),
    )


def _plain_addresses(documents: MeshDocuments) -> Iterator[str]:
    """Addresses under which data would travel unencrypted over a network."""
    spec = documents.document.model
    endpoint = spec.storage.s3.endpoint_url if spec.storage.s3 else None
    if endpoint and endpoint.startswith("http://") and not _LOOPBACK.match(endpoint):
        yield endpoint
    state = spec.state.text
    if state.startswith("postgresql") and "sslmode=" not in state and not _LOOPBACK.match(state):
        yield "state"


def _domains(graph: Graph) -> Iterator[Row]:
    for domain in graph.domains.values():
        document = domain.documents.document
        spec, budget = document.model, document.model.budget
        yield (
            domain.name,
            spec.description,
            spec.owner.team,
            spec.owner.email,
            len(spec.owner.contacts),
            budget.monthly if budget else None,
            budget.currency if budget else None,
            len(domain.products),
            list(spec.tags),
            document.path,
        )


def _products(graph: Graph) -> Iterator[Row]:
    for product in graph.products.values():
        document = product.documents.document
        spec, settings, said = document.model, product.settings, document.model.description
        yield (
            product.name,
            product.domain,
            spec.version,
            spec.status,
            said.purpose if said else None,
            said.limitations if said else None,
            said.usage if said else None,
            owner_of(graph, product),
            len(spec.support),
            list(spec.tags),
            spec.deprecated,
            settings.engine,
            settings.mode,
            settings.minimum_quality,
            settings.refresh,
            document.path,
        )


def owner_of(graph: Graph, product: Product) -> str:
    """The team of a product, otherwise of its domain."""
    team = product.documents.document.model.team
    if team is not None and team.name:
        return team.name
    return graph.domains[product.domain].documents.document.model.owner.team


def _each_port(graph: Graph) -> Iterator[tuple[Product, Port]]:
    for product in graph.products.values():
        for port in product.ports:
            yield product, port


def _ports(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        contract = port.contract
        described = next(
            (p for p in product.documents.document.model.output_ports if p.contract_id == contract.id), None
        )
        yield (
            product.name,
            port.name,
            product.domain,
            port.table,
            port.kind,
            contract.id,
            contract.version,
            described.deprecated if described else False,
            port.documents.contract.path,
        )


def _columns(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        document = port.documents.contract
        tags = contract_tags(document.raw)
        for index, item in enumerate(port.properties):
            yield (
                product.name,
                port.name,
                item.name,
                index + 1,
                item.physical_type,
                item.logical_type,
                item.description,
                item.required or item.primary_key,
                item.unique,
                item.primary_key,
                item.critical_data_element,
                item.deprecated,
                sorted(tags.get(item.name.casefold(), ())),
                document.path,
                document.span("schema", 0, "properties", index, "name").line,
            )


def _inputs(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        for edge in port.inputs:
            origin_port = edge.origin_port if edge.kind == "product" else ""
            same = edge.origin.partition(".")[0] == product.domain
            yield (product.name, port.name, edge.name, edge.kind, edge.origin, origin_port, same)


def _contracts(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        contract, said = port.contract, port.contract.description
        settings = contract_settings(port.documents.contract.raw)
        purposes = settings.get("purposes")
        yield (
            product.name,
            port.name,
            contract.id,
            contract.version,
            contract.status,
            said.purpose if said else None,
            said.limitations if said else None,
            said.usage if said else None,
            [str(p) for p in purposes] if isinstance(purposes, list) else None,
            sorted(settings.get("consent") or {}),
            port.settings.legal_hold,
            retention_seconds(contract.sla_properties),
            contract.team.name if contract.team else None,
            len(contract.support),
            port.documents.contract.path,
        )


def contract_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """raymesh's own settings of a contract as written."""
    said = raw.get("customProperties")
    return {
        str(item.get("property")): item.get("value")
        for item in (said if isinstance(said, list) else ())
        if isinstance(item, dict) and item.get("vendor") == VENDOR
    }


def retention_seconds(promises: Iterable[SlaProperty]) -> float | None:
    """The longest promised retention in seconds; None without one that is a duration."""
    found = [seconds(p.value, p.unit) for p in promises if p.property.lower() in ("retention", "re")]
    known = [s for s in found if s is not None]
    return max(known) if known else None


def seconds(value: Any, unit: str | None) -> float | None:
    """A duration of a service level, such as 3 `d` or `36h`; None for anything else."""
    if isinstance(value, str):
        plain = parse_duration(value)
        if plain is not None:
            return float(plain)
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or unit is None:
        return None
    scale = _UNITS.get(unit.strip().lower())
    return float(value) * scale if scale else None


def _checks(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        document = port.documents.contract
        checks = compile_checks(
            port.contract,
            port=port.name,
            table=port.table,
            settings_on_violation=port.settings.on_violation,
            spans=lambda loc, document=document: document.span(*loc),  # type: ignore[misc]  # a default binds it
        )
        for check in checks:
            yield (
                product.name,
                port.name,
                check.id,
                check.kind,
                check.rule,
                list(check.columns),
                check.dimension,
                check.severity,
                check.blocking,
                check.threshold.operator,
                str(check.threshold.value),
                check.unit,
                check.unsupported is None,
                document.path,
                check.span.line if check.span else None,
            )


def _slas(graph: Graph) -> Iterator[Row]:
    for product, port in _each_port(graph):
        for promise in port.contract.sla_properties:
            value = None if promise.value is None else str(promise.value)
            duration = seconds(promise.value, promise.unit)
            yield (
                product.name,
                port.name,
                promise.property,
                value,
                promise.unit,
                duration,
                promise.element,
                promise.driver,
            )


def _policies(documents: MeshDocuments) -> Iterator[Row]:
    governance = documents.governance
    for file in governance.policies if governance else ():
        for index, policy in enumerate(file.document.model.policies):
            yield (
                policy.name,
                file.origin,
                policy.effect,
                policy.action,
                list(policy.who.groups),
                list(policy.who.principals),
                list(policy.who.purposes),
                sorted(policy.who.attributes),
                list(policy.what.domains),
                list(policy.what.products),
                list(policy.what.tags),
                list(policy.what.columns),
                policy.rows,
                None if policy.mask is None else _mask_words(file.document.raw, index),
                policy.expires,
                list(policy.exception_to),
                list(policy.approved_by),
                file.document.path,
                file.document.span("policies", index, "name").line,
            )


def _mask_words(raw: Mapping[str, Any], index: int) -> str:
    said = raw["policies"][index].get("mask")
    return said if isinstance(said, str) else " ".join(f"{k} {v}" for k, v in dict(said).items())


_BY_TABLE: dict[str, Callable[[Graph], Iterator[Row]]] = {
    "domains": _domains,
    "products": _products,
    "ports": _ports,
    "columns": _columns,
    "inputs": _inputs,
    "contracts": _contracts,
    "checks": _checks,
    "slas": _slas,
}

"""Proposes the next contract of a product whose source changed: what the contract says stays, what changed is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.contracts import Compared, NamedContract, compared
from raymesh.actions.infer import infer_source
from raymesh.actions.read import split_name
from raymesh.errors import UsageError
from raymesh.spec.change import entries
from raymesh.spec.physical import logical_accepts
from raymesh.spec.type_changes import stored_type
from raymesh.spec.types import Decimal, List, Map, Primitive, Struct, Type, widens

if TYPE_CHECKING:
    from raymesh.mesh.model import Port, Source

_TYPED = ("physicalType", "logicalType", "logicalTypeOptions", "properties", "items", "map")
_UNTYPED = ("csv", "json")
"""Sources whose own types are guesses; what their documents declare counts."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The next contract, how it differs from today's, and what the source does otherwise, in sentences."""

    contract: dict[str, Any]
    compared: Compared
    notes: tuple[str, ...]


def propose_update(target: str, folder: Path | None = None, *, sample_rows: int = 100_000) -> Proposal:
    """The next contract of `target`, a product that ingests a source, after a look at the source.

    New columns are added with what their data suggest, vanished ones are taken out, wider and other types are
    taken over; everything else the contract says stays. The version is raised as far as the changes need.
    Raises UsageError for a product with a transform, NotFoundError, SourceError, DocumentsInvalidError.
    """
    from raymesh.actions.workspace import find_root, load_documents

    root = find_root(folder)
    _, graph = load_documents(root)
    product, name = split_name(target)
    port = graph.product(product).port(name)
    if port.kind != "ingest":
        raise UsageError(
            f"{port.table} is made by a transform; --update follows the source of a product without one",
            hint="raymesh validate compares a transform with its contract",
        )
    source = graph.sources[port.inputs[0].origin]
    short = f"{source.domain}.{source.name}"
    seen = infer_source(root, short, identifier=port.contract.id, sample_rows=sample_rows, declared=False)
    contract, notes = _updated(port, source, seen["schema"][0]["properties"])
    old = NamedContract(port.documents.contract.path, port.documents.contract.raw, port.table)
    new = NamedContract(f"proposed for {port.table}", contract, port.table)
    result = compared(old, new, graph)
    contract["version"] = result.comparison.suggested_version
    return Proposal(contract, compared(old, new, graph), tuple(notes))


def _updated(port: Port, source: Source, seen: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    contract = deepcopy(dict(port.documents.contract.raw))
    tables = contract.get("schema") or [{"name": port.product.partition(".")[2]}]
    contract["schema"] = tables
    fixed = frozenset(c.casefold() for c in source.columns or {}) if _guessed(source) else frozenset()
    members, notes = _members(tables[0].get("properties") or [], seen, fixed)
    tables[0]["properties"] = members
    if notes and source.columns:
        notes.append(f"{source.document.path} declares its columns; bring them up to date as well")
    return contract, notes


def _guessed(source: Source) -> bool:
    return source.document.model.type in _UNTYPED


def _members(
    promised: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]], fixed: frozenset[str], path: str = ""
) -> tuple[list[dict[str, Any]], list[str]]:
    """The columns of the next contract in today's order, new ones behind; `fixed` ones keep their type."""
    found = {str(c["name"]).casefold(): c for c in seen}
    members: list[dict[str, Any]] = []
    notes: list[str] = []
    for column in promised:
        name = f"{path}{column.get('name')}"
        now = found.pop(str(column.get("name")).casefold(), None)
        if now is None:
            notes.append(f"{name} is gone from the source")
        elif str(column.get("name")).casefold() in fixed:
            members.append(column)
        else:
            members.append(_merged(column, now, name, notes))
    notes += [f"{path}{c['name']} is new in the source ({c['physicalType']})" for c in found.values()]
    return [*members, *found.values()], notes


def _merged(column: dict[str, Any], now: Mapping[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """The column as promised when the source still fits it, otherwise with the type the source has."""
    promised, seen = stored_type(column), stored_type(now)
    if seen is None or (promised is None and logical_accepts(str(column.get("logicalType")), seen)):
        return column
    if promised is not None and not widens(promised, seen) and holds(promised, seen):
        return column
    if isinstance(promised, Struct) and isinstance(seen, Struct) and entries(column.get("properties")):
        return _merged_struct(column, now, name, notes)
    notes.append(f"{name} is {now['physicalType']} in the source; the contract promises {_promise(column)}")
    kept = {k: v for k, v in column.items() if k not in _TYPED or _still_fits(k, column, now)}
    return {**kept, **{k: v for k, v in now.items() if k in _TYPED and k not in kept}}


def _merged_struct(
    column: dict[str, Any], now: Mapping[str, Any], name: str, notes: list[str]
) -> dict[str, Any]:
    members, inner = _members(column["properties"], now["properties"], frozenset(), f"{name}.")
    notes += inner
    physical = {"physicalType": now["physicalType"]} if "physicalType" in column else {}
    return {**column, **physical, "properties": members}


def _still_fits(key: str, column: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Limits and formats stay while the kind of value stays."""
    same_kind = column.get("logicalType") in (None, now.get("logicalType"))
    return same_kind and key == "logicalTypeOptions" and "format" not in (column.get(key) or {})


def _promise(column: Mapping[str, Any]) -> str:
    return str(column.get("physicalType") or column.get("logicalType"))


def holds(promised: Type, seen: Type) -> bool:
    """Whether a column of type `seen` can be stored as promised without changing a value."""
    match promised, seen:
        case Struct(to), Struct(have):
            mine = {f.name.casefold(): f.type for f in have}
            return {f.name.casefold() for f in to} == mine.keys() and all(
                holds(f.type, mine[f.name.casefold()]) for f in to
            )
        case List(to_item), List(have_item):
            return holds(to_item, have_item)
        case Map(to_key, to_value), Map(have_key, have_value):
            return holds(to_key, have_key) and holds(to_value, have_value)
        case Decimal(), Decimal():
            return promised.scale >= seen.scale and promised.precision >= seen.precision
        case Decimal(), Primitive("int" | "long"):
            return True
    return (
        promised == seen
        or widens(seen, promised)
        or (promised, seen) == (Primitive("double"), Primitive("int"))
    )

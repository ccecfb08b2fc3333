"""From resolved documents to the parts of a BuildPlan: promises, layout, transform. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raymesh.mesh.plan import Layout, Promise, Transform
from raymesh.spec.physical import declared_type, parse_physical
from raymesh.spec.settings import VENDOR
from raymesh.spec.types import Field, TableSchema

if TYPE_CHECKING:
    from raymesh.mesh.model import Edge, Graph, Port
    from raymesh.spec.contract import Contract
    from raymesh.spec.contract_schema import Item, Property
    from raymesh.spec.settings import Settings

Raw = Mapping[str, Any]


def promises(contract: Contract, previous: Raw | None = None) -> tuple[Promise, ...]:
    """What the contract says of each column, in its order.

    `previous` is the contract of the version before, as it was written: a property that keeps its `id` under
    another name is a renamed column, and so is one that says `renamedFrom`.
    """
    if not contract.objects:
        return ()
    before = _list((previous or {}).get("schema"))
    columns = _list(before[0].get("properties")) if before else []
    return _promises(contract.objects[0].properties, columns)


def _promises(properties: Sequence[Property], previous: Sequence[Raw]) -> tuple[Promise, ...]:
    names = {p.name for p in properties}
    old_by_id = {p["id"]: p for p in previous if p.get("id")}
    old_by_name = {p.get("name"): p for p in previous}
    found: list[Promise] = []
    for column in properties:
        same = old_by_id.get(column.id) if column.id else None
        renamed = _renamed_from(column)
        if renamed is None and same is not None and same.get("name") not in names:
            renamed = same.get("name")
        before = same or old_by_name.get(column.name) or old_by_name.get(renamed)
        found.append(_promise(column, column.name, renamed, before or {}))
    return tuple(found)


def _promise(item: Item, name: str, renamed: str | None, previous: Raw) -> Promise:
    exact = declared_type(item)
    return Promise(
        name=name,
        logical=item.logical_type,
        type=None if exact is None else Field(name, exact, doc=item.description),
        options=item.logical_type_options or {},
        children=_children(item, previous),
        doc=item.description,
        renamed_from=renamed,
    )


def _children(item: Item, previous: Raw) -> tuple[Promise, ...]:
    """Struct members under their names, list items as `element`, keys and values of maps as `key`, `value`."""
    if item.properties:
        return _promises(item.properties, _list(previous.get("properties")))
    if item.items is not None:
        return (_promise(item.items, "element", None, previous.get("items") or {}),)
    if item.map is not None:
        before = previous.get("map") or {}
        key = _promise(item.map.key, "key", None, before.get("key") or {})
        return key, _promise(item.map.value, "value", None, before.get("value") or {})
    return ()


def _renamed_from(item: Item) -> str | None:
    for custom in item.custom_properties:
        if custom.property == "renamedFrom" and custom.vendor == VENDOR and isinstance(custom.value, str):
            return custom.value
    return None


def _list(value: Any) -> list[Raw]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, Sequence) else []


def layout(settings: Settings) -> Layout:
    """How the files of a port are written."""
    return Layout(settings.target_file_size, settings.sort_by, settings.partition_by)


def transform(port: Port) -> Transform:
    """How the rows of a port are made; files are relative to the mesh folder."""
    files = port.transform
    return Transform(
        kind=port.kind,
        sql=files.sql if files else None,
        sql_file=files.sql_path if files else None,
        python_file=files.python_path if files else None,
        bindings=port.bindings,
        options=port.options,
    )


def promised_schema(graph: Graph, edge: Edge) -> TableSchema | None:
    """The columns an input has by its documents, None when they do not fix every name and type.

    Field ids are not assigned. A product promises its contract's columns, a source what it declares.
    """
    if edge.kind == "source":
        declared = graph.sources[edge.origin].columns or {}
        types = {name: parsed.type if (parsed := parse_physical(t)) else None for name, t in declared.items()}
    else:
        port = graph.products[edge.origin].port(edge.origin_port)
        types = {p.name: declared_type(p) for p in port.properties}
    fields = tuple(Field(name, kind) for name, kind in types.items() if kind is not None)
    return TableSchema(fields) if fields and len(fields) == len(types) else None

"""What an ODCS contract must satisfy beyond the types of its keys."""

import json
import re
from collections.abc import Iterator
from typing import Any

from raymesh.spec.contract_servers import COMMON_SERVER_KEYS, SERVER_KEYS
from raymesh.spec.problems import Problem, entries, mapping
from raymesh.spec.quality_rules import quality_problems
from raymesh.spec.type_rules import type_problems
from raymesh.spec.wording import did_you_mean, listed
from raymesh.spec.yaml import Loc

SHORTHAND = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)+")
QUALIFIED = re.compile(
    r"(?:(?:https?://)?[A-Za-z0-9._/-]+\.ya?ml#)?/?[A-Za-z_][A-Za-z0-9_]*/[^\s.#/\\@!%&^]+"
    r"(?:/[A-Za-z_][A-Za-z0-9_]*/[^\s.#/\\@!%&^]+)*"
)
_STABLE_ID = re.compile(r"[^\s.#/\\@!%&^]+")
_STABLE = ("authoritativeDefinitions", "customProperties", "synonyms", "members")
_OLD_VERSIONS = ("v2.2.2", "v2.2.1", "v2.2.0")


def contract_problems(contract: dict[str, Any]) -> Iterator[Problem]:
    """Everything the standard's text and conditional rules object to, warnings included."""
    if contract.get("apiVersion") in _OLD_VERSIONS:
        message = f"ODCS {contract['apiVersion']} has an older shape that is not read"
        yield Problem(("apiVersion",), "unsupported-version", message, "bring the contract to v3.2.0")
    for key, instead in (("dataProduct", "the port of the product"), ("slaDefaultElement", "`element`")):
        if key in contract:
            message = f"`{key}` is deprecated since ODCS 3.1"
            yield Problem((key,), "deprecated", message, f"use {instead}", "key", "warning")
    yield from _id_problems(contract, ())
    for index, server in entries(contract.get("servers")):
        yield from _server_problems(server, ("servers", index))
    for index, table in entries(contract.get("schema")):
        yield from _object_problems(table, ("schema", index))


def _id_problems(value: Any, loc: Loc) -> Iterator[Problem]:
    """Ids of the objects that both standards share: ODCS alone restricts their characters."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from _id_problems(item, (*loc, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _STABLE and isinstance(item, list):
                for index, entry in entries(item):
                    yield from _bad_id(entry, (*loc, key, index))
            if key not in ("value", "arguments", "implementation") and isinstance(item, dict | list):
                yield from _id_problems(item, (*loc, key))


def _bad_id(entry: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    found = entry.get("id")
    if isinstance(found, str) and not _STABLE_ID.fullmatch(found):
        message = "an `id` is one word without spaces and without any of `. # / \\ @ ! % & ^`"
        yield Problem((*loc, "id"), "wrong-value", message)


def _server_problems(server: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    kind = server.get("type")
    if not isinstance(kind, str) or kind not in SERVER_KEYS:
        return
    required, optional = (keys.split() for keys in SERVER_KEYS[kind])
    for key in required:
        if key not in server:
            yield Problem((*loc, key), "missing-key", f"a server of type {kind} needs `{key}`", None, "key")
    known = COMMON_SERVER_KEYS.union(required, optional)
    for key in server:
        if key in ALL_SERVER_KEYS and key not in known:
            own = [*required, *optional]
            way = f"it has {listed(f'`{k}`' for k in own)}" if own else None
            message = f"a server of type {kind} has no key `{key}`"
            yield Problem((*loc, key), "unknown-key", message, way, "key")
    location = server.get("location")
    if kind == "sftp" and isinstance(location, str) and not location.startswith(("sftp://", "${")):
        yield Problem(
            (*loc, "location"), "wrong-value", "the location of an sftp server begins with `sftp://`"
        )


ALL_SERVER_KEYS = frozenset(key for pair in SERVER_KEYS.values() for keys in pair for key in keys.split())


def _object_problems(table: dict[str, Any], loc: Loc) -> Iterator[Problem]:
    names = [str(column.get("name")) for _, column in entries(table.get("properties"))]
    columns = frozenset(names)
    yield from quality_problems(table.get("quality"), (*loc, "quality"), level="object", columns=columns)
    for index, relationship in entries(table.get("relationships")):
        place = (*loc, "relationships", index)
        yield from _relationship_problems(relationship, place, needs_from=True)
        yield from _own_column_problems(relationship, place, table.get("name"), columns)
    yield from _member_problems(table.get("properties"), (*loc, "properties"))
    for index, column in entries(table.get("properties")):
        yield from _value_problems(column, (*loc, "properties", index), columns)


def _value_problems(item: dict[str, Any], loc: Loc, columns: frozenset[str]) -> Iterator[Problem]:
    yield from type_problems(item, loc)
    if "quality" in item:
        yield from quality_problems(item["quality"], (*loc, "quality"), level="property", columns=columns)
    if "relationships" in item:
        for index, relationship in entries(item["relationships"]):
            yield from _relationship_problems(relationship, (*loc, "relationships", index), needs_from=False)
    if "enum" in item:
        yield from _enum_problems(item["enum"], (*loc, "enum"))
    if "properties" in item:
        yield from _member_problems(item["properties"], (*loc, "properties"))
        for index, member in entries(item["properties"]):
            yield from _value_problems(member, (*loc, "properties", index), columns)
    if isinstance(item.get("items"), dict):
        yield from _value_problems(item["items"], (*loc, "items"), columns)
    for part, nested in mapping(item.get("map")).items():
        if isinstance(nested, dict):
            yield from _value_problems(nested, (*loc, "map", part), columns)


def _member_problems(members: Any, loc: Loc) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for index, member in entries(members):
        name = member.get("name")
        if not isinstance(name, str):
            continue
        if not name.strip():
            yield Problem((*loc, index, "name"), "wrong-name", "a column needs a name")
        elif name.lower() in seen:
            message = f"`{name}` is here a second time" + _besides(name, seen[name.lower()])
            yield Problem((*loc, index, "name"), "duplicate-column", message)
        seen.setdefault(name.lower(), name)


def _besides(name: str, first: str) -> str:
    return "" if name == first else f" (as `{first}`; names that differ in case only are the same)"


def _enum_problems(values: Any, loc: Loc) -> Iterator[Problem]:
    if isinstance(values, list) and not values:
        yield Problem(
            loc, "wrong-value", "`enum` needs at least one value", "remove the key to allow any value"
        )
    seen: set[str] = set()
    for index, entry in entries(values):
        text = json.dumps(entry.get("value"), sort_keys=True, default=str)
        if "value" in entry and text in seen:
            yield Problem(
                (*loc, index, "value"), "duplicate-value", f"the value {text} is here a second time"
            )
        seen.add(text)


def _relationship_problems(relationship: dict[str, Any], loc: Loc, *, needs_from: bool) -> Iterator[Problem]:
    source, target = relationship.get("from"), relationship.get("to")
    if needs_from and "from" not in relationship:
        message = "a relationship of an object needs `from`"
        yield Problem((*loc, "from"), "missing-key", message, "write `from: object.property`", "key")
    if not needs_from and "from" in relationship:
        message = "a relationship of a property starts at the property itself"
        yield Problem((*loc, "from"), "relationship", message, "remove `from`", "key")
    if needs_from and source is not None and target is not None:
        yield from _pair_problems(source, target, loc)
    for key, value in (("from", source), ("to", target)):
        yield from _reference_problems(value, (*loc, key))


def _pair_problems(source: Any, target: Any, loc: Loc) -> Iterator[Problem]:
    if isinstance(source, list) is not isinstance(target, list):
        message = "`from` and `to` must both be one reference or both be a list"
        yield Problem((*loc, "to"), "relationship", message)
    elif isinstance(source, list) and len(source) != len(target):
        message = f"`from` names {len(source)} properties and `to` {len(target)}"
        yield Problem((*loc, "to"), "relationship", message, "a composite key has a partner for each part")


def _reference_problems(value: Any, loc: Loc) -> Iterator[Problem]:
    if isinstance(value, list):
        if not value:
            yield Problem(loc, "wrong-value", f"`{loc[-1]}` names nothing", "write `object.property`")
        for index, item in enumerate(value):
            if isinstance(item, str):
                yield from _reference_problems(item, (*loc, index))
    elif isinstance(value, str) and not (SHORTHAND.fullmatch(value) or QUALIFIED.fullmatch(value)):
        way = "write `object.property`, or `schema/<id>/properties/<id>`"
        yield Problem(loc, "wrong-value", "this is not a reference to a property", way)


def _own_column_problems(
    relationship: dict[str, Any], loc: Loc, table: Any, columns: frozenset[str]
) -> Iterator[Problem]:
    source = relationship.get("from")
    for reference in source if isinstance(source, list) else [source]:
        if not isinstance(reference, str) or not SHORTHAND.fullmatch(reference):
            continue
        owner, column = reference.split(".")[:2]
        if owner == table and column not in columns:
            message, way = f"there is no property `{column}`", did_you_mean(column, columns)
            yield Problem((*loc, "from"), "unknown-column", message, way, severity="warning")

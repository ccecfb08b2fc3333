"""JSON Schema of each kind of document, generated from the models, conditional rules included."""

from collections.abc import Callable
from typing import Any, Literal

from raymesh.spec.contract_rules import QUALIFIED, SHORTHAND
from raymesh.spec.contract_servers import COMMON_SERVER_KEYS, SERVER_KEYS
from raymesh.spec.jsonschema_rules import ITEM_RULES, LEVEL_RULES, QUALITY_RULES, SOURCE_RULES
from raymesh.spec.kinds import KINDS
from raymesh.spec.model import STABLE_ID

Draft = Literal["2020-12", "draft-07"]
Schema = dict[str, Any]

DRAFTS: dict[str, str] = {
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft-07": "http://json-schema.org/draft-07/schema#",
}
_SHARED_IDS = ("AuthoritativeDefinition", "CustomProperty", "Synonym", "TeamMember")


def json_schema(kind: str, draft: Draft = "2020-12") -> Schema:
    """The schema of documents of `kind` (a key of spec.kinds.KINDS): exact, or for editors in draft 07.

    It accepts and rejects what the models do, except what JSON Schema cannot say: which columns exist,
    which of two numbers is smaller, whether a password is in an address.
    """
    model = KINDS[kind]
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    for part in (schema, *definitions.values()):
        _tidy(part)
    for name, add in _ADDITIONS.items():
        for part in (definitions.get(name), schema if model.__name__ == name else None):
            if part is not None:
                add(part)
    if kind == "DataContract":
        for name in _SHARED_IDS:
            definitions[name]["properties"]["id"]["pattern"] = STABLE_ID
    schema = {
        "$schema": DRAFTS[draft],
        "title": f"{kind} of a mesh",
        **{k: v for k, v in schema.items() if k != "title"},
    }
    return schema if draft == "2020-12" else _down_level(schema)


def _tidy(part: Schema) -> None:
    """Remove generated titles and defaults that only mean: absent."""
    for value in part.get("properties", {}).values():
        value.pop("title", None)
        if value.get("default", 0) in (None, [], ()):
            del value["default"]


def _add_rules(rules: list[Schema]) -> Callable[[Schema], None]:
    def add(part: Schema) -> None:
        part["allOf"] = [*part.get("allOf", []), *rules]

    return add


def _server(part: Schema) -> None:
    rules = []
    for kind, (required, optional) in SERVER_KEYS.items():
        names = sorted(COMMON_SERVER_KEYS.union(required.split(), optional.split()))
        then: Schema = {"propertyNames": {"enum": names}}
        if required:
            then["required"] = required.split()
        if kind == "sftp":
            then["properties"] = {"location": {"pattern": r"^(sftp://|\$\{)"}}
        rules.append({"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": then})
    _add_rules(rules)(part)


def _relationship(part: Schema) -> None:
    pattern = {"type": "string", "pattern": f"^({SHORTHAND.pattern}|{QUALIFIED.pattern})$"}
    reference = {"anyOf": [pattern, {"type": "array", "items": pattern, "minItems": 1}]}
    part["properties"]["from"] = part["properties"]["to"] = reference


def _item(part: Schema) -> None:
    part["properties"]["enum"] |= {"minItems": 1, "uniqueItems": True}
    _add_rules(ITEM_RULES)(part)
    _of_level(part, "property")


def _property(part: Schema) -> None:
    part["properties"]["name"]["pattern"] = r"\S"
    _item(part)


def _object(part: Schema) -> None:
    _of_level(part, "object")


def _of_level(part: Schema, level: str) -> None:
    for key in ("quality", "relationships"):
        items = part["properties"][key]["items"]
        part["properties"][key]["items"] = {"allOf": [items, *LEVEL_RULES[level, key]]}


def _quality(part: Schema) -> None:
    for key in ("mustBeBetween", "mustNotBeBetween"):
        part["properties"][key] |= {"minItems": 2, "maxItems": 2, "uniqueItems": True}
    part["properties"]["implementation"] = {"type": ["string", "object"]}
    _add_rules(QUALITY_RULES)(part)


def _two_people(part: Schema) -> None:
    part["properties"]["approvedBy"] |= {"minItems": 2, "uniqueItems": True}


_ADDITIONS: dict[str, Callable[[Schema], None]] = {
    "Server": _server,
    "Relationship": _relationship,
    "Item": _item,
    "Property": _property,
    "SchemaObject": _object,
    "QualityRule": _quality,
    "Source": _add_rules(SOURCE_RULES),
    "StandardException": _two_people,
}


def _down_level(value: Any) -> Any:
    """The same schema in draft-07 words: `definitions`, and nothing beside a `$ref`."""
    if isinstance(value, list):
        return [_down_level(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {("definitions" if key == "$defs" else key): _down_level(item) for key, item in value.items()}
    reference = out.get("$ref")
    if isinstance(reference, str):
        moved = {"$ref": reference.replace("#/$defs/", "#/definitions/")}
        rest = {key: item for key, item in out.items() if key != "$ref"}
        return {**rest, "allOf": [*rest.get("allOf", []), moved]} if rest else moved
    return out

"""The conditional rules of contracts and sources, said in JSON Schema. Data only."""

from typing import Any

from raymesh.spec.contract_quality import METRICS, OPERATORS
from raymesh.spec.quality_rules import OBJECT_METRICS, PROPERTY_METRICS
from raymesh.spec.source import KEY_OWNERS
from raymesh.spec.type_rules import LOGICAL_TYPES, OPTIONS, Option

Schema = dict[str, Any]


def is_word(key: str, *words: str) -> Schema:
    """`key` is there and is one of `words`."""
    return {"properties": {key: {"enum": list(words)}}, "required": [key]}


def has(*keys: str) -> Schema:
    return {"required": list(keys)}


def has_none(*keys: str) -> Schema:
    return {"not": {"anyOf": [has(key) for key in keys]}}


_ONE_OPERATOR: Schema = {"oneOf": [has(operator) for operator in OPERATORS]}
_NUMBERS: Schema = {"properties": {"mustBe": {"type": "number"}, "mustNotBe": {"type": "number"}}}
_IS_LIBRARY: Schema = {
    "anyOf": [
        is_word("type", "library"),
        {"allOf": [has_none("type"), {"anyOf": [has("metric"), has("rule")]}]},
    ]
}
_IS_TEXT: Schema = {"anyOf": [is_word("type", "text"), has_none("type", "metric", "rule")]}


def _argument(metric: str, then: Schema) -> Schema:
    arguments = {"properties": {"arguments": then}, "required": ["arguments"]}
    return {"if": {"allOf": [_IS_LIBRARY, _measures(metric)]}, "then": arguments}


def _measures(*metrics: str) -> Schema:
    """The metric is one of these, under either of its words."""
    return {
        "anyOf": [is_word("metric", *metrics), {"allOf": [has_none("metric"), is_word("rule", *metrics)]}]
    }


QUALITY_RULES: list[Schema] = [
    {
        "if": _IS_LIBRARY,
        "then": {
            "allOf": [
                {"anyOf": [has("metric"), is_word("rule", *METRICS)]},
                _ONE_OPERATOR,
                _NUMBERS,
                has_none("query", "engine", "implementation"),
            ]
        },
    },
    {
        "if": is_word("type", "sql"),
        "then": {"allOf": [has("query"), _ONE_OPERATOR, has_none("engine", "implementation", "arguments")]},
    },
    {
        "if": is_word("type", "custom"),
        "then": {
            "allOf": [has("engine", "implementation"), has_none("query", "arguments", "metric", *OPERATORS)]
        },
    },
    {
        "if": _IS_TEXT,
        "then": has_none("query", "engine", "implementation", "arguments", "metric", *OPERATORS),
    },
    _argument(
        "missingValues", {"required": ["missingValues"], "properties": {"missingValues": {"type": "array"}}}
    ),
    _argument(
        "invalidValues",
        {
            "anyOf": [has("validValues"), has("pattern")],
            "properties": {"validValues": {"type": "array"}, "pattern": {"type": "string"}},
        },
    ),
]

_COMPOSITE: Schema = {
    "if": {"allOf": [_IS_LIBRARY, _measures("duplicateValues")]},
    "then": {
        "required": ["arguments"],
        "properties": {
            "arguments": {
                "required": ["properties"],
                "properties": {"properties": {"type": "array", "minItems": 1}},
            }
        },
    },
}
_BOTH_ALIKE: Schema = {
    "required": ["from", "to"],
    "oneOf": [{"properties": {"from": {"type": kind}, "to": {"type": kind}}} for kind in ("string", "array")],
}


def _at_level(*metrics: str) -> Schema:
    return {"if": _IS_LIBRARY, "then": {"not": _measures(*(set(METRICS) - set(metrics)))}}


LEVEL_RULES: dict[tuple[str, str], list[Schema]] = {
    ("object", "quality"): [_at_level(*OBJECT_METRICS), _COMPOSITE],
    ("property", "quality"): [_at_level(*PROPERTY_METRICS)],
    ("object", "relationships"): [_BOTH_ALIKE],
    ("property", "relationships"): [has_none("from")],
}
"""What rules and relationships must satisfy where they stand: on an object or on a property."""

_VALUE_TYPES: dict[str, Schema] = {
    "text": {"type": "string"},
    "true or false": {"type": "boolean"},
    "a whole number from 0": {"type": "integer", "minimum": 0},
    "a whole number from 1": {"type": "integer", "minimum": 1},
    "a number": {"type": "number"},
    "a number above 0": {"type": "number", "exclusiveMinimum": 0},
    "a list of names": {"type": "array", "items": {"type": "string"}, "minItems": 1},
}


def _option(option: Option) -> Schema:
    wanted, words = option
    return {"enum": list(words)} if words else _VALUE_TYPES[wanted]


def _options_of(logical: str) -> Schema:
    options: Schema = {
        "properties": {name: _option(option) for name, option in OPTIONS[logical].items()},
        "additionalProperties": False,
    }
    then: Schema = {"properties": {"logicalTypeOptions": options}}
    if logical == "vector":
        options["required"] = ["dimensions"]
        then["required"] = ["logicalTypeOptions"]
    return {"if": is_word("logicalType", logical), "then": then}


_NO_OPTIONS: Schema = {"properties": {"logicalTypeOptions": {"maxProperties": 0}}}
_OTHERS = {
    key: [logical for logical in LOGICAL_TYPES if logical != wanted]
    for key, wanted in (("properties", "object"), ("items", "array"))
}

ITEM_RULES: list[Schema] = [
    *(_options_of(logical) for logical in OPTIONS),
    {"if": has_none("logicalType"), "then": _NO_OPTIONS},
    {"if": is_word("logicalType", "map"), "then": {**_NO_OPTIONS, "required": ["map"]}},
    {"if": has("map"), "then": is_word("logicalType", "map")},
    *({"if": has(key), "then": {"not": is_word("logicalType", *others)}} for key, others in _OTHERS.items()),
]

SOURCE_RULES: list[Schema] = [
    *({"if": has(key), "then": is_word("type", *owners)} for key, owners in KEY_OWNERS.items()),
    {
        "if": is_word("type", "postgres"),
        "then": {
            "oneOf": [has("table"), has("query")],
            "properties": {"location": {"pattern": r"^(postgres(ql)?://|\$\{)"}},
        },
    },
]

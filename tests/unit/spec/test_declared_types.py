"""Which stored type a contract fixes, and what it leaves to the data."""

from __future__ import annotations

from typing import Any

import pytest

from raymesh.spec.contract_schema import Property
from raymesh.spec.physical import declared_type, logical_accepts, parse_physical
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, Type


def declared(**keys: Any) -> str | None:
    found = declared_type(Property.model_validate({"name": "a", **keys}))
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"logicalType": "string"}, "string"),
        ({"logicalType": "boolean"}, "boolean"),
        ({"logicalType": "date"}, "date"),
        ({"logicalType": "time"}, "time"),
        ({"logicalType": "integer"}, None),
        ({"logicalType": "number"}, None),
        ({"logicalType": "timestamp"}, None),
        ({}, None),
        ({"physicalType": "decimal(18,2)"}, "decimal(18, 2)"),
        ({"physicalType": "varchar", "logicalType": "date"}, "string"),
        ({"physicalType": "who knows", "logicalType": "date"}, "date"),
        ({"physicalType": "struct(a integer, b varchar[])"}, "struct<a: int, b: list<string>>"),
        ({"logicalType": "array"}, None),
        ({"logicalType": "array", "items": {"logicalType": "string"}}, "list<string>"),
        ({"logicalType": "array", "items": {"logicalType": "number"}}, None),
        ({"logicalType": "object", "properties": [{"name": "x", "logicalType": "date"}]}, "struct<x: date>"),
        ({"logicalType": "object", "properties": [{"name": "x"}]}, None),
        ({"logicalType": "map", "map": {"key": {"logicalType": "string"}, "value": {"physicalType": "bigint"}}}, "map<string, long>"),
    ],
)  # fmt: skip
def test_what_a_property_fixes(keys: dict[str, Any], found: str | None) -> None:
    assert declared(**keys) == found


@pytest.mark.parametrize(
    ("logical", "format_", "found"),
    [("integer", "i8", "int"), ("integer", "i32", "int"), ("integer", "i64", "long"), ("integer", "u32", "long"),
     ("integer", "u64", "decimal(20, 0)"), ("integer", "i128", "decimal(38, 0)"), ("number", "f32", "float"), ("number", "f64", "double")],
)  # fmt: skip
def test_a_format_fixes_the_width_of_a_number(logical: str, format_: str, found: str) -> None:
    assert declared(logicalType=logical, logicalTypeOptions={"format": format_}) == found


def test_a_timestamp_has_a_zone_when_the_options_say_so() -> None:
    assert declared(logicalType="timestamp", logicalTypeOptions={"timezone": True}) == "timestamptz"
    assert declared(logicalType="timestamp", logicalTypeOptions={"timezone": False}) == "timestamp"


def test_a_vector_is_fixed_by_a_written_element_type_only() -> None:
    assert declared(logicalType="vector", logicalTypeOptions={"dimensions": 3}) is None
    assert (
        declared(logicalType="vector", logicalTypeOptions={"dimensions": 3, "elementType": "float64"})
        == "list<double>"
    )


@pytest.mark.parametrize(
    ("stored", "logical"),
    [
        (Primitive("string"), {"string"}),
        (Primitive("long"), {"integer", "number"}),
        (Primitive("double"), {"number"}),
        (Decimal(10, 2), {"number"}),
        (Decimal(10, 0), {"integer", "number"}),
        (Primitive("timestamptz"), {"timestamp"}),
        (Primitive("date"), {"date"}),
        (List(Primitive("float")), {"array", "vector"}),
        (Struct((Field("a", Primitive("int")),)), {"object"}),
        (Map(Primitive("string"), Primitive("int")), {"map", "object"}),
    ],
)
def test_which_logical_types_a_stored_type_can_be(stored: Type, logical: set[str]) -> None:
    names = [
        "string",
        "date",
        "timestamp",
        "time",
        "number",
        "integer",
        "object",
        "array",
        "boolean",
        "map",
        "vector",
    ]
    assert {name for name in names if logical_accepts(name, stored)} == logical


def test_endless_nesting_is_no_type() -> None:
    assert parse_physical("struct(a " * 5_000 + "int" + ")" * 5_000) is None

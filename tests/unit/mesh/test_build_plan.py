from __future__ import annotations

import pytest

from graphs import graph
from raymesh.mesh.build_plan import layout, promised_schema, promises, transform
from raymesh.mesh.plan import Layout, Transform
from raymesh.spec.contract import Contract
from raymesh.spec.settings import Settings
from raymesh.spec.types import Decimal, Field, Primitive


def contract(*columns):
    raw = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "c",
        "version": "1.0.0",
        "schema": [{"name": "t", "properties": list(columns)}],
    }
    return raw, Contract.model_validate(raw)


def promised(*columns, previous=None):
    return promises(contract(*columns)[1], previous)


def test_a_promise_carries_the_exact_type_where_the_contract_fixes_one():
    amount, note, at = promised(
        {"name": "amount", "physicalType": "decimal(18,2)", "description": "in euros"},
        {"name": "note", "logicalType": "number", "logicalTypeOptions": {"minimum": 3}},
        {"name": "at", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}},
    )
    assert amount.type == Field("amount", Decimal(18, 2), doc="in euros")
    assert (note.type, note.logical, note.options) == (None, "number", {"minimum": 3})
    assert at.type == Field("at", Primitive("timestamptz"))
    assert promises(Contract.model_validate({**contract()[0], "schema": []})) == ()


def test_members_items_keys_and_values_are_promised_too():
    (address,) = promised(
        {
            "name": "address",
            "logicalType": "object",
            "properties": [
                {"name": "zip", "logicalType": "string"},
                {"name": "tags", "logicalType": "array", "items": {"logicalType": "string"}},
                {
                    "name": "notes",
                    "logicalType": "map",
                    "map": {"key": {"logicalType": "string"}, "value": {"logicalType": "integer"}},
                },
            ],
        }
    )
    assert [c.name for c in address.children] == ["zip", "tags", "notes"]
    assert [c.name for c in address.children[1].children] == ["element"]
    assert [(c.name, c.logical) for c in address.children[2].children] == [
        ("key", "string"),
        ("value", "integer"),
    ]


def test_a_property_that_keeps_its_id_under_another_name_is_renamed():
    previous, _ = contract({"name": "zip", "id": "p1"}, {"name": "city", "id": "p2"}, {"name": "street"})
    renamed = promised(
        {"name": "postcode", "id": "p1"}, {"name": "city", "id": "p2"}, {"name": "road"}, previous=previous
    )
    assert [p.renamed_from for p in renamed] == ["zip", None, None]


def test_swapped_ids_do_not_rename_a_column_whose_old_name_is_still_in_use():
    previous, _ = contract({"name": "a", "id": "1"}, {"name": "b", "id": "2"})
    swapped = promised({"name": "b", "id": "1"}, {"name": "a", "id": "2"}, previous=previous)
    assert [p.renamed_from for p in swapped] == [None, None]


def test_renamed_from_says_the_old_name_at_every_depth():
    renamed = [{"property": "renamedFrom", "value": "zip", "vendor": "raymesh"}]
    foreign = [{"property": "renamedFrom", "value": "zip", "vendor": "other"}]
    outer, other = promised(
        {
            "name": "a",
            "logicalType": "object",
            "properties": [{"name": "postcode", "customProperties": renamed}],
        },
        {"name": "b", "customProperties": foreign},
    )
    assert outer.children[0].renamed_from == "zip"
    assert other.renamed_from is None
    previous, _ = contract({"name": "a", "properties": [{"name": "zip", "id": "z"}]})
    (nested,) = promised(
        {"name": "a", "logicalType": "object", "properties": [{"name": "code", "id": "z"}]}, previous=previous
    )
    assert nested.children[0].renamed_from == "zip"


def test_settings_become_the_layout():
    settings = Settings.model_validate({"sortBy": ["a"], "partitionBy": ["b"], "targetFileSize": "64MB"})
    assert layout(settings) == Layout(64_000_000, ("a",), ("b",))


def test_a_port_becomes_a_transform(tmp_path):
    python = "from raymesh import batch\n@batch(input='s.a', size=10)\ndef transform(rows): ...\n"
    found = graph(tmp_path, {"s.a": "select 1 as id", "s.b": {"python": python}})
    folder = "domains/s/products"
    assert transform(found.port("s.a")) == Transform("sql", "select 1 as id", f"{folder}/a/transform.sql")
    assert transform(found.port("s.b")) == Transform(
        "batch", None, None, f"{folder}/b/transform.py", {"rows": "s.a"}, {"size": 10}
    )


@pytest.mark.parametrize(
    ("columns", "known"),
    [
        ({"id": "bigint", "name": "varchar"}, True),
        ({"id": "bigint", "n": {"logicalType": "number"}}, False),
        ({}, False),
    ],
)
def test_an_input_has_a_schema_when_its_documents_fix_every_column(tmp_path, columns, known):
    found = graph(
        tmp_path,
        {"s.a": {"sql": "select 1", "columns": columns}, "s.b": "select * from s.a, source.e"},
        {"s.e": {"x": "decimal(9,2)"}},
    )
    product, source = found.product("s.b").inputs
    schema = promised_schema(found, product)
    assert (schema is not None) == known
    assert schema is None or schema.names == tuple(columns)
    assert promised_schema(found, source).fields == (Field("x", Decimal(9, 2)),)


def test_a_source_without_declared_columns_has_no_schema(tmp_path):
    found = graph(tmp_path, {"s.b": "select * from source.e"}, {"s.e": None})
    assert promised_schema(found, found.product("s.b").inputs[0]) is None

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from raymesh.mesh.diff import compare_versions
from raymesh.spec.types import Field, List, Map, Primitive, Struct, TableSchema

INT, LONG, TEXT = Primitive("int"), Primitive("long"), Primitive("string")


@dataclass(frozen=True)
class Published:
    fields: tuple[Field, ...] = ()
    properties: tuple[dict[str, Any], ...] = ()
    contract_keys: dict[str, Any] = field(default_factory=dict)
    rows: int = 0
    bytes: int = 0

    @property
    def schema(self):
        return TableSchema(self.fields, 100).to_json()

    @property
    def contract(self):
        return {"schema": [{"name": "t", "properties": list(self.properties)}], **self.contract_keys}


def changes(old, new):
    return [str(c) for c in compare_versions(old, new).changes]


def columns(*fields):
    return Published(tuple(fields))


def test_equal_versions_have_no_changes():
    version = columns(Field("a", INT, 1), Field("b", List(TEXT, 3), 2))
    assert compare_versions(version, version).changes == ()


def test_rows_and_bytes_are_after_minus_before():
    found = compare_versions(Published(rows=10, bytes=100), Published(rows=7, bytes=150))
    assert (found.rows, found.bytes) == (-3, 50)
    assert found.to_json() == {"rows_change": -3, "bytes_change": 50, "changes": []}


def test_columns_are_matched_by_field_id():
    old = columns(Field("a", INT, 1), Field("b", INT, 2), Field("c", TEXT, 3))
    new = columns(Field("z", LONG, 1), Field("b", INT, 2), Field("c", TEXT, 4))
    assert changes(old, new) == [
        "~ column z was called a",
        "~ column z int → long",
        "+ column c string",
        "- column c string",
    ]


def test_nested_columns_are_named_by_their_path():
    old = columns(
        Field("s", Struct((Field("x", INT, 2), Field("y", INT, 3))), 1),
        Field("l", List(Struct((Field("p", INT, 6),)), 5), 4),
        Field("m", Map(TEXT, INT, 8, 9), 7),
    )
    new = columns(
        Field("s", Struct((Field("w", INT, 2),)), 1),
        Field("l", List(Struct((Field("p", INT, 6), Field("q", TEXT, 10))), 5), 4),
        Field("m", Map(TEXT, LONG, 8, 9), 7),
    )
    assert changes(old, new) == [
        "~ column s.w was called s.x",
        "- column s.y int",
        "+ column l.element.q string",
        "~ column m.value int → long",
    ]


def test_what_the_contract_says_is_compared_column_by_column_through_renames():
    old = Published(
        (Field("mail", TEXT, 1),),
        ({"name": "mail", "required": True, "tags": ["pii"]},),
        {"version": "1.0.0", "description": {"purpose": "x"}},
    )
    new = Published(
        (Field("email", TEXT, 1), Field("extra", INT, 2)),
        ({"name": "email", "tags": ["pii", "internal"]}, {"name": "extra", "required": True}),
        {"version": "1.1.0", "description": {"purpose": "x"}},
    )
    assert changes(old, new) == [
        "~ column email was called mail",
        "+ column extra int",
        "~ table version: 1.0.0 → 1.1.0",
        "~ column email required: true → not said",
        '~ column email tags: ["pii"] → ["pii", "internal"]',
    ]


def test_long_values_are_cut_in_text_and_whole_in_json():
    found = compare_versions(
        Published(contract_keys={"name": "a" * 90}), Published(contract_keys={"name": "b" * 90})
    )
    assert str(found.changes[0]) == f"~ table name: {'a' * 59}… → {'b' * 59}…"
    assert found.to_json()["changes"] == [
        {"kind": "contract", "column": "", "old": "a" * 90, "new": "b" * 90, "key": "name"}
    ]

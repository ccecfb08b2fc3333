"""Physical types are read in the words of DuckDB and SQL."""

from __future__ import annotations

import pytest

from raymesh.spec.physical import parse_physical

READ = {
    "bigint": "long",
    "INTEGER": "int",
    "decimal(18,2)": "decimal(18, 2)",
    "numeric(5)": "decimal(5, 0)",
    "double precision": "double",
    "character varying(7)": "string",
    "timestamp with time zone": "timestamptz",
    "timestamp(6) without time zone": "timestamp",
    "timestamptz": "timestamptz",
    'struct(a integer, "b c" varchar)': "struct<a: int, b c: string>",
    "array<struct<a: int>>": "list<struct<a: int>>",
    "integer[][]": "list<list<int>>",
    "map(varchar, decimal(3,1))": "map<string, decimal(3, 1)>",
}


@pytest.mark.parametrize("text", sorted(READ))
def test_known_types(text: str) -> None:
    found = parse_physical(text)
    assert found is not None
    assert str(found.type) == READ[text]


@pytest.mark.parametrize(
    "text", ["", "geometry", "number", "decimal(40,2)", "int[", "struct()", "map(int)", "bigint x", "date(3)"]
)
def test_unknown_types(text: str) -> None:
    assert parse_physical(text) is None


def test_what_the_stored_type_cannot_say_is_kept() -> None:
    text, small, fixed = (parse_physical(t) for t in ("varchar(18)", "smallint", "float[3]"))
    assert text
    assert small
    assert fixed
    assert (text.max_length, small.minimum, small.maximum, fixed.items) == (18, -32768, 32767, 3)

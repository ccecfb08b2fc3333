"""The metadata difference document: the tables of the standard, without values unless asked for."""

from __future__ import annotations

from typing import Any

import pytest

from raymesh.spec.comparison import compare
from raymesh.spec.omds import omds

Raw = dict[str, Any]


def contract(version: str = "1.2.0", column: Raw | None = None, **more: Any) -> Raw:
    table = {"name": "orders", "properties": [{"name": "id"}, {"name": "a", **(column or {})}]}
    head = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "shop.orders", "version": version}
    return {**head, "schema": [table], **more}


def level(old: Raw, new: Raw) -> tuple[str, str]:
    found = compare(old, new)
    (diff,) = omds(old, new, found)["diffs"]
    return str(found.grade), diff["impactLevel"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"required": True}, ("minor", "MINOR")),
        ({"unique": True}, {}, ("major", "MAJOR")),
        ({"physicalType": "integer"}, {"physicalType": "bigint"}, ("minor", "MAJOR")),
        ({"description": "x"}, {}, ("patch", "MAJOR")),
        ({"description": "x"}, {"description": "y"}, ("patch", "PATCH")),
        ({}, {"description": "x"}, ("patch", "PATCH")),
        ({}, {"criticalDataElement": True}, ("patch", "MINOR")),
        ({"enum": [{"value": 1}, {"value": 2}]}, {"enum": [{"value": 1}]}, ("minor", "MAJOR")),
        ({"enum": [{"value": 1}]}, {"enum": [{"value": 1}, {"value": 2}]}, ("major", "MAJOR")),
        ({"quality": [{"name": "r", "metric": "nullValues", "mustBe": 0}]},
         {"quality": [{"name": "r", "metric": "nullValues", "mustBe": 0, "tags": ["x"]}]}, ("patch", "MINOR")),
    ],
)  # fmt: skip
def test_the_impact_is_the_grade_raised_to_the_tables(old: Raw, new: Raw, expected: tuple[str, str]) -> None:
    assert level(contract(column=old), contract(column=new)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"tags": ["x"]}, "PATCH"),
        ({"tags": ["x"]}, {"tags": ["y"]}, "MINOR"),
        ({"tags": ["x"]}, {}, "MINOR"),
        (
            {"contractCreatedTs": "2026-01-01T00:00:00Z"},
            {"contractCreatedTs": "2026-01-02T00:00:00Z"},
            "PATCH",
        ),
    ],
)
def test_other_sections_have_tables_of_their_own(old: Raw, new: Raw, expected: str) -> None:
    assert level(contract(**old), contract(**new))[1] == expected


def test_the_document_says_what_was_compared_and_leaves_out_values() -> None:
    links = [{"type": "canonicalUrl", "url": "https://example.com/orders"}]
    old = contract("1.2.0", {"enum": [{"value": "secret"}]}, authoritativeDefinitions=links)
    new = contract("1.3.0", {"enum": [{"value": "hidden"}]}, authoritativeDefinitions=links)
    found = compare(old, new)
    document = omds(old, new, found)
    assert document == {
        "apiVersion": "v1.0.0",
        "kind": "MetadataDifference",
        "sourceKind": "DataContract",
        "source1": {"id": "shop.orders", "version": "1.2.0", "canonicalUrl": "https://example.com/orders"},
        "source2": {"id": "shop.orders", "version": "1.3.0", "canonicalUrl": "https://example.com/orders"},
        "scope": "all",
        "impact": {"major": 1, "minor": 0, "patch": 0},
        "suggestedVersion": "2.0.0",
        "diffs": [
            {
                "type": "CHANGE",
                "section": "schema",
                "field": "enum",
                "path": "/schema[name=orders]/properties[name=a]/enum",
                "message": "a has 1 new and 1 fewer values; readers may meet unknown ones",
                "impactLevel": "MAJOR",
            }
        ],
    }
    told = omds(old, new, found, values=True)["diffs"][0]
    assert (told["value1"], told["value2"]) == ([{"value": "secret"}], [{"value": "hidden"}])


def test_what_came_has_no_old_value_and_what_went_no_new_one() -> None:
    old, new = contract(), contract(column={"required": True})
    came, went = (omds(a, b, compare(a, b), values=True)["diffs"][0] for a, b in ((old, new), (new, old)))
    assert ("value1" in came, "value2" in came) == (False, True)
    assert ("value1" in went, "value2" in went) == (True, False)

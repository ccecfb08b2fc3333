"""Every kind of change of a contract, its grade and direction, and the laws comparisons obey."""

from __future__ import annotations

import re
from copy import deepcopy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.quality.model import Threshold
from raymesh.quality.threshold import holds
from raymesh.spec.accepted import accepted, relation
from raymesh.spec.change import GRADES
from raymesh.spec.comparison import compare
from raymesh.spec.contract import Contract
from raymesh.spec.contract_quality import OPERATORS
from raymesh.spec.contract_version import major_of, raised
from raymesh.spec.omds import impact, omds

Raw = dict[str, Any]


def contract(*columns: Raw, version: str = "1.4.0", **more: Any) -> Raw:
    table = {"name": "orders", "properties": list(columns)}
    for key in ("quality", "relationships", "tags", "description", "physicalName", "deprecated"):
        if f"table_{key}" in more:
            table[key] = more.pop(f"table_{key}")
    head = {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "shop.orders", "version": version}
    return {**head, "schema": [table], **more}


def column(name: str = "a", **keys: Any) -> Raw:
    return {"name": name, **keys}


def only(old: Raw, new: Raw) -> Any:
    """The one change between two contracts."""
    found = compare(old, new)
    assert len(found.changes) == 1, [str(c) for c in found.changes]
    return found.changes[0]


def renamed_from(name: str) -> list[Raw]:
    return [{"property": "renamedFrom", "value": name, "vendor": "raymesh"}]


INT, LONG = {"physicalType": "integer"}, {"physicalType": "bigint"}
TEXT = {"physicalType": "varchar", "logicalType": "string"}
COLUMN_CHANGES: list[tuple[str, Raw, Raw, str, str | None, str]] = [
    # what, before, after, grade, direction, field
    ("required promised", {}, {"required": True}, "minor", "tightens", "required"),
    ("required given up", {"required": True}, {"required": False}, "major", "loosens", "required"),
    ("required beside a key", {"primaryKey": True}, {"primaryKey": True, "required": True}, "patch", None, "required"),
    ("unique promised", {}, {"unique": True}, "minor", "tightens", "unique"),
    ("unique given up", {"unique": True}, {}, "major", "loosens", "unique"),
    ("key promised", {}, {"primaryKey": True}, "minor", "tightens", "primaryKey"),
    ("key given up", {"primaryKey": True}, {}, "major", "loosens", "primaryKey"),
    ("wider integer", INT, LONG, "minor", "loosens", "physicalType"),
    ("narrower integer", LONG, INT, "major", "tightens", "physicalType"),
    ("wider decimal", {"physicalType": "decimal(9,2)"}, {"physicalType": "decimal(18,2)"}, "minor", "loosens", "physicalType"),
    ("other scale", {"physicalType": "decimal(9,2)"}, {"physicalType": "decimal(9,3)"}, "major", "both", "physicalType"),
    ("another type", INT, {"physicalType": "varchar"}, "major", "both", "physicalType"),
    ("same type, other word", {"physicalType": "int"}, {"physicalType": "INTEGER"}, "patch", None, "physicalType"),
    ("longer text", {"physicalType": "varchar(10)"}, {"physicalType": "varchar(20)"}, "major", "loosens", "physicalType"),
    ("shorter text", {"physicalType": "varchar"}, {"physicalType": "varchar(20)"}, "minor", "tightens", "physicalType"),
    ("smaller integer word", {"physicalType": "smallint"}, {"physicalType": "tinyint"}, "minor", "tightens", "physicalType"),
    ("type first promised", {}, {"logicalType": "string"}, "minor", "tightens", "logicalType"),
    ("type no longer promised", TEXT, {}, "major", "loosens", "physicalType"),
    ("stored type fixed", {"logicalType": "integer"}, {"logicalType": "integer", **LONG}, "minor", "tightens", "physicalType"),
    ("stored type freed", {"logicalType": "integer", **LONG}, {"logicalType": "integer"}, "major", "loosens", "physicalType"),
    ("another meaning, stored alike", TEXT, {**TEXT, "logicalType": "date"}, "major", "both", "logicalType"),
    ("another logical type", {"logicalType": "integer"}, {"logicalType": "number"}, "major", "both", "logicalType"),
    ("unknown physical type", {"physicalType": "geometry"}, {"physicalType": "geography"}, "major", "undetermined", "physicalType"),
    ("member added", {"physicalType": "struct(a integer)"}, {"physicalType": "struct(a integer, b integer)"}, "minor", "tightens", "physicalType"),
    ("member gone", {"physicalType": "struct(a integer, b integer)"}, {"physicalType": "struct(a integer)"}, "major", "loosens", "physicalType"),
    ("items of a list wider", {"physicalType": "integer[]"}, {"physicalType": "bigint[]"}, "minor", "loosens", "physicalType"),
    ("list of fixed size freed", {"physicalType": "float[3]"}, {"physicalType": "float[]"}, "major", "loosens", "physicalType"),
    ("values listed", {}, {"enum": [{"value": "x"}]}, "minor", "tightens", "enum"),
    ("list of values given up", {"enum": [{"value": "x"}]}, {}, "major", "loosens", "enum"),
    ("one more value", {"enum": [{"value": "x"}]}, {"enum": [{"value": "x"}, {"value": "y"}]}, "major", "loosens", "enum"),
    ("one value less", {"enum": [{"value": "x"}, {"value": "y"}]}, {"enum": [{"value": "x"}]}, "minor", "tightens", "enum"),
    ("one value for another", {"enum": [{"value": "x"}]}, {"enum": [{"value": "y"}]}, "major", "both", "enum"),
    ("1 is not true", {"enum": [{"value": 1}]}, {"enum": [{"value": True}]}, "major", "both", "enum"),
    ("words about a value", {"enum": [{"value": "x"}]}, {"enum": [{"value": "x", "description": "X"}]}, "patch", None, "enum"),
    ("values in another order", {"enum": [{"value": "x"}, {"value": "y"}]}, {"enum": [{"value": "y"}, {"value": "x"}]}, "patch", None, "enum"),
    ("partner promised", {}, {"relationships": [{"to": "t.id"}]}, "minor", "tightens", "relationships"),
    ("partner given up", {"relationships": [{"to": "t.id"}]}, {}, "major", "loosens", "relationships"),
    ("raised classification", {"classification": "public"}, {"classification": "restricted"}, "minor", "tightens", "classification"),
    ("lowered classification", {"classification": "restricted"}, {"classification": "public"}, "minor", "loosens", "classification"),
    ("first classification", {}, {"classification": "internal"}, "minor", "tightens", "classification"),
    ("a class of their own", {"classification": "public"}, {"classification": "blue"}, "minor", "undetermined", "classification"),
    ("tagged as personal", {}, {"tags": ["pii.direct.email"]}, "minor", "tightens", "tags"),
    ("no longer personal", {"tags": ["pii.direct.email", "x"]}, {"tags": ["x"]}, "minor", "loosens", "tags"),
    ("another tag", {"tags": ["x"]}, {"tags": ["y"]}, "patch", None, "tags"),
    ("described", {}, {"description": "Euro."}, "patch", None, "description"),
    ("deprecated", {}, {"deprecated": True}, "minor", None, "deprecated"),
    ("not deprecated", {"deprecated": True}, {}, "patch", None, "deprecated"),
    ("critical", {}, {"criticalDataElement": True}, "patch", None, "criticalDataElement"),
    ("not critical", {"criticalDataElement": True}, {}, "minor", None, "criticalDataElement"),
    ("stored under another name", {"physicalName": "x"}, {"physicalName": "y"}, "major", "both", "physicalName"),
    ("a foreign custom property", {}, {"customProperties": [{"property": "x", "value": 1}]}, "patch", None, "customProperties"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "grade", "direction", "field"), [c[1:] for c in COLUMN_CHANGES], ids=[c[0] for c in COLUMN_CHANGES])  # fmt: skip
def test_a_change_of_a_column_has_its_grade(
    old: Raw, new: Raw, grade: str, direction: str, field: str
) -> None:
    found = only(contract(column(**old)), contract(column(**new)))
    assert (found.grade, found.direction, found.field) == (grade, direction, field), str(found)
    assert found.reason
    assert found.column == ("" if field == "primaryKey" else "a")


OPTIONS: list[tuple[str, Raw, Raw, str, str | None]] = [
    ("integer", {"minimum": 0}, {"minimum": -5}, "major", "loosens"),
    ("integer", {"minimum": 0}, {"minimum": 1}, "minor", "tightens"),
    ("integer", {"minimum": 0, "maximum": 9}, {"minimum": 1, "maximum": 10}, "major", "both"),
    ("integer", {"minimum": 0}, {"exclusiveMinimum": 0}, "minor", "tightens"),
    ("number", {"minimum": 1}, {"minimum": 1, "exclusiveMinimum": 0}, "patch", None),
    ("integer", {}, {"maximum": 5}, "minor", "tightens"),
    ("integer", {"maximum": 5}, {}, "major", "loosens"),
    ("string", {"maxLength": 5}, {"maxLength": 6}, "major", "loosens"),
    ("string", {"pattern": "a"}, {"pattern": "b"}, "major", "undetermined"),
    ("string", {}, {"pattern": "b"}, "minor", "tightens"),
    ("string", {"pattern": "b"}, {}, "major", "loosens"),
    ("string", {"format": "email"}, {"format": "uuid"}, "major", "both"),
    ("integer", {"multipleOf": 5}, {"multipleOf": 10}, "minor", "tightens"),
    ("integer", {"multipleOf": 10}, {"multipleOf": 5}, "major", "loosens"),
    ("integer", {"multipleOf": 4}, {"multipleOf": 6}, "major", "both"),
    ("integer", {"format": "i32"}, {"format": "i64"}, "minor", "loosens"),
    ("integer", {"format": "u8"}, {"format": "i64"}, "minor", "loosens"),
    ("array", {"uniqueItems": True}, {}, "major", "loosens"),
    ("date", {"minimum": "2016-01-01"}, {"minimum": "2017-01-01"}, "minor", "tightens"),
    ("date", {"minimum": "2016-01-01"}, {"minimum": "1.1.2015"}, "major", "undetermined"),
    ("date", {"minimum": "2016-01-01"}, {"minimum": "2016-01-01 "}, "major", "undetermined"),
    ("date", {"format": "yyyy-MM-dd"}, {"format": "dd.MM.yyyy"}, "patch", None),
    ("timestamp", {"timezone": True}, {"timezone": False}, "major", "both"),
    ("vector", {"dimensions": 3}, {"dimensions": 4}, "major", "both"),
    ("vector", {"dimensions": 3}, {"dimensions": 3, "distanceMetric": "cosine"}, "minor", "undetermined"),
    ("vector", {"dimensions": 3, "embeddingModel": "x"}, {"dimensions": 3, "embeddingModel": "y"}, "major", "both"),
    ("object", {"required": ["x"]}, {"required": ["x", "y"]}, "minor", "tightens"),
]  # fmt: skip


@pytest.mark.parametrize(("logical", "old", "new", "grade", "direction"), OPTIONS)
def test_limits_are_compared_by_what_they_accept(
    logical: str, old: Raw, new: Raw, grade: str, direction: str
) -> None:
    before, after = (contract(column(logicalType=logical, logicalTypeOptions=o)) for o in (old, new))
    found = only(before, after)
    assert (found.grade, found.direction) == (grade, direction), str(found)


def rule(**keys: Any) -> Raw:
    return {"name": "r", "metric": "nullValues", "mustBe": 0, **keys}


def rowcount(**keys: Any) -> Raw:
    return {"name": "r", "metric": "rowCount", **keys}


WARN = [{"property": "onViolation", "value": "warn", "vendor": "raymesh"}]
SET_ASIDE = [{"property": "onViolation", "value": "quarantine", "vendor": "raymesh"}]
SQL = {"name": "r", "type": "sql", "query": "select 1", "mustBe": 0}
RULES: list[tuple[str, Raw, Raw, str, str | None]] = [
    ("looser", rowcount(mustBeLessThan=5), rowcount(mustBeLessThan=9), "major", "loosens"),
    ("stricter", rowcount(mustBeBetween=[0, 9]), rowcount(mustBeBetween=[1, 9]), "minor", "tightens"),
    ("other", rowcount(mustBeBetween=[0, 9]), rowcount(mustBeBetween=[5, 15]), "major", "both"),
    ("counts are whole", rowcount(mustBeLessThan=5), rowcount(mustBeLessOrEqualTo=4), "patch", None),
    ("counts begin at 0", rowcount(mustBeGreaterThan=0), rowcount(mustNotBe=0), "patch", None),
    ("no less than 0", rowcount(mustBeBetween=[-3, 4]), rowcount(mustBeLessThan=5), "patch", None),
    ("none is none", rule(), rule(unit="percent"), "patch", None),
    ("some is not some", rule(mustBe=1), rule(mustBe=1, unit="percent"), "minor", "undetermined"),
    ("to a warning", rule(), rule(severity="warning"), "major", "loosens"),
    ("from a warning", rule(severity="warning"), rule(), "minor", "tightens"),
    ("to telling", rule(), rule(customProperties=WARN), "major", "loosens"),
    ("to setting aside", rule(), rule(customProperties=SET_ASIDE), "minor", "undetermined"),
    ("a looser warning", rule(severity="info"), rule(severity="info", mustBeLessThan=9, mustBe=None), "minor", None),
    ("words", rule(), rule(description="x"), "patch", None),
    ("another query", SQL, {**SQL, "query": "select 2"}, "minor", "undetermined"),
    ("line breaks in a query", SQL, {**SQL, "query": "select\n  1"}, "patch", None),
    ("another name", SQL, {**SQL, "name": "s"}, "patch", None),
    ("fewer valid values", rule(metric="invalidValues", arguments={"validValues": [1, 2]}), rule(metric="invalidValues", arguments={"validValues": [1]}), "minor", "tightens"),
    ("more missing values", rule(metric="missingValues", arguments={"missingValues": ["a"]}), rule(metric="missingValues", arguments={"missingValues": ["a", "b"]}), "minor", "tightens"),
    ("a larger key", rule(metric="duplicateValues", arguments={"properties": ["a"]}), rule(metric="duplicateValues", arguments={"properties": ["a", "b"]}), "major", "loosens"),
    ("another pattern", rule(metric="invalidValues", arguments={"pattern": "a"}), rule(metric="invalidValues", arguments={"pattern": "b"}), "minor", "undetermined"),
    ("more valid values, all bad", rule(metric="invalidValues", arguments={"validValues": [1]}, mustBe=4), rule(metric="invalidValues", arguments={"validValues": [1, 2]}, mustBe=4), "minor", "undetermined"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "grade", "direction"), [r[1:] for r in RULES], ids=[r[0] for r in RULES]
)
def test_rules_are_compared_by_the_measurements_they_let_pass(
    old: Raw, new: Raw, grade: str, direction: str
) -> None:
    before, after = ({k: v for k, v in r.items() if v is not None} for r in (old, new))
    found = only(contract(table_quality=[before]), contract(table_quality=[after]))
    assert (found.grade, found.direction, found.field) == (grade, direction, "quality"), str(found)


def test_rules_come_and_go() -> None:
    none, one = contract(table_quality=[]), contract(table_quality=[rule()])
    assert (only(none, one).grade, only(one, none).grade) == ("minor", "major")
    told = contract(table_quality=[rule(severity="info")])
    assert (only(none, told).grade, only(told, none).grade) == ("minor", "minor")


def test_a_rule_that_makes_room_for_another_is_no_change_of_it() -> None:
    """A removed promise must not hide behind a new one of the same kind."""
    found = compare(
        contract(table_quality=[SQL]), contract(table_quality=[{**SQL, "name": "s", "query": "select 2"}])
    )
    assert [(c.kind, c.grade) for c in found.changes] == [("add", "minor"), ("remove", "major")]
    nameless = [{k: v for k, v in rowcount(mustBeGreaterThan=n).items() if k != "name"} for n in (1, 2)]
    assert (
        only(contract(table_quality=[nameless[1]]), contract(table_quality=[nameless[0]])).direction
        == "loosens"
    )


SLAS: list[tuple[Raw, Raw, str, str | None]] = [
    ({"property": "latency", "value": 4, "unit": "h"}, {"property": "latency", "value": 1, "unit": "d"}, "major", "loosens"),
    ({"property": "latency", "value": 24, "unit": "h"}, {"property": "ly", "value": 1, "unit": "days"}, "patch", None),
    ({"property": "latency", "value": 4, "unit": "h"}, {"property": "latency", "value": 90, "unit": "m"}, "minor", "tightens"),
    ({"property": "availability", "value": 99.9, "unit": "percent"}, {"property": "availability", "value": 99, "unit": "percent"}, "major", "loosens"),
    ({"property": "retention", "value": 1, "unit": "y"}, {"property": "retention", "value": 2, "unit": "y"}, "minor", "tightens"),
    ({"property": "endOfLife", "value": "2030-01-01"}, {"property": "endOfLife", "value": "2028-01-01"}, "major", "loosens"),
    ({"property": "availability", "value": "99.9", "unit": "percent"}, {"property": "availability", "value": "99%"}, "major", "loosens"),
    ({"property": "availability", "value": "99%"}, {"property": "availability", "value": 99, "unit": "percent"}, "patch", None),
    ({"property": "latency", "value": "4h"}, {"property": "latency", "value": 1, "unit": "h"}, "minor", "tightens"),
    ({"property": "latency", "value": "4h", "unit": "d"}, {"property": "latency", "value": 1, "unit": "h"}, "minor", "undetermined"),
    ({"property": "latency", "value": "soon"}, {"property": "latency", "value": "later"}, "minor", "undetermined"),
    ({"property": "latency", "value": 4, "unit": "h"}, {"property": "latency", "value": 4, "unit": "parsec"}, "minor", "undetermined"),
    ({"property": "colour", "value": 4}, {"property": "colour", "value": 5}, "minor", "undetermined"),
    ({"property": "latency", "value": 4, "unit": "h"}, {"property": "latency", "value": 4, "unit": "h", "driver": "x"}, "patch", None),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "grade", "direction"), SLAS)
def test_promises_of_service_know_which_way_is_better(old: Raw, new: Raw, grade: str, direction: str) -> None:
    found = only(contract(slaProperties=[old]), contract(slaProperties=[new]))
    assert (found.grade, found.direction) == (grade, direction), str(found)


def test_promises_of_service_come_and_go() -> None:
    none, latency = contract(), contract(slaProperties=[{"property": "latency", "value": 4, "unit": "h"}])
    end = contract(slaProperties=[{"property": "endOfLife", "value": "2030-01-01"}])
    assert [only(a, b).grade for a, b in ((none, latency), (latency, none), (none, end), (end, none))] == [
        "minor", "major", "minor", "minor",
    ]  # fmt: skip


def test_columns_come_go_and_are_renamed() -> None:
    a, b = column("a", **LONG), column("b", **TEXT)
    assert only(contract(a), contract(a, b)).grade == "minor"
    gone = only(contract(a, b), contract(a))
    assert (gone.grade, gone.column, gone.reason) == ("major", "b", "b (string) is gone; who reads it fails")
    said = only(contract(a), contract({**a, "name": "z", "customProperties": renamed_from("a")}))
    same = only(contract({**a, "id": "x"}), contract({**a, "id": "x", "name": "z"}))
    for found in (said, same):
        assert (found.grade, found.field, found.column, found.old) == ("major", "name", "z", "a")
    split = compare(
        contract(a), contract(*({**a, "name": n, "customProperties": renamed_from("a")} for n in "yz"))
    )
    assert [(c.column, c.field) for c in split.changes] == [("y", "name"), ("z", "properties")]
    both = compare(contract(a), contract({**a, "name": "z"})).changes
    assert sorted(c.kind for c in both) == ["add", "remove"], "nobody said that it is the same column"
    assert compare(contract(a, b), contract(b, a)).changes == ()


def test_a_renamed_column_may_keep_saying_so() -> None:
    z = column("z", **LONG, customProperties=renamed_from("a"))
    assert compare(contract(z), contract(z)).changes == ()
    assert compare(contract(z), contract(column("z", **LONG))).changes == ()


def test_members_items_and_values_are_looked_into() -> None:
    def nested(inner: Raw) -> Raw:
        row = {"logicalType": "object", "properties": [column("x", **inner)]}
        return contract(
            column("s", **row),
            column("l", logicalType="array", items=row),
            column("m", logicalType="map", map={"key": {"logicalType": "string"}, "value": row}),
        )

    found = compare(nested({**TEXT, "required": True}), nested(TEXT))
    assert [(c.column, c.grade) for c in found.changes] == [
        ("s.x", "major"), ("l.element.x", "major"), ("m.value.x", "major"),
    ]  # fmt: skip
    assert found.changes[2].path.endswith("/properties[name=m]/map/value/properties[name=x]/required")
    assert found.changes[2].new_loc == (
        "schema",
        0,
        "properties",
        2,
        "map",
        "value",
        "properties",
        0,
        "required",
    )


def test_a_member_said_twice_is_one_change() -> None:
    """The members stand in `physicalType` and in `properties`; renamed there, it is one rename."""
    before = column("s", physicalType="struct(x integer)", properties=[column("x", **INT, id="i")])
    after = column("s", physicalType="struct(y integer)", properties=[column("y", **INT, id="i")])
    assert only(contract(before), contract(after)).field == "name"


def test_keys_are_compared_as_wholes() -> None:
    def keyed(*names: str, required: bool = True) -> Raw:
        return contract(
            *(column(n, required=required, **({"primaryKey": True, "primaryKeyPosition": names.index(n)} if n in names else {})) for n in "abc")
        )  # fmt: skip

    assert only(keyed("a", "b"), keyed("a")).grade == "minor"
    assert only(keyed("a"), keyed("a", "b")).grade == "major"
    assert only(keyed("a"), keyed("b")).direction == "both"
    assert only(keyed("a", "b"), keyed("b", "a")).grade == "patch"
    loose = compare(keyed("a", "b", required=False), keyed("a", required=False))
    assert [c.direction for c in loose.changes] == ["both"], "b may be NULL now"
    renamed = deepcopy(keyed("a"))
    renamed["schema"][0]["properties"][0] |= {"name": "z", "customProperties": renamed_from("a")}
    assert [c.field for c in compare(keyed("a"), renamed).changes] == ["name"]


ROOT: list[tuple[str, Any, Any, str]] = [
    ("id", "shop.orders", "shop.other", "major"),
    ("status", "active", "deprecated", "minor"),
    ("status", "draft", "active", "patch"),
    ("description", {"purpose": "x"}, {"purpose": "y"}, "patch"),
    ("servers", [{"server": "p", "type": "local", "path": "x", "format": "csv"}], [], "minor"),
    ("team", {"name": "x"}, {"name": "y"}, "patch"),
    ("customProperties", [], WARN, "major"),
    ("customProperties", WARN, [], "minor"),
    ("customProperties", [{"property": "minimumQuality", "value": 0.9, "vendor": "raymesh"}], [], "major"),
    ("customProperties", [], [{"property": "sortBy", "value": ["a"], "vendor": "raymesh"}], "patch"),
    ("table_description", "x", "y", "patch"),
    ("table_deprecated", False, True, "minor"),
    ("table_physicalName", "x", "y", "major"),
]


@pytest.mark.parametrize(("key", "old", "new", "grade"), ROOT)
def test_a_change_beside_the_columns_has_its_grade(key: str, old: Any, new: Any, grade: str) -> None:
    assert only(contract(**{key: old}), contract(**{key: new})).grade == grade


def test_tables_come_go_and_are_renamed() -> None:
    one, two = {"name": "a", "properties": []}, {"name": "b", "properties": []}
    assert only(contract(schema=[one]), contract(schema=[one, two])).grade == "minor"
    assert only(contract(schema=[one, two]), contract(schema=[one])).grade == "major"
    assert only(contract(schema=[one]), contract(schema=[two])).field == "name"


def test_the_version_is_the_answer_and_no_change() -> None:
    assert compare(contract(version="1.0.0"), contract(version="2.0.0")).changes == ()


def test_models_compare_like_documents() -> None:
    raw = contract(column("a", **LONG, required=True, relationships=[{"to": "t.id"}], tags=["x"]))
    model = Contract.model_validate(raw)
    assert compare(model, raw).changes == ()
    assert compare(raw, model).changes == ()
    assert compare(model, Contract.model_validate(contract(column("a", **LONG)))).grade == "major"


def test_odd_documents_are_compared_without_failing() -> None:
    odd = {
        "version": 3,
        "schema": [None, {"properties": [None, {"name": 3}], "quality": "x"}],
        "slaProperties": {},
    }
    compare(odd, contract(column(**INT)))
    compare(contract(column(**INT), table_quality=[rule()]), odd)
    compare(odd, odd)


@pytest.mark.parametrize(
    ("version", "grade", "expected"),
    [
        ("1.4.2", "major", "2.0.0"), ("1.4.2", "minor", "1.5.0"), ("1.4.2", "patch", "1.4.3"), ("1.4.2", None, "1.4.2"),
        ("v1.4.2", "minor", "v1.5.0"), ("1.2", "minor", "1.3"), ("1.2", "patch", "1.2.1"), ("7", "major", "8"),
        ("7", "minor", "7.1"), ("0.3.1", "major", "1.0.0"), ("2.0.0-rc.1", "major", "3.0.0"),
        ("1.2.3+build.5", "patch", "1.2.4"), ("draft", "minor", "1.0.0"), ("2024-01-15", "major", "1.0.0"), ("", "patch", "1.0.0"),
    ],
)  # fmt: skip
def test_the_next_version_is_the_old_one_raised(version: str, grade: Any, expected: str) -> None:
    assert raised(version, grade) == expected


# laws


def numbers() -> st.SearchStrategy[Any]:
    return st.integers(-3, 9) | st.sampled_from([0.5, 2.25, 3.0])


def thresholds() -> st.SearchStrategy[tuple[str, Any]]:
    pairs = st.tuples(numbers(), numbers()).filter(lambda p: p[0] < p[1]).map(list)
    return st.sampled_from(OPERATORS).flatmap(
        lambda o: st.tuples(st.just(o), pairs if o.endswith("Between") else numbers())
    )


@settings(deadline=None)
@given(thresholds(), thresholds())
def test_a_stricter_threshold_passes_less_and_only_then(old: tuple[str, Any], new: tuple[str, Any]) -> None:
    sets = accepted(*old), accepted(*new)
    assert sets[0] is not None
    assert sets[1] is not None
    found = relation(sets[0], sets[1])
    values = [Fraction(n, 8) for n in range(-80, 120)]
    before, after = ({v for v in values if holds(Threshold(*t), v)} for t in (old, new))
    expected = (
        None if before == after else "tightens" if after < before else "loosens" if before < after else "both"
    )
    assert found == expected


@settings(deadline=None)
@given(thresholds(), thresholds())
def test_counts_are_compared_as_whole_numbers_from_zero(old: tuple[str, Any], new: tuple[str, Any]) -> None:
    before, after = ({v for v in range(40) if holds(Threshold(*t), v)} for t in (old, new))
    expected = (
        None if before == after else "tightens" if after < before else "loosens" if before < after else "both"
    )
    found = compare(*(contract(table_quality=[rowcount(**{o: v})]) for o, v in (old, new))).changes
    assert (found[0].direction if found else None) == expected


def options() -> st.SearchStrategy[Raw]:
    limits = st.fixed_dictionaries({}, optional={"minimum": st.integers(0, 3), "maximum": st.integers(4, 7)})
    return st.builds(lambda o: {"logicalTypeOptions": o}, limits)


def columns(name: str) -> st.SearchStrategy[Raw]:
    kinds = st.sampled_from(
        [{}, INT, LONG, {"logicalType": "integer"}, {"logicalType": "integer", **LONG}, TEXT,
         {"physicalType": "struct(x integer)"}, {"physicalType": "struct(x bigint, y varchar)"}, {"physicalType": "varchar(9)"}]
    )  # fmt: skip
    more = st.fixed_dictionaries(
        {},
        optional={
            "required": st.booleans(),
            "unique": st.booleans(),
            "primaryKey": st.booleans(),
            "enum": st.lists(st.sampled_from("abc"), unique=True).map(lambda vs: [{"value": v} for v in vs]),
            "tags": st.lists(st.sampled_from(["pii.direct.name", "x", "restricted"]), unique=True),
            "classification": st.sampled_from(["public", "internal", "restricted", "own"]),
            "description": st.sampled_from("de"),
            "quality": st.lists(rules(), max_size=2, unique_by=lambda r: r["name"]),
        },
    )
    return st.builds(lambda k, o, m: {"name": name, **k, **o, **m}, kinds, options() | st.just({}), more)


def rules() -> st.SearchStrategy[Raw]:
    severity = st.sampled_from([{}, {"severity": "warning"}, {"severity": "error"}])
    return st.builds(
        lambda name, t, s: {"name": name, "metric": "nullValues", t[0]: t[1], **s}, st.sampled_from("rs"), thresholds(), severity
    )  # fmt: skip


def contracts() -> st.SearchStrategy[Raw]:
    some = st.tuples(*(st.none() | columns(n) for n in "abc")).map(lambda cs: [c for c in cs if c])
    sla = st.builds(
        lambda v, u: {"property": "latency", "value": v, "unit": u}, st.integers(1, 3), st.sampled_from("hd")
    )
    return st.builds(
        lambda cs, s, v: contract(*cs, slaProperties=s, version=v),
        some,
        st.lists(sla, max_size=1),
        st.sampled_from(["1.0.0", "0.9", "draft"]),
    )


ENTRIES = ("properties", "quality", "slaProperties")


def _anonymous(path: str) -> str:
    """Without the names of rules: one that is renamed is called as the newer contract does."""
    return re.sub(r"quality\[name=.\]", "quality", path)


REVERSED = {"tightens": "loosens", "loosens": "tightens"}


@settings(deadline=None)
@given(contracts())
def test_a_contract_does_not_differ_from_itself(one: Raw) -> None:
    found = compare(one, deepcopy(one))
    assert found.changes == ()
    assert (found.grade, found.suggested_version) == (None, one["version"])


@settings(deadline=None, max_examples=300)
@given(contracts(), contracts())
def test_the_way_back_is_the_opposite(one: Raw, other: Raw) -> None:
    there, back = compare(one, other), compare(other, one)
    directions = sorted((_anonymous(c.path), str(c.direction)) for c in there.changes)
    opposite = sorted(
        (_anonymous(c.path), REVERSED.get(str(c.direction), str(c.direction))) for c in back.changes
    )
    assert directions == opposite
    swapped = {"add": "remove", "remove": "add", "change": "change"}
    kinds = sorted((_anonymous(c.path), c.kind) for c in there.changes if c.field in ENTRIES)
    assert kinds == sorted((_anonymous(c.path), swapped[c.kind]) for c in back.changes if c.field in ENTRIES)


@settings(deadline=None)
@given(contracts(), contracts())
def test_only_promises_that_hold_less_or_cannot_be_told_break_readers(one: Raw, other: Raw) -> None:
    for change in compare(one, other).changes:
        if change.grade == "major":
            assert change.direction is not None
            assert change.direction != "tightens" or change.field in ("physicalType", "logicalType")
        if change.direction == "tightens":
            expected = ("loses", "none") if change.field in ("tags", "classification") else ("gains", "loses")
            assert (change.consumer, change.producer) == expected


@settings(deadline=None)
@given(contracts(), contracts())
def test_the_standard_document_is_never_milder_than_the_grade(one: Raw, other: Raw) -> None:
    found = compare(one, other)
    document = omds(one, other, found)
    assert sum(document["impact"].values()) == len(found.changes) == len(document["diffs"])
    for change, shown in zip(found.changes, document["diffs"], strict=True):
        assert GRADES.index(impact(change)) >= GRADES.index(change.grade)
        assert shown["impactLevel"] == impact(change).upper()
        assert not {"value1", "value2"} & shown.keys()
    if found.grade and major_of(one["version"]):
        level = next(g for g in reversed(GRADES) if document["impact"][g])
        assert document["suggestedVersion"] == raised(one["version"], level)


VERSIONS = st.builds(
    lambda *p: ".".join(map(str, p)), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)
)


@settings(deadline=None)
@given(VERSIONS)
def test_a_higher_grade_never_suggests_a_lower_version(version: str) -> None:
    parts = [tuple(map(int, raised(version, g).split("."))) for g in (None, *GRADES)]
    assert parts == sorted(set(parts))
    assert major_of(raised(version, "major")) == major_of(version) + 1

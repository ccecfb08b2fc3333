"""One example per element of a contract that is a promise: rows that keep it and rows that break it.

The reference page of checks and the test that proves each of its lines are both made from this list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from raymesh.quality.service import EVIDENCE
from raymesh.spec.contract_quality import METRICS, OPERATORS
from raymesh.spec.type_rules import LOGICAL_TYPES, OPTIONS
from raymesh.spec.types import Field, List, Map, Primitive, Struct, Type

LONG, TEXT = Primitive("long"), Primitive("string")
POINT = Struct((Field("x", LONG), Field("y", LONG)))
FLOATS = List(Primitive("float"))


@dataclass(frozen=True)
class Example:
    """A contract of one column `c` (and what `more` says), the check that must come of it, its rows.

    `broken` is how the check ends on the `bad` rows, `kept` on the `good` ones.
    """

    check: str
    column: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str | Type] = field(default_factory=lambda: {"c": "long"})
    good: tuple[Any, ...] = (1,)
    bad: tuple[Any, ...] = ()
    bad_types: dict[str, str | Type] | None = None
    more: dict[str, Any] = field(default_factory=dict)
    kept: str = "pass"
    broken: str = "fail"

    def rows(self, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        """Values of `c` as rows; values that are rows already stay."""
        names = set(self.types)
        return [v if isinstance(v, dict) and names & v.keys() else {"c": v} for v in values]


def elements() -> Iterator[str]:
    """Every element that is a promise, from the lists documents are validated with."""
    yield from ("property", "physicalType", "physicalType of a size", "required", "unique", "enum")
    yield from ("primaryKey", "primaryKey of several columns")
    yield from ("relationships of a property", "relationships of an object")
    yield from (f"logicalType: {name}" for name in LOGICAL_TYPES)
    yield from (
        f"logicalTypeOptions.{option} of {name}" for name, known in OPTIONS.items() for option in known
    )
    yield from (f"metric: {metric}" for metric in METRICS)
    yield "metric: duplicateValues of an object"
    yield from (f"{operator}" for operator in OPERATORS)
    yield from ("unit: rows", "unit: percent")
    yield from ("type: sql", "type: custom", "type: text")
    yield from (f"slaProperties: {name}" for name in EVIDENCE)
    yield "slaProperties of another name"
    yield from ("a table without rows", "a contract without promises")


def _typed(
    logical: str, stored: str | Type, value: Any, other: str | Type = "boolean", **more: Any
) -> Example:
    wrong = {"boolean": True, "long": 1}[str(other)]
    return Example(
        "c.logicalType",
        {"logicalType": logical, **more},
        {"c": stored},
        (value,),
        (wrong,),
        bad_types={"c": other},
    )


def _option(
    logical: str, options: dict[str, Any], stored: str | Type, good: Any, bad: Any, **more: Any
) -> Example:
    name = more.pop("check", f"c.{next(iter(options))}")
    column = {"logicalType": logical, "logicalTypeOptions": options, **more.pop("column", {})}
    return Example(name, column, {"c": stored}, (good, None), (bad,), **more)


def _advice(logical: str, options: dict[str, Any], stored: str | Type, value: Any) -> Example:
    return _option(logical, options, stored, value, value, kept="skip", broken="skip")


def _rule(good: tuple[Any, ...], bad: tuple[Any, ...], **rule: Any) -> Example:
    column = {"quality": [{"id": "r", **rule}]}
    return Example("c.quality.r", column, {"c": TEXT}, good, bad)


def _table_rule(good: tuple[Any, ...], bad: tuple[Any, ...], **rule: Any) -> Example:
    return Example("quality.r", {}, {"c": LONG}, good, bad, more={"quality": [{"id": "r", **rule}]})


def _service(name: str) -> Example:
    promise = {"id": "s", "property": name, "value": 1, "unit": "d"}
    return Example(
        "sla.s",
        {},
        good=(1,),
        bad=(1,),
        more={"slaProperties": [promise]},
        kept="not_executed",
        broken="not_executed",
    )


def _bounds(logical: str, stored: str | Type, low: Any, middle: Any, high: Any) -> dict[str, Example]:
    """The four bounds; `low` < `middle` < `high` are values, the bound is `middle` as the document writes it."""
    said = middle.isoformat() if isinstance(middle, date | time) else middle
    return {
        f"logicalTypeOptions.minimum of {logical}": _option(logical, {"minimum": said}, stored, middle, low),
        f"logicalTypeOptions.maximum of {logical}": _option(logical, {"maximum": said}, stored, middle, high),
        f"logicalTypeOptions.exclusiveMinimum of {logical}": _option(
            logical, {"exclusiveMinimum": said}, stored, high, middle
        ),
        f"logicalTypeOptions.exclusiveMaximum of {logical}": _option(
            logical, {"exclusiveMaximum": said}, stored, low, middle
        ),
    }


_DAYS = (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))
_TIMES = (time(7, 59, 59), time(8), time(8, 0, 1))
_MOMENTS = tuple(datetime(2024, 2, 29, hour, tzinfo=UTC) for hour in (7, 8, 9))
_MEMBERS = {"column": {"properties": [{"name": "x"}, {"name": "y"}]}}
_VECTOR = {"dimensions": 2}

EXAMPLES: dict[str, Example] = {
    "property": Example("c.exists", bad=(1,), bad_types={"other": LONG}),
    "physicalType": Example("c.physicalType", {"physicalType": "bigint"}, bad=("1",), bad_types={"c": TEXT}),
    "physicalType of a size": Example(
        "c.physicalType.size", {"physicalType": "varchar(2)"}, {"c": TEXT}, ("ab", None), ("abc",)
    ),
    "required": Example("c.required", {"required": True}, good=(1,), bad=(None,)),
    "unique": Example("c.unique", {"unique": True}, good=(1, 2, None, None), bad=(1, 1)),
    "enum": Example("c.enum", {"enum": [{"value": "A"}, {"value": "B"}]}, {"c": TEXT}, ("A", None), ("a",)),
    "primaryKey": Example("c.primaryKey", {"primaryKey": True}, good=(1, 2), bad=(1, None)),
    "primaryKey of several columns": Example(
        "primaryKey",
        {"primaryKey": True},
        {"c": LONG, "d": LONG},
        ({"c": 1, "d": 1}, {"c": 1, "d": 2}),
        ({"c": 1, "d": 1}, {"c": 1, "d": 1}),
        more={"columns": [{"name": "d", "primaryKey": True}]},
    ),
    "relationships of a property": Example(
        "c.reference",
        {"relationships": [{"to": "orders.d"}]},
        {"c": LONG, "d": LONG},
        ({"c": 1, "d": 1}, {"c": None, "d": 2}),
        ({"c": 3, "d": 1},),
        more={"columns": [{"name": "d"}]},
    ),
    "relationships of an object": Example(
        "reference.c-d",
        {},
        {"c": LONG, "d": LONG, "e": LONG, "f": LONG},
        ({"c": 1, "d": 2, "e": 1, "f": 2}, {"c": None, "d": 9, "e": 0, "f": 0}),
        ({"c": 1, "d": 2, "e": 2, "f": 1},),
        more={
            "columns": [{"name": n} for n in "def"],
            "relationships": [{"from": ["orders.c", "orders.d"], "to": ["orders.e", "orders.f"]}],
        },
    ),
    "logicalType: string": _typed("string", TEXT, "a"),
    "logicalType: date": _typed("date", "date", _DAYS[0]),
    "logicalType: timestamp": _typed("timestamp", "timestamptz", _MOMENTS[0]),
    "logicalType: time": _typed("time", "time", _TIMES[0]),
    "logicalType: number": _typed("number", "double", 0.5),
    "logicalType: integer": _typed("integer", LONG, 2**40),
    "logicalType: object": _typed("object", POINT, {"x": 1, "y": 2}, properties=[{"name": "x"}]),
    "logicalType: array": _typed("array", List(LONG), [1], items={"logicalType": "integer"}),
    "logicalType: boolean": _typed("boolean", "boolean", True, other="long"),
    "logicalType: map": _typed(
        "map", Map(TEXT, LONG), {"a": 1}, map={"key": {"logicalType": "string"}, "value": {"logicalType": "integer"}}
    ),
    "logicalType: vector": _typed("vector", FLOATS, [1.0, 0.0], logicalTypeOptions=_VECTOR),
    "logicalTypeOptions.minLength of string": _option("string", {"minLength": 2}, TEXT, "é😀", "é"),
    "logicalTypeOptions.maxLength of string": _option("string", {"maxLength": 2}, TEXT, "é😀", "abc"),
    "logicalTypeOptions.pattern of string": _option("string", {"pattern": "^[A-Z]+$"}, TEXT, "AB", "Ab"),
    "logicalTypeOptions.format of string": _option("string", {"format": "email"}, TEXT, "a@b.de", "a@b"),
    **_bounds("date", "date", *_DAYS),
    "logicalTypeOptions.format of date": _option(
        "date", {"format": "dd.MM.yyyy"}, TEXT, "29.02.2024", "2024-02-29", column={"physicalType": "varchar"}
    ),
    **_bounds("timestamp", "timestamptz", *_MOMENTS),
    "logicalTypeOptions.format of timestamp": _option(
        "timestamp",
        {"format": "yyyy-MM-dd HH:mm"},
        TEXT,
        "2024-02-29 08:00",
        "29.02.2024 08:00",
        column={"physicalType": "varchar"},
    ),
    "logicalTypeOptions.timezone of timestamp": _option(
        "timestamp",
        {"timezone": True},
        "timestamptz",
        _MOMENTS[0],
        _MOMENTS[0].replace(tzinfo=None),
        bad_types={"c": "timestamp"},
    ),
    "logicalTypeOptions.defaultTimezone of timestamp": _advice(
        "timestamp", {"defaultTimezone": "Europe/Berlin"}, "timestamptz", _MOMENTS[0]
    ),
    **_bounds("time", "time", *_TIMES),
    "logicalTypeOptions.format of time": _option(
        "time", {"format": "HH:mm"}, TEXT, "08:00", "8 am", column={"physicalType": "varchar"}
    ),
    "logicalTypeOptions.timezone of time": _option(
        "time", {"timezone": False}, "time", _TIMES[0], "08:00:00Z", bad_types={"c": TEXT}
    ),
    "logicalTypeOptions.defaultTimezone of time": _advice("time", {"defaultTimezone": "UTC"}, "time", _TIMES[0]),
    **_bounds("integer", LONG, 2**53, 2**53 + 1, 2**53 + 2),
    "logicalTypeOptions.multipleOf of integer": _option("integer", {"multipleOf": 3}, LONG, -9, 10),
    "logicalTypeOptions.format of integer": _option("integer", {"format": "u8"}, LONG, 255, 256),
    **_bounds("number", "double", 0.5, 0.6, 0.7),
    "logicalTypeOptions.multipleOf of number": _option("number", {"multipleOf": 0.1}, "double", 0.3, 0.35),
    "logicalTypeOptions.format of number": _option("number", {"format": "f32"}, "double", 1e38, 1e39),
    "logicalTypeOptions.minProperties of object": _option(
        "object", {"minProperties": 2}, POINT, {"x": 1, "y": 2}, {"x": 1, "y": None}, **_MEMBERS
    ),
    "logicalTypeOptions.maxProperties of object": _option(
        "object", {"maxProperties": 1}, POINT, {"x": 1, "y": None}, {"x": 1, "y": 2}, **_MEMBERS
    ),
    "logicalTypeOptions.required of object": _option(
        "object", {"required": ["y"]}, POINT, {"x": None, "y": 2}, {"x": 1, "y": None}, check="c.requiredMembers", **_MEMBERS
    ),
    "logicalTypeOptions.minItems of array": _option("array", {"minItems": 2}, List(LONG), [1, None], [1]),
    "logicalTypeOptions.maxItems of array": _option("array", {"maxItems": 1}, List(LONG), [], [1, 2]),
    "logicalTypeOptions.uniqueItems of array": _option("array", {"uniqueItems": True}, List(LONG), [1, 2], [1, 1]),
    "logicalTypeOptions.dimensions of vector": _option("vector", {"dimensions": 2}, FLOATS, [1.0, 0.0], [1.0]),
    "logicalTypeOptions.elementType of vector": _option(
        "vector", {"elementType": "float32", **_VECTOR}, FLOATS, [1.0, 0.0], [1, 0], bad_types={"c": List(LONG)}
    ),
    "logicalTypeOptions.normalized of vector": _option(
        "vector", {"normalized": True, **_VECTOR}, FLOATS, [0.6, 0.8], [1.0, 1.0]
    ),
    **{
        f"logicalTypeOptions.{name} of vector": _advice("vector", {name: said, **_VECTOR}, FLOATS, [1.0, 0.0])
        for name, said in (("distanceMetric", "cosine"), ("embeddingModel", "m"), ("embeddingModelVersion", "1"))
    },
    "metric: nullValues": _rule(("a",), (None,), metric="nullValues", mustBe=0),
    "metric: missingValues": _rule(
        ("a",), ("N/A",), metric="missingValues", arguments={"missingValues": [None, "", "N/A"]}, mustBe=0
    ),
    "metric: invalidValues": _rule(
        ("A", None), ("C",), metric="invalidValues", arguments={"validValues": ["A", "B"]}, mustBe=0
    ),
    "metric: duplicateValues": _rule(("a", "b", None, None), ("a", "a"), metric="duplicateValues", mustBe=0),
    "metric: rowCount": _table_rule((1, 2), (1,), metric="rowCount", mustBe=2),
    "metric: duplicateValues of an object": _table_rule(
        (1, 2), (1, 1), metric="duplicateValues", arguments={"properties": ["c"]}, mustBe=0
    ),
    "mustBe": _table_rule((1, 2), (1,), metric="rowCount", mustBe=2),
    "mustNotBe": _table_rule((1, 2), (1,), metric="rowCount", mustNotBe=1),
    "mustBeGreaterThan": _table_rule((1, 2), (1,), metric="rowCount", mustBeGreaterThan=1),
    "mustBeGreaterOrEqualTo": _table_rule((1, 2), (1,), metric="rowCount", mustBeGreaterOrEqualTo=2),
    "mustBeLessThan": _table_rule((1,), (1, 2), metric="rowCount", mustBeLessThan=2),
    "mustBeLessOrEqualTo": _table_rule((1,), (1, 2), metric="rowCount", mustBeLessOrEqualTo=1),
    "mustBeBetween": _table_rule((1, 2), (1,), metric="rowCount", mustBeBetween=[2, 3]),
    "mustNotBeBetween": _table_rule((1,), (1, 2), metric="rowCount", mustNotBeBetween=[2, 3]),
    "unit: rows": _rule(("a", None), (None, None), metric="nullValues", mustBeLessThan=2, unit="rows"),
    "unit: percent": _rule(("a", "a", None), ("a", None), metric="nullValues", mustBeLessThan=50, unit="percent"),
    "type: sql": _table_rule((1, 2), (1, 1), type="sql", query="SELECT sum(c) FROM {object}", mustBe=3),
    "type: custom": Example(
        "quality.r",
        bad=(1,),
        more={"quality": [{"id": "r", "type": "custom", "engine": "other", "implementation": "x"}]},
        kept="not_executed",
        broken="not_executed",
    ),
    "type: text": Example(
        "quality.r",
        bad=(1,),
        more={"quality": [{"id": "r", "type": "text", "description": "Ask finance."}]},
        kept="skip",
        broken="skip",
    ),
    **{f"slaProperties: {name}": _service(name) for name in EVIDENCE},
    "slaProperties of another name": _service("freshness"),
    "a table without rows": Example("table.rows", good=(1,), bad=(), broken="warn"),
    "a contract without promises": Example(
        "contract.promises", bad=(1,), more={"columns": None}, kept="not_executed", broken="not_executed"
    ),
}  # fmt: skip

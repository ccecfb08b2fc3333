"""Every promise of a contract becomes a check with a readable id, a dimension, a place, and a say in blocking."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from contracts import checks_of, contract
from raymesh.errors import SourceSpan
from raymesh.quality.compile import compile_checks
from raymesh.quality.model import Check
from raymesh.spec.contract import Contract

STRING = {"minLength": 1, "maxLength": 9, "pattern": "x", "format": "email"}
NUMBER = {"minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2}


@pytest.mark.parametrize(
    ("logical", "options", "kinds"),
    [
        ("string", STRING, "row"),
        ("integer", {**NUMBER, "format": "i32"}, "row"),
        ("integer", {"exclusiveMinimum": 1, "maximum": 9}, "row"),
        ("number", {**NUMBER, "format": "f32"}, "row"),
        ("date", {"minimum": "2024-01-01", "exclusiveMaximum": "2025-01-01"}, "row"),
        ("timestamp", {"exclusiveMinimum": "2024-01-01T00:00:00Z", "maximum": "2025-01-01T00:00:00Z"}, "row"),
        ("time", {"minimum": "08:00:00", "maximum": "09:00"}, "row"),
        ("timestamp", {"timezone": True}, "type"),
        ("timestamp", {"defaultTimezone": "Europe/Berlin"}, "text"),
        ("array", {"minItems": 1, "maxItems": 3, "uniqueItems": True}, "row"),
        ("vector", {"dimensions": 3, "normalized": True}, "row"),
        ("vector", {"dimensions": 3, "elementType": "float32"}, "row type"),
        (
            "vector",
            {
                "dimensions": 3,
                "distanceMetric": "cosine",
                "embeddingModel": "m",
                "embeddingModelVersion": "1",
            },
            "row text",
        ),
    ],
)
def test_every_option_becomes_a_check_of_its_own(logical: str, options: dict[str, Any], kinds: str) -> None:
    checks = checks_of({"name": "c", "logicalType": logical, "logicalTypeOptions": options})
    for option in options:
        check = checks[f"c.{option}"]
        assert check.unsupported is None
        assert check.kind in kinds.split()
        assert check.columns == ("c",)


def test_ids_name_the_place_inside_nested_values() -> None:
    inner = {"name": "x", "logicalType": "string", "required": True}
    checks = checks_of(
        {"name": "s", "logicalType": "object", "properties": [inner]},
        {"name": "l", "logicalType": "array", "items": {"logicalType": "object", "properties": [inner]}},
        {
            "name": "m",
            "logicalType": "map",
            "map": {"key": {"logicalType": "string"}, "value": {"logicalType": "integer"}},
        },
    )
    assert {
        "s.x.required",
        "l[].logicalType",
        "l[].x.required",
        "m{key}.logicalType",
        "m{value}.logicalType",
    } <= set(checks)


def test_promises_with_the_same_name_are_told_apart() -> None:
    rule = {"metric": "nullValues", "mustBe": 0}
    checks = checks_of(
        {"name": "c", "quality": [rule, {**rule, "name": "My rule!"}, rule, {**rule, "id": "r1"}]}
    )
    wanted = ["c.quality.nullValues", "c.quality.my-rule", "c.quality.nullValues.2", "c.quality.r1"]
    assert [i for i in checks if "quality" in i] == wanted


def test_a_check_knows_its_place_in_the_document() -> None:
    seen: list[Any] = []

    def span(loc: tuple[str | int, ...]) -> SourceSpan:
        seen.append(loc)
        return SourceSpan("contract.yaml", len(seen))

    options = {"logicalType": "string", "logicalTypeOptions": {"maxLength": 3}}
    checks = checks_of(
        {"name": "a", "logicalType": "object", "properties": [{"name": "b", "required": True, **options}]},
        quality=[{"metric": "rowCount", "mustBe": 1}],
        slaProperties=[{"property": "latency", "value": 1}],
        spans=span,
    )
    places = {i: seen[c.span.line - 1] for i, c in checks.items() if c.span}
    assert len(places) == len(checks)
    inner = ("schema", 0, "properties", 0, "properties", 0)
    assert places["a.b.required"] == (*inner, "required")
    assert places["a.b.maxLength"] == (*inner, "logicalTypeOptions", "maxLength")
    assert places["quality.rowCount"] == ("schema", 0, "quality", 0)
    assert places["sla.latency"] == ("slaProperties", 0)


class TestBlocking:
    def check(self, rule: dict[str, Any], **settings: Any) -> Check:
        return checks_of(
            {"name": "c", "quality": [{"metric": "nullValues", "mustBe": 0, **rule}]}, **settings
        )["c.quality.nullValues"]

    def custom(self, value: str, vendor: str | None = "raymesh") -> dict[str, Any]:
        return {
            "customProperties": [
                {"property": "onViolation", "value": value} | ({"vendor": vendor} if vendor else {})
            ]
        }

    def test_rules_block_unless_they_are_soft(self) -> None:
        assert self.check({}).blocking
        assert self.check({"severity": "error"}).blocking
        assert not self.check({"severity": "warning"}).blocking
        assert not self.check({"severity": "info"}).blocking

    def test_the_rule_decides_before_the_product(self) -> None:
        assert not self.check({}, settings_on_violation="warn").blocking
        assert self.check(self.custom("fail"), settings_on_violation="warn").blocking
        assert not self.check(self.custom("warn")).blocking
        assert self.check(self.custom("quarantine")).on_violation == "quarantine"

    def test_only_rows_can_be_quarantined(self) -> None:
        checks = checks_of(
            {"name": "c", "unique": True, "required": True}, settings_on_violation="quarantine"
        )
        assert (checks["c.required"].on_violation, checks["c.unique"].on_violation) == ("quarantine", "fail")
        assert checks["c.unique"].blocking

    def test_types_block_whatever_the_product_says(self) -> None:
        checks = checks_of({"name": "c", "logicalType": "string"}, settings_on_violation="warn")
        assert checks["c.logicalType"].blocking


@pytest.mark.parametrize(
    ("properties", "id_", "reason"),
    [
        ({"logicalType": "string", "logicalTypeOptions": {"pattern": r"(a)\1"}}, "c.pattern", "referring back"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "phone"}}, "c.format", "use pattern"),
        ({"physicalType": "geometry"}, "c.physicalType", "no type raymesh knows"),
        ({"quality": [{"type": "custom", "engine": "soda", "implementation": "x"}]}, "c.quality.custom", "no adapter"),
        ({"quality": [{"metric": "nullValues", "mustBe": 0, "unit": "parsec"}]}, "c.quality.nullValues", "no unit"),
        ({"quality": [{"metric": "invalidValues", "mustBe": 0, "arguments": {"pattern": "(?!a)"}}]}, "c.quality.invalidValues", "looking ahead"),
        ({"relationships": [{"to": "nowhere.id"}]}, "c.reference", "no table behind"),
        ({"relationships": [{"to": ["d.p.a", "d.p.b"]}]}, "c.reference", "1 columns cannot refer to 2"),
        ({"logicalType": "array", "items": {"logicalType": "string", "unique": True}}, "c[].unique", "uniqueItems"),
        ({"logicalType": "date", "physicalType": "varchar", "logicalTypeOptions": {"format": "dd.MM.yyyy", "minimum": "01.01.2024"}}, "c.minimum", "do not sort"),
        ({"logicalType": "date", "physicalType": "varchar", "logicalTypeOptions": {"format": "d MMMM"}}, "c.format", "locale"),
    ],
)  # fmt: skip
def test_what_cannot_be_executed_says_why_and_blocks(
    properties: dict[str, Any], id_: str, reason: str
) -> None:
    check = checks_of({"name": "c", **properties})[id_]
    assert reason in (check.unsupported or "")
    assert check.blocking


def test_words_and_services_are_kept_and_never_block() -> None:
    services = [
        "av",
        "throughput",
        "errorRate",
        "ga",
        "endOfSupport",
        "EndOfLife",
        "re",
        "frequency",
        "latency",
        "td",
        "tn",
        "tr",
        "freshness",
    ]
    checks = checks_of(
        {"name": "c", "quality": [{"type": "text", "description": "sound"}]},
        slaProperties=[{"property": p, "value": 1} for p in services],
    )
    assert checks["c.quality.text"].description == "sound"
    found = [c for c in checks.values() if c.kind == "sla"]
    assert len(found) == 13
    assert not any(c.blocking for c in found)
    assert sum("decided by evidence" in (c.unsupported or "") for c in found) == 12


def test_sensitive_columns_are_masked_wherever_they_are_shown() -> None:
    checks = checks_of(
        {"name": "mail", "primaryKey": True, "tags": ["pii.direct.email"]},
        {"name": "pay", "classification": "Restricted"},
        {
            "name": "who",
            "logicalType": "object",
            "properties": [{"name": "phone", "tags": ["pii.direct.phone"], "required": True}],
        },
        {"name": "n", "required": True},
    )
    assert checks["n.required"].shown == ("mail", "n")
    assert checks["n.required"].masked == ("mail",)
    assert checks["who.phone.required"].masked == ("mail", "who")
    assert checks["pay.exists"].masked == ("mail", "pay")


def test_a_contract_without_promises_cannot_be_green() -> None:
    empty = Contract.model_validate(
        {"apiVersion": "v3.2.0", "kind": "DataContract", "id": "o", "version": "1"}
    )
    (check,) = compile_checks(empty, table="sales.orders")
    assert check.unsupported
    assert check.blocking
    assert [c.id for c in compile_checks(contract(), table="t.t") if c.unsupported] == ["contract.promises"]


def test_checks_travel_between_processes() -> None:
    checks = checks_of(
        {
            "name": "ts",
            "logicalType": "timestamp",
            "logicalTypeOptions": {"minimum": "2024-01-01", "defaultTimezone": "Europe/Berlin"},
        }
    )
    assert pickle.loads(pickle.dumps(checks)) == checks

"""ODCS contracts: everything the standard has is read, everything it forbids is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from spec_examples import FIXTURES, codes, content, problems

from raymesh.spec.contract import Contract
from raymesh.spec.contract_servers import SERVER_KEYS
from raymesh.spec.load import load_contract
from raymesh.spec.type_rules import OPTIONS

HEAD = "apiVersion: v3.2.0\nkind: DataContract\nid: a\nversion: '1'\n"


def with_rule(rule: str, *, on_object: bool = False) -> str:
    table, column = ("", f", quality: [{rule}]") if not on_object else (f", quality: [{rule}]", "")
    return HEAD + f"schema: [{{name: t, properties: [{{name: a{column}}}]{table}}}]\n"


def with_column(column: str) -> str:
    return HEAD + f"schema: [{{name: t, properties: [{{name: a, {column}}}]}}]\n"


def test_a_complete_contract_is_read_into_a_typed_model() -> None:
    document = load_contract(FIXTURES / "complete.odcs.yaml", {"BUCKET": "b"})
    contract, table = document.model, document.model.objects[0]
    assert contract.context is not None
    assert contract.context.instructions == "Weights are grams."
    assert table.context is not None
    assert table.context.instructions == "Use sent_at for time."
    assert contract.servers[0].location == "s3://b/*.parquet"
    assert contract.servers[1].schema_name == "public"
    assert contract.description is not None
    assert contract.description.model_extra == {"anythingElse": "is allowed here"}
    assert table.relationships[0].from_ == ("parcels.depot", "parcels.region")
    assert table.relationships[1].from_ == ("parcels.depot",)
    assert contract.team is not None
    assert contract.team.members[0].date_in == "2026-01-01"
    assert [q.kind() for q in table.quality] == ["library", "library", "sql", "custom", "text"]
    column = table.properties[0]
    assert [q.threshold() for q in column.quality] == [
        ("mustBe", 0), ("mustBeLessThan", 5), ("mustBeBetween", (0, 5.5)), ("mustNotBe", 1),
    ]  # fmt: skip
    assert table.properties[0].logical_type_options == {
        "minLength": 1,
        "maxLength": 12,
        "pattern": "^[A-Z0-9]+$",
        "format": "uuid",
    }
    scans = next(p for p in table.properties if p.name == "scans")
    assert scans.items is not None
    assert scans.items.properties[0].name == "place"


def test_a_threshold_of_false_or_null_is_still_a_threshold() -> None:
    rule = (
        Contract.model_validate(content(with_rule("{type: sql, query: q, mustBe: false}")))
        .objects[0]
        .properties[0]
        .quality[0]
    )
    assert rule.threshold() == ("mustBe", False)


def test_models_cannot_be_changed() -> None:
    contract = Contract.model_validate(content(HEAD))
    with pytest.raises(ValidationError):
        contract.id = "b"


def test_a_bare_list_of_members_is_read_as_a_team(tmp_path: Path) -> None:
    contract = Contract.model_validate(content(HEAD + "team: [{username: ann}]\n"))
    assert contract.team is not None
    assert contract.team.members[0].username == "ann"
    (problem,) = problems(tmp_path, HEAD + "team:\n  - username: ann\n  - username: 5\n")
    assert str(problem.span) == "example.yaml:7:15"


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_versions_three_are_read(tmp_path: Path, version: str) -> None:
    assert problems(tmp_path, HEAD.replace("v3.2.0", version)) == []


def test_version_two_is_told_to_be_unsupported(tmp_path: Path) -> None:
    found = problems(tmp_path, HEAD.replace("v3.2.0", "v2.2.2"))
    assert codes(found) == ["unsupported-version"]


@pytest.mark.parametrize(
    "rule",
    [
        "{metric: nullValues, mustBe: 0}",
        "{type: library, metric: nullValues, mustBeBetween: [0, 5], unit: percent}",
        "{metric: missingValues, arguments: {missingValues: ['']}, mustBe: 0}",
        "{metric: invalidValues, arguments: {pattern: a}, mustBe: 0}",
        "{type: sql, query: SELECT 1, mustBe: true}",
        "{type: custom, engine: soda, implementation: x}",
        "{type: text}",
        "{description: words only}",
    ],
)
def test_good_rules_pass(tmp_path: Path, rule: str) -> None:
    assert problems(tmp_path, with_rule(rule)) == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{metric: nullValues}", "quality-rule"),
        ("{metric: nullValues, mustBe: 0, mustNotBe: 1}", "quality-rule"),
        ("{metric: nullValues, mustBe: zero}", "wrong-type"),
        ("{metric: nullValues, mustBe: true}", "wrong-type"),
        ("{metric: nullValues, mustBeLessThan: '5'}", "wrong-type"),
        ("{metric: nullValues, mustBeLessThan: .nan}", "wrong-type"),
        ("{metric: nullValues, mustBeBetween: [5, 1]}", "wrong-value"),
        ("{metric: nullValues, mustBeBetween: [5, 5]}", "wrong-value"),
        ("{metric: nullValues, mustBeBetween: [5]}", "wrong-value"),
        ("{metric: nullvalues, mustBe: 0}", "wrong-value"),
        ("{metric: rowCount, mustBe: 0}", "metric-level"),
        ("{metric: missingValues, mustBe: 0}", "quality-rule"),
        ("{metric: invalidValues, mustBe: 0}", "quality-rule"),
        ("{metric: invalidValues, arguments: {pattern: 5}, mustBe: 0}", "wrong-type"),
        ("{type: library, mustBe: 0}", "missing-key"),
        ("{type: library, rule: anything, mustBe: 0}", "quality-rule"),
        ("{type: sql, mustBe: 0}", "missing-key"),
        ("{type: sql, query: x}", "quality-rule"),
        ("{query: x}", "quality-rule"),
        ("{type: text, mustBe: 0}", "quality-rule"),
        ("{mustBe: 0}", "quality-rule"),
        ("{type: custom, engine: x}", "missing-key"),
        ("{type: custom, engine: x, implementation: 5}", "wrong-type"),
        ("{type: custom, engine: x, implementation: y, mustBe: 0}", "quality-rule"),
        ("{type: text, metric: nullValues}", "quality-rule"),
        ("{metric: nullValues, mustBe: 0, dimension: validity}", "wrong-value"),
        ("{type: Library, metric: nullValues, mustBe: 0}", "wrong-value"),
    ],
)
def test_a_rule_that_means_nothing_is_one_error(tmp_path: Path, rule: str, code: str) -> None:
    assert codes(problems(tmp_path, with_rule(rule))) == [code]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("{metric: rowCount, mustBe: 0}", []),
        ("{metric: nullValues, mustBe: 0}", ["metric-level"]),
        ("{metric: duplicateValues, arguments: {properties: [a]}, mustBe: 0}", []),
        ("{metric: duplicateValues, mustBe: 0}", ["quality-rule"]),
        ("{metric: duplicateValues, arguments: {properties: [a, B]}, mustBe: 0}", ["unknown-column"]),
    ],
)
def test_rules_of_an_object_measure_objects(tmp_path: Path, rule: str, found: list[str]) -> None:
    assert codes(problems(tmp_path, with_rule(rule, on_object=True))) == found


def test_the_old_word_rule_is_read_as_metric_with_a_warning(tmp_path: Path) -> None:
    text = with_rule("{type: library, rule: nullValues, mustBe: 0}")
    (warning,) = problems(tmp_path, text)
    assert (warning.code, warning.severity) == ("deprecated", "warning")
    assert Contract.model_validate(content(text)).objects[0].properties[0].quality[0].metric == "nullValues"


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("logicalTypeOptions: {minLength: 1}", ["logical-type"]),
        ("logicalType: string, logicalTypeOptions: {minlength: 1}", ["unknown-key"]),
        ("logicalType: string, logicalTypeOptions: {minLength: -1}", ["wrong-value"]),
        ("logicalType: string, logicalTypeOptions: {minLength: 5, maxLength: 2}", ["wrong-value"]),
        ("logicalType: integer, logicalTypeOptions: {format: f32}", ["wrong-value"]),
        ("logicalType: integer, logicalTypeOptions: {exclusiveMaximum: true}", ["wrong-type"]),
        ("logicalType: integer, logicalTypeOptions: {multipleOf: 0}", ["wrong-value"]),
        ("logicalType: date, logicalTypeOptions: {minimum: 5}", ["wrong-value"]),
        ("logicalType: timestamp, logicalTypeOptions: {timezone: 'yes'}", ["wrong-type"]),
        ("logicalType: map", ["missing-key"]),
        ("logicalType: map, map: {key: {}}", ["missing-key"]),
        ("map: {key: {}, value: {}}", ["logical-type"]),
        ("logicalType: string, items: {}", ["logical-type"]),
        ("logicalType: string, properties: [{name: x}]", ["logical-type"]),
        ("logicalType: object, properties: [{name: x}, {name: X}]", ["duplicate-column"]),
        ("logicalType: vector", ["missing-key"]),
        ("logicalType: vector, logicalTypeOptions: {dimensions: 0}", ["wrong-value"]),
        ("enum: []", ["wrong-value"]),
        ("enum: [{value: 1}, {value: 1, label: x}]", ["duplicate-value"]),
        ("enum: [{value: 1}, {value: true}, {value: '1'}]", []),
        ("relationships: [{from: t.a, to: x.y}]", ["relationship"]),
        ("relationships: [{to: nowhere}]", ["wrong-value"]),
        ("relationships: [{to: schema/t/properties/a}]", []),
        ("physicalType: bigint, logicalType: boolean", ["logical-type"]),
        ("physicalType: varchar, logicalType: date", []),
        ("physicalType: 'decimal(18,2)', logicalType: number", []),
        ("physicalType: bigit", ["physical-type"]),
        ("required: yes", ["wrong-type"]),
    ],
)  # fmt: skip
def test_a_column_is_consistent_with_its_logical_type(tmp_path: Path, column: str, found: list[str]) -> None:
    assert codes(problems(tmp_path, with_column(column))) == found


def test_an_unknown_physical_type_is_only_a_warning_and_suggests_one(tmp_path: Path) -> None:
    (warning,) = problems(tmp_path, with_column("physicalType: bigit"))
    assert (warning.severity, warning.help) == ("warning", "did you mean `bigint`?")


def test_a_type_cut_by_a_comma_is_explained(tmp_path: Path) -> None:
    found = problems(tmp_path, with_column("physicalType: decimal(18,2)"))
    assert found[0].help == "put the type in quotes: inside `{…}` a comma ends a value"


@pytest.mark.parametrize("logical", sorted(OPTIONS))
def test_every_logical_type_refuses_options_of_others(tmp_path: Path, logical: str) -> None:
    found = problems(
        tmp_path, with_column(f"logicalType: {logical}, logicalTypeOptions: {{dimensions: 1, sweetness: 1}}")
    )
    expected = ["unknown-key"] if logical == "vector" else ["unknown-key", "unknown-key"]
    assert codes(found) == expected


@pytest.mark.parametrize("kind", sorted(SERVER_KEYS))
def test_every_server_needs_its_keys_and_has_no_others(tmp_path: Path, kind: str) -> None:
    required, optional = (keys.split() for keys in SERVER_KEYS[kind])
    values = {key: "sftp://x" if key == "location" else "x" for key in [*required, *optional]}
    full = ", ".join(f"{key}: {value}" for key, value in values.items())
    assert problems(tmp_path, HEAD + f"servers: [{{server: s, type: {kind}, {full}}}]\n") == []
    bare = problems(tmp_path, HEAD + f"servers: [{{server: s, type: {kind}}}]\n")
    assert codes(bare) == ["missing-key"] * len(required)
    other = "workgroup" if kind != "athena" else "host"
    extra = problems(tmp_path, HEAD + f"servers: [{{server: s, type: {kind}, {full}, {other}: x}}]\n")
    assert codes(extra) == ["unknown-key"]


@pytest.mark.parametrize(
    "text", ["type: delta, location: x", "type: s3, location: x, password: y", "type: s3"]
)
def test_servers_of_no_known_kind_are_refused(tmp_path: Path, text: str) -> None:
    assert len(problems(tmp_path, HEAD + f"servers: [{{server: s, {text}}}]\n")) == 1


@pytest.mark.parametrize(
    ("relationship", "found"),
    [
        ("{from: t.a, to: x.y}", []),
        ("{from: [t.a, t.a], to: [x.y, x.z]}", []),
        ("{to: x.y}", ["missing-key"]),
        ("{from: t.a}", ["missing-key"]),
        ("{from: t.a, to: [x.y]}", ["relationship"]),
        ("{from: [t.a], to: [x.y, x.z]}", ["relationship"]),
        ("{from: [], to: []}", ["wrong-value", "wrong-value"]),
        ("{from: t.zz, to: x.y}", ["unknown-column"]),
        ("{from: t.a, to: x.y, type: fk}", ["wrong-value"]),
        ("{from: t.a, to: x.y, description: z}", ["unknown-key"]),
    ],
)
def test_a_relationship_of_an_object_joins_equal_numbers_of_properties(
    tmp_path: Path, relationship: str, found: list[str]
) -> None:
    text = HEAD + f"schema: [{{name: t, properties: [{{name: a}}], relationships: [{relationship}]}}]\n"
    assert codes(problems(tmp_path, text)) == found

"""Standards at work: told at validate, decisive at publish, reported at any time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import publish, run, versions
from meshes import write_domain, write_mesh, write_product
from raymesh.actions.facts import Facts
from raymesh.actions.gate import StandardsGate
from raymesh.actions.governance_report import report, report_json
from raymesh.actions.standards import document_problems, evaluate, found_standards
from raymesh.actions.validate import validate
from raymesh.errors import Diagnostic, GovernanceError, UsageError
from raymesh.governance.facts import BY_NAME, TABLES
from raymesh.spi.audit import AuditFilter
from shops import Cli

GAPS = "SELECT range AS id, CASE WHEN range % {} = 0 THEN NULL ELSE 'x' END AS name FROM range(100)"
COLUMNS = {"id": {"physicalType": "bigint", "required": True}, "name": "varchar"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One product of two columns; nothing is demanded yet."""
    write_mesh(tmp_path, storage={"encryption": {"atRest": "LUKS", "statedBy": "ops"}})
    write_product(tmp_path, "shop.people", COLUMNS, sql=GAPS.format(2))
    return tmp_path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def demand(root: Path, folder: str = "governance", **content: Any) -> None:
    file = root / folder / "standards.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    document = {"apiVersion": "raymesh/v1", "kind": "Standards", "version": "1", **content}
    file.write_text(json.dumps(document))


def query(root: Path, name: str, text: str) -> None:
    file = root / "governance" / "standards" / f"{name}.sql"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def told(root: Path) -> list[Diagnostic]:
    return list(validate(root).diagnostics)


# at publish


def test_a_product_below_a_standard_is_blocked_and_the_last_version_keeps_serving(root: Path) -> None:
    publish(root)
    demand(root, dataQuality={"minimumCompleteness": 0.8})
    blocked = run(root, refresh=True)["shop.people"]
    assert blocked.status == "blocked"
    assert isinstance(blocked.error, GovernanceError)
    assert blocked.failing == ("standard.minimum-completeness",)
    assert "0.7500" in blocked.reason
    assert [v.number for v in versions(root, "shop.people")] == [1]
    write_product(root, "shop.people", COLUMNS, sql=GAPS.format(10))
    publish(root)
    assert [v.number for v in versions(root, "shop.people")] == [1, 2]


def test_a_refusal_is_in_the_audit_log(root: Path) -> None:
    demand(root, dataQuality={"minimumCompleteness": 0.8})
    assert run(root)["shop.people"].status == "blocked"
    with raymesh.Mesh.load(root) as mesh:
        (entry,) = mesh._workspace.state.audit.records(AuditFilter(kind="standard"))
    assert (entry.principal, entry.outcome) == ("raymesh:shop.people", "refused")
    assert entry.said["detail"]["rules"] == ["standard.minimum-completeness"]


def test_what_judged_a_version_is_kept_with_it(cli: Cli, root: Path) -> None:
    publish(root)
    assert "standards" not in versions(root, "shop.people")[0].governance
    assert versions(root, "shop.people")[0].governance["completeness"] == 0.75
    demand(
        root,
        dataQuality={"minimumCompleteness": 0.8},
        rules={"minimum-completeness": {"severity": "warning"}},
    )
    publish(root, refresh=True)
    said = versions(root, "shop.people")[1].governance["standards"]
    assert (said["version"], said["outcome"]) == ("1", "warned")
    assert [v["rule"] for v in said["violations"]] == ["minimum-completeness"]
    demand(root, version="2", dataQuality={"minimumCompleteness": 0.5})
    publish(root, refresh=True)
    assert (
        cli("-C", root, "history", "shop.people", "--output", "json").json["versions"][0]["standards_version"]
        == "2"
    )
    said = versions(root, "shop.people")[2].governance["standards"]
    assert (said["version"], said["outcome"], said["violations"]) == ("2", "kept", [])


def test_the_outcome_stands_in_the_iceberg_snapshot_too(root: Path) -> None:
    demand(root, dataQuality={"minimumCompleteness": 0.5})
    publish(root)
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("raymesh", uri=f"sqlite:///{root}/.raymesh/mesh.db", warehouse=str(root))
    snapshot = catalog.load_table("shop.people").current_snapshot()
    catalog.engine.dispose()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary["raymesh.standards-outcome"] == "kept"


def test_rows_set_aside_count_as_wrong(root: Path) -> None:
    columns = {**COLUMNS, "name": {"physicalType": "varchar", "required": True}}
    write_product(
        root, "shop.people", columns, sql=GAPS.format(10), onViolation="quarantine", quarantineLimit=0.5
    )
    demand(root, dataQuality={"maximumErrorRate": 0.05})
    blocked = run(root)["shop.people"]
    assert blocked.failing == ("standard.maximum-error-rate",)
    assert "0.1000" in blocked.reason
    demand(root, dataQuality={"maximumErrorRate": 0.1})
    publish(root)


def test_a_warning_of_the_contract_can_be_too_much_for_the_organisation(root: Path) -> None:
    """A standard may ask for more than a contract's severity, never for less."""
    rule = {"metric": "nullValues", "mustBeLessThan": 10, "unit": "percent", "severity": "warning"}
    tolerant = {"property": "onViolation", "value": "warn", "vendor": "raymesh"}
    column = {"physicalType": "varchar", "quality": [{**rule, "customProperties": [tolerant]}]}
    write_product(root, "shop.people", {**COLUMNS, "name": column}, sql=GAPS.format(2))
    publish(root)
    demand(root, dataQuality={"maximumErrorRate": 0.1})
    assert run(root, refresh=True)["shop.people"].failing == ("standard.maximum-error-rate",)


def test_documents_that_break_a_standard_cannot_be_published(root: Path) -> None:
    demand(root, compliance={"dataRetentionPolicies": True})
    blocked = run(root)["shop.people"]
    assert blocked.failing == ("standard.retention-promised",)
    demand(
        root, compliance={"dataRetentionPolicies": True}, rules={"retention-promised": {"lifecycle": "draft"}}
    )
    publish(root)


def test_an_exception_of_two_people_lets_it_pass_until_it_expires(root: Path) -> None:
    exception = {
        "rule": "minimum-completeness",
        "products": ["shop.*"],
        "reason": "old data",
        "approvedBy": ["a", "b"],
    }
    demand(
        root, dataQuality={"minimumCompleteness": 0.8}, exceptions=[{**exception, "expires": "2020-01-01"}]
    )
    assert run(root)["shop.people"].status == "blocked"
    later = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    demand(root, dataQuality={"minimumCompleteness": 0.8}, exceptions=[{**exception, "expires": later}])
    publish(root)
    (violation,) = versions(root, "shop.people")[0].governance["standards"]["violations"]
    assert violation["excepted_until"].startswith(later)


def test_a_domains_stricter_standard_blocks_its_products_only(root: Path) -> None:
    write_domain(root, "other")
    write_product(root, "other.people", COLUMNS, sql=GAPS.format(2))
    demand(root, dataQuality={"minimumCompleteness": 0.5})
    demand(root, "domains/shop", dataQuality={"minimumCompleteness": 0.9})
    found = run(root)
    assert found["other.people"].status == "published"
    assert found["shop.people"].failing == ("standard.shop/minimum-completeness",)


def test_a_query_of_the_organisation_decides_too(root: Path) -> None:
    demand(root)
    text = "-- name: {}\n-- title: Few rows.\nSELECT product, port, 'too many rows' AS message, rows AS evidence FROM versions WHERE is_current AND rows > {}"
    query(root, "small", text.format("small", 50))
    assert run(root)["shop.people"].failing == ("standard.small",)
    query(root, "small", text.format("small", 500))
    publish(root)


def test_a_query_sees_the_other_products_too(root: Path) -> None:
    """Two tables with the same number of rows are forbidden here, for want of a better idea."""
    write_product(root, "shop.twin", COLUMNS, sql="SELECT * FROM shop.people")
    demand(root)
    query(
        root,
        "unique-size",
        "-- name: unique-size\n-- title: Sizes differ.\nSELECT a.product, 'same size as ' || b.product AS message "
        "FROM versions a JOIN versions b ON a.rows = b.rows AND a.product <> b.product AND a.is_current AND b.is_current",
    )
    found = run(root)
    assert found["shop.people"].status == "published"
    assert found["shop.twin"].failing == ("standard.unique-size",)


def test_a_query_that_fails_blocks_unless_it_is_a_draft(root: Path) -> None:
    demand(root)
    text = "-- name: odd\n-- title: Odd.\n-- applies: evidence\n-- lifecycle: {}\nSELECT product, cast('x' AS int) AS message FROM versions"
    query(root, "odd", text.format("enforced"))
    blocked = run(root)["shop.people"]
    assert blocked.failing == ("standard.odd",)
    assert "cannot be evaluated" in blocked.reason
    query(root, "odd", text.format("draft"))
    publish(root)


def test_a_query_reaches_no_file(root: Path) -> None:
    demand(root)
    query(
        root,
        "spy",
        "-- name: spy\n-- title: Spy.\nSELECT 'shop.people' AS product, content AS message FROM read_text('/etc/hostname')",
    )
    assert run(root)["shop.people"].failing == ("standard.spy",)
    assert any(d.code == "standard-query" for d in told(root))


def test_grace_ends_by_the_clock(root: Path) -> None:
    """The same version, judged the day before and the day after."""
    publish(root)
    demand(
        root,
        dataQuality={"minimumCompleteness": 0.8},
        rules={"minimum-completeness": {"lifecycle": "grace until 2030-01-01"}},
    )
    with raymesh.Mesh.load(root) as mesh:
        space = mesh._workspace
        for day, blocks in (
            (datetime(2029, 12, 31, tzinfo=UTC), False),
            (datetime(2030, 1, 1, tzinfo=UTC), True),
        ):
            facts = Facts(space.documents, space.graph, space.storage, day)
            outcome = evaluate(found_standards(space.documents), facts, ("evidence",))
            assert [b.blocks for b in outcome.broken] == [blocks]


def test_grace_ends_at_publish_by_the_gates_clock(root: Path) -> None:
    demand(
        root,
        compliance={"dataRetentionPolicies": True},
        rules={"retention-promised": {"lifecycle": "grace until 2030-01-01"}},
    )

    def refused(year: int) -> bool:
        with raymesh.Mesh.load(root) as mesh:
            gate = StandardsGate(mesh._workspace, clock=lambda: datetime(year, 6, 1, tzinfo=UTC))
            try:
                return gate.documents("shop.people") is not None
            finally:
                gate.close()

    assert [refused(2029), refused(2030)] == [False, True]


# at validate and plan


def test_validate_says_what_documents_lack_and_where(root: Path) -> None:
    column = {"physicalType": "varchar", "tags": ["pii.direct.name"]}
    write_product(root, "shop.people", {**COLUMNS, "name": column}, sql=GAPS.format(2))
    demand(root, security={"piiProtection": True}, compliance={"gdprCompliance": True})
    found = told(root)
    assert {d.code for d in found} == {"standard"}
    helps = {(d.help or "").split(":")[0].removeprefix("standard ") for d in found}
    assert helps == {"pii-protection", "gdpr-purpose", "gdpr-records", "gdpr-retention"}
    masked = next(d for d in found if "pii-protection" in (d.help or ""))
    assert masked.span is not None
    line = (root / masked.span.file).read_text().splitlines()[masked.span.line - 1]
    assert '"name": "name"' in line


def test_a_mask_for_everybody_protects_and_one_for_some_does_not(root: Path) -> None:
    column = {"physicalType": "varchar", "tags": ["pii.direct.name"]}
    write_product(root, "shop.people", {**COLUMNS, "name": column}, sql=GAPS.format(2))
    demand(root, security={"piiProtection": True})

    def policy(**more: Any) -> list[str]:
        mask = {"name": "m", "effect": "mask", "what": {"tags": ["pii"]}, "mask": "hide", **more}
        file = root / "governance/policies/p.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"apiVersion": "raymesh/v1", "kind": "Policies", "policies": [mask]}))
        return [d.message for d in told(root) if d.code == "standard"]

    assert policy() == []
    assert len(policy(who={"groups": ["interns"]})) == 1
    assert len(policy(what={"tags": ["pii.quasi"]})) == 1
    assert policy(what={"tags": ["pii.direct"], "products": ["shop.*"]}) == []
    assert len(policy(what={"domains": ["other"]})) == 1


def test_what_a_rule_means_depends_on_its_severity(root: Path) -> None:
    for said, severity in (
        ({"severity": "warning"}, "warning"),
        ({"lifecycle": "draft"}, "info"),
        ({}, "error"),
    ):
        demand(root, compliance={"dataRetentionPolicies": True}, rules={"retention-promised": said})
        assert [d.severity for d in told(root)] == [severity]


def test_nobody_answering_for_encryption_is_told_at_mesh_yaml(root: Path) -> None:
    demand(root, security={"encryptionRequired": True})
    assert told(root) == []
    write_mesh(root)
    (found,) = told(root)
    assert found.span is not None
    assert found.span.file == "mesh.yaml"


def test_addresses_without_encryption_are_found(root: Path) -> None:
    demand(root, security={"encryptionRequired": True})
    stated = {"atRest": "SSE", "statedBy": "ops"}
    for address, count in (
        ("http://store.example.com", 1),
        ("https://store.example.com", 0),
        ("http://127.0.0.1:9000", 0),
    ):
        write_mesh(root, storage={"s3": {"endpointUrl": address}, "encryption": stated})
        assert len(told(root)) == count, address


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT 1", "missing-key"),
        ("-- name: x\nSELECT 1", "missing-key"),
        ("-- name: X y\n-- title: t\nSELECT 1", "wrong-value"),
        ("-- name: x\n-- title: t\n-- severty: error\nSELECT 1", "unknown-key"),
        ("-- name: x\n-- title: t\nSELEC 1", "standard-query"),
        ("-- name: x\n-- title: t\nSELECT product FROM products", "standard-query"),
        ("-- name: x\n-- title: t\nSELECT product, '' AS message FROM product", "standard-query"),
        ("-- name: x\n-- title: t\nDROP TABLE products", "standard-query"),
        ("-- name: x\n-- title: t\nSELECT nope, product, '' AS message FROM products", "standard-query"),
    ],
)
def test_a_query_with_a_mistake_is_told_with_its_place(root: Path, text: str, code: str) -> None:
    query(root, "x", text)
    found = [d for d in told(root) if d.severity == "error"]
    assert [d.code for d in found] == [code]
    assert found[0].span is not None
    assert found[0].span.file == "governance/standards/x.sql"


def test_a_looser_domain_is_told(root: Path) -> None:
    demand(root, dataQuality={"minimumCompleteness": 0.9})
    demand(root, "domains/shop", dataQuality={"minimumCompleteness": 0.5})
    (found,) = told(root)
    assert (found.code, found.span and found.span.file) == (
        "standard-loosened",
        "domains/shop/standards.yaml",
    )


def test_plan_shows_what_would_keep_a_product_from_being_published(cli: Cli, root: Path) -> None:
    demand(root, compliance={"dataRetentionPolicies": True})
    answer = cli("-C", root, "plan", "--output", "json")
    assert "retention" in answer.json["products"][0]["problem"]


def test_a_mesh_without_standards_pays_nothing(root: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        assert document_problems(mesh._workspace.documents, mesh._workspace.graph) == []


# the report


def test_the_report_knows_rule_owner_and_since_when(root: Path) -> None:
    publish(root)
    demand(root, dataQuality={"minimumCompleteness": 0.8, "freshness": "1h"})

    def found(days: int) -> dict[str, Any]:
        with raymesh.Mesh.load(root) as mesh:
            return report_json(report(mesh._workspace, now=datetime.now(UTC) + timedelta(days=days)))

    def rule(made: dict[str, Any], name: str) -> dict[str, Any]:
        return next(r for r in made["rules"] if r["rule"] == name)

    first = found(0)
    assert rule(first, "freshness")["state"] == "kept"
    (violation,) = rule(first, "minimum-completeness")["violations"]
    assert (violation["product"], violation["owner"]) == ("shop.people", "shop-team")
    later = found(3)
    assert rule(later, "minimum-completeness")["violations"][0]["since"] == violation["since"]
    assert rule(later, "freshness")["state"] == "broken"
    assert first["articles"][0]["article"] == "GDPR Art. 5(1)(d)"
    assert "does not say that a law is kept" in first["notice"]


def test_the_report_of_a_domain_is_about_its_products(cli: Cli, root: Path) -> None:
    write_domain(root, "other")
    write_product(root, "other.people", COLUMNS, sql=GAPS.format(2))
    publish(root)
    demand(root, compliance={"dataRetentionPolicies": True}, dataQuality={"minimumCompleteness": 0.1})
    answer = cli("-C", root, "governance", "report", "--domain", "other", "--output", "json")
    assert answer.code == 4
    assert {v["product"] for r in answer.json["rules"] for v in r["violations"]} == {"other.people"}
    assert cli("-C", root, "governance", "report", "--domain", "othr").code == 1


def test_the_page_of_the_report_escapes_what_it_shows(cli: Cli, root: Path) -> None:
    publish(root)
    demand(root)
    query(
        root,
        "x",
        "-- name: x\n-- title: \"<b>bold</b>\"\nSELECT product, '<script>' AS message FROM products",
    )
    answer = cli("-C", root, "governance", "report", "--output", "html")
    assert "<script>" not in answer.out
    assert "&lt;script&gt;" in answer.out
    assert "&lt;b&gt;bold" in answer.out


def test_a_mesh_without_standards_says_so(cli: Cli, root: Path) -> None:
    answer = cli("-C", root, "governance", "report")
    assert (answer.code, "standards.yaml" in answer.err) == (0, True)


# facts


@pytest.fixture
def facts(root: Path) -> Callable[[str], list[dict[str, Any]]]:
    write_product(root, "shop.copy", {"id": "bigint"}, sql="SELECT id FROM shop.people")
    publish(root)

    def ask(query: str) -> list[dict[str, Any]]:
        with raymesh.Mesh.load(root) as mesh:
            return mesh.facts(query).to_pylist()

    return ask


@pytest.mark.parametrize("name", [t.name for t in TABLES])
def test_every_table_of_facts_has_the_columns_its_schema_says(root: Path, name: str) -> None:
    with raymesh.Mesh.load(root) as mesh:
        table = mesh.facts(name)
    assert tuple(table.column_names) == BY_NAME[name].names


def test_facts_tell_what_is_known(facts: Callable[[str], list[dict[str, Any]]]) -> None:
    assert facts("SELECT product, origin FROM inputs") == [{"product": "shop.copy", "origin": "shop.people"}]
    assert facts("SELECT completeness FROM versions WHERE product = 'shop.people'") == [
        {"completeness": 0.75}
    ]
    assert facts("SELECT count(*) AS n FROM columns") == [{"n": 3}]
    assert {r["status"] for r in facts("SELECT status FROM runs")} == {"published"}
    lineage = facts("SELECT source, source_column FROM column_lineage WHERE product = 'shop.copy'")
    assert lineage == [{"source": "shop.people", "source_column": "id"}]
    assert facts("SELECT status FROM check_results WHERE check_id = 'id.required'")[0]["status"] == "pass"


def test_facts_that_do_not_exist_are_named_with_those_that_do(
    facts: Callable[[str], list[dict[str, Any]]],
) -> None:
    with pytest.raises(UsageError) as error:
        facts("SELECT * FROM product")
    assert error.value.hint == "did you mean `products`?"


def test_facts_are_gathered_only_when_they_are_asked_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.actions import facts as module

    publish(root)
    gathered = []
    original = Facts._rows
    monkeypatch.setattr(Facts, "_rows", lambda self, name: gathered.append(name) or original(self, name))
    with raymesh.Mesh.load(root) as mesh:
        space = mesh._workspace
        module.query(Facts(space.documents, space.graph, space.storage), "SELECT 1 AS n FROM domains, mesh")
    assert sorted(gathered) == ["domains", "mesh"]


def test_facts_on_the_command_line(cli: Cli, root: Path) -> None:
    publish(root)
    answer = cli("-C", root, "facts", "SELECT product, rows FROM versions", "--output", "json")
    assert answer.json["rows"] == [{"product": "shop.people", "rows": 100}]
    assert "check_results" in cli("-C", root, "facts").out
    assert cli("-C", root, "facts", "SELECT * FROM read_text('/etc/hostname')").code == 1

"""Standards as rules: their life, scope, exceptions, and that domains may only be stricter."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meshes import write_domain, write_mesh
from raymesh.governance.facts import BY_NAME, TABLES, basis_of
from raymesh.governance.standard_queries import ARTICLES, QUERIES
from raymesh.governance.standards import Exemption, Rule, StandardSet, loosened, standards_of
from raymesh.spec.governance_files import load_governance
from raymesh.spec.standards import Lifecycle, Scope

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
NONE: frozenset[str] = frozenset()


def rule(**changes: Any) -> Rule:
    return Rule("r", "title", "SELECT 1", **changes)


def written(root: Path, standards: dict[str, Any], **domains: dict[str, Any]) -> StandardSet:
    write(root, standards, **domains)
    return standards_of(load_governance(root, {}))


def write(root: Path, standards: dict[str, Any], **domains: dict[str, Any]) -> None:
    write_mesh(root)
    (root / "governance").mkdir(exist_ok=True)
    (root / "governance/standards.yaml").write_text(document(standards))
    for name, content in domains.items():
        write_domain(root, name)
        (root / f"domains/{name}/standards.yaml").write_text(document(content))


def document(content: dict[str, Any]) -> str:
    return json.dumps({"apiVersion": "raymesh/v1", "kind": "Standards", "version": "7", **content})


# life


def test_a_draft_informs_and_an_enforced_rule_has_its_severity() -> None:
    assert rule(lifecycle=Lifecycle("draft")).severity_at(NOW) == "info"
    assert rule().severity_at(NOW) == "error"
    assert rule(severity="warning").severity_at(NOW) == "warning"


def test_grace_ends_at_its_date() -> None:
    graced = rule(lifecycle=Lifecycle("grace", LATER))
    assert graced.severity_at(NOW) == "warning"
    assert graced.stage(NOW) == "grace"
    assert graced.severity_at(LATER) == "error"
    assert graced.stage(LATER) == "enforced"


def test_grace_makes_nothing_worse_than_it_is() -> None:
    assert rule(severity="info", lifecycle=Lifecycle("grace", LATER)).severity_at(NOW) == "info"


# scope


def test_a_rule_without_scope_is_about_everything() -> None:
    assert rule().concerns("a.b", NONE)
    assert rule().concerns(None, NONE)


def test_a_domains_rule_is_about_its_own_products() -> None:
    own = rule(origin="a")
    assert own.concerns("a.b", NONE)
    assert not own.concerns("b.a", NONE)
    assert own.id == "a/r"


@pytest.mark.parametrize(
    ("scope", "product", "tags", "concerns"),
    [
        (Scope(domains=("a",)), "a.x", NONE, True),
        (Scope(domains=("a",)), "ab.x", NONE, False),
        (Scope(products=("a.*",)), "a.x", NONE, True),
        (Scope(products=("a.*",)), "ab.x", NONE, False),
        (Scope(products=("a.x",)), "a.xy", NONE, False),
        (Scope(tags=("pii",)), "a.x", frozenset({"pii.direct"}), True),
        (Scope(tags=("pii",)), "a.x", frozenset({"piia"}), False),
        (Scope(domains=("a",), tags=("pii",)), "b.x", frozenset({"pii"}), False),
    ],
)
def test_scope(scope: Scope, product: str, tags: frozenset[str], concerns: bool) -> None:
    assert rule(scope=scope).concerns(product, tags) is concerns


def test_a_scoped_rule_is_not_about_the_mesh_as_a_whole() -> None:
    assert not rule(scope=Scope(domains=("a",))).concerns(None, NONE)


# exceptions


def test_an_exception_covers_its_products_until_it_expires() -> None:
    exempt = Exemption("r", "global", ("a.*",), "why", ("x", "y"), LATER)
    assert exempt.covers(rule(), "a.b", NOW)
    assert not exempt.covers(rule(), "a.b", LATER)
    assert not exempt.covers(rule(), "b.b", NOW)
    assert not exempt.covers(rule(), None, NOW)
    assert not exempt.covers(rule(origin="a"), "a.b", NOW), "the domain's own rule is another one"


# documents


def test_thresholds_and_switches_become_rules(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        {
            "dataQuality": {"minimumCompleteness": 0.95, "maximumErrorRate": 0.01, "freshness": "6h"},
            "security": {"encryptionRequired": True, "accessLogging": True, "piiProtection": True},
            "compliance": {"gdprCompliance": True, "dataRetentionPolicies": True, "auditTrailRequired": True},
        },
    )
    assert {r.name for r in found.rules} == {b.name for b in QUERIES} - {"minimum-quality"}
    assert "0.95" in next(r.sql for r in found.rules if r.name == "minimum-completeness")
    assert "21600.0" in next(r.sql for r in found.rules if r.name == "freshness")
    assert found.version == "7"


def test_a_threshold_of_zero_is_a_threshold(tmp_path: Path) -> None:
    found = written(tmp_path, {"dataQuality": {"maximumErrorRate": 0}})
    assert [r.name for r in found.rules] == ["maximum-error-rate"]


def test_a_switch_that_is_off_demands_nothing(tmp_path: Path) -> None:
    assert written(tmp_path, {"security": {"encryptionRequired": False}}).rules == ()


def test_rules_are_applied_as_the_document_says(tmp_path: Path) -> None:
    said = {"severity": "warning", "lifecycle": "grace until 2027-01-01", "scope": {"domains": ["a"]}}
    (found,) = written(
        tmp_path, {"dataQuality": {"minimumQuality": 0.9}, "rules": {"minimum-quality": said}}
    ).rules
    assert (found.severity, found.lifecycle) == ("warning", Lifecycle("grace", LATER))
    assert found.scope.domains == ("a",)
    assert found.span is not None
    assert found.span.file == "governance/standards.yaml"


def test_articles_are_those_of_the_rule_and_those_the_organisation_adds(tmp_path: Path) -> None:
    articles = [{"id": "HB 4.2", "title": "Handbook", "rules": ["encryption-required"]}]
    found = written(tmp_path, {"security": {"encryptionRequired": True}, "requirements": articles})
    assert found.rules[0].requirements == ("GDPR Art. 32", "HB 4.2")
    assert found.titles["HB 4.2"] == "Handbook"


def test_a_domain_adds_its_own_rules(tmp_path: Path) -> None:
    found = written(
        tmp_path, {"dataQuality": {"minimumQuality": 0.9}}, shop={"dataQuality": {"minimumQuality": 0.99}}
    )
    assert [r.id for r in found.rules] == ["minimum-quality", "shop/minimum-quality"]


def test_the_digest_changes_with_every_word(tmp_path: Path) -> None:
    one = written(tmp_path / "a", {"dataQuality": {"minimumQuality": 0.9}}).digest
    two = written(tmp_path / "b", {"dataQuality": {"minimumQuality": 0.91}}).digest
    assert one != two
    assert one == written(tmp_path / "c", {"dataQuality": {"minimumQuality": 0.9}}).digest


# only stricter


@pytest.mark.parametrize(
    ("key", "above", "below", "fine"),
    [
        ("minimumCompleteness", 0.95, 0.9, False),
        ("minimumCompleteness", 0.95, 0.99, True),
        ("maximumErrorRate", 0.01, 0.1, False),
        ("maximumErrorRate", 0.01, 0.001, True),
        ("freshness", "6h", "1d", False),
        ("freshness", "6h", "1h", True),
        ("minimumQuality", 0.9, 0.8, False),
        ("minimumQuality", 0.9, 0.9, True),
    ],
)
def test_a_domain_may_only_be_stricter(tmp_path: Path, key: str, above: Any, below: Any, fine: bool) -> None:
    write(tmp_path, {"dataQuality": {key: above}}, shop={"dataQuality": {key: below}})
    governance = load_governance(tmp_path, {})
    assert governance is not None
    assert (list(loosened(governance)) == []) is fine


def test_a_domain_cannot_except_itself_from_a_rule_of_the_organisation(tmp_path: Path) -> None:
    said = {"rule": "minimum-quality", "products": ["shop.*"], "reason": "no", "approvedBy": ["a", "b"]}
    exception = {**said, "expires": "2027-01-01"}
    write(tmp_path, {"dataQuality": {"minimumQuality": 0.9}}, shop={"exceptions": [exception]})
    governance = load_governance(tmp_path, {})
    assert governance is not None
    assert "not this domain's own" in next(iter(loosened(governance))).message
    found = standards_of(governance)
    assert found.exempted(found.rules[0], "shop.x", NOW) is None, "and it would not count either"


def test_names_of_rules_that_do_not_exist_are_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"rules": {"minimum-qualty": {}}, "requirements": [{"id": "x", "rules": ["nope"]}]},
    )
    governance = load_governance(tmp_path, {})
    assert governance is not None
    assert [p.loc for p in loosened(governance)] == [
        ("rules", "minimum-qualty"),
        ("requirements", 0, "rules", 0),
    ]


# what raymesh brings


def test_every_built_in_rule_names_an_article_that_has_a_title() -> None:
    assert {a for b in QUERIES for a in b.requirements} <= ARTICLES.keys()


def test_thresholds_enter_queries_as_numbers_only() -> None:
    for built in QUERIES:
        assert "{t}" not in built.sql_for(0.5)
        with pytest.raises(ValueError, match="could not convert"):
            built.sql_for("0.5; DROP")


def test_facts_have_unique_names_and_known_kinds() -> None:
    assert len(BY_NAME) == len(TABLES)
    for table in TABLES:
        assert len(set(table.names)) == len(table.names), table.name
        for column in table.columns:
            assert column.kind in ("text", "texts", "integer", "number", "boolean", "time"), (
                table.name,
                column,
            )
            assert column.meaning


def test_a_query_is_as_volatile_as_its_most_volatile_table() -> None:
    assert basis_of({"products"}) == "documents"
    assert basis_of({"products", "versions"}) == "evidence"
    assert basis_of({"versions", "reads"}) == "continuous"

"""Everything wrong with policies is told at `validate`, with its place, cause and way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_meshes import BASE, HOUSEHOLDS, LINES, USERS, governed_mesh, policies, product
from raymesh.actions.validate import validate
from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.governance.model import GLOBAL
from raymesh.spec.governance_files import is_governed, load_governance
from raymesh.spec.mesh import GovernanceSettings

MORE = "governance/policies/more.yaml"


def problems(root: Path, text: str, **files: str) -> dict[str, Diagnostic]:
    """Problems of the mesh with one more file of policies, by code; warnings included."""
    changed: dict[str, str | None] = {MORE: policies("policies:\n" + text), **files}
    found = validate(governed_mesh(root, changed), bind=False).diagnostics
    return {d.code: d for d in found}


def told(root: Path, text: str, **files: str) -> Diagnostic:
    """The one problem that text has."""
    (found,) = problems(root, text, **files).values()
    return found


def test_a_governed_mesh_is_valid_and_read_with_who_wrote_what(tmp_path: Path) -> None:
    root = governed_mesh(tmp_path)
    assert validate(root).diagnostics == ()
    found = load_governance(root, {})
    assert found is not None
    assert [(f.origin, f.document.path) for f in found.policies] == [
        (GLOBAL, "governance/policies/base.yaml"),
        ("orders", "domains/orders/policies/own.yaml"),
    ]


def test_a_mesh_without_governance_documents_is_not_governed(tmp_path: Path) -> None:
    gone = dict.fromkeys(
        ("governance/policies/base.yaml", "governance/users.yaml", "domains/orders/policies/own.yaml")
    )
    root = governed_mesh(tmp_path, gone)
    assert not is_governed(root)
    assert load_governance(root, {}) is None
    (root / "domains/orders/policies").mkdir()
    assert not is_governed(root)
    (root / "domains/orders/policies/x.yaml").write_text("{}")
    assert is_governed(root)


@pytest.mark.parametrize(
    ("text", "code", "place", "words", "way"),
    [
        (
            "  - {name: x, effect: mask, mask: tokn}\n",
            "wrong-value",
            (4, 35),
            "a mask is token, hide, absent",
            "did you mean `token`?",
        ),
        ("  - {name: x, effect: maks, mask: hide}\n", "wrong-value", (4, 23), "`effect` must be", "`mask`"),
        (
            "  - {name: x, effect: deny, who: {group: [x]}}\n",
            "unknown-key",
            (4, 35),
            "no key `group`",
            "`groups`",
        ),
        (
            "  - {name: x, effect: deny, expires: 2027-02-30}\n",
            "wrong-value",
            (4, 38),
            "a date such as 2027-01-01",
            None,
        ),
        (
            "  - {name: contractors-never, effect: deny}\n",
            "duplicate-policy",
            (4, 12),
            "already stands in governance/policies/base.yaml:17:11",
            "own name",
        ),
        (
            '  - {name: x, effect: deny, what: {tags: ["PII "]}}\n',
            "unknown-tag",
            (4, 43),
            "there is no tag `PII `",
            "did you mean `pii`? (` ` is SPACE)",
        ),
        (
            "  - {name: x, effect: deny, what: {domains: [custmer]}}\n",
            "unknown-domain",
            (4, 46),
            "no domain `custmer`",
            "`customer`",
        ),
        (
            "  - {name: x, effect: deny, what: {products: [customer.household]}}\n",
            "unknown-product",
            (4, 47),
            "no product `customer.household`",
            "`customer.households`",
        ),
        (
            "  - {name: x, effect: deny, what: {columns: [emial]}}\n",
            "unknown-column",
            (4, 46),
            "no product that the policy is about has a column `emial`",
            "`email`",
        ),
        (
            "  - {name: x, effect: restrict, rows: lower(region) = 'eu', what: {domains: [customer]}}\n",
            "policy-condition",
            (4, 39),
            "at character 1: `lower(…)`: a condition calls no functions",
            "comparisons",
        ),
        (
            "  - {name: x, effect: restrict, what: {products: [customer.households]}, rows: regoin = 'EU'}\n",
            "policy-column",
            (4, 80),
            "customer.households: there is no column `regoin`",
            "`region`",
        ),
        (
            "  - {name: x, effect: restrict, what: {products: [orders.lines]}, rows: amount > 'x'}\n",
            "policy-column",
            (4, 73),
            "`amount` is decimal(10, 2), which 'x' is not",
            None,
        ),
        ("  - {name: x, effect: restrict}\n", "policy-effect", (4, 23), "needs `rows`", None),
        ("  - {name: x, effect: mask}\n", "policy-effect", (4, 23), "needs `mask`", None),
        (
            "  - {name: x, effect: deny, mask: hide}\n",
            "policy-effect",
            (4, 35),
            "deny has no `mask`",
            "belongs to mask",
        ),
        (
            "  - {name: x, effect: mask, mask: raw}\n",
            "policy-effect",
            (4, 35),
            "only an exception",
            "exceptionTo",
        ),
        (
            "  - {name: x, effect: deny, notBefore: 2027-01-02, expires: 2027-01-01}\n",
            "policy-time",
            (4, 61),
            "before it begins",
            None,
        ),
        (
            (
                "  - {name: x, effect: mask, mask: hide, exceptionTo: [contractor-never], reason: y,"
                " approvedBy: [a, b], expires: 2027-01-01}\n"
            ),
            "unknown-policy",
            (4, 55),
            "no other policy `contractor-never`",
            "`contractors-never`",
        ),
        (
            "  - {name: x, effect: mask, mask: hide, exceptionTo: [contractors-never], approvedBy: [a, a]}\n",
            "policy-exception",
            (4, 54),
            "needs expires, reason, approvedBy with two different people",
            None,
        ),
        (
            (
                "  - {name: x, effect: grant, action: read_clear, who: {purposes: [reporting]}, reason: y,"
                " notBefore: 2027-01-01, expires: 2027-01-03}\n"
            ),
            "policy-clear",
            (4, 38),
            "at most 24 hours",
            "notBefore and expires",
        ),
    ],
)
def test_a_mistake_is_told_with_place_cause_and_way_out(
    tmp_path: Path, text: str, code: str, place: tuple[int, int], words: str, way: str | None
) -> None:
    found = told(tmp_path, text)
    assert found.span is not None
    assert (found.code, found.span.file, found.span.line, found.span.column) == (code, MORE, *place)
    assert words in found.message
    assert (way is None) is (found.help is None)
    assert way is None or way in str(found.help)


def test_e2_a_rule_by_the_old_name_of_a_column_is_an_error(tmp_path: Path) -> None:
    renamed = "customProperties: [{property: renamedFrom, value: email, vendor: raymesh}]"
    columns = {("mail" if n == "email" else n): said for n, said in HOUSEHOLDS.items()}
    columns["mail"] += f", {renamed}"
    other = LINES | {"email": "logicalType: string, physicalType: varchar, tags: [pii.direct.email]"}
    files = product("customer.households", columns) | product("orders.lines", other)
    found = told(tmp_path, "  - {name: x, effect: mask, what: {columns: [email]}, mask: hide}\n", **files)
    assert (found.code, found.severity) == ("unknown-column", "error")
    assert "`email` of customer.households is called `mail` now" in found.message


def test_a_condition_for_many_products_is_a_warning_where_it_cannot_be_true(tmp_path: Path) -> None:
    found = told(tmp_path, "  - {name: x, effect: restrict, rows: amount > 3}\n")
    assert (found.code, found.severity) == ("policy-column", "warning")
    assert "in customer.households, so the condition is false there" in found.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  - {name: x, effect: deny, what: {products: [customer.households]}}\n", "cannot be about"),
        ("  - {name: x, effect: deny, what: {domains: [customer]}}\n", "cannot be about"),
        ("  - {name: x, effect: delegate}\n", "a domain cannot delegate"),
        (
            (
                "  - {name: x, effect: mask, mask: raw, exceptionTo: [mask-direct-identifiers], reason: y,"
                " approvedBy: [a, b], expires: 2027-01-01}\n"
            ),
            "cannot except anybody",
        ),
    ],
)
def test_d7_a_domain_cannot_reach_beyond_itself(tmp_path: Path, text: str, words: str) -> None:
    found = problems(
        tmp_path, "  []\n", **{"domains/orders/policies/more.yaml": policies("policies:\n" + text)}
    )
    assert words in found["policy-federation"].message


def test_d7_a_domains_grant_needs_a_delegation(tmp_path: Path) -> None:
    without = BASE[: BASE.index("  - name: orders-may-grant")]
    found = problems(tmp_path, "  []\n", **{"governance/policies/base.yaml": policies(without)})
    assert "nothing is delegated to the domain orders" in found["policy-federation"].message


def test_people_and_attributes_nobody_has_are_warnings(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "  - {name: x, effect: restrict, who: {groups: [analyst], principals: [ana, raymesh:orders.lines]},"
        " what: {products: [customer.households]}, rows: region = principal.regoin}\n",
    )
    assert {c: (d.severity, d.help) for c, d in found.items()} == {
        "unknown-group": ("warning", "did you mean `analysts`?"),
        "unknown-user": ("warning", "did you mean `anna`?"),
        "unknown-attribute": ("warning", "did you mean `region`?"),
    }


def test_d12_an_approver_who_is_in_the_group_that_benefits_is_none(tmp_path: Path) -> None:
    found = told(
        tmp_path,
        "  - {name: x, effect: mask, mask: raw, exceptionTo: [mask-direct-identifiers], reason: y,"
        " who: {groups: [analysts]}, approvedBy: [anna, ben], expires: 2027-01-01}\n",
    )
    assert (found.code, found.severity) == ("policy-exception", "error")
    assert "anna is one of those whom the exception is for" in found.message


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("logicalType: boolean, physicalType: boolean", "it is a boolean"),
        ("logicalType: date, physicalType: date", "it is a date"),
        ("logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 9999}", "0 to 9999"),
        ("logicalType: string, logicalTypeOptions: {maxLength: 4}", "at most 4 characters"),
        ("logicalType: string, enum: [{value: a}, {value: b}]", "2 are listed"),
    ],
)
def test_h14_tokens_of_few_values_are_warned_about(tmp_path: Path, said: str, why: str) -> None:
    columns = LINES | {"pin": f"{said}, tags: [pii.direct]"}
    found = problems(tmp_path, "  []\n", **product("orders.lines", columns))
    assert found["token-few-values"].severity == "warning"
    assert f"orders.lines.pin has few values ({why})" in found["token-few-values"].message


def test_a_mask_that_does_not_fit_a_type_is_warned_about(tmp_path: Path) -> None:
    text = "  - {name: x, effect: mask, what: {columns: [email]}, mask: {truncate: month}}\n"
    assert "does not fit customer.households.email, which is string" in told(tmp_path, text).message


def test_a11_files_laid_out_by_a_sensitive_column_are_refused(tmp_path: Path) -> None:
    custom = "customProperties:\n  - {property: partitionBy, value: [birth_date], vendor: raymesh}\n"
    found = problems(tmp_path, "  []\n", **product("customer.households", HOUSEHOLDS, custom))
    assert found["partition-sensitive"].severity == "error"
    assert "pii.quasi.birth_date" in found["partition-sensitive"].message


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("governance/policies/more.yml", "rename it to more.yaml"),
        ("governance/policy.yaml", "did you mean `policies`?"),
        ("governance/user.yaml", "did you mean `users.yaml`?"),
        ("governance/policies/tests/more.yml", "rename it to more.yaml"),
        ("domains/orders/policies/tests/more.yaml", "cases stand in governance/policies/tests"),
    ],
)
def test_a_file_that_is_not_read_is_an_error_because_its_rules_do_not_hold(
    tmp_path: Path, path: str, way: str
) -> None:
    found = problems(tmp_path, "  []\n", **{path: "{}"})
    assert (found["stray-governance"].severity, found["stray-governance"].help) == ("error", way)


def test_policies_with_errors_decide_nothing(tmp_path: Path) -> None:
    from raymesh.governance.compile import bundle_of

    root = governed_mesh(tmp_path, {MORE: policies("policies:\n  - {name: x, effect: restrict}\n")})
    documents = load_governance(root, {})
    assert documents is not None
    with pytest.raises(DocumentsInvalidError):
        bundle_of(documents, GovernanceSettings())
    with pytest.raises(DocumentsInvalidError):
        (root / MORE).write_text("policies: 3")
        load_governance(root, {})


def test_users_are_not_needed_for_policies_to_be_valid(tmp_path: Path) -> None:
    assert USERS
    root = governed_mesh(tmp_path, {"governance/users.yaml": None})
    assert validate(root).diagnostics == ()

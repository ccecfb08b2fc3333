"""`raymesh policy` as those who write policies use it."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from test_cli_documents import conforms

from policy_meshes import BASE, HEAD, governed_mesh, policies
from shops import Cli

TESTS = """\
tests:
  - name: an analyst sees pseudonyms of their own region
    as: anna
    product: customer.households
    purpose: reporting
    expect:
      columns: {email: token, birth_date: {truncate: year}, region: raw}
      shows: [{region: EU}]
      hides: [{region: US}, {region: EU, deleted: 2026-01-01}, {}]
  - name: without a purpose no personal data is there
    as: anna
    product: customer.households
    expect: {only: [household_id, region, deleted]}
  - name: contractors see nothing of customers
    principal: {name: x, groups: [contractors]}
    product: customer.households
    expect: {deny: denied}
"""
WRONG = """\
tests:
  - {name: too much, as: anna, product: customer.households, purpose: reporting, expect: {columns: {email: raw}}}
  - {name: not denied, as: anna, product: customer.households, expect: {deny: true}}
  - {name: denied, as: ben, product: customer.households, expect: {only: [region]}}
  - {name: other code, as: ben, product: customer.households, expect: {deny: purpose}}
  - {name: rows, as: anna, product: customer.households, expect: {shows: [{region: US}], hides: [{region: EU}]}}
  - {name: nobody, as: zoe, product: customer.households, expect: {deny: true}}
  - {name: nothing, as: anna, product: customer.household, expect: {deny: true}}
  - {name: no column, as: anna, product: customer.households, expect: {shows: [{town: Bonn}]}}
  - {name: who, product: customer.households, expect: {deny: true}}
"""


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is a governed mesh of the test's own; nothing is built."""
    root = tmp_path / "mesh"
    root.mkdir()
    governed_mesh(root, {"governance/policies/tests/households.yaml": HEAD.format("PolicyTests") + TESTS})
    monkeypatch.chdir(root)
    return root


def test_explain_says_rows_columns_and_the_rules_behind_them(cli: Cli, mesh: Path) -> None:
    found = cli("policy", "explain", "customer.households", "--as", "anna", "--purpose", "reporting")
    assert found.code == 0
    assert "not published yet: as its contract says" in found.out
    assert "rows: region = 'EU' and deleted is null" in found.out
    assert "granted by: analysts-read-households (governance/policies/base.yaml:4)" in found.out
    lines = {
        line.split()[0]: line for line in found.out.splitlines() if line.startswith(("email", "birth_date"))
    }
    assert "token" in lines["email"]
    assert "mask-direct-identifiers (governance/policies/base.yaml:9)" in lines["email"]
    assert "{truncate: year}" in lines["birth_date"]


def test_explain_without_a_purpose_names_hidden_columns_for_authors(cli: Cli, mesh: Path) -> None:
    out = cli("policy", "explain", "customer.households", "--as", "anna").out
    assert any(line.split() == ["email", "absent", "no", "purpose"] for line in out.splitlines())


def test_explain_of_a_denial_says_which_rule(cli: Cli, mesh: Path) -> None:
    found = cli("policy", "explain", "customer.households", "--as", "ben")
    assert (found.code, "denied (denied): a policy forbids it" in found.out) == (0, True)
    assert "by contractors-never (governance/policies/base.yaml:17)" in found.out


def test_explain_says_which_rule_is_over(cli: Cli, mesh: Path) -> None:
    """The usual reason why somebody sees less than last week."""
    file = mesh / "governance/policies/base.yaml"
    over = """  - name: letters
    effect: mask
    who: {groups: [analysts]}
    what: {tags: [pii.direct.email]}
    mask: raw
    exceptionTo: [mask-direct-identifiers]
    approvedBy: [carl, dora]
    reason: a campaign
    expires: 2026-01-01
"""
    file.write_text(file.read_text() + over)
    words = ("policy", "explain", "customer.households", "--purpose", "reporting", "--as")
    told = cli(*words, "anna").out
    assert re.search(r"not in force: letters \(\S+base.yaml:\d+\), until 2026-01-01 00:00 UTC\n", told)
    document = cli(*words, "anna", "--output", "json").json
    conforms(document)
    ended = {"policy": "letters", "not_before": None, "expires_at": "2026-01-01T00:00:00+00:00"}
    assert document["not_in_force"] == [ended]
    assert "not in force" not in cli("policy", "explain", "customer.households", "--as", "ben").out
    file.write_text(file.read_text().replace("2026-01-01", "2999-01-01"))
    assert "not in force" not in cli(*words, "anna").out


def test_a_purpose_that_is_none_is_told_with_the_readers_own(cli: Cli, mesh: Path) -> None:
    told = cli("policy", "explain", "customer.households", "--as", "anna", "--purpose", "reportin").out
    assert "denied (purpose): anna is not approved for reportin; approved: reporting" in told


def test_explain_of_a_published_product_looks_at_what_is_published(cli: Cli, mesh: Path) -> None:
    assert cli("run", "--quiet").code == 0
    found = cli("policy", "explain", "customer.households", "--as", "anna", "--output", "json").json
    assert (found["version"], found["allowed"], found["enforcement"]) == (1, True, "advisory")


def test_documents_are_as_declared(cli: Cli, mesh: Path) -> None:
    words = ("policy", "explain", "customer.households", "--output", "json", "--as")
    optional = (r"denial.*|grants.*|row_rules.*",)
    conforms(cli(*words, "anna").json, optional=optional)
    conforms(cli(*words, "ben").json, optional=(*optional, r"columns.*"))
    conforms(cli("policy", "test", "--output", "json").json)
    conforms(cli("policy", "ls", "--output", "json").json)
    conforms(cli("policy", "diff", str(mesh), "--output", "json").json)


def test_unknown_people_and_products_are_told_with_close_names(cli: Cli, mesh: Path) -> None:
    person = cli("policy", "explain", "customer.households", "--as", "ana")
    assert (person.code, "did you mean `anna`?" in person.err) == (1, True)
    product = cli("policy", "explain", "customer.household", "--as", "anna")
    assert (product.code, "did you mean `customer.households`?" in product.err) == (1, True)


def test_cases_that_hold_pass(cli: Cli, mesh: Path) -> None:
    found = cli("policy", "test")
    assert (found.code, found.out.splitlines()[-1]) == (0, "3 passed, 0 failed")


def test_cases_that_do_not_hold_say_why(cli: Cli, mesh: Path) -> None:
    (mesh / "governance/policies/tests/households.yaml").write_text(HEAD.format("PolicyTests") + WRONG)
    found = cli("policy", "test")
    assert (found.code, found.out.splitlines()[-1]) == (4, "0 passed, 9 failed")
    for told in (
        "`email` should be raw, and is token",
        "it should be denied, and is allowed",
        "it is denied (denied): a policy forbids it",
        "it should be denied as `purpose`, and is denied as `denied`",
        "a row with region = 'US' should be shown, and is hidden",
        "a row with region = 'EU' should be hidden, and is shown",
        "there is no user `zoe`",
        "there is no product `customer.household`",
        "customer.households has no column `town`",
        "a case needs either `as`, a user of users.yaml, or `principal`",
        "governance/policies/tests/households.yaml:4:12",
    ):
        assert told in found.out


def test_cases_as_junit_are_xml_with_counts(cli: Cli, mesh: Path) -> None:
    good = ET.fromstring(cli("policy", "test", "--output", "junit").out)  # our own text
    assert (good.get("tests"), good.get("failures")) == ("3", "0")
    (mesh / "governance/policies/tests/more.yaml").write_text(HEAD.format("PolicyTests") + WRONG)
    answer = cli("policy", "test", "--output", "junit")
    both = ET.fromstring(answer.out)  # our own text
    assert (answer.code, both.get("tests"), both.get("failures")) == (4, "12", "9")
    assert [s.get("name") for s in both] == [
        "governance/policies/tests/households.yaml",
        "governance/policies/tests/more.yaml",
    ]
    assert len(both.findall(".//failure")) == 9


def test_diff_says_who_gains_and_who_loses(cli: Cli, mesh: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    later.mkdir()
    looser = BASE.replace('    rows: "region = principal.region and deleted is null"\n', "")
    files = {
        "governance/policies/base.yaml": policies(looser.replace("mask: token", "mask: absent")),
        "domains/orders/policies/own.yaml": None,
    }
    governed_mesh(later, files)
    found = cli("policy", "diff", str(mesh), str(later), "--output", "json").json["differences"]
    seen = {(d["principal"], d["purpose"], d["column"]): (d["sense"], d["before"], d["after"]) for d in found}
    rows = "where region = 'EU' and deleted is null"
    assert seen["anna", None, "region"] == ("gains", f"raw {rows}", "raw")
    assert seen["anna", "reporting", "email"] == ("loses", f"token {rows}", "absent")
    assert seen["ben", None, "amount"] == ("loses", "raw", "absent")
    assert seen["group|analysts", None, "region"] == ("gains", "raw where no row", "raw")
    assert not any(d["principal"] == "ben" and d["product"].startswith("customer") for d in found)
    back = cli("policy", "diff", str(later), str(mesh), "--output", "json").json["differences"]
    assert {d["sense"] for d in back if d["principal"] == "anna" and d["column"] == "region"} == {"loses"}
    told = cli("policy", "diff", str(mesh), str(later)).out
    assert "gains" in told
    assert re.search(r"^\d+ gains, \d+ losses", told, re.MULTILINE)


def test_diff_of_the_same_policies_is_nothing(cli: Cli, mesh: Path) -> None:
    assert cli("policy", "diff", str(mesh)).out == "nobody gains or loses anything\n"


def test_ls_shows_every_policy_with_its_place(cli: Cli, mesh: Path) -> None:
    out = cli("policy", "ls").out
    assert "analysts-read-households  grant     global  analysts" in out
    assert "domains/orders/policies/own.yaml:4:11" in out


def test_a_mesh_without_policies_says_how_to_begin(cli: Cli, shop: Path) -> None:
    found = cli("policy", "ls")
    assert (found.code, "governance/policies/NAME.yaml" in found.err) == (2, True)

"""What is told beside rows: runs, samples, numbers, sign-ins. None of it is for those who may not see the rows."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml

import raymesh
from governed_shops import write_governed_shop
from meshes import write_domain, write_mesh, write_product
from raymesh.cli.app import run
from raymesh.errors import DocumentsInvalidError
from shops import Answer

FORBIDDEN = "4711"
USERS = (
    "apiVersion: raymesh/v1\nkind: Users\nusers:\n"
    "  - {name: guest}\n  - {name: olga, groups: [shop-team]}\n  - {name: otto, groups: [auditors]}\n"
)
POLICY = (
    "apiVersion: raymesh/v1\nkind: Policies\npolicies:\n"
    "  - {name: audit, effect: grant, who: {groups: [auditors]}, what: {products: [shop.codes]}}\n"
)


def call(root: Path, *words: str) -> Answer:
    """What the command line says of the mesh at `root`."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        run(["-C", str(root), *words])
    return Answer(int(stop.value.code or 0), out.getvalue(), err.getvalue())


def ask(root: Path, name: str = "") -> Answer:
    """Somebody asks for access, by name where there is one."""
    who = ["--as", name] if name else []
    words = ["--purpose", "audit", "--for", "1d", "--reason", "why not"]
    return call(root, "access", "request", "shop.codes", *words, *who)


def said(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.out)
    return found


def records(root: Path, kind: str) -> list[dict[str, Any]]:
    listed = call(root, "audit", "tail", "--kind", kind, "--private", "-n", "100", "--output", "json")
    found: list[dict[str, Any]] = said(listed)["records"]
    return found


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A governed product whose first build was blocked by two rows: nothing of it was ever published."""
    root = write_mesh(tmp_path / "mesh")
    column = {
        "physicalType": "bigint",
        "tags": ["internal"],
        "quality": [{"metric": "invalidValues", "arguments": {"validValues": [1, 2]}, "mustBe": 0}],
    }
    write_product(
        root, "shop.codes", {"code": column}, sql=f"SELECT unnest([1, 2, {FORBIDDEN}, {FORBIDDEN}]) AS code"
    )
    product = root / "domains/shop/products/codes/product.yaml"
    document = yaml.safe_load(product.read_text(encoding="utf-8"))
    document["team"] = {"name": "shop-team"}
    product.write_text(yaml.safe_dump(document), encoding="utf-8")
    (root / "governance/policies").mkdir(parents=True)
    (root / "governance/users.yaml").write_text(USERS, encoding="utf-8")
    (root / "governance/policies/shop.yaml").write_text(POLICY, encoding="utf-8")
    with raymesh.Mesh.load(root) as mesh:
        (report,) = mesh.run().reports
    assert report.status == "blocked"
    return root


@pytest.mark.parametrize("reader", ["guest", "otto", None])
def test_a_product_that_was_never_published_tells_strangers_no_number_and_no_sample(
    reader: str | None, blocked: Path
) -> None:
    who = ["--as", reader] if reader else []
    for verb in ("show", "history"):
        for output in ("json", "text"):
            told = call(blocked, verb, "shop.codes", *who, "--output", output).out
            assert FORBIDDEN not in told
            assert "2 of 4" not in told
            assert "written" not in told
    shown = said(call(blocked, "show", "shop.codes", *who, "--output", "json"))
    assert shown["run"]["rows"] is None
    assert {c["value"] for c in shown["checks"]} == {None}


def test_how_a_build_failed_is_not_told_to_strangers(blocked: Path) -> None:
    sql = blocked / "domains/shop/products/codes/transform.sql"
    sql.write_text(f"SELECT CAST('id-{FORBIDDEN}' AS bigint) AS code", encoding="utf-8")
    assert call(blocked, "run").code == 1
    assert FORBIDDEN in call(blocked, "show", "shop.codes", "--as", "olga").out
    for output in ("json", "text"):
        assert FORBIDDEN not in call(blocked, "history", "shop.codes", "--as", "otto", "--output", output).out
        assert FORBIDDEN not in call(blocked, "show", "shop.codes", "--as", "otto", "--output", output).out


def test_the_team_that_owns_a_product_learns_why_it_was_never_published_but_no_value(blocked: Path) -> None:
    told = call(blocked, "show", "shop.codes", "--as", "olga").out
    assert "2 of 4 rows" in told
    assert FORBIDDEN not in told


def test_without_governance_a_blocked_build_shows_its_sample_rows(blocked: Path) -> None:
    for file in ("users.yaml", "policies/shop.yaml"):
        (blocked / "governance" / file).unlink()
    (blocked / "governance/policies").rmdir()
    (blocked / "governance").rmdir()
    with closing(sqlite3.connect(blocked / ".raymesh/mesh.db")) as connection:
        connection.execute("DELETE FROM raymesh_bundles")
        connection.commit()
    told = call(blocked, "show", "shop.codes").out
    assert FORBIDDEN in told
    assert "written" in told


def test_bytes_of_files_are_not_told_to_those_who_do_not_see_all_rows(tmp_path: Path) -> None:
    root = write_governed_shop(tmp_path / "mesh")
    with raymesh.Mesh.load(root) as mesh:
        mesh.run()
    assert "B written" not in call(root, "show", "shop.customers", "--as", "anna").out
    assert "B written" in call(root, "show", "shop.customers", "--as", "otto").out


def test_a_refused_sign_in_is_a_record_without_the_secret(
    blocked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(blocked, "mallory").code == 6
    assert ask(blocked, "rmt_pasted-token").code == 6
    assert ask(blocked).code == 6  # nobody tried anything
    monkeypatch.setenv("RAYMESH_TOKEN", "rmt_wrong")
    assert ask(blocked, "otto").code == 6
    named, pasted, proved = records(blocked, "sign-in")
    assert named["private"] == {"name": "mallory"}
    assert "mallory" not in json.dumps(named["detail"])
    assert (proved["principal"], proved["detail"]["by"], proved["outcome"]) == ("otto", "token", "refused")
    assert "rmt_" not in json.dumps([named, pasted, proved])
    assert call(blocked, "audit", "verify").code == 0


def test_a_refused_sign_in_stays_refused_when_the_log_cannot_be_written(blocked: Path) -> None:
    with closing(sqlite3.connect(blocked / ".raymesh/mesh.db")) as connection:
        connection.execute("DROP TABLE raymesh_audit_checkpoints")
        connection.commit()
    assert ask(blocked, "mallory").code == 6


def test_nothing_is_built_under_policies_that_do_not_compile(blocked: Path) -> None:
    policies = blocked / "governance/policies/shop.yaml"
    rule = '  - {name: rows, effect: restrict, what: {products: [shop.codes]}, rows: "nope ="}\n'
    policies.write_text(POLICY + rule, encoding="utf-8")
    result = call(blocked, "run", "--refresh")
    assert result.code == 3
    assert "nope" in result.err
    with raymesh.Mesh.load(blocked) as mesh, pytest.raises(DocumentsInvalidError):
        mesh.run()
    planned = call(blocked, "plan")
    assert (planned.code, planned.out) == (3, "")
    assert "nope" in planned.err


UNFIT = (
    "  - {name: rows, effect: restrict, what: {products: [shop.codes]}, rows: \"regoin = 'EU'\"}\n",
    "  - {name: names, effect: mask, what: {products: [shop.codes], columns: [regoin]}, mask: absent}\n",
)


@pytest.mark.parametrize("rule", UNFIT)
def test_policies_about_columns_that_are_not_there_stop_the_run_with_their_place(
    blocked: Path, rule: str
) -> None:
    policies = blocked / "governance/policies/shop.yaml"
    policies.write_text(POLICY + rule, encoding="utf-8")
    told = {verb: call(blocked, verb) for verb in ("validate", "plan", "run")}
    for verb, answer in told.items():
        assert answer.code == 3, verb
        said = answer.out + answer.err
        assert "governance/policies/shop.yaml:5:" in said
        assert "`regoin`" in said
        assert "help:" in said
    assert len(records(blocked, "publish")) == 0
    with raymesh.Mesh.load(blocked) as mesh, pytest.raises(DocumentsInvalidError):
        mesh.run()


@pytest.mark.parametrize("rule", UNFIT)
def test_a_policy_that_does_not_fit_stops_nobody_it_is_not_about(blocked: Path, rule: str) -> None:
    write_domain(blocked, "other")
    write_product(blocked, "other.things", {"id": {"physicalType": "bigint"}}, sql="SELECT 1::bigint AS id")
    policies = blocked / "governance/policies/shop.yaml"
    policies.write_text(POLICY + rule, encoding="utf-8")
    assert call(blocked, "plan", "other.things").code == 0
    assert call(blocked, "run", "other.things").code == 0


def test_a_line_of_the_audit_log_fits_a_page_and_json_has_all_of_it(blocked: Path) -> None:
    for _ in range(2):
        ask(blocked, "x" * 300)
    call(blocked, "token", "new", "otto")
    lines = call(blocked, "audit", "tail").out.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 120
    assert len(records(blocked, "identity")[0]["detail"]["digest"]) == 71


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM raymesh_audit_head",
        "UPDATE raymesh_audit_head SET size = size - 1",
        "DELETE FROM raymesh_audit; DELETE FROM raymesh_audit_checkpoints; DELETE FROM raymesh_audit_head",
    ],
)
def test_a_log_without_its_head_is_a_finding_not_an_error(damage: str, blocked: Path) -> None:
    call(blocked, "token", "new", "otto")
    call(blocked, "token", "new", "olga")
    with closing(sqlite3.connect(blocked / ".raymesh/mesh.db")) as connection:
        connection.executescript(damage)
        connection.commit()
    result = call(blocked, "audit", "verify", "--output", "json")
    assert result.code == 4
    assert said(result)["sound"] is False
    assert said(result)["findings"]


def test_nobody_can_have_the_name_of_a_service(blocked: Path) -> None:
    users = blocked / "governance/users.yaml"
    users.write_text(USERS + '  - {name: "raymesh:shop.codes"}\n', encoding="utf-8")
    assert call(blocked, "validate").code == 3


def test_an_agreement_is_exported_without_saying_how(blocked: Path) -> None:
    result = call(blocked, "access", "export", "ag-none")
    assert result.code == 1
    assert "there is no agreement" in result.err


def test_what_is_set_aside_is_a_publish_record_of_its_own(tmp_path: Path) -> None:
    root = write_mesh(tmp_path / "mesh")
    columns = {"id": "bigint", "value": {"physicalType": "bigint", "required": True}}
    sql = "SELECT range AS id, CASE WHEN range = 3 THEN NULL ELSE range END::bigint AS value FROM range(200)"
    write_product(root, "shop.numbers", columns, sql=sql, onViolation="quarantine")
    with raymesh.Mesh.load(root) as mesh:
        (report,) = mesh.run().reports
    assert report.status == "published"
    told = {r["product"]: r["detail"]["rows"] for r in records(root, "publish")}
    assert told == {"shop.numbers": 199, "shop.numbers__quarantine": 1}

"""Variables are resolved field by field; secrets stay references."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from spec_examples import CONTRACT, MESH, SOURCE, codes, content, problems

from raymesh.errors import NotFoundError
from raymesh.spec.load import load_contract
from raymesh.spec.mesh_file import load_mesh_document
from raymesh.spec.secrets import SecretRef, holds_password, reveal, variables_of
from raymesh.spec.variables import resolve_variables


def resolved(text: str, env: dict[str, str]) -> tuple[object, list[str]]:
    found, trouble = resolve_variables(content(text), env)
    return found, [p.code for p in trouble]


def test_a_variable_has_its_value_or_its_default() -> None:
    assert resolved("a: x-${A}-${B:-b}-${C:-}", {"A": "1"}) == ({"a": "x-1-b-"}, [])
    assert resolved("a: [{b: '${A:-x y}'}]", {"A": ""}) == ({"a": [{"b": "x y"}]}, [])


@pytest.mark.parametrize("env", [{}, {"A": ""}])
def test_an_unresolvable_variable_is_an_error_and_stays_as_written(env: dict[str, str]) -> None:
    assert resolved("a: x${A}", env) == ({"a": "x${A}"}, ["unresolved-variable"])


@pytest.mark.parametrize("token", ["${}", "${A-b}", "${A:?x}", "${1A}", "${A", "${a b}"])
def test_another_form_is_an_error(token: str) -> None:
    assert resolved(f"a: '{token}'", {"A": "1"}) == ({"a": token}, ["variable-syntax"])


def test_placeholders_of_queries_and_contexts_are_left_alone() -> None:
    text = """
schema:
  - name: t
    context: Use ${revenue}, not ${measure}.
    quality: [{type: sql, query: 'SELECT ${column} FROM ${SCHEMA}.${table} WHERE ${object} ${property} ${unknown form}'}]
    properties: [{name: revenue}]
context: {verifiedStatements: [{question: q, answer: 'Sum ${revenue}'}]}
"""
    found, trouble = resolved(text, {"SCHEMA": "s"})
    assert trouble == []
    table = found["schema"][0]  # type: ignore[index]
    assert (
        table["quality"][0]["query"]
        == "SELECT ${column} FROM s.${table} WHERE ${object} ${property} ${unknown form}"
    )
    assert table["context"] == "Use ${revenue}, not ${measure}."
    assert found["context"]["verifiedStatements"][0]["answer"] == "Sum ${revenue}"  # type: ignore[index]


def test_values_of_other_vendors_are_left_alone_and_ours_are_not() -> None:
    text = "customProperties: [{property: p, value: '${A}', vendor: them}, {property: q, value: '${A}', vendor: raymesh}]"
    found, trouble = resolved(text, {"A": "1"})
    assert [p["value"] for p in found["customProperties"]] == ["${A}", "1"]  # type: ignore[index]
    assert trouble == []


def test_the_raw_document_keeps_the_text_as_written(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONTRACT + "tenant: ${TENANT:-post}\n")
    document = load_contract(path, {})
    assert (document.model.tenant, document.raw["tenant"]) == ("post", "${TENANT:-post}")


def test_an_unresolved_variable_is_reported_once_at_its_place(tmp_path: Path) -> None:
    (problem,) = problems(
        tmp_path, MESH + "state: '${STATE}'\nengines: {default: '${ENGINE}'}\n", {"STATE": "sqlite://"}
    )
    assert (problem.code, str(problem.span)) == ("unresolved-variable", "example.yaml:5:20")
    assert "ENGINE" in problem.message


def test_a_secret_stays_a_reference_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(MESH + "state: postgresql://me:${env:PW}@${HOST:-db}/mesh\n")
    state = load_mesh_document(tmp_path, {"PW": "hunter2"}).model.state
    assert state.text == "postgresql://me:${env:PW}@db/mesh"
    assert state.resolve({"PW": "hunter2"}) == "postgresql://me:hunter2@db/mesh"
    for shown in (repr(state), str(state), f"{state}"):
        assert "me:" not in shown
        assert "${env:PW}" in shown
    assert pickle.loads(pickle.dumps(state)) == state


def test_the_names_of_secrets_are_found_wherever_they_stand() -> None:
    refs = [
        SecretRef("postgresql://u:${env:PW}@h/${file:db}"),
        {"a": ("x${env:A}", {"b": SecretRef("${env:B}")})},
    ]
    assert variables_of(refs) == {"PW", "A", "B"}
    assert variables_of({"a": None, "b": 1, "c": "${VARIABLE}"}) == frozenset()


def test_a_missing_secret_says_which(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="PW is not set"):
        SecretRef("${env:PW}").resolve({})
    with pytest.raises(NotFoundError, match=r"pw\.txt cannot be read"):
        SecretRef("${file:pw.txt}").resolve({}, tmp_path)
    (tmp_path / "pw.txt").write_text("hunter2\n")
    assert SecretRef("${file:pw.txt}").resolve({}, tmp_path) == "hunter2"


def test_reveal_goes_through_mappings_and_lists() -> None:
    value = {"a": [SecretRef("${env:X}")], "b": (1, SecretRef("plain"))}
    assert reveal(value, {"X": "x"}) == {"a": ["x"], "b": (1, "plain")}


@pytest.mark.parametrize(
    "text",
    [
        MESH + "description: the password is ${env:PW}\n",
        MESH + "warehouse: s3://${env:BUCKET}/x\n",
        SOURCE + "description: ${file:x}\n",
        CONTRACT + "tenant: ${env:X}\n",
    ],
)
def test_a_secret_elsewhere_is_an_error(tmp_path: Path, text: str) -> None:
    assert codes(problems(tmp_path, text, {"PW": "x", "BUCKET": "x", "X": "x"})) == ["misplaced-secret"]


@pytest.mark.parametrize(
    "text",
    [
        SOURCE.replace("parquet\n", "postgres\n", 1).replace("lines.parquet", "postgresql://h/d")
        + "table: t\npassword: hunter2\n",
        SOURCE.replace("parquet\n", "postgres\n", 1).replace("lines.parquet", "postgresql://h/d")
        + "table: t\npassword: x${env:A}\n",
        SOURCE.replace("parquet\n", "postgres\n", 1).replace("lines.parquet", "postgresql://h/d")
        + "table: t\npassword: ${PW}\n",
        SOURCE.replace("parquet\n", "postgres\n", 1).replace("lines.parquet", "postgresql://u:hunter2@h/d")
        + "table: t\n",
        SOURCE + "storage: {secretAccessKey: hunter2}\n",
        MESH + "storage: {s3: {accessKeyId: hunter2}}\n",
        MESH + "state: postgresql://u:hunter2@h/d\n",
        MESH + "state: postgresql://h/d?user=a&password=hunter2\n",
        MESH + "warehouse: https://u:hunter2@h/d\n",
    ],
)
def test_a_secret_in_plain_text_is_an_error_that_does_not_repeat_it(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text, {"PW": "hunter2"})
    assert problem.code == "plain-secret"
    assert "hunter2" not in problem.message + (problem.help or "")
    assert "${env:" in (problem.help or "") or "without a password" in (problem.help or "")


def test_addresses_without_a_password_are_none_of_our_business() -> None:
    assert not holds_password("postgresql://user@host:5432/db")
    assert not holds_password("s3://bucket/a:b@c")
    assert not holds_password("postgresql://u:${env:PW}@h/d")
    assert not holds_password("postgresql://${env:USER}:${env:PW}@h/d")
    assert not holds_password("postgresql://${env:USER}@h/d")
    assert not holds_password("postgresql://u:${file:/keys/pw}@h/d")
    assert holds_password("postgresql://${env:USER}:p@h/d")
    assert holds_password("postgresql://${env:USER}:p${env:PW}@h/d")
    assert holds_password("postgresql://u:p@h/d")
    assert holds_password("postgresql://u:p@ss@h/d")

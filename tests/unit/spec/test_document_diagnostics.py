"""Problems are told all at once, in sentences, with the place and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_examples import CONTRACT, DOMAIN, MESH, PRODUCT, SOURCE, codes, problems

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.spec.excerpt import format_diagnostic

HEAD = "apiVersion: v3.2.0\nkind: DataContract\nid: a\nversion: '1'\n"


def test_the_excerpt_points_at_the_place_and_says_what_to_do() -> None:
    source = "\n" * 9 + "        logicalType: strng\n"
    problem = Diagnostic(
        "wrong-value",
        "`logicalType` is wrong",
        SourceSpan("orders.yaml", 10, 22, 27),
        help="did you mean `string`?",
    )
    assert format_diagnostic(problem, source) == (
        "error[wrong-value]: `logicalType` is wrong\n"
        "  --> orders.yaml:10:22\n"
        "   |\n"
        "10 |         logicalType: strng\n"
        "   |                      ^^^^^\n"
        "   = help: did you mean `string`?"
    )


def test_without_source_or_place_the_sentence_remains() -> None:
    assert format_diagnostic(Diagnostic("x", "gone", SourceSpan("a", 3, 1))) == "error[x]: gone\n --> a:3:1"
    assert format_diagnostic(Diagnostic("x", "gone", severity="warning")) == "warning[x]: gone"


def test_color_changes_no_letters() -> None:
    problem = Diagnostic("x", "gone", SourceSpan("a", 1, 1, 2))
    colored = format_diagnostic(problem, "ab", color=True)
    assert "\x1b[" in colored
    plain = colored.replace("\x1b[1;31m", "").replace("\x1b[0m", "")
    assert plain == format_diagnostic(problem, "ab")


def test_carets_stand_below_wide_letters_and_inside_long_lines() -> None:
    lines = format_diagnostic(Diagnostic("x", "y", SourceSpan("a", 1, 4, 5)), "日本: x").splitlines()
    assert lines[-1].removeprefix("  | ") == "     ^"
    long = "a" * 500 + "HERE" + "b" * 500
    lines = format_diagnostic(Diagnostic("x", "y", SourceSpan("a", 1, 501, 505)), long).splitlines()
    assert len(lines[-2]) < 140
    at = lines[-1].index("^")
    assert lines[-2][at : at + 4] == "HERE"


def test_control_characters_of_a_document_never_reach_the_terminal() -> None:
    problem = Diagnostic("x", "a\x1b[2Jb", SourceSpan("f\x1b.yaml", 1, 1), help="c\x07")
    assert "\x1b" not in format_diagnostic(problem, "k: \x1b[31mred")
    assert "\x07" not in format_diagnostic(problem, "k: \x1b[31mred")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("plain-secret", "password: hunter2"),
        ("unknown-key", "{password: hunter2, foo: 1}"),
        ("unknown-key", 'secretAccessKey: "hunter2"'),
        ("x", "state: postgresql://u:hunter2@host/db"),
    ],
)
def test_an_excerpt_shows_no_secret(code: str, line: str) -> None:
    shown = format_diagnostic(Diagnostic(code, "x", SourceSpan("a", 1, 11, 18)), line)
    assert "hunter2" not in shown
    assert line[:6] in shown


def test_every_problem_of_a_document_is_reported_in_one_go_and_in_order(tmp_path: Path) -> None:
    text = HEAD + (
        "tags: gold\nTeam: []\nschema:\n  - name: t\n    properties:\n      - name: a\n        logicalType: strng\n"
        "        logicaltype: string\n        required: yes\n        quality: [{metric: rowCount, mustBe: 1}]\n"
    )
    found = problems(tmp_path, text)
    assert codes(found) == [
        "wrong-type",
        "unknown-key",
        "wrong-value",
        "unknown-key",
        "wrong-type",
        "metric-level",
    ]
    assert [d.span.line for d in found if d.span] == [5, 6, 11, 12, 13, 14]
    assert [d.help for d in found][:5] == [
        "write `tags: [gold]`",
        "did you mean `team`?",
        "did you mean `string`?",
        "did you mean `logicalType`?",
        "write `required: true`",
    ]


def test_a_misspelt_required_key_is_one_problem_not_two(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, HEAD.replace("version:", "Version:"))
    assert (problem.code, problem.help) == ("unknown-key", "did you mean `version`?")


def test_no_message_speaks_the_language_of_the_library(tmp_path: Path) -> None:
    text = (
        HEAD
        + "tags: [1]\nprice: {priceAmount: x}\nservers: [1]\nschema: {}\ndescription: 5\nteam: 3\nroles: [{}]\nstatus:\n"
    )
    found = problems(tmp_path, text)
    assert len(found) == 8
    for problem in found:
        assert not any(
            word in problem.message
            for word in ("Input", "valid", "instance", "Extra", "tuple", "dict", "pydantic")
        )


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("id: 5", "wrong-type", "must be text, not the number 5"),
        ("tags: [a, 1]", "wrong-type", "item 2 of `tags` must be text"),
        ("status:", "wrong-type", "`status` has no value"),
        ("price: {priceAmount: '5'}", "wrong-type", "must be a number"),
        ("context: [x]", "wrong-type", "must be a mapping"),
        ("team: [{user: x}]", "unknown-key", "a team member has no key `user`"),
        ("slaProperties: [{property: a, value: [1]}]", "wrong-type", "text, a number, a boolean or null"),
        ("roles: [{}]", "missing-key", "a role needs `role`"),
        ("support: [{id: 'a b', channel: x}]", "wrong-value", "`id` cannot be"),
        ("customProperties: [{id: a.b, property: x, value: 1}]", "wrong-value", "an `id` is one word"),
    ],
)
def test_a_wrong_value_is_described(tmp_path: Path, text: str, code: str, words: str) -> None:
    head = HEAD.replace("id: a\n", "") if text.startswith("id:") else HEAD
    (problem,) = problems(tmp_path, head + text + "\n")
    assert problem.code == code
    assert words in problem.message


@pytest.mark.parametrize("document", [MESH, DOMAIN, SOURCE, PRODUCT, CONTRACT])
def test_an_unknown_key_never_passes(tmp_path: Path, document: str) -> None:
    assert codes(problems(tmp_path, document)) == []
    assert codes(problems(tmp_path, document + "surprise: 1\n")) == ["unknown-key"]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty-document"), ("# nothing", "empty-document"), ("- a", "wrong-type"), ("a", "wrong-type")],
)
def test_a_document_that_is_no_mapping_is_one_problem(tmp_path: Path, text: str, code: str) -> None:
    from raymesh.spec.mesh_file import load_mesh_document

    (tmp_path / "mesh.yaml").write_text(text)
    with pytest.raises(Exception, match="1 problem") as caught:
        load_mesh_document(tmp_path, {})
    assert codes(caught.value.diagnostics) == [code]  # type: ignore[attr-defined]

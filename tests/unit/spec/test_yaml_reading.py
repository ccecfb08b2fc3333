"""YAML is read as YAML 1.2 means it, and nothing in a file can do harm."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.errors import SourceSpan
from raymesh.spec.yaml import MAX_BYTES, read_yaml


def value(text: str) -> object:
    read = read_yaml(text.encode(), "f.yaml")
    assert read.diagnostics == ()
    return read.value


def codes(data: str | bytes) -> list[str]:
    return [
        d.code for d in read_yaml(data if isinstance(data, bytes) else data.encode(), "f.yaml").diagnostics
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-01T10:00:00Z",
        "12:30",
        "yes",
        "NO",
        "on",
        "1_000",
        "1.2.3",
        "0o8",
        "y",
        "=",
        "1e",
        "0b1",
    ],
)
def test_what_yaml_1_1_would_change_stays_text(text: str) -> None:
    assert value(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("-3", -3), ("+4", 4), ("1e3", 1000.0), (".5", 0.5), ("2.", 2.0),
        ("1.10", 1.1), ("true", True), ("False", False), ("~", None), ("null", None), ("", None), ("-.inf", -math.inf),
        ('"1"', "1"), ("'true'", "true"), ("!!str 5", "5"), ("!!int 5", 5), ("!!float 5", 5.0), ("! 5", "5"),
    ],
)  # fmt: skip
def test_the_core_schema_gives_numbers_booleans_and_null(text: str, meaning: object) -> None:
    found = value(f"a: {text}")
    assert found == {"a": meaning}
    assert type(found["a"]) is type(meaning)  # type: ignore[index]


def test_every_key_and_value_has_a_place() -> None:
    places = read_yaml('é: ü\nlist:\n  - x: 1\n    "y": abc\n'.encode(), "f.yaml").positions
    assert places.value(("é",)) == SourceSpan("f.yaml", 1, 4, 5)
    assert places.key(("list", 0, "y")) == SourceSpan("f.yaml", 4, 5, 8)
    assert places.value(("list", 0, "y")) == SourceSpan("f.yaml", 4, 10, 13)


def test_a_place_that_does_not_exist_is_the_nearest_above_it() -> None:
    places = read_yaml(b"a:\n  b: 1\n", "f.yaml").positions
    assert places.value(("a", "missing", 3)) == places.key(("a",))
    assert places.value(("missing",)).line == 1


def test_a_key_that_is_there_twice_is_reported_with_the_line_of_the_first() -> None:
    (problem,) = read_yaml(b"a: 1\nb: 2\na: 3\n", "f.yaml").diagnostics
    assert (problem.code, str(problem.span)) == ("duplicate-key", "f.yaml:3:1")
    assert "line 1" in problem.message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\t- b", "2:1", "tab"),
        ("a: b: c", "1:5", "second `: `"),
        ("a: [1, 2", "1:4", "bracket is not closed"),
        ('a: "x', "1:4", "quote is not closed"),
        ("a: @x", "1:4", "cannot begin"),
        ("a:\n  b: 1\n c: 2", "3:2", "does not fit"),
        ('a: "\\q"', "1:5", "escape"),
    ],
)
def test_a_syntax_error_has_a_sentence_a_place_and_a_way_out(text: str, place: str, words: str) -> None:
    (problem,) = read_yaml(text.encode(), "f.yaml").diagnostics
    assert (problem.code, str(problem.span)) == ("yaml-syntax", f"f.yaml:{place}")
    assert words in problem.message
    assert problem.help


def test_hostile_files_are_refused_and_never_crash() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(
        f"{n}: &{n} [{','.join(['*' + p] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert codes(bomb) == ["alias"]
    assert codes("a: &x [*x]") == ["alias"]
    assert codes("[" * 200_000) == ["too-deep"]
    assert codes("- " * 5_000 + "a") == ["too-deep"]
    assert codes("{a: " * 5_000) == ["too-deep"]
    assert codes(b"a: " + b"x" * MAX_BYTES) == ["document-too-large"]
    assert codes("a: " + "9" * 5_000) == ["number-too-long"]
    assert codes("a: !!python/object/apply:os.system [ls]") == ["yaml-tag"]
    assert codes(b"a: \x00") == ["yaml-syntax"]
    assert codes(b"\xff\xfea\x00") == ["not-utf8"]


def test_bytes_that_are_no_utf8_are_placed() -> None:
    (problem,) = read_yaml("a: é\nb: ".encode() + b"\xff", "f.yaml").diagnostics
    assert (problem.code, str(problem.span)) == ("not-utf8", "f.yaml:2:4")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1: a", "key-not-text"), ("true: a", "key-not-text"), ("? [a]\n: b", "key-not-text"), ("<<: {a: 1}", "merge-key"),
        ("a: 1\n---\nb: 2", "several-documents"), ("a: *nowhere", "alias"), ("a: !custom x", "yaml-tag"), ("a: !!int x", "wrong-type"),
    ],
)  # fmt: skip
def test_what_json_could_not_say_is_an_error(text: str, code: str) -> None:
    assert codes(text) == [code]


def test_an_anchor_may_be_used_again() -> None:
    assert value("a: &x {b: [1]}\nc: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1", "f.yaml").value == {"a": 1}


@given(
    st.binary(max_size=200)
    | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,? \n\t~<=.019", max_size=80).map(str.encode)
)
def test_no_bytes_raise(data: bytes) -> None:
    read = read_yaml(data, "f.yaml")
    for problem in read.diagnostics:
        assert problem.span is not None
        assert problem.span.line >= 1
    read.positions.value(("a", 0))

"""Patterns of the standard's dialect mean the same in RE2, or are refused by name."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raymesh.quality.formats import STRING_FORMATS, date_pattern, moment
from raymesh.quality.pattern import PatternError, re2_pattern


def found(pattern: str, text: str) -> bool:
    with duckdb.connect() as con:
        answer = con.execute("SELECT regexp_matches($t, $p)", {"t": text, "p": pattern}).fetchall()
    return bool(answer[0][0])


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\u00e9$", "é", "e"),
        (r"^\u{1F600}$", "😀", "x"),
        (r"^[\u0041-\u0043]$", "B", "D"),
        (r"^\/a$", "/a", "a"),
        (r"^a.b$", "axb", "a\nb"),
        (r"^a.b$", "a\tb", "a\u2028b"),
        (r"^\s$", "\u00a0", "x"),
        (r"^\S$", "x", "\u2003"),
        (r"^[\s]$", "\ufeff", "x"),
        (r"^[[:alpha:]]$", ":]", "b"),
        (r"^[^]$", "\n", ""),
        (r"^(?<year>\d{4})$", "2024", "x"),
        (r"^\cJ$", "\n", "J"),
        (r"^[\b]$", "\x08", "b"),
        (r"^a{,2}$", "a{,2}", "aa"),
        (r"^\p{Script=Greek}$", "α", "a"),
        (r"^\d$", "1", "١"),
        (r"^x$", "x", "x\n"),
        (r"^a{2,3}?$", "aa", "a"),
        (r"^[\w\-.]+$", "a-b.c", "a b"),
    ],
)
def test_the_meaning_is_kept(pattern: str, good: str, bad: str) -> None:
    assert found(re2_pattern(pattern), good)
    assert not found(re2_pattern(pattern), bad)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)", "looking ahead"),
        ("(?!a)", "looking ahead"),
        ("(?<=a)b", "looking back"),
        ("(?<!a)b", "looking back"),
        (r"(a)\1", "referring back"),
        (r"(?<n>a)\k<n>", "referring back"),
        ("a{1001}", "1000 repetitions"),
        ("(?>a)", "atomic"),
        ("a*+", "possessive"),
        (r"\Aa\z", "escape \\A"),
        ("(a", "without its"),
        ("a)", "without its"),
        ("[a", "without its"),
        ("a\\", "at the end"),
        (r"\ud83d", "surrogate"),
        (r"\u12", "hexadecimal"),
    ],
)
def test_what_re2_cannot_do_is_refused_by_name(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=re.escape(reason)):
        re2_pattern(pattern)


@settings(max_examples=150, deadline=None)
@given(st.text(r"ab01^$.*+?|()[]{}\-dws", max_size=8), st.text("ab01 -", max_size=4))
def test_patterns_both_engines_know_find_the_same(pattern: str, text: str) -> None:
    try:
        ours = re2_pattern(pattern)
        theirs = re.compile(pattern.replace("$", r"\Z"), re.ASCII)
        answer = found(ours, text)
    except (PatternError, re.error, FutureWarning, duckdb.Error):
        return
    if "[" not in pattern and r"\d" not in pattern.replace(r"\\", ""):
        assert answer == (theirs.search(text) is not None)


@pytest.mark.parametrize("name", sorted(STRING_FORMATS))
def test_formats_are_anchored_patterns(name: str) -> None:
    assert not found(STRING_FORMATS[name], "\n")
    assert STRING_FORMATS[name].startswith("^")


@pytest.mark.parametrize(
    ("pattern", "text", "iso"),
    [
        ("yyyy-MM-dd", "2024-02-29", "2024-02-29"),
        ("dd.MM.yyyy", "01.02.2024", "2024-02-01"),
        ("yyyyMMdd'T'HHmmss", "20240201T030405", "2024-02-01T03:04:05"),
        ("yyyy-MM-dd HH:mm:ss.SSSXXX", "2024-02-01 03:04:05.250+02:00", "2024-02-01T03:04:05.250000+02:00"),
        ("HH:mm", "23:59", "23:59:00"),
        (None, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00+00:00"),
        ("dd.MM.yyyy", "2024-02-01", "2024-02-01"),
    ],
)
def test_date_patterns_read_what_they_write(pattern: str | None, text: str, iso: str) -> None:
    read = moment(text, pattern)
    assert read is not None
    assert read.isoformat() == iso


@pytest.mark.parametrize("text", ["2024-02-30", "tomorrow", "", "31.12.2024"])
def test_texts_that_are_no_moment_are_none(text: str) -> None:
    assert moment(text, None) is None


def test_patterns_that_depend_on_locale_are_not_understood() -> None:
    assert date_pattern("d MMMM yyyy") is None
    assert date_pattern("EEE") is None
    sortable = date_pattern("yyyyMMdd")
    assert sortable is not None
    assert sortable.sortable

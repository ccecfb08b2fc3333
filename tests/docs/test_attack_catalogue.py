"""Every row of the attack catalogue names tests that exist, or a limit that the threat model admits."""

from __future__ import annotations

import re

from pages import ROOT

ROWS = {"A": 18, "B": 10, "C": 17, "D": 15, "E": 12, "F": 10, "G": 10, "H": 14, "I": 12}
IDS = {f"{letter}{n}" for letter, count in ROWS.items() for n in range(1, count + 1)}
PAGE = ROOT / "docs/security/attack-catalogue.md"
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def rows() -> dict[str, str]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [line.split("|", 2)[1:] for line in lines if re.match(r"\| [A-I]\d+ \|", line)]
    assert len(found) == len({i.strip() for i, _ in found}), "an id stands twice"
    return {i.strip(): text for i, text in found}


def all_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in TEST.findall(file.read_text(encoding="utf-8"))}


def not_defended() -> set[str]:
    page = (ROOT / "docs/security/threat-model.md").read_text(encoding="utf-8")
    section = page.partition("## What is not defended")[2].partition("\n## ")[0]
    return set(re.findall(r"\b[A-I]\d+\b", section))


def test_the_catalogue_is_complete() -> None:
    assert set(rows()) == IDS
    assert len(IDS) == 118


def test_every_test_a_row_names_is_there() -> None:
    known = all_tests()
    named = {name for text in rows().values() for name in re.findall(r"`(test_\w+)`", text)}
    assert not named - known


def test_a_row_without_a_test_is_a_limit_the_threat_model_admits() -> None:
    admitted = not_defended()
    for identifier, text in rows().items():
        limited = "not defended" in text
        assert limited or "`test_" in text, identifier
        assert limited == (identifier in admitted), identifier


def test_every_test_of_an_attack_is_of_a_row() -> None:
    numbered = {m[1].upper() for t in all_tests() if (m := re.match(r"test_([a-iA-I]\d+)_", t))}
    assert numbered <= IDS

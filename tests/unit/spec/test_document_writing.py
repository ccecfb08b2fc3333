"""What is written is read back as it was, and reads well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from spec_examples import FIXTURES

from raymesh.spec.load import load_contract, load_product
from raymesh.spec.write import export, to_yaml
from raymesh.spec.yaml import read_yaml

TRICKY = ["yes", "1e3", "0o17", "1_000", "12:30", "2026-01-01", "~", "", "-", "a: b", "a #b", "<<", "*a", "\na", "a\n\n", "a \nb", "\x85", "\u2028", "---", "a" * 200, "a b " * 60, " a\nb"]  # fmt: skip
TEXT = st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """A form in which 1, 1.0 and True differ and the order of keys does not matter."""
    if isinstance(value, dict):
        return {key: exact(item) for key, item in sorted(value.items())}
    return [exact(item) for item in value] if isinstance(value, list) else (type(value).__name__, repr(value))


@given(st.dictionaries(TEXT, VALUE, max_size=4))
def test_any_document_is_read_back_as_it_was(document: dict[str, Any]) -> None:
    read = read_yaml(to_yaml(document).encode(), "f.yaml")
    assert read.diagnostics == ()
    assert exact(read.value) == exact(document)


@given(value=VALUE, text=TEXT)
def test_a_contract_with_foreign_properties_survives_export_and_load(
    tmp_path_factory: pytest.TempPathFactory, value: Any, text: str
) -> None:
    contract = {
        "kind": "DataContract",
        "apiVersion": "v3.2.0",
        "version": "1",
        "id": text,
        "customProperties": [{"vendor": "other-tool", "property": "p", "value": value}],
        "description": {"purpose": "x", "unknown key": [value]} if "${" not in repr(value) else {},
    }
    path = tmp_path_factory.mktemp("contract") / "a.odcs.yaml"
    if "${" in text:
        return
    path.write_text(to_yaml(contract), encoding="utf-8")
    first = load_contract(path, {})
    path.write_text(export(first), encoding="utf-8")
    again = load_contract(path, {})
    assert exact(again.raw) == exact(first.raw) == exact(contract)
    assert again.model == first.model


@pytest.mark.parametrize(
    ("name", "load"), [("complete.odcs.yaml", load_contract), ("complete.odps.yaml", load_product)]
)
def test_complete_documents_survive_export_and_load(tmp_path: Path, name: str, load: Any) -> None:
    first = load(FIXTURES / name, {})
    (tmp_path / name).write_text(export(first), encoding="utf-8")
    again = load(tmp_path / name, {})
    assert exact(again.raw) == exact(first.raw)
    assert again.model == first.model


def test_a_yaml_1_1_reader_understands_the_same_text() -> None:
    words = {f"k{i}": word for i, word in enumerate(TRICKY)}
    assert yaml.safe_load(to_yaml(words)) == words


def test_known_keys_come_in_the_standards_order_and_lists_of_words_on_one_line() -> None:
    text = to_yaml(
        {
            "schema": [{"properties": [{"tags": ["a", "b"], "name": "x"}], "name": "t"}],
            "id": "i",
            "kind": "DataContract",
            "apiVersion": "v3.2.0",
        }
    )
    assert text == (
        "apiVersion: v3.2.0\nkind: DataContract\nid: i\nschema:\n"
        "  - name: t\n    properties:\n      - name: x\n        tags: [a, b]\n"
    )


def test_long_text_is_written_as_a_block() -> None:
    assert to_yaml({"query": "SELECT 1\nFROM t\n"}) == "query: |\n  SELECT 1\n  FROM t\n"

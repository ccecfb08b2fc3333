"""The generated JSON Schemas accept and reject what the models do, in both drafts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from spec_examples import CONTRACT, DOMAIN, FIXTURES, MESH, PRODUCT, SOURCE, content

from raymesh.spec.excerpt import format_diagnostic
from raymesh.spec.jsonschema import json_schema
from raymesh.spec.kinds import KINDS
from raymesh.spec.reading import Reader
from raymesh.spec.write import to_yaml

EXACT = {kind: jsonschema.Draft202012Validator(json_schema(kind)) for kind in KINDS}
EDITOR = {kind: jsonschema.Draft7Validator(json_schema(kind, "draft-07")) for kind in KINDS}

GOOD = [
    *(content(text) for text in (MESH, DOMAIN, SOURCE, PRODUCT, CONTRACT)),
    *(content(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("*.yaml"))),
]
COMPLETE = {document["kind"]: document for document in GOOD}
REPLACEMENTS: list[Any] = [None, True, -1, 2.5, "", "map", "custom", "v3.0.2", [], ["x"], {}, {"a": 1}]


def accepted(document: dict[str, Any]) -> bool:
    try:
        KINDS[document["kind"]].model_validate(document)
    except ValidationError:
        return False
    return True


def in_both_schemas(document: dict[str, Any]) -> tuple[bool, bool]:
    kind = document["kind"]
    return EXACT[kind].is_valid(document), EDITOR[kind].is_valid(document)


def places(value: Any, loc: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [loc, *(place for key, item in items for place in places(item, (*loc, key)))]


def variants(document: dict[str, Any], *, complete: bool) -> list[tuple[str, dict[str, Any]]]:
    """The document with each value removed or replaced by others; not `complete`: in one of these ways."""
    out = []
    for number, place in enumerate(places(document)):
        if not place or place == ("kind",):
            continue
        ways = (..., *(REPLACEMENTS[(number * step + step) % len(REPLACEMENTS)] for step in (1, 7)))
        for replacement in ways if complete else ways[number % 3 : number % 3 + 1]:
            changed = copy.deepcopy(document)
            owner = changed
            for part in place[:-1]:
                owner = owner[part]
            if replacement is ...:
                del owner[place[-1]]
            else:
                owner[place[-1]] = replacement
            out.append((f"{'.'.join(map(str, place))} = {replacement!r}", changed))
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_themselves_are_valid(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    jsonschema.Draft7Validator.check_schema(json_schema(kind, "draft-07"))
    assert "$defs" not in json.dumps(json_schema(kind, "draft-07"))


@pytest.mark.parametrize("document", GOOD, ids=lambda d: d["kind"])
def test_good_documents_are_accepted_by_all(document: dict[str, Any]) -> None:
    assert accepted(document)
    assert in_both_schemas(document) == (True, True)


UNSAYABLE = (  # what needs more than one place of a document: names of columns, lengths of two lists
    "schema.0.relationships.0",
    "schema.0.quality.1.arguments.properties",
    *(f"schema.0.properties{place} =" for place in ("", ".0", ".0.name", ".1", ".1.name")),
)


@pytest.mark.parametrize("kind", KINDS)
def test_models_and_schemas_agree_on_changed_documents(kind: str, request: pytest.FixtureRequest) -> None:
    disagreements = [
        what
        for what, document in variants(COMPLETE[kind], complete=request.config.getoption("--complete"))
        if not what.startswith(UNSAYABLE)
        and {accepted(document), *in_both_schemas(document)} not in ({True}, {False})
    ]
    assert disagreements == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "a", "a.b", "${A}", "map", "sql", "rowCount"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_stands_anywhere_is_a_diagnostic_and_never_a_crash(
    kind: str, tmp_path: Path, data: st.DataObject
) -> None:
    document = copy.deepcopy(COMPLETE[kind])
    for _ in range(2):
        *parents, last = data.draw(st.sampled_from(places(document)[1:]))
        owner = document
        for part in parents:
            owner = owner[part]
        owner[last] = data.draw(ANYTHING)
    (tmp_path / "a.yaml").write_text(to_yaml(document), encoding="utf-8")
    reader = Reader(tmp_path, {})
    found = reader.document("a.yaml", KINDS[kind])
    assert (found is None) is any(d.severity == "error" for d in reader.diagnostics)
    for diagnostic in reader.diagnostics:
        assert format_diagnostic(diagnostic, (tmp_path / "a.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "change",
    [
        {"password": "${env:PW}"},
        {"type": "postgres", "location": "postgresql://h/d"},
        {"type": "postgres", "location": "postgresql://h/d", "table": "t", "query": "q"},
        {"type": "postgres", "location": "h", "table": "t"},
        {"options": {"header": True}},
        {"name": "Not A Name"},
    ],
)
def test_sources_that_the_models_refuse_are_refused_by_the_schemas(change: dict[str, Any]) -> None:
    document = content(SOURCE) | change
    assert not accepted(document)
    assert in_both_schemas(document) == (False, False)


def test_an_editor_schema_has_nothing_beside_a_reference() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert "$ref" not in value or len(value) == 1
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    for kind in KINDS:
        check(json_schema(kind, "draft-07"))


def test_schemas_are_written_the_same_every_time(tmp_path: Path) -> None:
    assert json.dumps(json_schema("DataContract")) == json.dumps(json_schema("DataContract"))

"""The taxonomy: tags are registered, compared exactly, and errors where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshes import write_mesh, write_product
from raymesh.actions.validate import validate
from raymesh.errors import Diagnostic, DocumentsInvalidError
from raymesh.spec.classifications import Classifications, default_document, normal, skeleton, taxonomy
from raymesh.spec.load import load_mesh


def governed(root: Path, tag: str | list[str] = "pii.direct.email", **column: object) -> Path:
    """A mesh with one column and the built-in tags."""
    write_mesh(root)
    tags = [tag] if isinstance(tag, str) else tag
    write_product(
        root,
        "shop.people",
        {"email": {"physicalType": "varchar", "tags": tags, **column}},
        sql="SELECT 'a' AS email",
    )
    (root / "governance").mkdir()
    (root / "governance" / "users.yaml").write_text("apiVersion: raymesh/v1\nkind: Users\nusers: []\n")
    return root


def problems(root: Path) -> list[Diagnostic]:
    return [d for d in validate(root, bind=False).diagnostics if d.severity == "error"]


def classify(root: Path, **content: object) -> None:
    document = {"apiVersion": "raymesh/v1", "kind": "Classifications", **content}
    (root / "governance" / "classifications.yaml").write_text(json.dumps(document))


def test_a_registered_tag_is_fine_in_any_case(tmp_path: Path) -> None:
    assert (
        problems(governed(tmp_path, ["PII.Direct.Email", "Restricted"], classification="Confidential")) == []
    )


@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("pii.direct.emial", "pii.direct.email"),
        ("pii.direct.email ", "pii.direct.email"),
        ("рii.direct.email", "pii.direct.email"),  # Cyrillic er
        ("pii.direct.e\u200bmail", "pii.direct.email"),
        ("ｐｉｉ", "pii"),
        ("pii-direct-email", "pii.direct.email"),
    ],
)
def test_a_tag_that_only_looks_registered_is_an_error_that_names_the_one_meant(
    tmp_path: Path, tag: str, meant: str
) -> None:
    (found,) = problems(governed(tmp_path, tag))
    assert found.code == "unknown-tag"
    assert f"`{meant}`" in (found.help or "")
    assert found.span is not None
    assert found.span.file.endswith("contract.yaml")


def test_composed_and_decomposed_letters_are_the_same_tag() -> None:
    assert normal("Gehe\u0069m.Ü") == normal("geheim.u\u0308")


def test_loading_refuses_unknown_tags(tmp_path: Path) -> None:
    with pytest.raises(DocumentsInvalidError):
        load_mesh(governed(tmp_path, "secret"), {})


def test_tags_of_nested_members_and_classifications_must_be_registered_too(tmp_path: Path) -> None:
    member = {"name": "m", "logicalType": "string", "tags": ["nope"], "classification": "nope"}
    column = {"logicalType": "object", "properties": [member]}
    assert len(problems(governed(tmp_path, "pii", **column))) == 2


def test_a_mesh_that_is_not_governed_may_use_any_words(tmp_path: Path) -> None:
    root = governed(tmp_path, "whatever")
    (root / "governance" / "users.yaml").unlink()
    assert problems(root) == []


def test_an_own_taxonomy_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    root = governed(tmp_path, "geheim")
    classify(root, tags=[{"tag": "Geheim", "sensitive": True}])
    assert problems(root) == []
    classify(root, tags=[{"tag": "offen"}])
    assert [p.code for p in problems(root)] == ["unknown-tag"]


def test_a_taxonomy_with_a_mistake_is_reported_once(tmp_path: Path) -> None:
    root = governed(tmp_path, "geheim")
    classify(root, tags=[{"tag": "a b"}])
    assert [p.code for p in problems(root)] == ["wrong-value"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"tags": [{"tag": "pii"}, {"tag": "PII"}]}, "duplicate-key"),
        ({"purposes": [{"name": "a"}, {"name": "a"}]}, "duplicate-key"),
        ({"tags": [{"tag": "pii", "detect": {"names": ["(?<=x)y"]}}]}, "wrong-value"),
        ({"tags": [{"tag": "pii", "detect": {"names": ["("]}}]}, "wrong-value"),
        ({"tags": [{"tag": "pii", "detect": {"pattern": "mail"}}]}, "wrong-value"),
        ({"tags": [{"tag": ""}]}, "wrong-value"),
        ({"tags": [{"tag": "pii..x"}]}, "wrong-value"),
    ],
)
def test_mistakes_in_a_taxonomy_are_told(tmp_path: Path, content: dict[str, object], code: str) -> None:
    root = governed(tmp_path, [])
    classify(root, **content)
    assert code in [p.code for p in problems(root)]


def test_the_built_in_taxonomy_is_a_document_one_can_start_from() -> None:
    own = taxonomy(Classifications.model_validate(default_document()))
    built_in = taxonomy(None)
    assert own.names == built_in.names
    assert own.sensitive == built_in.sensitive
    assert "pii.direct.email" in built_in.sensitive
    assert "public" not in built_in.sensitive


def test_every_tag_infer_proposes_is_built_in() -> None:
    from raymesh.actions.infer_patterns import _NAMES, TEXT_KINDS

    proposed = {tag for _, tag in _NAMES} | {k.tag for k in TEXT_KINDS if k.tag}
    assert proposed <= taxonomy(None).names


def test_skeletons_of_different_words_differ() -> None:
    names = taxonomy(None).names
    assert len({skeleton(n) for n in names}) == len(names)


# purposes and consent


def with_settings(root: Path, **settings: object) -> None:
    file = root / "domains/shop/products/people/contract.yaml"
    contract = json.loads(file.read_text())
    contract["customProperties"] = [
        {"property": k, "value": v, "vendor": "raymesh"} for k, v in settings.items()
    ]
    file.write_text(json.dumps(contract))


def test_purposes_of_a_contract_are_registered(tmp_path: Path) -> None:
    root = governed(tmp_path, "pii")
    classify(root, tags=[{"tag": "pii"}], purposes=[{"name": "reporting"}])
    with_settings(root, purposes=["reporting"])
    assert problems(root) == []
    with_settings(root, purposes=["reportin"], consent={"fun": "email"})
    assert [p.code for p in problems(root)] == ["unknown-purpose", "unknown-purpose"]


def test_consent_names_a_column(tmp_path: Path) -> None:
    root = governed(tmp_path, "pii")
    with_settings(root, consent={"marketing": "emial"})
    (found,) = problems(root)
    assert (found.code, found.help) == ("unknown-column", "did you mean `email`?")


@pytest.mark.parametrize("name", ["purposes", "consent"])
def test_what_binds_readers_stands_in_the_contract(tmp_path: Path, name: str) -> None:
    root = governed(tmp_path, "pii")
    file = root / "domains/shop/products/people/product.yaml"
    product = json.loads(file.read_text())
    value = {"a": "email"} if name == "consent" else ["a"]
    product["customProperties"] = [{"property": name, "value": value, "vendor": "raymesh"}]
    file.write_text(json.dumps(product))
    assert [p.code for p in problems(root)] == ["misplaced-setting"]

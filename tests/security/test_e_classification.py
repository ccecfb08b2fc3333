"""Attacks on classification: new columns, renames, laundering through transforms, tags taken away, holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import publish
from meshes import write_mesh, write_product
from raymesh.actions.classify import propose
from raymesh.actions.classify_acts import answer_lowering, ask_lowering, confirm
from raymesh.actions.read import open_engine
from raymesh.actions.targets import targets
from raymesh.actions.workspace import open_storage_only
from raymesh.errors import AccessDeniedError, GovernanceError, NotFoundError
from raymesh.spec.classifications import default_document
from raymesh.spi.audit import AuditFilter
from shops import Cli

EMAIL = {"physicalType": "varchar", "tags": ["pii.direct.email"]}
PUBLIC = {"physicalType": "bigint", "tags": ["public"]}
PEOPLE = {"id": PUBLIC, "email": EMAIL}
SECRET = "anna@example.com"
MADE = f"SELECT 1::bigint AS id, '{SECRET}' AS email"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A governed mesh: analysts read everything, e-mail is masked; ben and carl decide for the shop."""
    write_mesh(tmp_path)
    write_product(tmp_path, "shop.people", PEOPLE, sql=MADE)
    policies = [
        {
            "name": "analysts",
            "effect": "grant",
            "who": {"groups": ["analysts"]},
            "what": {"domains": ["shop"]},
        },
        {"name": "no-addresses", "effect": "mask", "what": {"tags": ["pii.direct"]}, "mask": "hide"},
    ]
    users = [
        {"name": "anna", "groups": ["analysts"], "purposes": ["reporting"]},
        {"name": "ben", "groups": ["shop-team"]},
        {"name": "carl", "groups": ["shop-team"]},
    ]
    govern(tmp_path, "policies/all.yaml", kind="Policies", policies=policies)
    govern(tmp_path, "users.yaml", kind="Users", users=users)
    govern(tmp_path, "classifications.yaml", **{**default_document(), "purposes": [{"name": "reporting"}]})
    return tmp_path


def govern(root: Path, name: str, **content: Any) -> None:
    file = root / "governance" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"apiVersion": "raymesh/v1", **content}))


def seen(cli: Cli, root: Path, name: str, *more: str) -> list[dict[str, Any]]:
    """What anna gets to see of a product."""
    answer = cli(
        "-C", root, "read", name, "--as", "anna", "--purpose", "reporting", "--format", "json", *more
    )
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def tags(root: Path, name: str) -> dict[str, tuple[frozenset[str], bool]]:
    with open_storage_only(root) as storage:
        return {c.name: (c.tags, c.classified) for c in targets(storage, [name])[name].columns}


def inherits(root: Path, columns: Sequence[str], **transform: str) -> None:
    """A product with these columns (none tagged) made from people: every one must be tagged as an address."""
    write_product(root, "shop.copy", dict.fromkeys(columns, "varchar"), **transform)
    publish(root)
    found = tags(root, "shop.copy")
    assert {c: "pii.direct.email" in found[c][0] for c in columns} == dict.fromkeys(columns, True)


# E1


def test_E1_a_new_column_nobody_classified_is_not_there(cli: Cli, root: Path) -> None:
    publish(root)
    phone = {**PEOPLE, "phone": "varchar"}
    write_product(root, "shop.people", phone, sql=MADE + ", '+49 30 1234567' AS phone", version="1.1.0")
    publish(root)
    assert seen(cli, root, "shop.people") == [{"id": 1, "email": None}]
    answer = cli(
        "-C", root, "read", "shop.people", "--as", "anna", "--purpose", "reporting", "--columns", "phone"
    )
    unknown = cli(
        "-C", root, "read", "shop.people", "--as", "anna", "--purpose", "reporting", "--columns", "fone"
    )
    assert answer.code == unknown.code != 0
    assert answer.err.replace("phone", "fone") == unknown.err, "as if it did not exist"


def test_E1_once_confirmed_it_is_there_as_policies_say(cli: Cli, root: Path) -> None:
    phone = {**PEOPLE, "phone": "varchar"}
    write_product(root, "shop.people", phone, sql=MADE + ", '+49 30 1234567' AS phone")
    publish(root)
    done = cli("-C", root, "classify", "shop.people", "--tag", "phone=pii.direct.phone", "--as", "ben")
    assert done.code == 0, done.err
    assert seen(cli, root, "shop.people") == [{"id": 1, "email": None, "phone": None}]


def test_E1_a_reader_cannot_classify(cli: Cli, root: Path) -> None:
    publish(root)
    answer = cli("-C", root, "classify", "shop.people", "--confirm", "--as", "anna")
    assert answer.code == 6
    assert answer.out == "", "the look at the values is for those who decide"


# E2


def test_E2_the_mask_follows_a_renamed_column(cli: Cli, root: Path) -> None:
    publish(root)
    renamed = {
        "physicalType": "varchar",
        "customProperties": [{"property": "renamedFrom", "value": "email", "vendor": "raymesh"}],
    }
    sql = f"SELECT 1::bigint AS id, '{SECRET}' AS contact"
    write_product(root, "shop.people", {"id": PUBLIC, "contact": renamed}, sql=sql, version="2.0.0")
    publish(root)
    assert seen(cli, root, "shop.people") == [{"id": 1, "contact": None}]
    assert seen(cli, root, "shop.people", "--version", "1") == [{"id": 1, "email": None}]


def test_E2_columns_that_swap_names_uncover_nothing(cli: Cli, root: Path) -> None:
    columns = {"email": EMAIL, "city": {"physicalType": "varchar", "tags": ["public"]}}
    write_product(root, "shop.people", columns, sql=f"SELECT '{SECRET}' AS email, 'Berlin' AS city")
    publish(root)

    def renamed(old: str, **more: Any) -> dict[str, Any]:
        return {
            "physicalType": "varchar",
            "customProperties": [{"property": "renamedFrom", "value": old, "vendor": "raymesh"}],
            **more,
        }

    swapped = {"city": renamed("email", tags=["public"]), "email": renamed("city", tags=["pii.direct.email"])}
    write_product(
        root, "shop.people", swapped, sql=f"SELECT '{SECRET}' AS city, 'Berlin' AS email", version="2.0.0"
    )
    publish(root)
    assert SECRET not in json.dumps(seen(cli, root, "shop.people"))
    assert SECRET not in json.dumps(seen(cli, root, "shop.people", "--version", "1"))


# E9


@pytest.mark.parametrize(
    ("columns", "sql"),
    [
        (["x"], "SELECT upper(email) AS x FROM shop.people"),
        (["x"], "SELECT id || ':' || email AS x FROM shop.people"),
        (["a", "b", "c"], "SELECT email[1] AS a, email[2] AS b, email[3:] AS c FROM shop.people"),
        (["x"], "SELECT to_json({'a': email})::varchar AS x FROM shop.people"),
        (["x"], "SELECT to_json(p)::varchar AS x FROM shop.people p"),
        (["x"], "SELECT string_agg(email, ',') AS x FROM shop.people"),
        (["x"], "SELECT CASE WHEN email LIKE 'a%' THEN 'a' ELSE 'b' END AS x FROM shop.people"),
        (["x"], "SELECT (SELECT max(email) FROM shop.people) AS x"),
        (["x"], "SELECT (EXISTS (SELECT 1 FROM shop.people WHERE email LIKE 'a%'))::varchar AS x"),
        (["x"], "WITH a AS (SELECT email AS b FROM shop.people) SELECT reverse(b) AS x FROM a"),
        (["x"], "SELECT unnest(string_split(email, '')) AS x FROM shop.people"),
        (["x"], "SELECT email AS x FROM shop.people UNION ALL SELECT 'nobody'"),
        (["x"], "SELECT md5(email) AS x FROM shop.people"),
        (["x"], "SELECT first_value(email) OVER () AS x FROM shop.people"),
    ],
)
def test_E9_no_expression_launders_tags(root: Path, columns: list[str], sql: str) -> None:
    inherits(root, columns, sql=sql)


def test_E9_python_inherits_everything_it_was_given(root: Path) -> None:
    python = (
        "import pyarrow as pa\nfrom raymesh import batch\n\n\n@batch(input='shop.people')\n"
        "def transform(batch: pa.Table) -> pa.Table:\n"
        "    return pa.table({'x': batch['email'], 'y': pa.array(['n'] * len(batch))})\n"
    )
    inherits(root, ["x", "y"], python=python)


def test_E9_tags_go_on_through_the_products_made_from_it(cli: Cli, root: Path) -> None:
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT email AS x FROM shop.people")
    write_product(root, "shop.last", {"y": "varchar"}, sql="SELECT x AS y FROM shop.copy")
    publish(root)
    assert tags(root, "shop.last")["y"] == ({"pii.direct.email"}, True)
    assert seen(cli, root, "shop.last") == [{"y": None}]


def test_E9_a_tag_confirmed_upstream_counts_downstream_at_once(root: Path) -> None:
    write_product(root, "shop.people", {"id": PUBLIC, "email": "varchar"}, sql=MADE)
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT email AS x FROM shop.people")
    publish(root)
    assert tags(root, "shop.copy")["x"] == (frozenset(), False)
    with open_storage_only(root) as storage:
        confirm(storage, looked_at(storage, "shop.people"), "ben", tags={"email": ["pii.direct.email"]})
    assert tags(root, "shop.copy")["x"] == ({"pii.direct.email"}, True)


def looked_at(storage: Any, name: str) -> Any:
    engine = open_engine(storage)
    try:
        return propose(storage, engine, name)
    finally:
        engine.close()


# D4, D7


def test_D4_a_tag_that_is_not_registered_does_not_load(root: Path) -> None:
    for tag in ("pii.direct.emial", "рii.direct.email", "pii "):
        write_product(root, "shop.people", {"email": {"physicalType": "varchar", "tags": [tag]}}, sql=MADE)
        with pytest.raises(raymesh.MeshError, match="problem"):
            raymesh.Mesh.load(root)


def test_D4_an_unregistered_tag_cannot_be_confirmed(cli: Cli, root: Path) -> None:
    publish(root)
    answer = cli("-C", root, "classify", "shop.people", "--tag", "id=publik", "--as", "ben")
    assert (answer.code, "`public`" in answer.err) == (2, True)


def test_D7_taking_a_tag_out_of_the_contract_uncovers_nothing(cli: Cli, root: Path) -> None:
    publish(root)
    plain = {"id": PUBLIC, "email": {"physicalType": "varchar", "tags": ["public"]}}
    write_product(root, "shop.people", plain, sql=MADE, version="1.0.1")
    publish(root)
    assert seen(cli, root, "shop.people") == [{"id": 1, "email": None}]


def lowered(root: Path, product: str, column: str) -> None:
    with open_storage_only(root) as storage:
        asked = ask_lowering(storage, looked_at(storage, product), column, "ben", reason="it is hashed")
        answer_lowering(storage, looked_at(storage, product), asked.id, "carl", agree=True)


def test_D7_two_people_can_take_a_tag_away_and_the_log_knows(cli: Cli, root: Path) -> None:
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT md5(email) AS x FROM shop.people")
    publish(root)
    lowered(root, "shop.copy", "x")
    (row,) = seen(cli, root, "shop.copy")
    assert len(row["x"]) == 32
    with open_storage_only(root) as storage:
        found = storage.state.audit.records(AuditFilter(kind="declassification"))
    assert [(e.principal, e.outcome) for e in found] == [("carl", "lowered"), ("ben", "proposed")]


def test_D7_who_proposed_cannot_agree(root: Path) -> None:
    publish(root)
    with open_storage_only(root) as storage:
        asked = ask_lowering(storage, looked_at(storage, "shop.people"), "email", "ben", reason="no")
        with pytest.raises(GovernanceError, match="cannot agree"):
            answer_lowering(storage, looked_at(storage, "shop.people"), asked.id, "ben", agree=True)


def test_D7_a_domain_without_a_say_cannot_classify(root: Path, cli: Cli) -> None:
    publish(root)
    answer = cli(
        "-C", root, "classify", "shop.people", "--declassify", "email", "--reason", "x", "--as", "anna"
    )
    assert answer.code == 6


def test_D15_a_transform_changed_after_the_review_is_covered_again(cli: Cli, root: Path) -> None:
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT md5(email) AS x FROM shop.people")
    publish(root)
    lowered(root, "shop.copy", "x")
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT email AS x FROM shop.people")
    publish(root)
    assert seen(cli, root, "shop.copy") == [{"x": None}]


def test_D15_a_proposal_about_an_older_version_cannot_be_agreed_to(root: Path) -> None:
    publish(root)
    with open_storage_only(root) as storage:
        asked = ask_lowering(storage, looked_at(storage, "shop.people"), "email", "ben", reason="no")
    publish(root, refresh=True)
    with open_storage_only(root) as storage, pytest.raises(GovernanceError, match="version 1"):
        answer_lowering(storage, looked_at(storage, "shop.people"), asked.id, "carl", agree=True)


def test_E6_rows_from_before_the_review_stay_covered(cli: Cli, root: Path) -> None:
    """Version 1 handed addresses on; version 2 hashes them, and only that was reviewed."""
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT email AS x FROM shop.people")
    publish(root)
    write_product(root, "shop.copy", {"x": "varchar"}, sql="SELECT md5(email) AS x FROM shop.people")
    publish(root)
    lowered(root, "shop.copy", "x")
    assert seen(cli, root, "shop.copy") != [{"x": None}]
    assert seen(cli, root, "shop.copy", "--version", "1") == [{"x": None}]
    assert cli("-C", root, "rollback", "shop.copy", "--to", "1").code == 0
    assert seen(cli, root, "shop.copy") == [{"x": None}]


# I10


def test_I10_a_legal_hold_wins_over_retention_and_is_on_record(cli: Cli, root: Path) -> None:
    write_product(root, "shop.people", PEOPLE, sql=MADE, snapshots={"keep": 1}, legalHold="case 17")
    for _ in range(3):
        publish(root, refresh=True)
    assert cli("-C", root, "maintain", "shop.people").code == 0
    assert readable(root) == [1, 2, 3]
    with open_storage_only(root) as storage:
        entry = next(e for e in storage.state.audit.records() if e.outcome == "held")
    assert entry.said["detail"]["reason"] == "case 17"
    assert entry.said["detail"]["versions"] == [1, 2]
    write_product(root, "shop.people", PEOPLE, sql=MADE, snapshots={"keep": 1})
    assert cli("-C", root, "maintain", "shop.people").code == 0
    assert readable(root) == [3]


def readable(root: Path) -> list[int]:
    with open_storage_only(root) as storage:
        return sorted(v.number for v, _ in storage.state.evidence.versions() if v.product == "shop.people")


def test_a_product_that_does_not_exist_is_told_as_such(cli: Cli, root: Path) -> None:
    publish(root)
    answer = cli("-C", root, "classify", "shop.peopel", "--as", "anna")
    assert (answer.code, "there is no product shop.peopel" in answer.err) == (NotFoundError.exit_code, True)


def test_nobody_named_may_not_look_either(cli: Cli, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(root)
    monkeypatch.delenv("RAYMESH_AS", raising=False)
    assert cli("-C", root, "classify", "shop.people").code == AccessDeniedError.exit_code

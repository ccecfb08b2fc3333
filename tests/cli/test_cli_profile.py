"""raymesh profile: what is in the columns, what moved, and what is never told."""

from __future__ import annotations

import pytest

from meshes import write_mesh, write_product

COLUMNS = {
    "id": {"physicalType": "bigint", "primaryKey": True, "primaryKeyPosition": 1},
    "email": {"physicalType": "varchar", "tags": ["pii.direct.email"]},
    "country": {"physicalType": "varchar", "logicalType": "string"},
    "amount": {"physicalType": "double", "logicalType": "number"},
}
SQL = (
    "SELECT range AS id, 'user' || range || '@example.com' AS email, ['DE', 'FR'][1 + range % 2] AS country, "
    "(range + {shift})::double AS amount FROM range({rows})"
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty mesh, where commands are given."""
    root = write_mesh(tmp_path / "mesh")
    monkeypatch.chdir(root)
    return root


def _publish(cli, root, rows, shift):
    write_product(root, "shop.sales", COLUMNS, sql=SQL.format(rows=rows, shift=shift))
    assert cli("run", "--quiet").code == 0


def _columns(answer):
    return {c["name"]: c for c in answer.json["columns"]}


def test_a_profile_tells_counts_limits_means_and_frequent_values(cli, root):
    _publish(cli, root, 400, 0)
    found = _columns(cli("profile", "shop.sales", "--output", "json"))
    assert (found["id"]["distinct"], found["id"]["distinct_exact"]) == (400, True)
    assert (found["country"]["distinct"], found["country"]["top"][0]["share"]) == (2, 0.5)
    assert (found["amount"]["min"], found["amount"]["max"], found["amount"]["mean"]) == (0, 399, 199.5)
    assert found["amount"]["quantiles"]["0.5"] == 200
    assert "shop.sales version 1, 400 rows" in cli("profile", "shop.sales").out


def test_values_of_tagged_columns_are_never_told(cli, root):
    _publish(cli, root, 50, 0)
    for arguments in ((), ("--output", "json")):
        assert "@example.com" not in cli("profile", "shop.sales", *arguments).out
    assert _columns(cli("profile", "shop.sales", "--output", "json"))["email"]["hidden"]


def test_what_moved_is_said_in_words(cli, root):
    _publish(cli, root, 400, 0)
    _publish(cli, root, 400, 1000)
    shifts = cli("profile", "shop.sales", "--against", "1", "--output", "json").json["shifts"]
    assert [(s["column"], s["measure"], s["level"]) for s in shifts] == [("amount", "values", "strong")]
    assert "distributed otherwise" in cli("profile", "shop.sales", "--against", "1").out
    still = cli("profile", "shop.sales", "--against", "2").out
    assert "nothing moved enough to tell: rows by a fifth" in still


def test_versions_that_are_not_there_are_named(cli, root):
    assert cli("profile", "shop.sales").code != 0
    _publish(cli, root, 5, 0)
    assert cli("profile", "shop.sales", "--version", "9").code != 0


def test_a_rollback_brings_the_profile_back(cli, root):
    _publish(cli, root, 400, 0)
    _publish(cli, root, 100, 0)
    assert cli("rollback", "shop.sales", "--to", "1").code == 0
    assert _columns(cli("profile", "shop.sales", "--output", "json"))["id"]["distinct"] == 400

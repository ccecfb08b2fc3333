"""The demo's policies: three readers, one table."""

from __future__ import annotations

import pytest

from raymesh.errors import AccessDeniedError

pytestmark = pytest.mark.xdist_group("demo")  # one build for all

CONTACTS = "customer.contacts"


def test_marketing_sees_households_that_agreed_by_name(demo_mesh):
    rows = demo_mesh.mesh.read(CONTACTS, as_="anna", purpose="marketing").to_arrow()
    everybody = demo_mesh.read(CONTACTS).to_pylist()
    agreed = {r["household_id"] for r in everybody if r["marketing_consent"]}
    assert set(rows["household_id"].to_pylist()) == agreed
    assert len(agreed) < len(everybody)
    assert all("@example." in e for e in rows["email"].to_pylist())
    assert all(p.startswith("***") and len(p) == 7 for p in rows["phone"].to_pylist())
    with pytest.raises(AccessDeniedError):
        demo_mesh.mesh.read(CONTACTS, as_="anna")


def test_an_analyst_sees_everybody_and_nobodys_name(demo_mesh):
    rows = demo_mesh.mesh.read(CONTACTS, as_="bruno", purpose="analysis").to_arrow()
    assert rows.num_rows == demo_mesh.read(CONTACTS).num_rows
    assert rows["given_name"].null_count == rows.num_rows
    tokens = rows["email"].to_pylist()
    assert len(set(tokens)) == rows.num_rows
    assert all(len(t) == 32 for t in tokens)


def test_without_a_purpose_no_column_names_a_person(demo_mesh):
    named = {"given_name", "family_name", "email", "phone"}
    assert not named & set(demo_mesh.mesh.read(CONTACTS).to_arrow().schema.names)
    counted = demo_mesh.mesh.sql(f"SELECT count(*) AS n FROM {CONTACTS}", as_="bruno")
    assert counted.to_pylist() == [{"n": demo_mesh.read(CONTACTS).num_rows}]

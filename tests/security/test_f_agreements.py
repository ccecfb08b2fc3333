"""Attacks on time and concurrency (catalogue F), and on access by agreement (D8, D12, I12), on stored agreements."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshes import write_mesh, write_product, write_source
from raymesh.actions import access, audit
from raymesh.actions.audit_log import verify
from raymesh.actions.identity import principal_of
from raymesh.actions.workspace import Storage, open_storage_only
from raymesh.cli.app import _code
from raymesh.errors import (
    AccessDeniedError,
    CommitConflictError,
    GovernanceError,
    MeshError,
    NotFoundError,
    UsageError,
)
from raymesh.governance.agreements import Agreement, Terms
from raymesh.governance.audit import AuditRecord
from raymesh.spec.expression import Compare

DAY = 86_400
USERS = [
    {"name": "anna", "groups": ["analysts"], "purposes": ["reporting"]},
    {"name": "bea", "groups": ["shop-team"], "purposes": ["reporting"]},
    {"name": "carl", "groups": ["shop-team"]},
    {"name": "dora", "groups": ["shop-team"]},
    {"name": "eve"},
]
EMAIL = {"physicalType": "varchar", "logicalType": "string", "tags": ["pii.direct.email"]}


def write_people(root: Path, version: str = "1.0.0", **columns: Any) -> None:
    shape = {
        "id": "bigint",
        "email": EMAIL,
        "city": {"physicalType": "varchar", "tags": ["internal"]},
        **columns,
    }
    sql = "select id::bigint as id, email, city from source.raw"
    write_product(root, "shop.people", shape, sql=sql, version=version)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mesh(tmp_path)
    (tmp_path / "d.csv").write_text("id,email,city\n1,a@b.de,Ulm\n2,c@d.de,Bonn\n")
    write_source(tmp_path, "shop.raw", "d.csv", "csv")
    write_people(tmp_path)
    (tmp_path / "governance").mkdir()
    users = {"apiVersion": "raymesh/v1", "kind": "Users", "users": USERS}
    (tmp_path / "governance/users.yaml").write_text(json.dumps(users))
    assert _code(["-C", str(tmp_path), "run", "--quiet"]) == 0
    return tmp_path


@pytest.fixture
def storage(root: Path) -> Iterator[Storage]:
    with open_storage_only(root) as opened:
        yield opened


def now() -> datetime:
    return datetime.now(UTC)


class People(dict[str, Any]):
    def __init__(self, storage: Storage) -> None:
        super().__init__({u["name"]: principal_of(storage, str(u["name"]), env={}) for u in USERS})


def asked(storage: Storage, who: str = "anna", **changes: Any) -> Agreement:
    said = {"principals": (who,), "columns": ("id", "city"), **changes}
    terms = Terms("reporting", "the monthly report", 30 * DAY, **said)
    return access.request(storage, "shop.people", People(storage)[who], terms, now())


def granted(storage: Storage, **changes: Any) -> Agreement:
    found = asked(storage, **changes)
    for approver in ("carl", "dora"):
        if found.waiting is not None:
            found = access.approve(storage, found.id, People(storage)[approver], "fine", now())
    return found


def grants(storage: Storage, who: str = "anna", at: datetime | None = None) -> list[str]:
    held = access.grants_for(storage.state, People(storage)[who], "shop.people", at or now())
    return [g.id for g in held]


def test_a_grant_is_what_decisions_get(storage):
    agreement = granted(storage, rows="city = 'Ulm'", max_rows=10)
    (grant,) = access.grants_for(storage.state, People(storage)["anna"], "shop.people", now())
    assert grant.id == agreement.id
    assert isinstance(grant.rows, Compare)
    assert grant.rows_left == 10
    assert grants(storage, "eve") == []
    assert access.grants_for(storage.state, People(storage)["anna"], "shop.other", now()) == ()


# F2
def test_f2_a_grant_ends_at_its_moment_whatever_was_read_before(storage):
    agreement = granted(storage)
    end = agreement.granted.expires_at
    assert grants(storage, at=end - timedelta(seconds=1)) == [agreement.id]
    assert grants(storage, at=end) == []
    with pytest.raises(AccessDeniedError, match="does not hold"):
        access.consume(storage.state, [f"agreement:{agreement.id}"], rows=1, now=end)


# F6
def test_f6_a_member_taken_out_of_a_group_loses_its_grants_at_once(storage, root):
    agreement = granted(storage, principals=(), groups=("analysts",))
    assert grants(storage) == [agreement.id]
    users = {"apiVersion": "raymesh/v1", "kind": "Users", "users": [{**USERS[0], "groups": []}, *USERS[1:]]}
    (root / "governance/users.yaml").write_text(json.dumps(users))
    assert grants(storage) == []


# F7
def test_f7_a_clock_that_was_set_back_brings_no_grant_to_life(storage):
    agreement = granted(storage)
    later = agreement.granted.expires_at + timedelta(days=1)
    key = audit.audit_key(storage)
    from raymesh.governance.audit import checkpoint

    record = AuditRecord("read", later, "anna", "shop.people", "denied")
    storage.state.audit.append([record], sign=lambda head: checkpoint(head, key, later))
    with pytest.raises(AccessDeniedError, match="clock"):
        grants(storage)
    assert grants(storage, at=later) == []


def test_f7_clocks_may_differ_by_half_a_minute(storage):
    agreement = granted(storage)
    assert grants(storage, at=now() - timedelta(seconds=1)) in ([agreement.id], [])
    late = agreement.granted.not_before + timedelta(seconds=25)
    key = audit.audit_key(storage)
    from raymesh.governance.audit import checkpoint

    record = AuditRecord("read", late, "anna", "shop.people", "allowed")
    storage.state.audit.append([record], sign=lambda head: checkpoint(head, key, late))
    assert grants(storage) == [agreement.id]


# F8
def test_f8_an_identity_that_travels_to_a_worker_is_the_same(storage):
    import pickle

    for principal in People(storage).values():
        assert pickle.loads(pickle.dumps(principal)) == principal


# F9
def test_f9_of_several_approvals_at_once_one_counts(storage):
    agreement = asked(storage)
    people = People(storage)
    ends: list[Any] = []
    barrier = threading.Barrier(3)

    def act(name: str) -> None:
        barrier.wait()
        try:
            ends.append(access.approve(storage, agreement.id, people[name], "fine", now()).granted)
        except (CommitConflictError, GovernanceError) as error:
            ends.append(error.code)

    threads = [threading.Thread(target=act, args=(name,)) for name in ("bea", "carl", "dora")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = access.history(storage, agreement.id)
    assert [e.kind for e in found] == ["request", "approval", "grant"]
    assert sum(not isinstance(e, str) for e in ends) == 1
    assert verify(storage).sound


def test_f9_a_grant_is_not_longer_for_being_renewed_twice_at_once(storage):
    agreement = granted(storage)
    people = People(storage)
    access.renew(storage, agreement.id, people["anna"], seconds=40 * DAY, reason="more", now=now())
    with pytest.raises(GovernanceError, match="waits"):
        access.renew(storage, agreement.id, people["anna"], seconds=80 * DAY, reason="more", now=now())
    renewed = access.approve(storage, agreement.id, people["carl"], "fine", now())
    assert renewed.granted.expires_at < now() + timedelta(days=40, seconds=1)
    with pytest.raises(GovernanceError):
        access.approve(storage, agreement.id, people["dora"], "fine", now())


def test_f9_approvals_at_once_make_one_longer_grant(storage):
    agreement = granted(storage)
    people = People(storage)
    access.renew(storage, agreement.id, people["anna"], seconds=40 * DAY, reason="more", now=now())
    start = threading.Barrier(2)
    ends: list[Any] = []

    def decide(who: str) -> None:
        start.wait()
        try:
            ends.append(access.approve(storage, agreement.id, people[who], "fine", now()).granted.expires_at)
        except (CommitConflictError, GovernanceError):
            ends.append(None)

    threads = [threading.Thread(target=decide, args=(who,)) for who in ("carl", "dora")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (end,) = [e for e in ends if e is not None]
    assert end > agreement.granted.expires_at + timedelta(days=9)
    after = access.show(storage, agreement.id)
    assert (after.granted.expires_at, after.waiting) == (end, None)
    kinds = [e.kind for e in access.history(storage, agreement.id)]
    assert kinds == ["request", "approval", "grant", "renewal", "approval", "grant"]


def test_a_renewal_never_shortens_by_accident(storage):
    agreement = granted(storage)
    anna = People(storage)["anna"]
    with pytest.raises(UsageError, match="holds until .* already") as refused:
        access.renew(storage, agreement.id, anna, seconds=DAY, reason="more", now=now())
    assert "--shorten" in str(refused.value.hint)
    assert access.show(storage, agreement.id).waiting is None
    access.renew(storage, agreement.id, anna, seconds=DAY, reason="less", now=now(), shorten=True)
    renewed = access.approve(storage, agreement.id, People(storage)["carl"], "fine", now())
    assert renewed.granted.expires_at < now() + timedelta(days=1, seconds=1)


# budgets
def test_readers_at_once_get_no_more_than_was_granted(storage):
    agreement = granted(storage, max_rows=10)
    taken: list[bool] = []

    def read() -> None:
        try:
            access.consume(storage.state, [f"agreement:{agreement.id}"], rows=3, now=now())
            taken.append(True)
        except AccessDeniedError:
            taken.append(False)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 3
    assert access.usage(storage, agreement)["rows"] == 9
    access.consume(storage.state, ["some-policy"], rows=100, now=now())


def test_a_renewed_grant_has_a_budget_of_its_own(storage):
    agreement = granted(storage, max_queries=1)
    access.consume(storage.state, [agreement.id], rows=1, now=now())
    with pytest.raises(AccessDeniedError, match="budget"):
        access.consume(storage.state, [agreement.id], rows=1, now=now())
    people = People(storage)
    access.renew(storage, agreement.id, people["anna"], seconds=40 * DAY, reason="more", now=now())
    access.approve(storage, agreement.id, people["carl"], "fine", now())
    access.consume(storage.state, [agreement.id], rows=1, now=now())


# D8
def test_d8_policies_older_than_those_in_force_are_refused(root, storage):
    key = root / "signing.key"
    assert _code(["-C", str(root), "bundle", "key", str(key)]) == 0
    from raymesh.actions.bundle_keys import public_key

    write_mesh(root, governance={"bundleKeys": [public_key(key)]})
    assert _code(["-C", str(root), "bundle", "verify"]) == 4, "not signed yet"
    assert _code(["-C", str(root), "bundle", "sign", "--key", str(key)]) == 0
    assert _code(["-C", str(root), "bundle", "verify"]) == 0
    signed = (root / "governance/bundle.json").read_text()
    policies = root / "governance/policies"
    policies.mkdir()
    rule = {"name": "analysts-read", "effect": "grant", "who": {"groups": ["analysts"]}}
    policies.joinpath("a.yaml").write_text(
        json.dumps({"apiVersion": "raymesh/v1", "kind": "Policies", "policies": [rule]})
    )
    assert _code(["-C", str(root), "bundle", "verify"]) == 4, "signed as they were"
    assert _code(["-C", str(root), "bundle", "sign", "--key", str(key)]) == 0
    assert _code(["-C", str(root), "bundle", "verify"]) == 0
    policies.joinpath("a.yaml").unlink()
    policies.rmdir()
    (root / "governance/bundle.json").write_text(signed)
    assert _code(["-C", str(root), "bundle", "verify"]) == 4, "signed, but older"
    with open_storage_only(root) as opened:
        assert len({b.signer for b in opened.state.bundles.history()} - {""}) == 1


def test_d8_a_mesh_that_took_signed_policies_takes_no_others(root, storage):
    key = root / "signing.key"
    from raymesh.actions.bundle_keys import public_key

    write_mesh(root, governance={"bundleKeys": [public_key(key)]})
    assert _code(["-C", str(root), "bundle", "sign", "--key", str(key)]) == 0
    assert _code(["-C", str(root), "bundle", "verify"]) == 0
    write_mesh(root)
    policies = root / "governance/policies"
    policies.mkdir()
    rule = {"name": "all", "effect": "grant", "who": {"groups": ["analysts"]}}
    policies.joinpath("a.yaml").write_text(
        json.dumps({"apiVersion": "raymesh/v1", "kind": "Policies", "policies": [rule]})
    )
    assert _code(["-C", str(root), "bundle", "verify"]) == 4


# D12
def test_d12_the_owner_does_not_grant_to_himself(storage):
    agreement = asked(storage, "bea")
    with pytest.raises(AccessDeniedError, match="asked for this"):
        access.approve(storage, agreement.id, People(storage)["bea"], "fine", now())
    assert grants(storage, "bea") == []


def test_d12_a_domain_names_who_decides(storage, root):
    path = root / "domains/shop/domain.yaml"
    domain = yaml.safe_load(path.read_text())
    path.write_text(
        json.dumps({**domain, "access": {"approvers": {"principals": ["eve"]}, "maxDuration": "60d"}})
    )
    agreement = asked(storage)
    with pytest.raises(AccessDeniedError, match="does not decide") as caught:
        access.approve(storage, agreement.id, People(storage)["bea"], "fine", now())
    assert caught.value.hint == "who does: eve"
    assert access.approve(storage, agreement.id, People(storage)["eve"], "fine", now()).granted is not None
    with pytest.raises(UsageError, match="60 days"):
        access.request(
            storage,
            "shop.people",
            People(storage)["anna"],
            Terms("reporting", "x", 61 * DAY, ("anna",), columns=("id",)),
            now(),
        )


# I12
def test_i12_a_grant_does_not_reach_a_new_major_version(storage, root):
    agreement = granted(storage)
    write_people(root, "2.0.0")
    product = root / "domains/shop/products/people/product.yaml"
    assert "2.0.0" in product.read_text()
    assert _code(["-C", str(root), "run", "--quiet"]) == 0
    (grant,) = access.grants_for(storage.state, People(storage)["anna"], "shop.people", now())
    assert grant.id == agreement.id
    assert grant.major == 1, "decide compares it with the version that is read"


def test_i12_a_grant_knows_the_tags_it_was_given_for(storage):
    agreement = granted(storage, columns=("id", "email"))
    (grant,) = access.grants_for(storage.state, People(storage)["anna"], "shop.people", now())
    assert grant.tags == {"pii.direct.email"}
    assert len(agreement.granted.approvers) == 2


# what is asked for
@pytest.mark.parametrize("rows", ["1 = 1; drop table x", "id in (select 1)", "read_csv('x')", "id ="])
def test_d2_a_condition_that_is_none_cannot_be_asked_for(storage, rows):
    with pytest.raises(UsageError, match="--rows"):
        asked(storage, rows=rows)


@pytest.mark.parametrize(
    ("rows", "said", "hint"),
    [
        ("citty = 'Ulm'", "no column `citty`", "did you mean `city`?"),
        ("id = 'Ulm'", "`id` is long, which 'Ulm' is not", None),
        ("city < true", "`city` is string, which True is not", None),
    ],
)
def test_a_condition_that_shows_no_row_is_told_to_who_asks(storage, rows, said, hint):
    with pytest.raises(UsageError, match="--rows") as caught:
        asked(storage, rows=rows)
    assert said in caught.value.message
    assert caught.value.hint == hint
    assert asked(storage, rows="city = principal.town and id > 3").waiting is not None


def test_a_misspelt_column_is_told_with_the_one_meant(storage):
    with pytest.raises(UsageError, match="no column citty") as caught:
        asked(storage, columns=("citty",))
    assert caught.value.hint == "did you mean `city`?"


def test_what_is_not_published_cannot_be_asked_for(storage):
    terms = Terms("reporting", "x", DAY, ("anna",))
    with pytest.raises(NotFoundError):
        access.request(storage, "shop.nothing", People(storage)["anna"], terms, now())
    with pytest.raises(NotFoundError, match="no agreement"):
        access.show(storage, "ag-nothing")


# the record
def test_every_act_is_one_record_and_free_text_stays_out_of_it(storage):
    agreement = asked(storage)
    people = People(storage)
    access.approve(storage, agreement.id, people["carl"], "because of Ann Smith", now())
    access.revoke(storage, agreement.id, people["carl"], "Ann Smith left", now())
    entries = [e for e in storage.state.audit.entries() if e.kind == "grant"]
    assert [e.outcome for e in entries] == ["request", "approval", "grant", "revocation"]
    assert {e.said["detail"]["agreement"] for e in entries} == {agreement.id}
    assert not any("Ann Smith" in e.text or "monthly report" in e.text for e in entries)
    assert verify(storage).sound


def test_an_act_without_its_record_has_not_happened(storage, monkeypatch):
    agreement = asked(storage)

    def down(*_: Any, **__: Any) -> None:
        raise GovernanceError("the log is down")

    monkeypatch.setattr(audit, "record", down)
    with pytest.raises(GovernanceError):
        access.approve(storage, agreement.id, People(storage)["carl"], "fine", now())
    monkeypatch.undo()
    assert [e.kind for e in access.history(storage, agreement.id)] == ["request"]


def test_the_end_of_grants_is_recorded_once(storage):
    agreement = granted(storage)
    end = agreement.granted.expires_at
    assert [a.id for a in access.note_expiries(storage, end)] == [agreement.id]
    assert access.note_expiries(storage, end) == []
    assert access.history(storage, agreement.id)[-1].kind == "expiry"


def test_errors_are_ours(storage):
    with pytest.raises(MeshError):
        access.revoke(storage, asked(storage).id, People(storage)["eve"], "x", now())

"""Which policies decide: those that are here, never older ones than before, signed where the mesh asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from policy_meshes import BASE, MESH, OWN, USERS, governed_mesh, policies
from raymesh.actions.bundle import SIGNATURE_FILE, bundle_in_force, documented, signature_text
from raymesh.actions.workspace import Storage, open_storage_only
from raymesh.errors import AccessDeniedError, BundleRollbackError, GovernanceError
from raymesh.governance import signing
from raymesh.governance.bundle import plain, signer_of
from raymesh.governance.decide import decide
from raymesh.governance.model import Asked, Deny

FILE = "governance/policies/base.yaml"
SEED = bytes(range(32))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with open_storage_only(governed_mesh(tmp_path)) as opened:
        yield opened


def now() -> datetime:
    return datetime.now(UTC)


def write(storage: Storage, text: str, file: str = FILE) -> None:
    (storage.root / file).write_text(text, encoding="utf-8")


def stricter(n: int = 1) -> str:
    more = "".join(f"  - {{name: more-{i}, effect: deny, who: {{groups: [g{i}]}}}}\n" for i in range(n))
    return policies(BASE + more)


def test_a_bundle_comes_into_force_once_and_is_recorded(storage: Storage) -> None:
    first, again = bundle_in_force(storage, now()), bundle_in_force(storage, now())
    assert first is not None
    assert (first, first.version) == (again, 1)
    (record,) = storage.state.bundles.history()
    assert (record.version, record.digest, record.signer) == (1, first.digest, "")
    (entry,) = [r for r in storage.state.audit.records() if r.kind == "policy"]
    assert entry.said["detail"]["policies"]["contractors-never"] == "deny by global"


def test_the_hash_is_of_the_meaning(storage: Storage) -> None:
    first = bundle_in_force(storage, now())
    assert first is not None
    parts = BASE.removeprefix("policies:\n").split("  - name: ")[1:]
    shuffled = "policies:\n" + "".join(f"  - name: {p}" for p in reversed(parts))
    write(storage, policies("# a comment\n" + shuffled))
    same = bundle_in_force(storage, now())
    assert same is not None
    assert (same.digest, same.version) == (first.digest, 1)
    write(storage, policies(BASE.replace("mask: token", "mask: hide")))
    other = bundle_in_force(storage, now())
    assert other is not None
    assert (other.digest != first.digest, other.version) == (True, 2)


@pytest.mark.parametrize(
    "changed",
    [
        BASE.replace("region = principal.region", "region <> principal.region"),
        BASE.replace("truncate: year", "truncate: month"),
        BASE.replace("[contractors]", "[contractor]"),
        BASE.replace("customer.households", "customer.*"),
        BASE + "    reason: because\n",
        BASE + "    expires: 2030-01-01\n",
    ],
)
def test_every_change_of_meaning_changes_the_hash(storage: Storage, changed: str) -> None:
    before = documented(storage.root, storage.spec)
    write(storage, policies(changed))
    after = documented(storage.root, storage.spec)
    assert before is not None
    assert after is not None
    assert before.digest != after.digest


def test_d8_policies_that_were_replaced_do_not_come_back_by_themselves(storage: Storage) -> None:
    bundle_in_force(storage, now())
    write(storage, stricter())
    assert bundle_in_force(storage, now()).version == 2  # type: ignore[union-attr]
    write(storage, policies(BASE))
    with pytest.raises(BundleRollbackError, match="in force before bundle 2") as caught:
        bundle_in_force(storage, now())
    assert "governance.release" in str(caught.value.hint)
    write(storage, MESH + "governance: {release: 2}\n", "mesh.yaml")
    with open_storage_only(storage.root) as again:
        found = bundle_in_force(again, now())
    assert found is not None
    assert found.version == 3


def test_d12_a_mesh_that_loses_its_policies_is_closed_not_open(storage: Storage) -> None:
    assert bundle_in_force(storage, now()) is not None
    for file in (FILE, "governance/users.yaml", "domains/orders/policies/own.yaml"):
        (storage.root / file).unlink()
    found = bundle_in_force(storage, now())
    assert found is not None
    assert found.policies == ()
    assert decide(None, None, Asked(), found, (), now()) == Deny(  # type: ignore[arg-type]
        "no-policy", "there are no policies, so nothing may be read"
    )


def test_a_mesh_that_was_never_governed_has_no_bundle(tmp_path: Path) -> None:
    gone = dict.fromkeys((FILE, "governance/users.yaml", "domains/orders/policies/own.yaml"))
    with open_storage_only(governed_mesh(tmp_path, gone)) as storage:
        assert bundle_in_force(storage, now()) is None
        assert storage.state.bundles.newest() is None


def test_f7_a_clock_that_was_set_back_decides_nothing(storage: Storage) -> None:
    bundle_in_force(storage, now())
    bundle_in_force(storage, now() - timedelta(seconds=10))
    with pytest.raises(AccessDeniedError, match="the clock here is behind"):
        bundle_in_force(storage, now() - timedelta(hours=1))


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Storage]:
    mesh = MESH + f"governance: {{bundleKeys: [{signing.public_key(SEED).hex()}]}}\n"
    with open_storage_only(governed_mesh(tmp_path, {"mesh.yaml": mesh})) as opened:
        yield opened


def sign(storage: Storage, version: int, seed: bytes = SEED) -> None:
    write(storage, signature_text(storage.root, storage.spec, seed, version), SIGNATURE_FILE)


def test_d8_signed_policies_come_into_force_and_others_do_not(signed: Storage) -> None:
    with pytest.raises(GovernanceError, match="there is none"):
        bundle_in_force(signed, now())
    sign(signed, 3, bytes(32))
    with pytest.raises(GovernanceError, match=r"none of the keys in governance\.bundleKeys"):
        bundle_in_force(signed, now())
    sign(signed, 3)
    found = bundle_in_force(signed, now())
    assert found is not None
    assert found.version == 3
    write(signed, stricter())
    with pytest.raises(GovernanceError, match="it signs other policies"):
        bundle_in_force(signed, now())


def test_d8_an_older_signed_bundle_is_refused(signed: Storage) -> None:
    old = (signed.root / FILE).read_text()
    sign(signed, 3)
    old_signature = (signed.root / SIGNATURE_FILE).read_text()
    bundle_in_force(signed, now())
    write(signed, stricter())
    sign(signed, 4)
    assert bundle_in_force(signed, now()).version == 4  # type: ignore[union-attr]
    write(signed, old)
    write(signed, old_signature, SIGNATURE_FILE)
    with pytest.raises(BundleRollbackError):
        bundle_in_force(signed, now())


@pytest.mark.parametrize("change", ["", "{}", "[]", "{", '{"version": "3"}'])
def test_d8_a_torn_signature_is_none(signed: Storage, change: str) -> None:
    write(signed, change, SIGNATURE_FILE)
    with pytest.raises(GovernanceError):
        bundle_in_force(signed, now())


def test_d8_a_signature_is_of_number_and_content(signed: Storage) -> None:
    sign(signed, 3)
    document = json.loads((signed.root / SIGNATURE_FILE).read_text())
    write(signed, json.dumps(document | {"version": 4}), SIGNATURE_FILE)
    with pytest.raises(GovernanceError, match="none of the keys"):
        bundle_in_force(signed, now())


def test_malformed_keys_and_signatures_sign_nothing() -> None:
    key = signing.public_key(SEED).hex()
    assert signer_of(1, "d", {key: "zz"}, (key,)) is None
    assert signer_of(1, "d", {key: "00"}, (key, "xx")) is None
    assert signer_of(1, "d", {}, (key,)) is None


def test_what_json_cannot_hold_is_part_of_no_bundle() -> None:
    with pytest.raises(TypeError):
        plain(object())
    assert plain(frozenset(("b", "a", 1))) == ["a", "b", 1]
    assert (OWN, USERS) != ("", "")

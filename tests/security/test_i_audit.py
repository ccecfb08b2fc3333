"""Attacks on the account of what was done (catalogue I): whatever is made of the log is found and named."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meshes import write_mesh, write_product, write_source
from raymesh.actions import audit
from raymesh.actions.audit_log import erase, newest_checkpoint, note, prove, prove_growth, verify
from raymesh.actions.workspace import Storage, open_storage_only
from raymesh.cli.app import _code
from raymesh.errors import AuditTamperedError, MeshError, NotFoundError, StorageError, UsageError
from raymesh.governance.audit import AuditHead, AuditRecord, checkpoint, leaf
from raymesh.governance.merkle import Tree

SIZE = 12
VERIFIER = Path(__file__).with_name("check_proof.py")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with open_storage_only(write_mesh(tmp_path)) as opened:
        yield opened


@pytest.fixture
def log(storage: Storage) -> Storage:
    """A log of twelve reads, each appended by itself."""
    for n in range(SIZE):
        audit.record(storage, [read(n)])
    assert verify(storage).sound
    return storage


def read(n: int, **changes: Any) -> AuditRecord:
    record = AuditRecord("read", datetime.now(UTC), f"user{n}", "shop.sales", "allowed", {"n": n})
    return replace(record, **changes)


def change(storage: Storage, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    """What somebody with the database file and an SQL client does."""
    with closing(sqlite3.connect(storage.root / ".raymesh/mesh.db")) as connection:
        for statement in statements:
            text, values = (statement, ()) if isinstance(statement, str) else statement
            connection.execute(text, values)
        connection.commit()


def forget_witness(storage: Storage) -> None:
    audit.witness_path(storage.root).unlink()


def rebuild(storage: Storage, seed: bytes | None = None, keep_checkpoints: bool = False) -> None:
    """Recompute leaves, tree and, with a key, checkpoints over whatever the records are now: all an attacker with
    the database can do."""
    with closing(sqlite3.connect(storage.root / ".raymesh/mesh.db")) as db:
        texts = [row[0] for row in db.execute("select record from raymesh_audit order by number")]
        db.execute("create table t as select * from raymesh_audit order by number")
        db.execute("delete from raymesh_audit")
        db.execute(
            "insert into raymesh_audit select rowid - 1, leaf, at, kind, principal, product, outcome, record from t"
        )
        leaves = [leaf(n, text) for n, text in enumerate(texts)]
        for n, hashed in enumerate(leaves):
            db.execute("update raymesh_audit set leaf = ? where number = ?", (hashed.hex(), n))
        tree = Tree().grown(leaves)
        peaks = " ".join(p.hex() for p in tree.peaks)
        db.execute("update raymesh_audit_head set size = ?, peaks = ?", (tree.size, peaks))
        if not keep_checkpoints:
            db.execute("delete from raymesh_audit_checkpoints")
        if seed is not None:
            name = db.execute("select log from raymesh_audit_head").fetchone()[0]
            for size in range(1, len(leaves) + 1):
                now = datetime.now(UTC)
                c = checkpoint(AuditHead(name, Tree().grown(leaves[:size])), seed, now)
                micros = int(now.timestamp()) * 1_000_000 + now.microsecond
                row = (c.size, c.root.hex(), micros, c.key.hex(), c.signature.hex())
                db.execute("insert into raymesh_audit_checkpoints values (?, ?, ?, ?, ?)", row)
        db.execute("drop table t")
        db.commit()


def edited(text: str) -> str:
    said = json.loads(text)
    said["principal"] = "nobody"
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def damage(storage: Storage, **how: Any) -> list[tuple[str, int]]:
    return [(f.damage, f.first) for f in verify(storage, **how).findings]


# I1
def test_i1_without_a_log_nothing_is_recorded_and_the_caller_hears_it(storage):
    change(storage, "drop table raymesh_audit")
    with pytest.raises(StorageError):
        audit.record(storage, [read(1)])


def test_i1_without_a_key_nothing_is_recorded(storage):
    path = storage.root / ".raymesh/audit.key"
    audit.record(storage, [read(1)])
    path.chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        audit.record(storage, [read(2)])
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(UsageError, match="hexadecimal"):
        audit.record(storage, [read(2)])
    assert storage.state.audit.head().size == 1


def test_i1_a_publish_without_its_record_is_none(tmp_path, monkeypatch):
    from raymesh.actions.read import pin

    root = write_mesh(tmp_path)
    (root / "d.csv").write_text("id\n1\n")
    write_source(root, "shop.raw", "d.csv", "csv")
    write_product(root, "shop.sales", {"id": "bigint"}, sql="select id::bigint as id from source.raw")
    monkeypatch.setattr(audit, "audit_key", lambda _: (_ for _ in ()).throw(StorageError("the log is down")))
    assert _code(["-C", str(root), "run", "--quiet"]) == 1
    with open_storage_only(root) as opened, pytest.raises(NotFoundError):
        pin(opened, "shop.sales")
    monkeypatch.undo()
    assert _code(["-C", str(root), "run", "--quiet"]) == 0
    with open_storage_only(root) as opened:
        assert pin(opened, "shop.sales").version.number == 1
        assert [e.outcome for e in opened.state.audit.entries()] == ["publish"]
        assert verify(opened).sound


# I2
@pytest.mark.parametrize("kept", [0, 1, SIZE - 1])
def test_i2_records_cut_off_the_end_are_missed(log, kept):
    change(log, f"delete from raymesh_audit where number >= {kept}")
    assert damage(log)[0] == ("truncation", kept)


@pytest.mark.parametrize("kept", [0, 1, SIZE - 1])
def test_i2_a_log_cut_with_its_head_is_found_by_its_checkpoints(log, kept):
    change(log, f"delete from raymesh_audit where number >= {kept}")
    rebuild(log, keep_checkpoints=True)
    assert damage(log)[0] == ("truncation", kept)
    with pytest.raises(AuditTamperedError):
        audit.record(log, [read(99)])


def test_i2_a_log_cut_with_its_checkpoints_is_found_by_those_noted_outside(log):
    change(
        log,
        "delete from raymesh_audit where number >= 5",
        "delete from raymesh_audit_checkpoints where size > 5",
    )
    rebuild(log, keep_checkpoints=True)
    assert damage(log)[0] == ("truncation", 5)


def test_i2_a_log_cut_everywhere_on_this_machine_is_found_by_a_witness(log, tmp_path):
    witness = tmp_path / "elsewhere"
    note(newest_checkpoint(log), witness)
    change(
        log,
        "delete from raymesh_audit where number >= 5",
        "delete from raymesh_audit_checkpoints where size > 5",
    )
    rebuild(log, keep_checkpoints=True)
    forget_witness(log)
    assert damage(log) == [], "nothing on this machine remembers"
    assert damage(log, against=witness)[0] == ("truncation", 5)


# I3
def test_i3_a_log_rewritten_with_another_key_is_found_by_the_key(log):
    change(log, "update raymesh_audit set record = replace(record, 'user3', 'user4') where number = 3")
    rebuild(log, seed=bytes(32))
    forget_witness(log)
    assert {d for d, _ in damage(log)} == {"edit", "signature"} or ("signature", 0) in damage(log)


def test_i3_a_log_rewritten_with_our_own_key_is_found_by_a_witness(log, tmp_path):
    witness = tmp_path / "elsewhere"
    note(newest_checkpoint(log), witness)
    rows = _texts(log)
    change(
        log,
        ("update raymesh_audit set record = ?, principal = 'nobody' where number = 3", (edited(rows[3]),)),
    )
    rebuild(log, seed=audit.audit_key(log))
    assert damage(log)[0] == ("rewrite", 3), "the file beside the database remembers"
    forget_witness(log)
    assert damage(log) == []
    assert damage(log, against=witness) == [("rewrite", 0)]


def test_i3_another_log_in_its_place_is_found(log, tmp_path):
    witness = tmp_path / "elsewhere"
    note(newest_checkpoint(log), witness)
    change(log, "update raymesh_audit_head set log = 'another'")
    rebuild(log, seed=audit.audit_key(log))
    assert ("rewrite", 0) in damage(log, against=witness)
    forget_witness(log)
    assert ("rewrite", 0) in damage(log, against=witness)


def test_i3_nothing_is_added_to_a_log_somebody_rewrote(log):
    rows = _texts(log)
    change(log, ("update raymesh_audit set record = ? where number = 3", (edited(rows[3]),)))
    rebuild(log)
    with pytest.raises(AuditTamperedError, match="audit verify"):
        try:
            audit.record(log, [read(99)])
        except AuditTamperedError as error:
            raise AuditTamperedError(f"{error.message}; {error.hint}") from None


# I4
def _texts(log: Storage) -> list[str]:
    return [e.text for e in log.state.audit.entries()]


@pytest.mark.parametrize("n", [0, 5, SIZE - 1])
def test_i4_an_edited_record_is_named(log, n):
    change(log, ("update raymesh_audit set record = ? where number = ?", (edited(_texts(log)[n]), n)))
    assert damage(log)[0] == ("edit", n)


@pytest.mark.parametrize("n", [0, 5, SIZE - 1])
def test_i4_an_edited_record_with_a_new_leaf_is_found_by_its_checkpoint(log, n):
    text = edited(_texts(log)[n])
    values = (text, leaf(n, text).hex(), n)
    change(
        log, ("update raymesh_audit set record = ?, leaf = ?, principal = 'nobody' where number = ?", values)
    )
    assert damage(log) == [("rewrite", 0), ("rewrite", n)]


@pytest.mark.parametrize("column", ["principal", "product", "kind", "outcome"])
def test_i4_a_record_filed_under_another_name_is_named(log, column):
    change(log, f"update raymesh_audit set {column} = 'other' where number = 4")
    assert damage(log)[0] == ("edit", 4)


@pytest.mark.parametrize("n", [0, 5, SIZE - 1])
def test_i4_a_deleted_record_is_named(log, n):
    change(log, f"delete from raymesh_audit where number = {n}")
    assert damage(log)[0] == (("truncation" if n == SIZE - 1 else "deletion"), n)


def test_i4_two_records_that_changed_places_are_named(log):
    change(
        log,
        "update raymesh_audit set number = -1 where number = 3",
        "update raymesh_audit set number = 3 where number = 7",
        "update raymesh_audit set number = 7 where number = -1",
    )
    assert damage(log)[:2] == [("edit", 3), ("edit", 7)]


def test_i4_a_record_written_twice_is_named(log):
    change(
        log,
        "insert into raymesh_audit select number + 100, leaf, at, kind, principal, product, outcome, record"
        " from raymesh_audit where number = 3",
    )
    assert damage(log)[0][0] in ("deletion", "injection")


def test_i4_a_record_put_behind_the_end_is_named(log):
    text = edited(_texts(log)[0])
    row = (SIZE, leaf(SIZE, text).hex(), 0, "read", "nobody", "shop.sales", "allowed", text)
    change(log, ("insert into raymesh_audit values (?, ?, ?, ?, ?, ?, ?, ?)", row))
    assert ("injection", SIZE) in damage(log)
    rebuild(log, keep_checkpoints=True)
    assert damage(log) == [("injection", SIZE)]
    with pytest.raises(AuditTamperedError):
        audit.record(log, [read(99)])


def test_i4_a_log_without_checkpoints_is_signed_by_nobody(log):
    change(log, "delete from raymesh_audit_checkpoints")
    assert damage(log) == [("injection", 0)]
    with pytest.raises(AuditTamperedError):
        audit.record(log, [read(99)])


@pytest.mark.parametrize(
    "statement", ["delete from raymesh_audit_head", "update raymesh_audit_head set peaks = ''"]
)
def test_i4_a_head_that_is_gone_stops_everything(log, statement):
    change(log, statement)
    with pytest.raises(AuditTamperedError):
        audit.record(log, [read(99)])


# I5
def test_i5_two_views_of_one_log_cannot_both_be_extended(log, tmp_path):
    """An auditor and a user who were shown different logs compare their checkpoints."""
    auditor = tmp_path / "auditor"
    note(newest_checkpoint(log), auditor)
    change(log, "delete from raymesh_audit where number = 11")
    rebuild(log, seed=audit.audit_key(log))
    audit.record(log, [read(50)])
    assert newest_checkpoint(log).size == SIZE
    assert damage(log, against=auditor) == [("rewrite", 11)]


# I6
@pytest.mark.parametrize(
    "text",
    [
        'anna","outcome":"allowed","x":"',
        'anna\n{"kind":"read"}',
        "anna\r\n\r\n",
        "anna\x00",
        "\u202eanna",
        "\ud800",
        "\x1b[2J",
        "a" * 10_000,
    ],
)
def test_i6_no_text_passes_for_another_record(storage, text):
    audit.record(storage, [read(0, principal=text, product=text, detail={text: text, "q": [text]})])
    entry = storage.state.audit.entry(0)
    assert "\n" not in entry.text
    assert entry.text.isascii()
    assert entry.said["principal"] == text
    assert entry.said["detail"] == {text: text, "q": [text]}
    assert verify(storage).sound


def test_i6_one_long_record_is_not_two_short_ones():
    assert leaf(0, "ab") != leaf(0, "a")
    assert leaf(0, "a") != leaf(1, "a")
    joined = leaf(0, "a" + "\x00" * 15 + "\x01" + "b")
    assert joined not in (leaf(0, "a"), leaf(1, "b"))


def test_i6_a_terminal_is_not_driven_by_what_was_recorded(storage, capsys):
    audit.record(storage, [read(0, principal="\x1b[2Janna\nbea", detail={"x": "\x1b]0;t\x07"})])
    assert _code(["-C", str(storage.root), "audit", "tail"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


# I7
def test_i7_erasing_somebody_leaves_the_proof_intact(storage):
    secret = "select * from people where email = 'ann@example.com'"
    audit.record(storage, [read(0, private={"sql": secret}, about="ann"), read(1)])
    before = prove(storage, 0)
    assert erase(storage, "ann", "dpo", "request 17") == 1
    assert storage.state.audit.private(0) is None
    assert verify(storage).sound
    assert prove(storage, 0)["record"] == before["record"]
    assert "ann" not in _texts(storage)[2]


def test_i7_the_literals_are_nowhere_in_the_database_in_clear(storage):
    audit.record(storage, [read(0, private={"sql": "ann@example.com"}, about="subject-1")])
    storage.close()
    found = b"".join(f.read_bytes() for f in (storage.root / ".raymesh").rglob("*") if f.is_file())
    assert b"ann@example.com" not in found
    assert b"subject-1" in found


def test_i7_an_erased_key_is_not_in_the_file_any_more(storage):
    audit.record(storage, [read(0, private={"sql": "x"}, about="ann")])
    key = storage.state.audit.private(0).key.hex().encode()
    erase(storage, "ann", "dpo", "request")
    storage.close()
    found = b"".join(f.read_bytes() for f in (storage.root / ".raymesh").rglob("*") if f.is_file())
    assert key not in found


def test_i7_particulars_that_were_exchanged_are_found(storage):
    audit.record(storage, [read(n, private={"sql": f"select {n}"}) for n in range(2)])
    change(
        storage,
        "update raymesh_audit_payloads set ciphertext = (select ciphertext from raymesh_audit_payloads"
        " where number = 1) where number = 0",
    )
    assert damage(storage) == [("edit", 0)]


# proofs
@pytest.mark.parametrize("n", [0, 5, SIZE - 1])
def test_a_proof_is_checked_without_raymesh(log, n, tmp_path):
    proof = tmp_path / "proof.json"
    proof.write_text(json.dumps(prove(log, n)))
    key = newest_checkpoint(log).key.hex()
    assert _checked(proof, key) == 0
    for spoil in _SPOILED:
        said = prove(log, n)
        spoil(said)
        proof.write_text(json.dumps(said))
        assert _checked(proof, key) != 0
    assert len(VERIFIER.read_text().splitlines()) <= 40


def _checked(proof: Path, key: str) -> int:
    command = [sys.executable, "-I", str(VERIFIER), str(proof), key]
    return subprocess.run(command, capture_output=True, check=False).returncode


_SPOILED: list[Callable[[dict[str, Any]], Any]] = [
    lambda said: said.update(record=said["record"].replace("user", "USER")),
    lambda said: said.update(index=(said["index"] + 1) % SIZE),
    lambda said: said["proof"].append("00" * 32),
    lambda said: said["checkpoint"].update(root=hashlib.sha256().hexdigest()),
]


def test_growth_is_proved_from_one_checkpoint_to_the_newest(log):
    from raymesh.governance.merkle import consistent

    for size in range(1, SIZE + 1):
        said = prove_growth(log, size)
        ends = [(c["size"], bytes.fromhex(c["root"])) for c in (said["old"], said["new"])]
        assert consistent(*ends, [bytes.fromhex(h) for h in said["proof"]])
        assert ends[1][0] == SIZE
    with pytest.raises(NotFoundError):
        prove_growth(log, SIZE + 1)
    change(log, ("update raymesh_audit set leaf = ? where number = 2", ("00" * 32,)))
    with pytest.raises(UsageError, match="not what was signed"):
        prove_growth(log, 5)


def test_a_number_without_a_record_has_no_proof(log):
    for n in (SIZE, 10**9):
        with pytest.raises(NotFoundError):
            prove(log, n)


def test_a_witness_file_that_is_none_is_refused(log, tmp_path):
    witness = tmp_path / "elsewhere"
    with pytest.raises(NotFoundError):
        verify(log, witness)
    witness.write_text("no checkpoint\n")
    with pytest.raises(UsageError, match="no checkpoint"):
        verify(log, witness)


def test_the_file_of_checkpoints_catches_up(log):
    path = audit.witness_path(log.root)
    lines = path.read_text().splitlines()
    assert len(lines) == SIZE
    path.write_text("\n".join(lines[:4]) + "\n" + lines[4][:20])
    audit.witness(log)
    path.write_text("\n".join(lines[:4]) + "\n")
    audit.witness(log)
    assert [json.loads(line)["size"] for line in path.read_text().splitlines()] == list(range(1, SIZE + 1))


def test_keys_that_mesh_yaml_trusts_may_sign_too(log):
    seed = bytes(32)
    c = checkpoint(log.state.audit.head(), seed, datetime.now(UTC) + timedelta(seconds=1))
    log.state.audit.append([read(20)], sign=lambda head: checkpoint(head, seed, c.at))
    assert damage(log) == [("signature", SIZE)]
    write_mesh(log.root, governance={"auditKeys": [c.key.hex()]})
    with open_storage_only(log.root) as opened:
        assert verify(opened).sound


def test_a_key_is_changed_without_losing_the_log(log):
    path = log.root / ".raymesh/audit.key"
    old = newest_checkpoint(log).key.hex()
    path.unlink()
    audit.record(log, [read(20)])
    assert newest_checkpoint(log).key.hex() != old
    assert {d for d, _ in damage(log)} == {"signature"}
    write_mesh(log.root, governance={"auditKeys": [old]})
    with open_storage_only(log.root) as opened:
        assert verify(opened).sound
        assert len(verify(opened).signers) == 2


def test_the_signing_key_may_come_from_a_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIT_KEY", "ab" * 32)
    write_mesh(tmp_path, keys={"audit": "${env:AUDIT_KEY}"})
    with open_storage_only(tmp_path) as opened:
        audit.record(opened, [read(0)])
        assert verify(opened).sound
        assert not (tmp_path / ".raymesh/audit.key").exists()
    monkeypatch.delenv("AUDIT_KEY")
    with open_storage_only(tmp_path) as opened, pytest.raises(MeshError, match="AUDIT_KEY"):
        audit.record(opened, [read(1)])

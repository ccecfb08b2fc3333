"""Records, leaves, checkpoints and sealed particulars as values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from raymesh.errors import UsageError
from raymesh.governance import signing
from raymesh.governance.audit import (
    AuditHead,
    AuditRecord,
    Checkpoint,
    canonical,
    checkpoint,
    leaf,
    record_text,
    seal,
    unseal,
)
from raymesh.governance.merkle import Tree

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RECORD = AuditRecord("read", NOW, "anna", "shop.sales", "allowed", {"b": 1, "a": [True, None]})
SEED = bytes(range(32))
HEAD = AuditHead("log", Tree().grown([leaf(0, "x")]))


def test_a_record_has_one_text():
    text = record_text(RECORD)
    assert text == (
        '{"at":"2026-11-01T12:00:00+00:00","detail":{"a":[true,null],"b":1},"kind":"read",'
        '"outcome":"allowed","principal":"anna","product":"shop.sales"}'
    )
    elsewhere = replace(
        RECORD, at=NOW.astimezone(timezone(timedelta(hours=5))), detail={"a": [True, None], "b": 1}
    )
    assert record_text(elsewhere) == text


def test_sets_and_times_have_one_form():
    assert canonical({"s": frozenset("ba"), "d": date(2026, 1, 2), "t": NOW}) == canonical(
        {"t": NOW.isoformat(), "d": "2026-01-02", "s": ["a", "b"]}
    )


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), b"bytes"])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(UsageError, match="cannot hold"):
        record_text(replace(RECORD, detail={"x": value}))


def test_the_leaf_is_what_the_documentation_says():
    text = record_text(RECORD).encode()
    content = (7).to_bytes(8, "big") + len(text).to_bytes(8, "big") + text
    assert leaf(7, record_text(RECORD)) == hashlib.sha256(b"\x00" + content).digest()


def test_a_checkpoint_is_signed_over_all_it_says():
    made = checkpoint(HEAD, SEED, NOW)
    assert made.genuine
    assert made.key == signing.public_key(SEED)
    for change in (
        {"log": "other"},
        {"size": 2},
        {"root": bytes(32)},
        {"at": NOW + timedelta(seconds=1)},
        {"key": signing.public_key(bytes(32))},
        {"signature": bytes(64)},
        {"signature": b""},
        {"key": b"short"},
    ):
        assert not replace(made, **change).genuine


def test_a_checkpoint_survives_as_json():
    made = checkpoint(HEAD, SEED, NOW)
    assert Checkpoint.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize("said", [{}, {"log": "x"}, [], {"log": "x", "size": "many"}, None])
def test_what_is_no_checkpoint_is_refused(said):
    with pytest.raises(UsageError):
        Checkpoint.from_json(said)


def test_particulars_are_read_with_their_key_only():
    record = replace(RECORD, private={"sql": "select 'secret'"}, about="ann")
    sealed = seal(record, SEED, bytes(12))
    assert unseal(sealed) == {"sql": "select 'secret'"}
    assert b"secret" not in sealed.ciphertext
    assert "secret" not in record_text(record, sealed.commitment)
    assert SEED.hex() not in repr(sealed)
    for change in (
        {"key": bytes(32)},
        {"nonce": bytes(11) + b"x"},
        {"ciphertext": sealed.ciphertext[:-1] + b"x"},
        {"commitment": "0" * 64},
    ):
        assert unseal(replace(sealed, **change)) is None


def test_a_commitment_cannot_be_guessed_without_the_key():
    record = replace(RECORD, private={"email": "ann@example.com"})
    assert seal(record, SEED, bytes(12)).commitment != seal(record, bytes(32), bytes(12)).commitment
    plain = hashlib.sha256(canonical(record.private).encode()).hexdigest()
    assert seal(record, SEED, bytes(12)).commitment != plain


def test_a_record_without_particulars_seals_nothing():
    assert seal(RECORD, SEED, bytes(12)) is None

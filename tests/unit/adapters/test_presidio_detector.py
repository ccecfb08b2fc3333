"""Presidio as a detector, where it is installed: personal data inside sentences, without language model and network."""

from __future__ import annotations

import socket

import pyarrow as pa
import pytest

from raymesh.adapters.detectors import presidio
from raymesh.spec.types import Primitive
from raymesh.spi.detector import Sample


def tags(*texts: str) -> dict[str, float]:
    sample = Sample("note", Primitive("string"), pa.array(texts, pa.string()))
    return {f.tag: f.share for f in presidio(sample)}


@pytest.fixture
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("presidio_analyzer")

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("_offline")
@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("pii.direct.email", "please answer to ann.{}@example.com soon"),
        ("pii.direct.phone", "she calls back from +44 20 7946 09{} at noon"),
        ("pii.direct.bank_account", "take it from DE89370400440532013000 please, order {}"),
        ("pii.direct.payment_card", "the card was 4111 1111 1111 1111 in order {}"),
        ("pii.direct.national_id", "his tax code is RSSMRA85T10A562S says branch {}"),
        ("pii.quasi.ip_address", "the visitor came from 192.168.17.{} last night"),
    ],
)
def test_what_sentences_hold_is_found(tag: str, text: str) -> None:
    plain = [f"nothing to see in this note {n}" for n in range(8)]
    assert tags(*plain, text.format(10), text.format(20)).get(tag) is None
    assert tags(*plain, *(text.format(n) for n in range(10, 18)))[tag] == 0.5


@pytest.mark.usefixtures("_offline")
def test_plain_sentences_and_columns_that_are_no_sentences_are_passed_over() -> None:
    assert (
        tags(*(f"the parcel number {n} was brought to the wrong door" for n in range(2025550100, 2025550150)))
        == {}
    )
    assert tags(*(f"c{n}@example.com" for n in range(50))) == tags() == {}


def test_without_the_extra_it_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raymesh.adapters.detectors.find_spec", lambda _: None)
    assert tags(*(f"please answer to ann.{n}@example.com soon" for n in range(50))) == {}

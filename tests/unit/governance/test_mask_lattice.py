"""Masks form a lattice, so the order in which policies are joined never matters and no join shows more."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.spec.mask import (
    Absent,
    Bucket,
    Literally,
    Mask,
    Null,
    Partial,
    Raw,
    Token,
    Truncate,
    fitting,
    join,
)
from raymesh.spec.mask_words import mask_of, mask_text
from raymesh.spec.types import Decimal, List, Primitive, Type

MASKS: st.SearchStrategy[Mask] = st.one_of(
    st.just(Raw()),
    st.just(Null()),
    st.just(Absent()),
    st.builds(Token, st.sampled_from(("a", "b"))),
    st.builds(Partial, st.integers(0, 3), st.integers(0, 3)),
    st.builds(Truncate, st.sampled_from(("day", "month", "quarter", "year"))),
    st.builds(Bucket, st.fractions(Fraction(1, 8), 50)),
    st.builds(Literally, st.sampled_from(("x", 1, True))),
)
KINDS: st.SearchStrategy[Type] = st.sampled_from(
    (*(Primitive(n) for n in ("string", "long", "date", "boolean")), Decimal(9, 2), List(Primitive("string")))  # type: ignore[arg-type]
)


@given(MASKS, MASKS, MASKS)
def test_join_is_associative_commutative_and_idempotent(a: Mask, b: Mask, c: Mask) -> None:
    assert join(a, join(b, c)) == join(join(a, b), c)
    assert join(a, b) == join(b, a)
    assert join(a, a) == a


@given(MASKS, MASKS)
def test_a_join_is_above_both_and_raw_and_absent_are_the_ends(a: Mask, b: Mask) -> None:
    both = join(a, b)
    assert join(both, a) == both == join(both, b)
    assert (join(a, Raw()), join(a, Absent())) == (a, Absent())


@given(MASKS, KINDS)
def test_fitting_a_type_never_shows_more(mask: Mask, kind: Type) -> None:
    fitted = fitting(mask, kind)
    assert join(mask, fitted) == fitted


@pytest.mark.parametrize(
    ("a", "b", "joined"),
    [
        (Partial(3, 1), Partial(1, 3), Partial(1, 1)),
        (Truncate("quarter"), Truncate("month"), Truncate("quarter")),
        (Bucket(Fraction(4)), Bucket(Fraction(6)), Bucket(Fraction(12))),
        (Bucket(Fraction(1, 4)), Bucket(Fraction(1, 6)), Bucket(Fraction(1, 2))),
        (Token("a"), Token("b"), Null()),
        (Literally("x"), Literally("y"), Null()),
        (Partial(0, 4), Token("a"), Null()),
    ],
)
def test_a_join_keeps_what_both_keep(a: Mask, b: Mask, joined: Mask) -> None:
    assert join(a, b) == join(b, a) == joined


@pytest.mark.parametrize(
    ("mask", "kind", "fits"),
    [
        (Literally(2**31 - 1), Primitive("int"), True),
        (Literally(2**31), Primitive("int"), False),
        (Literally(-(2**31) - 1), Primitive("int"), False),
        (Literally(2**63 - 1), Primitive("long"), True),
        (Literally(2**63), Primitive("long"), False),
        (Literally(True), Primitive("long"), False),
        (Literally("x"), Primitive("date"), False),
        (Token("a"), Decimal(9, 2), True),
        (Token("a"), List(Primitive("string")), False),
        (Partial(1, 1), List(Primitive("string")), False),
        (Truncate("year"), Primitive("time"), False),
        (Bucket(Fraction(1)), Primitive("boolean"), False),
    ],
)
def test_a_mask_that_a_type_cannot_take_is_null(mask: Mask, kind: Type, fits: bool) -> None:
    assert fitting(mask, kind) == (mask if fits else Null())


@given(MASKS.filter(lambda m: not isinstance(m, Token | Literally)))
def test_every_mask_can_be_read_back_from_its_words(mask: Mask) -> None:
    text = mask_text(mask)
    if text.startswith("{"):
        import yaml

        assert mask_of(yaml.safe_load(text)) == mask or mask == Partial(0, 0) or isinstance(mask, Bucket)
    else:
        assert mask_of(text) == mask


@pytest.mark.parametrize(
    "value",
    [
        "Token",
        "null",
        "",
        None,
        1,
        [],
        {},
        {"partial": {}},
        {"partial": {"last": -1}},
        {"partial": {"last": True}},
        {"partial": {"last": 4, "middle": 1}},
        {"truncate": "week"},
        {"bucket": 0},
        {"bucket": float("nan")},
        {"bucket": float("inf")},
        {"bucket": True},
        {"constant": 1.5},
        {"constant": None},
        {"token": "x"},
        {"truncate": "month", "bucket": 10},
    ],
)
def test_what_is_no_mask_is_none(value: Any) -> None:
    assert mask_of(value) is None

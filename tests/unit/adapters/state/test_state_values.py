from __future__ import annotations

import copy
import json
import math
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.adapters.state.values import JsonObject, clean, dumps, from_micros, loads, to_micros
from raymesh.errors import UsageError

ZONES = st.sampled_from(
    [
        None,
        UTC,
        timezone(timedelta(hours=-9, minutes=-30)),
        ZoneInfo("Europe/Berlin"),
        ZoneInfo("Asia/Kathmandu"),
    ]
)
YEARS = {"min_value": datetime(1900, 1, 1), "max_value": datetime(2100, 1, 1)}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(**YEARS, timezones=ZONES)
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.binary()
)
KEYS = (
    st.text(max_size=5)
    | st.sampled_from(["$decimal", "$map", "$date", "$", "$float"])
    | st.integers()
    | st.dates()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3)
)


def typed(value: Any) -> Any:
    """A form in which equality also means equal types."""
    if isinstance(value, dict):
        return {(type(k), k): typed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v) for v in value]
    if isinstance(value, datetime):
        return (datetime, value.replace(tzinfo=None), value.utcoffset(), str(value.tzinfo))
    return (type(value), str(value) if isinstance(value, Decimal) else value)


@given(VALUES)
def test_values_come_back_equal_in_value_and_type(value: Any) -> None:
    assert typed(loads(dumps(value))) == typed(value)


@given(VALUES)
def test_the_text_is_plain_canonical_json(value: Any) -> None:
    text = dumps(value)
    assert text.isascii()
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text


def test_equal_mappings_have_one_text() -> None:
    assert dumps({"b": 1, "a": Decimal("1.0")}) == dumps({"a": Decimal("1.0"), "b": 1})


def test_numbers_that_are_none_survive() -> None:
    assert math.isnan(loads(dumps(math.nan)))
    assert loads(dumps([math.inf, -math.inf])) == [math.inf, -math.inf]
    assert math.isnan(loads(dumps(Decimal("NaN"))))


def test_numpy_scalars_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    assert typed(loads(dumps({"n": numpy.int64(7), "x": numpy.float32(0.5)}))) == typed({"n": 7, "x": 0.5})
    with pytest.raises(TypeError, match="datetime64"):
        dumps(numpy.datetime64("2026-01-01", "ns"))


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, 1j, {(1, 2): 3}], ids=["object", "set", "complex", "tuple key"]
)
def test_what_cannot_come_back_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be kept"):
        dumps(value)


def test_a_zone_this_machine_does_not_know_keeps_the_instant() -> None:
    text = '{"$datetime":["2026-01-01T12:00:00+02:00","Mars/Olympus"]}'
    assert loads(text) == datetime(2026, 1, 1, 10, tzinfo=UTC)


def test_other_kinds_come_back() -> None:
    values = [
        UUID(int=3),
        time(1, 2, 3, 4),
        timedelta(days=-1, microseconds=1),
        b"\x00\xff",
        date(2026, 1, 1),
    ]
    assert loads(dumps(values)) == values
    assert loads(dumps((1, 2))) == [1, 2]


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_are_exact_to_the_microsecond(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
    assert from_micros(to_micros(moment)).tzinfo is UTC


def test_a_moment_needs_a_zone() -> None:
    with pytest.raises(UsageError, match="no time zone"):
        to_micros(datetime(2026, 1, 1))


def test_text_for_people_is_kept_as_far_as_databases_can() -> None:
    assert clean("grüße 🧺") == "grüße 🧺"
    assert clean("a\x00b\ud800c") == "a\\x00b\\ud800c"


def test_a_lazy_object_behaves_like_the_dict_it_holds() -> None:
    plain = {"a": [1, {"b": Decimal("1.0")}], "c": None}
    lazy = JsonObject(dumps(plain))
    assert lazy == plain
    assert plain == lazy
    assert lazy != {}
    assert dict(lazy) == plain
    assert (len(lazy), list(lazy), lazy["c"], lazy.get("x", 1), repr(lazy)) == (
        2,
        ["a", "c"],
        None,
        1,
        repr(plain),
    )
    assert type(pickle.loads(pickle.dumps(lazy))) is type(copy.deepcopy(lazy)) is dict

"""Conditions of policies: what can be written, what it means, and that nothing else gets through."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_world import CONDITIONS

from raymesh.governance.predicate import NO_ROWS, all_of, any_of, bound, by_name, check, simplified
from raymesh.governance.predicate import UnfitError as Unfit
from raymesh.governance.rows import holds
from raymesh.render.predicate import predicate_text
from raymesh.spec import expression as e
from raymesh.spec.condition import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, ConditionError, parse
from raymesh.spec.types import Field, Primitive, Struct, TableSchema

SCHEMA = TableSchema(
    (
        Field("region", Primitive("string")),
        Field("Amount", Primitive("double")),
        Field("day", Primitive("date")),
        Field("at", Primitive("timestamptz")),
        Field("local", Primitive("timestamp")),
        Field("flag", Primitive("boolean")),
        Field("place", Struct((Field("city", Primitive("string")),))),
        Field("blob", Primitive("binary")),
    )
)
COLUMNS = by_name(SCHEMA)


def fitted(text: str, **attributes: Any) -> e.Expression:
    return bound(parse(text), COLUMNS, attributes)


def test_a_condition_is_data_with_precedence_as_in_sql() -> None:
    assert parse("a = 1 or b = 2 and not c is null") == e.Or(
        (
            e.Compare("=", e.Column(("a",)), e.Value(1)),
            e.And(
                (e.Compare("=", e.Column(("b",)), e.Value(2)), e.Not(e.IsNull(e.Column(("c",))))),
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a != 'it''s'", e.Compare("<>", e.Column(("a",)), e.Value("it's"))),
        ("a >= -1.50", e.Compare(">=", e.Column(("a",)), e.Value(Decimal("-1.50")))),
        ('"a b"."c" = true', e.Compare("=", e.Column(("a b", "c")), e.Value(True))),
        ("principal.level < 3", e.Compare("<", e.Attribute("level"), e.Value(3))),
        ('"principal".level < 3', e.Compare("<", e.Column(("principal", "level")), e.Value(3))),
        ("a in ('x', 'y')", e.In(e.Column(("a",)), ("x", "y"))),
        ("a in principal.list", e.Compare("=", e.Column(("a",)), e.Attribute("list"))),
        ("a NOT IN (1)", e.Not(e.In(e.Column(("a",)), (1,)))),
        ("a is NOT null", e.Not(e.IsNull(e.Column(("a",))))),
        ("true", e.Constant(True)),
        ("1e3 = a", e.Compare("=", e.Value(1000.0), e.Column(("a",)))),
    ],
)
def test_what_can_be_written(text: str, meaning: e.Expression) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lower(a) = 'x'", "calls no functions"),
        ("a = (select 1)", "a value such as"),
        ("a = 1; drop table x", "`;` has no meaning"),
        ("a = 1 -- x", "`-` has no meaning"),
        ("a = 1 /* x */", "`/` has no meaning"),
        ("a = $1", "`$` has no meaning"),
        ("a = 'x", "has no end"),
        ("a = null", "nothing equals null"),
        ("a", "a comparison"),
        ("", "should stand where the end is"),
        ("a = 1 b = 2", "the end, `and` or `or`"),
        ("principal.a.b = 1", "principal.NAME"),
        ("a in ()", "a value such as"),
        ("a::text = 'x'", "`:` has no meaning"),
        ("cast(a as int) = 1", "calls no functions"),
        ("a like 'x%'", "a comparison"),
        ("exists (select 1)", "calls no functions"),
        ("a = b or", "a value such as"),
    ],
)
def test_everything_else_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=".") as caught:
        parse(text)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "(" * (MAX_DEPTH + 2) + "a = 1" + ")" * (MAX_DEPTH + 2),
        "not " * (MAX_DEPTH + 2) + "a = 1",
        " or ".join(["a=1"] * (MAX_TERMS + 1)),
        "a = '" + "x" * MAX_LENGTH + "'",
        "a in (" + ",".join(["1"] * 1500) + ")",
        "a = " + "9" * 100,
    ],
)
def test_size_and_depth_have_limits(text: str) -> None:
    with pytest.raises(ConditionError):
        parse(text)


@given(st.text(alphabet='"' + "ab1'().,=<> \n-;:orandtisuleprcp$\\", max_size=40))
def test_no_text_crashes_the_parser(text: str) -> None:
    try:
        found = parse(text)
    except ConditionError:
        return
    if not isinstance(found, e.Constant):
        assert simplified(parse(predicate_text(found))) == simplified(found)


@pytest.mark.parametrize("text", CONDITIONS[:-1])
def test_words_of_a_condition_mean_the_same(text: str) -> None:
    assert simplified(parse(predicate_text(parse(text)))) == simplified(parse(text))


def test_columns_take_their_own_spelling_and_literals_the_columns_type() -> None:
    assert fitted("amount > 3") == e.Compare(">", e.Column(("Amount",)), e.Value(3))
    assert fitted("DAY = '2026-01-02'") == e.Compare("=", e.Column(("day",)), e.Value(date(2026, 1, 2)))
    moment = datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert fitted("at < '2026-01-02T03:00:00'") == e.Compare("<", e.Column(("at",)), e.Value(moment))
    assert fitted("local < '2026-01-02T05:00:00+02:00'") == e.Compare(
        "<",
        e.Column(("local",)),
        e.Value(datetime(2026, 1, 2, 3)),  # a timestamp without zone
    )
    assert fitted("place.CITY = 'Bonn'") == e.Compare("=", e.Column(("place", "city")), e.Value("Bonn"))
    assert fitted("3 < Amount") == e.Compare(">", e.Column(("Amount",)), e.Value(3))


@pytest.mark.parametrize(
    "text",
    [
        "nothing = 1",
        "region > 1",
        "region = true",
        "Amount = 'x'",
        "Amount = region",
        "flag > true",
        "day = 'soon'",
        "blob = 'x'",
        "place = 'x'",
        "place.town = 'x'",
        "region.city = 'x'",
        "region = principal.unknown",
        "not (region = principal.unknown)",
        "region = 'EU' or nothing is null",
        "region = 'EU' or not nothing is null",
        "principal.level = 'high'",
        "region <> principal.list",
        "Amount = 1e999",
        "Amount = 1e38",
        "Amount = principal.huge",
        "Amount = principal.nan",
    ],
)
def test_what_does_not_fit_is_false_as_a_whole(text: str) -> None:
    known = {"level": 3, "list": ("EU", "US"), "huge": 10**40, "nan": float("nan")}
    assert fitted(text, **known) == NO_ROWS


@pytest.mark.parametrize("text", ["nothing = 1", "region > 1", "day = 'soon'", "flag < principal.x"])
def test_validation_says_why_it_does_not_fit(text: str) -> None:
    with pytest.raises(Unfit, match=r"nothing|region|day|flag"):
        check(parse(text), SCHEMA)


def test_validation_takes_any_attribute_to_fit() -> None:
    check(parse("region = principal.region and principal.level > 3 and Amount < principal.x"), SCHEMA)


def test_attributes_are_bound_as_values_and_lists_as_one_of_them() -> None:
    assert fitted("region = principal.region", region="a' or '1'='1") == e.Compare(
        "=", e.Column(("region",)), e.Value("a' or '1'='1")
    )
    assert fitted("region in principal.r", r=("US", "EU", "EU")) == e.In(e.Column(("region",)), ("EU", "US"))
    assert fitted("region = principal.r", r=()) == NO_ROWS
    assert fitted("principal.level >= 3 and region is null", level=4) == e.IsNull(e.Column(("region",)))
    assert fitted("principal.level in (1, 2)", level=4) == NO_ROWS
    assert fitted("principal.ok = true and region is null", ok=1) == NO_ROWS


def test_constants_disappear_and_repetitions_count_once() -> None:
    a, b = (e.IsNull(e.Column((n,))) for n in "ab")
    assert all_of([e.Constant(True), a, e.And((a, b))]) == e.And((a, b))
    assert any_of([e.Constant(False), a, e.Or((b, a))]) == e.Or((a, b))
    assert all_of([a, e.Constant(False)]) == any_of([]) == NO_ROWS
    assert any_of([a, e.Constant(True)]) == all_of([]) == e.Constant(True)


@pytest.mark.parametrize(
    ("text", "row", "truth"),
    [
        ("region = 'EU'", {"region": "EU"}, True),
        ("region = 'EU'", {}, None),
        ("not region = 'EU'", {}, None),
        ("region = 'EU' or flag = true", {"flag": True}, True),
        ("region = 'EU' and flag = true", {"flag": False}, False),
        ("region in ('EU', 'US')", {"region": "x"}, False),
        ("place.city = 'Bonn'", {"place": {"city": "Bonn"}}, True),
        ("Amount between 1 and 3", {"Amount": 3}, True),
        ("Amount <> 3", {"Amount": 3}, False),
        ("region is null", {}, True),
    ],
)
def test_rows_are_judged_in_three_valued_logic(text: str, row: dict[str, Any], truth: bool | None) -> None:
    assert holds(fitted(text), row) is truth

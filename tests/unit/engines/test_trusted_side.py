"""What the trusted side of a governed read answers before masks, and what it leaves to the other side."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest

from contracts import schema_of
from observing import Bench
from raymesh.engines.kernel import tokens
from raymesh.engines.kernel.governed import forgetful, select, understood
from raymesh.engines.kernel.masking import leak_proof, rows_sql, visible_everywhere
from raymesh.errors import AccessDeniedError, NotFoundError, UsageError
from raymesh.mesh.plan import EVERY_ROW, Scan, ViewColumn
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from raymesh.spec.types import Decimal, Field, Primitive, Struct
from views import SECRET, viewed, written

SCHEMA = schema_of(
    id="long", region="string", p=Decimal(9, 2), q=Decimal(30, 9), s=Struct((Field("a", Primitive("long")),))
)
EU = x.Compare("=", x.Column(("region",)), x.Value("EU"))
FEW = x.Compare("<", x.Column(("id",)), x.Value(5))
SAME = x.Compare("=", x.Column(("p",)), x.Column(("q",)))
EMPTY = Scan(SCHEMA, ())


def test_a_row_rule_that_no_value_can_make_fail_is_open_to_pruning() -> None:
    for rule in (EU, x.And((EU, x.Not(FEW))), x.IsNull(x.Column(("id",))), x.In(x.Column(("id",)), (1, 2))):
        assert "TRY" not in rows_sql(rule, SCHEMA)
    for rule in (SAME, x.And((EU, SAME)), x.Not(SAME)):
        assert rows_sql(rule, SCHEMA).startswith("TRY(")


def test_a_row_rule_that_cannot_be_answered_is_false() -> None:
    for rule in (x.IsNull(x.Column(("none",))), x.Compare("=", x.Column(("id",)), x.Value("text"))):
        assert rows_sql(rule, SCHEMA) == "FALSE"


def test_a_column_is_seen_everywhere_only_where_the_row_rule_says_so() -> None:
    column = ViewColumn("id", m.Raw(), EU)
    for rows in (EU, x.And((FEW, EU))):
        assert visible_everywhere(column, rows)
    for rows in (EVERY_ROW, FEW, x.Or((FEW, EU)), x.Not(EU), x.And((FEW, x.Or((EU, FEW))))):
        assert not visible_everywhere(column, rows)


def test_only_comparisons_of_shown_columns_with_constants_are_answered_early() -> None:
    raw = frozenset(("id", "p", "q", "s"))
    null = x.IsNull(x.Column(("id",)))
    early = (FEW, null, x.Not(null), x.In(x.Column(("id",)), (1,)), x.Or((FEW, null)), x.And((FEW, null)))
    for condition in early:
        assert leak_proof(condition, raw, SCHEMA)
    member = x.Compare("=", x.Column(("s", "a")), x.Value(1))
    late = (EU, SAME, member, x.Not(FEW), x.Or((FEW, EU)), x.And((null, SAME)), x.Constant(True))
    for condition in late:
        assert not leak_proof(condition, raw, SCHEMA)


def test_a_column_that_is_hidden_in_some_rows_is_tested_after_it_was_hidden() -> None:
    view = viewed(EMPTY, "region", ViewColumn("id", m.Raw(), EU), ViewColumn("p", m.Bucket(Fraction(10))))
    above = x.Compare(">", x.Column(("p",)), x.Value(5))
    asked = understood(view, ["region"], x.And((EU, FEW, above)), 3)
    assert (asked.early, asked.late) == ((EU,), (FEW, above))
    assert asked.needed == ("region", "id", "p")
    assert "LIMIT" not in select(view, asked)  # three rows of those that are left, not of those that are read
    assert select(view, understood(view, ["region"], EU, 3)).endswith(" LIMIT 3")


def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_read() -> None:
    view = viewed(EMPTY, "id", "region", ViewColumn("p", m.Absent()))
    text = x.Compare("=", x.Column(("id",)), x.Value("text"))
    hidden = x.IsNull(x.Column(("p",)))
    for columns, where, limit, error in (
        (None, text, None, UsageError),
        (None, hidden, None, UsageError),
        ([], None, None, UsageError),
        (None, None, -1, UsageError),
        (["id", "p"], None, None, NotFoundError),
    ):
        with pytest.raises(error):
            understood(view, columns, where, limit)
    with pytest.raises(AccessDeniedError, match="no column"):
        understood(viewed(EMPTY, ViewColumn("id", m.Absent())), None, None)
    with pytest.raises(AccessDeniedError, match="no view"):
        understood(EMPTY, None, None)


def test_an_error_of_a_governed_read_leads_to_no_other() -> None:
    error = UsageError("told")
    error.__cause__, error.__context__ = ValueError("h1dden"), KeyError("h1dden")
    kept = forgetful(error)
    assert (kept, kept.__cause__, kept.__context__, kept.__traceback__) == (error, None, None, None)


@pytest.mark.parametrize("width", [2**62 - 1, 2**62 + 1, 2**64, 2**124, 2**126])
def test_buckets_wider_than_the_type_hold_what_the_type_can_say(tmp_path: Path, width: int) -> None:
    values = [0, 1, 2**62 + 5, 2**63 - 1, -1, -(2**62), -(2**63), None]
    scan = written(tmp_path, schema_of(n="long"), [{"n": v} for v in values])
    bench = Bench(tmp_path, {"t": viewed(scan, ViewColumn("n", m.Bucket(Fraction(width))))})
    floors = [None if v is None else v // width * width for v in values]
    expected = [None if f is None or f < -(2**63) else f for f in floors]
    for shown in (bench.read(), bench.sql("select n from t")):
        assert (shown["n"].to_pylist(), str(shown.schema.field("n").type)) == (expected, "int64")
    bench.close()


def test_a_partial_mask_shows_nothing_of_a_text_no_longer_than_its_parts(tmp_path: Path) -> None:
    texts = ["", "abc", "abcd", "abcde", None]
    scan = written(tmp_path, schema_of(s="string"), [{"s": text} for text in texts])
    for mask, longest in (
        (m.Partial(2, 2), "ab***de"),
        (m.Partial(0, 4), "***bcde"),
        (m.Partial(4, 0), "abcd***"),
    ):
        bench = Bench(tmp_path, {"t": viewed(scan, ViewColumn("s", mask))})
        assert bench.read()["s"].to_pylist() == ["***", "***", "***", longest, None]
        bench.close()


@pytest.mark.parametrize("texts", [["a", None, "", "b"], ["a", None, "", "b", "a", "a"]])
def test_tokens_are_the_same_with_and_without_the_library_that_makes_them_quickly(
    texts: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, key = pa.array(texts), tokens.TokenKey(SECRET, "one")
    quick = tokens.tokens(values, key).to_pylist()
    monkeypatch.setattr(tokens, "_polars", lambda: None)
    assert tokens.tokens(values, key).to_pylist() == quick
    assert [v is None for v in quick] == [v is None for v in texts]
    assert len(set(quick)) == len(set(texts))
    assert tokens.tokens(values, tokens.TokenKey(SECRET, "other")).to_pylist()[0] != quick[0]


def test_a_query_over_a_table_without_columns_is_refused_as_a_read_is(tmp_path: Path) -> None:
    scan = written(tmp_path, schema_of(n="long"), [{"n": 1}])
    bench = Bench(tmp_path, {"t": viewed(scan, ViewColumn("n", m.Absent()))})
    for ask in (bench.read, lambda: bench.sql("select count(*) from t")):
        with pytest.raises(AccessDeniedError, match="no column of this product may be read"):
            ask()
    bench.close()

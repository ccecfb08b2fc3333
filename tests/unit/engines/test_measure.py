"""What is measured on written files, and what the gate makes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts import checks_of, judged, schema_of, verdict, write
from raymesh.engines.kernel import keys
from raymesh.engines.kernel.measure import measure
from raymesh.mesh.plan import Scan
from raymesh.quality.judge import judge
from raymesh.quality.model import Check, Measurements
from raymesh.quality.state import file_state_from_json, file_state_to_json
from raymesh.spec.expression import Column, Matches, Not
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct
from raymesh.spi import registry

BIG = 2**53 + 1


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        config={"threads": 2, "memory_limit": "1GB", "python_enable_replacements": False}
    )
    connection.execute("SET TimeZone='UTC'")
    yield connection
    connection.close()


def column(name: str, values: list[Any]) -> list[dict[str, Any]]:
    return [{name: v} for v in values]


class TestWrongVerdictsOfTheReferenceExecutor:
    def test_a_double_below_an_integer_minimum_fails_instead_of_being_rounded(
        self, con: Any, tmp_path: Path
    ) -> None:
        checks = checks_of({"name": "amt", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1}})
        found = judged(con, tmp_path, schema_of(amt="double"), column("amt", [0.6, 2.0]), checks)
        assert found["amt.logicalType"].status == "fail"
        assert (found["amt.minimum"].status, found["amt.minimum"].value) == ("fail", 1)

    def test_an_integer_beyond_32_bits_is_an_integer(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "id", "logicalType": "integer", "unique": True, "logicalTypeOptions": {"minimum": 1}}
        )
        found = judged(con, tmp_path, schema_of(id="long"), column("id", [2**40, 2**40 + 1]), checks)
        assert {r.status for r in found.values()} == {"pass"}

    def test_a_double_declared_boolean_fails(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "flag", "logicalType": "boolean"})
        result = verdict(con, tmp_path, schema_of(flag="double"), column("flag", [1.0]), checks)
        assert [r.check.id for r in result.blocked] == ["flag.logicalType"]

    def test_services_words_and_percent_of_duplicates_leave_a_trace(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {
                "name": "id",
                "quality": [{"metric": "duplicateValues", "mustBeLessThan": 30, "unit": "percent"}],
            },
            quality=[{"type": "text", "description": "be kind"}],
            slaProperties=[{"property": "latency", "value": 4, "unit": "d"}, {"property": "fy", "value": 1}],
        )
        found = judged(con, tmp_path, schema_of(id="long"), column("id", [1, 1, 2, 3]), checks)
        assert found["id.quality.duplicateValues"].status == "pass"
        assert found["id.quality.duplicateValues"].value == 25
        assert (found["quality.text"].status, found["quality.text"].message) == ("skip", "be kind")
        assert found["sla.latency"].status == found["sla.frequency"].status == "not_executed"
        assert "time of publication" in found["sla.latency"].message


class TestExactNumbers:
    @pytest.mark.parametrize("kind", ["long", "double"])
    def test_limits_beyond_2_to_the_53_keep_every_digit(self, con: Any, tmp_path: Path, kind: str) -> None:
        values: list[Any] = [BIG - 1, BIG, BIG + 1] if kind == "long" else [float(BIG - 1), float(BIG + 1)]
        for option, limit, wanted in (("maximum", BIG - 1, len(values) - 1), ("minimum", BIG, 1)):
            checks = checks_of({"name": "n", "logicalType": "number", "logicalTypeOptions": {option: limit}})
            found = judged(con, tmp_path, schema_of(n=kind), column("n", values), checks)
            assert found[f"n.{option}"].value == wanted

    def test_keys_beyond_2_to_the_53_are_different(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "id", "unique": True})
        found = judged(con, tmp_path, schema_of(id="long"), column("id", [BIG, BIG - 1, BIG + 1]), checks)
        assert found["id.unique"].status == "pass"

    def test_nan_and_infinity_break_limits_they_do_not_meet(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "n", "logicalType": "number", "logicalTypeOptions": {"minimum": 0, "maximum": 10}}
        )
        values = [math.nan, math.inf, -math.inf, -0.0, None, 5.0]
        found = judged(con, tmp_path, schema_of(n="double"), column("n", values), checks)
        assert found["n.minimum"].value == 2  # NaN and -inf
        assert found["n.maximum"].value == 2  # NaN and inf

    def test_decimals_compare_by_value_at_any_scale(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {
                "name": "p",
                "logicalType": "number",
                "logicalTypeOptions": {"minimum": 0.015, "multipleOf": 0.01},
                "enum": [{"value": 0.02}],
            }
        )
        values = [Number("0.01"), Number("0.02"), Number("99999999999999999999999999999999999.99")]
        found = judged(con, tmp_path, schema_of(p=Decimal(38, 2)), column("p", values), checks)
        assert [found[f"p.{r}"].value for r in ("minimum", "multipleOf", "enum")] == [1, 0, 2]

    def test_three_tenths_are_a_multiple_of_a_tenth(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "n", "logicalType": "number", "logicalTypeOptions": {"multipleOf": 0.1}})
        found = judged(con, tmp_path, schema_of(n="double"), column("n", [0.3, 0.7, 0.35, 1e6 + 0.1]), checks)
        assert found["n.multipleOf"].value == 1

    def test_zeros_of_both_signs_and_all_nans_are_one_value_each(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "n", "unique": True})
        found = judged(
            con,
            tmp_path,
            schema_of(n="double"),
            column("n", [0.0, -0.0, math.nan, math.nan, None, None]),
            checks,
        )
        assert found["n.unique"].value == 2


class TestText:
    def test_an_empty_text_is_not_null(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {
                "name": "s",
                "logicalType": "string",
                "required": True,
                "logicalTypeOptions": {"minLength": 1},
                "quality": [
                    {
                        "metric": "missingValues",
                        "arguments": {"missingValues": [None, "", "N/A"]},
                        "mustBe": 3,
                    },
                    {"metric": "nullValues", "mustBe": 1},
                ],
            }
        )
        found = judged(con, tmp_path, schema_of(s="string"), column("s", ["", None, "N/A", "x"]), checks)
        assert (found["s.required"].value, found["s.minLength"].value) == (1, 1)
        assert found["s.quality.missingValues"].status == found["s.quality.nullValues"].status == "pass"

    def test_length_counts_code_points(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "s", "logicalType": "string", "logicalTypeOptions": {"maxLength": 1}})
        found = judged(
            con, tmp_path, schema_of(s="string"), column("s", ["é", "e\u0301", "😀", "ab"]), checks
        )
        assert found["s.maxLength"].value == 2

    def test_a_pattern_is_searched_and_anchors_decide(self, con: Any, tmp_path: Path) -> None:
        loose = {"name": "a", "logicalType": "string", "logicalTypeOptions": {"pattern": "b"}}
        tight = {"name": "t", "logicalType": "string", "logicalTypeOptions": {"pattern": "^b$"}}
        rows = [{"a": v, "t": v} for v in ("abc", "b", "b\n", None, "x")]
        found = judged(con, tmp_path, schema_of(a="string", t="string"), rows, checks_of(loose, tight))
        assert (found["a.pattern"].value, found["t.pattern"].value) == (1, 3)

    def test_a_pattern_re2_cannot_run_is_not_executed_and_blocks(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "s", "logicalType": "string", "logicalTypeOptions": {"pattern": "^(?=x)"}}
        )
        result = verdict(con, tmp_path, schema_of(s="string"), column("s", ["x"]), checks)
        assert [(r.check.id, r.status) for r in result.blocked] == [("s.pattern", "not_executed")]

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("email", ["a.b+c@example.org"], ["a@b", "a b@c.de", "@x.de", "a@x.de\n"]),
            ("uuid", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567e89b12d3a456426614174000"]),
            ("uri", ["https://x.org/a?b=%20", "urn:isbn:1"], ["/relative", "http://a b", "x"]),
            ("hostname", ["a.b-c.de", "localhost"], ["-a.de", "a..b", "a_b"]),
            ("ipv4", ["0.0.0.0", "255.1.2.3"], ["256.1.1.1", "1.2.3", "01.2.3.4"]),
            (
                "ipv6",
                ["::", "::1", "1:2:3:4:5:6:7:8", "fe80::1:2", "::ffff:1.2.3.4"],
                ["1:2:3", ":::", "1:2:3:4:5:6:7:8:9", "g::"],
            ),
            ("date", ["2024-02-29", "2023-12-31"], ["2024-13-01", "2024-04-31", "24-01-01"]),
        ],
    )
    def test_formats_tell_good_from_bad(
        self, con: Any, tmp_path: Path, name: str, good: list[str], bad: list[str]
    ) -> None:
        checks = checks_of({"name": "s", "logicalType": "string", "logicalTypeOptions": {"format": name}})
        assert judged(con, tmp_path, schema_of(s="string"), column("s", good), checks)["s.format"].value == 0
        assert judged(con, tmp_path, schema_of(s="string"), column("s", bad), checks)[
            "s.format"
        ].value == len(bad)


class TestDatesAndTimes:
    def test_instants_compare_across_zones_and_dst(self, con: Any, tmp_path: Path) -> None:
        options = {"minimum": "2024-03-31T03:00:00", "defaultTimezone": "Europe/Berlin", "timezone": True}
        checks = checks_of({"name": "ts", "logicalType": "timestamp", "logicalTypeOptions": options})
        values = [datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC), datetime(2024, 3, 31, 1, 0, tzinfo=UTC)]
        found = judged(con, tmp_path, schema_of(ts="timestamptz"), column("ts", values), checks)
        assert (found["ts.minimum"].value, found["ts.timezone"].status) == (1, "pass")

    def test_a_timestamp_without_zone_breaks_the_promise_of_one(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "ts", "logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}}
        )
        found = judged(con, tmp_path, schema_of(ts="timestamp"), column("ts", [datetime(2024, 1, 1)]), checks)
        assert found["ts.timezone"].status == "fail"

    def test_bounds_are_read_by_the_format(self, con: Any, tmp_path: Path) -> None:
        options = {"format": "dd.MM.yyyy", "minimum": "01.02.2024", "exclusiveMaximum": "2024-02-03"}
        checks = checks_of({"name": "d", "logicalType": "date", "logicalTypeOptions": options})
        values = [date(2024, 1, 31), date(2024, 2, 1), date(2024, 2, 3)]
        found = judged(con, tmp_path, schema_of(d="date"), column("d", values), checks)
        assert (found["d.minimum"].value, found["d.exclusiveMaximum"].value) == (1, 1)

    def test_dates_kept_as_sortable_text_are_judged_as_text(self, con: Any, tmp_path: Path) -> None:
        options = {"format": "yyyyMMdd", "minimum": "20240201"}
        checks = checks_of(
            {"name": "d", "logicalType": "date", "physicalType": "varchar", "logicalTypeOptions": options}
        )
        found = judged(
            con, tmp_path, schema_of(d="string"), column("d", ["20240131", "20240201", "2024-02-02"]), checks
        )
        assert (found["d.logicalType"].status, found["d.format"].value, found["d.minimum"].value) == (
            "pass",
            1,
            2,
        )


class TestNested:
    def test_members_items_keys_and_values_are_judged(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {
                "name": "a",
                "logicalType": "object",
                "properties": [{"name": "x", "logicalType": "integer", "required": True}],
            },
            {
                "name": "l",
                "logicalType": "array",
                "logicalTypeOptions": {"minItems": 1, "uniqueItems": True},
                "items": {
                    "logicalType": "object",
                    "properties": [
                        {"name": "s", "logicalType": "string", "logicalTypeOptions": {"maxLength": 1}}
                    ],
                },
            },
            {
                "name": "m",
                "logicalType": "map",
                "map": {
                    "key": {"logicalType": "string", "logicalTypeOptions": {"maxLength": 1}},
                    "value": {"logicalType": "integer", "required": True},
                },
            },
        )
        text, whole = Primitive("string"), Primitive("long")
        schema = schema_of(
            a=Struct((Field("x", whole),)), l=List(Struct((Field("s", text),))), m=Map(text, whole)
        )
        rows = [
            {"a": {"x": 1}, "l": [{"s": "a"}], "m": {"k": 1}},
            {"a": {"x": None}, "l": [{"s": "a"}, {"s": "a"}], "m": {"kk": None}},
            {"a": None, "l": [], "m": {}},
            {"a": {"x": 2}, "l": [{"s": "ab"}, None], "m": None},
            {"a": {"x": 2}, "l": None, "m": None},
        ]
        found = judged(con, tmp_path, schema, rows, checks)
        wanted = {
            "a.x.required": 1,
            "l.minItems": 1,
            "l.uniqueItems": 1,
            "l[].s.maxLength": 1,
            "m{key}.maxLength": 1,
            "m{value}.required": 1,
        }
        assert {k: found[k].value for k in wanted} == wanted
        assert all(found[k].status == "pass" for k in found if k.endswith("logicalType"))

    def test_vectors_have_dimensions_element_type_and_length_one(self, con: Any, tmp_path: Path) -> None:
        options = {"dimensions": 2, "elementType": "float32", "normalized": True, "distanceMetric": "cosine"}
        checks = checks_of({"name": "v", "logicalType": "vector", "logicalTypeOptions": options})
        rows = column("v", [[0.6, 0.8], [1.0, 1.0], [1.0], None])
        found = judged(con, tmp_path, schema_of(v=List(Primitive("float"))), rows, checks)
        assert (found["v.dimensions"].value, found["v.normalized"].value) == (1, 1)
        assert (found["v.elementType"].status, found["v.distanceMetric"].status) == ("pass", "skip")

    def test_members_are_counted_and_demanded(self, con: Any, tmp_path: Path) -> None:
        members = [{"name": n, "logicalType": "integer"} for n in "xy"]
        options = {"minProperties": 1, "maxProperties": 1, "required": ["x"]}
        checks = checks_of(
            {"name": "a", "logicalType": "object", "properties": members, "logicalTypeOptions": options}
        )
        whole = Primitive("long")
        rows = [{"a": v} for v in ({"x": 1, "y": 2}, {"x": None, "y": None}, {"x": 1, "y": None}, None)]
        found = judged(
            con, tmp_path, schema_of(a=Struct((Field("x", whole), Field("y", whole)))), rows, checks
        )
        assert [found[f"a.{r}"].value for r in ("minProperties", "maxProperties", "requiredMembers")] == [
            1,
            1,
            1,
        ]


class TestKeys:
    def test_rows_in_excess_are_counted_and_null_keys_are_not(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "a", "primaryKey": True, "primaryKeyPosition": 2},
            {"name": "b", "primaryKey": True, "primaryKeyPosition": 1},
        )
        rows = [{"a": a, "b": b} for a, b in ((1, 1), (1, 1), (1, 1), (1, 2), (None, 1), (None, 1))]
        found = judged(con, tmp_path, schema_of(a="long", b="long"), rows, checks)
        assert checks["primaryKey"].columns == ("b", "a")
        assert (found["primaryKey"].value, found["a.primaryKey"].value) == (2, 2)
        assert found["primaryKey"].sample == ({"a": 1, "b": 1, "$rows": 3},)

    @pytest.mark.parametrize("text", [False, True])
    @pytest.mark.parametrize("order", ["rising", "shuffled", "wide", "repeated"])
    def test_every_way_of_counting_finds_the_same_excess(
        self, con: Any, tmp_path: Path, monkeypatch: Any, order: str, text: bool
    ) -> None:
        monkeypatch.setattr(keys, "FEW", 0)
        spread = 10**12 if order == "wide" else 1
        numbers = [(i * 7919) % 10007 * spread for i in range(5000)]
        numbers = (
            sorted(numbers)
            if order == "rising"
            else [n % 50 for n in numbers]
            if order == "repeated"
            else numbers
        )
        wanted = len(numbers) - len(set(numbers))
        for extra in (0, 3):
            values: list[Any] = [f"{n:020}" if text else n for n in numbers + numbers[:extra]]
            schema = schema_of(k="string" if text else "long")
            found = judged(
                con, tmp_path, schema, column("k", values), checks_of({"name": "k", "unique": True})
            )
            assert found["k.unique"].value == wanted + extra

    def test_unique_on_fewer_columns_needs_no_second_look(
        self, con: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(keys, "FEW", 0)
        looked: list[Any] = []
        whole = keys._whole
        monkeypatch.setattr(keys, "_whole", lambda t, k, r: looked.append(k.names) or whole(t, k, r))
        checks = checks_of(
            {"name": "a", "unique": True},
            {"name": "b"},
            quality=[{"metric": "duplicateValues", "arguments": {"properties": ["a", "b"]}, "mustBe": 0}],
        )
        found = judged(
            con, tmp_path, schema_of(a="long", b="long"), [{"a": n, "b": 1} for n in (2, 1)], checks
        )
        assert looked == [frozenset({("a",)})]
        assert found["quality.duplicateValues"].status == "pass"


class TestReferences:
    def test_rows_without_partner_are_counted_and_nulls_refer_nowhere(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "c", "relationships": [{"to": "customer.households.id"}]})
        there = write(
            tmp_path / "there.parquet", schema_of(x="string", id="int"), [{"id": n} for n in (1, 2, None)]
        )
        inputs = {"customer.households": Scan(schema_of(x="string", id="int"), (there,))}
        found = judged(
            con, tmp_path, schema_of(c="long"), column("c", [1, 3, None, 3]), checks, inputs=inputs
        )
        assert (found["c.reference"].status, found["c.reference"].value) == ("fail", 2)
        assert found["c.reference"].sample == ({"c": 3}, {"c": 3})

    def test_a_table_refers_to_itself_by_several_columns(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            *({"name": n} for n in ("a", "b", "pa", "pb")),
            relationships=[{"from": ["orders.pa", "orders.pb"], "to": ["orders.a", "orders.b"]}],
        )
        rows = [
            dict(zip(("a", "b", "pa", "pb"), r, strict=True))
            for r in ((1, 1, None, 1), (1, 2, 1, 1), (2, 1, 2, 2))
        ]
        found = judged(con, tmp_path, schema_of(a="long", b="long", pa="long", pb="long"), rows, checks)
        assert found["reference.pa-pb"].value == 1

    def test_a_missing_target_is_an_error_that_blocks(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "c", "relationships": [{"to": "customer.households.id"}]})
        result = verdict(con, tmp_path, schema_of(c="long"), [], checks)
        assert [r.status for r in result.blocked] == ["error"]
        assert "no published version of customer.households" in result.blocked[0].message

    def test_numbers_do_not_refer_to_texts(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "c", "relationships": [{"to": "customer.households.id"}]})
        there = write(tmp_path / "t.parquet", schema_of(id="string"), [{"id": "1"}])
        inputs = {"customer.households": Scan(schema_of(id="string"), (there,))}
        found = judged(con, tmp_path, schema_of(c="long"), column("c", [1]), checks, inputs=inputs)
        assert found["c.reference"].status == "error"


class TestSqlRules:
    def rule(self, query: str, **more: Any) -> dict[str, Check]:
        rule = {"type": "sql", "name": "r", "query": query, "mustBe": 0} | more
        return checks_of({"name": "n", "logicalType": "integer", "quality": [rule]})

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT count(*) FROM {object} WHERE {property} < 0",
            "SELECT count(*) FROM {table} WHERE {column} < 0;",
            "SELECT count(*) FROM ${table} WHERE ${column} < 0",
            "SELECT count(*) FROM ${object} WHERE ${property} < 0",
            'SELECT count(*) FROM "{table}" WHERE "{column}" < 0 -- quoted',
            "FROM orders SELECT count_if(n < 0)",
            "SELECT count_if(n < 0) FROM sales.orders",
        ],
    )
    def test_every_placeholder_style_and_the_names_work(self, con: Any, tmp_path: Path, query: str) -> None:
        found = judged(con, tmp_path, schema_of(n="long"), column("n", [-1, 1]), self.rule(query, mustBe=1))
        assert (found["n.quality.r"].status, found["n.quality.r"].value) == ("pass", 1)

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("SELECT 1; SELECT 2", "exactly one SELECT"),
            ("DROP VIEW {table}", "exactly one SELECT"),
            ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
            ("SELECT n, n FROM {table}", "not 2 columns"),
            ("SELECT n FROM {table}", "not several rows"),
            ("SELECT n FROM {table} WHERE false", "not no row"),
            ("SELECT max(n) FROM {table} WHERE false", "NULL"),
            ("SELECT [1]", "list"),
            ("SELECT nothing FROM {table}", "nothing"),
            ("SELECT 1) q; ATTACH 'x.db'; --", "parser"),
            ("SELEC 1", "syntax"),
            ("", "no query"),
        ],
    )
    def test_a_rule_that_cannot_be_answered_never_passes(
        self, con: Any, tmp_path: Path, query: str, reason: str
    ) -> None:
        rows = column("n", [1, 2])
        result = verdict(con, tmp_path, schema_of(n="long"), rows, self.rule(query))
        (blocked,) = result.blocked
        assert blocked.status in ("error", "not_executed")
        assert reason.lower() in blocked.message.lower()

    def test_a_truth_and_exact_decimals_are_values_too(self, con: Any, tmp_path: Path) -> None:
        rows = column("n", [1, 2])
        truth = self.rule("SELECT bool_and(n > 0) FROM {table}", mustBe=True)
        assert judged(con, tmp_path, schema_of(n="long"), rows, truth)["n.quality.r"].status == "pass"
        exact = self.rule("SELECT 0.1::DECIMAL(3,1) + 0.2::DECIMAL(3,1)", mustBe=0.3)
        assert judged(con, tmp_path, schema_of(n="long"), rows, exact)["n.quality.r"].status == "pass"

    def test_a_value_that_is_no_number_is_an_error_with_the_value_as_text(
        self, con: Any, tmp_path: Path
    ) -> None:
        found = judged(con, tmp_path, schema_of(n="long"), [], self.rule("SELECT 'nan'::DOUBLE"))
        assert (found["n.quality.r"].status, found["n.quality.r"].value) == ("error", "nan")

    def test_rules_that_have_no_place_to_run_are_errors(
        self, con: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        def refuse(_: Any) -> None:
            raise duckdb.IOException("no file system")

        found = judged(con, tmp_path, schema_of(n="long"), [], self.rule("SELECT 0"), prepare=refuse)
        assert (found["n.quality.r"].status, found["n.quality.r"].message) == ("error", "no file system")

    def test_other_tables_of_the_session_are_out_of_reach(self, con: Any, tmp_path: Path) -> None:
        con.execute("CREATE TABLE secret AS SELECT 0 AS n")
        found = judged(con, tmp_path, schema_of(n="long"), [], self.rule("SELECT count(*) FROM secret"))
        assert found["n.quality.r"].status == "error"


class TestCustomRules:
    def test_without_an_adapter_the_rule_is_not_executed_and_blocks(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "n"}, quality=[{"type": "custom", "engine": "soda", "implementation": "x"}]
        )
        result = verdict(con, tmp_path, schema_of(n="long"), [], checks)
        assert [r.status for r in result.blocked] == ["not_executed"]

    def test_an_adapter_counts_or_raises(self, con: Any, tmp_path: Path, monkeypatch: Any) -> None:
        def adapter(implementation: Any, rows: Any) -> Any:
            return {"count": len(rows.fetchall()), "yes": True}[implementation]

        monkeypatch.setattr(registry, "load", lambda group, name: adapter)
        rules = [
            {"type": "custom", "engine": "mine", "name": n, "implementation": n}
            for n in ("count", "yes", "broken")
        ]
        checks = checks_of({"name": "n"}, quality=rules, adapters=["mine"])
        found = judged(con, tmp_path, schema_of(n="long"), column("n", [1, 2]), checks)
        assert (found["quality.count"].status, found["quality.count"].value) == ("fail", 2)
        assert (found["quality.yes"].status, found["quality.broken"].status) == ("pass", "error")


class TestMessagesQuoteNoRows:
    """Messages are evidence that everybody reads: what an error quotes of a row is left out."""

    def sql(self, query: str, *, tags: tuple[str, ...] = (), **more: Any) -> dict[str, Check]:
        rule = {"type": "sql", "name": "r", "query": query, "mustBe": 0} | more
        return checks_of({"name": "mail", "logicalType": "string", "tags": list(tags), "quality": [rule]})

    def found(self, con: Any, tmp_path: Path, checks: dict[str, Check]) -> Any:
        rows = column("mail", ["anna@x.org", "4711"])
        return judged(con, tmp_path, schema_of(mail="string"), rows, checks)["mail.quality.r"]

    @pytest.mark.parametrize(
        ("query", "says"),
        [
            ("SELECT sum(mail::integer) FROM {table}", "convert string"),
            ("SELECT error('it is ' || chr(39) || min(mail) || chr(39)) FROM {table}", "it is"),
            ("SELECT sum(CASE mail WHEN '4711' THEN mail::tinyint ELSE 0 END) FROM {table}", "int8"),
        ],
    )
    def test_an_sql_rule_that_fails_on_a_row_says_why_without_texts_and_numbers(
        self, con: Any, tmp_path: Path, query: str, says: str
    ) -> None:
        result = self.found(con, tmp_path, self.sql(query))
        assert result.status == "error"
        assert says in result.message.lower()
        assert "anna" not in result.message
        assert "4711" not in result.message

    def test_an_error_about_the_text_of_a_rule_still_names_what_is_wrong(
        self, con: Any, tmp_path: Path
    ) -> None:
        result = self.found(con, tmp_path, self.sql("SELECT count(nosuch) FROM {table}"))
        assert "nosuch" in result.message

    def test_what_an_adapter_raises_is_told_without_texts_and_numbers(
        self, con: Any, tmp_path: Path, monkeypatch: Any
    ) -> None:
        def adapter(_: Any, rows: Any) -> Any:
            raise ValueError(f"bad row {rows.fetchall()[0]!r}, code 4711")

        monkeypatch.setattr(registry, "load", lambda group, name: adapter)
        rule = {"type": "custom", "engine": "mine", "name": "r", "implementation": "x"}
        checks = checks_of({"name": "mail", "quality": [rule]}, adapters=["mine"])
        result = self.found(con, tmp_path, checks)
        assert result.message.startswith("ValueError: bad row")
        assert "anna" not in result.message
        assert "4711" not in result.message

    @pytest.mark.parametrize("promised", [0, "nobody"])
    def test_a_text_that_an_sql_rule_answers_is_hidden_when_the_table_has_sensitive_columns(
        self, con: Any, tmp_path: Path, promised: Any
    ) -> None:
        query = "SELECT max(mail) FROM {table}"
        result = self.found(con, tmp_path, self.sql(query, tags=("pii.direct.email",), mustBe=promised))
        assert (result.status in ("fail", "error"), result.value) == (True, "***")
        assert "anna" not in result.message
        open_ = self.found(con, tmp_path, self.sql(query, mustBe="nobody"))
        assert (open_.status, open_.value) == ("fail", "anna@x.org")


class TestNothingVanishes:
    def test_a_missing_column_fails_its_type_and_its_rows_are_an_error(
        self, con: Any, tmp_path: Path
    ) -> None:
        checks = checks_of({"name": "gone", "logicalType": "string", "required": True}, {"name": "n"})
        found = judged(con, tmp_path, schema_of(n="long"), column("n", [1]), checks)
        assert (found["gone.logicalType"].status, found["gone.required"].status) == ("fail", "error")
        assert found["n.exists"].status == "pass"

    def test_an_option_that_does_not_fit_the_type_is_an_error(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of(
            {"name": "n", "logicalType": "string", "logicalTypeOptions": {"maxLength": 3, "pattern": "x"}}
        )
        found = judged(con, tmp_path, schema_of(n="long"), column("n", [1]), checks)
        assert (found["n.maxLength"].status, found["n.pattern"].status) == ("error", "error")

    def test_one_check_that_breaks_at_run_time_leaves_the_others_measured(
        self, con: Any, tmp_path: Path
    ) -> None:
        checks = checks_of(
            {"name": "s", "logicalType": "string", "required": True, "logicalTypeOptions": {"pattern": "(a"}}
        )
        bad = replace(
            checks_of({"name": "s", "logicalType": "string", "logicalTypeOptions": {"pattern": "a"}})[
                "s.pattern"
            ]
        )
        broken = replace(bad, violates=Not(Matches(Column(("s",)), "(a")))
        checks = {"s.required": checks["s.required"], "s.pattern": broken}
        found = judged(con, tmp_path, schema_of(s="string"), column("s", [None, "a"]), checks)
        assert (found["s.required"].value, found["s.pattern"].status) == (1, "error")
        assert "missing )" in found["s.pattern"].message

    @pytest.mark.parametrize("files", [0, 1])
    def test_an_empty_table_is_never_silently_green(self, con: Any, tmp_path: Path, files: int) -> None:
        checks = checks_of(
            {
                "name": "n",
                "required": True,
                "unique": True,
                "quality": [{"metric": "nullValues", "mustBeLessThan": 5, "unit": "percent"}],
            }
        )
        paths = [write(tmp_path / "e.parquet", schema_of(n="long"), [])] if files else []
        wanted = tuple(checks.values())
        result = judge(wanted, measure(con, paths, schema_of(n="long"), wanted))
        found = {r.check.id: r.status for r in result.results}
        assert found["table.rows"] == "warn"
        assert found["n.required"] == found["n.unique"] == found["n.quality.nullValues"] == "pass"
        assert not result.blocked

    def test_a_contract_without_any_promise_blocks(self, con: Any, tmp_path: Path) -> None:
        result = verdict(con, tmp_path, schema_of(n="long"), column("n", [1]), checks_of())
        assert [r.check.id for r in result.blocked] == ["contract.promises"]
        assert result.score is not None or result.counts["not_executed"]

    def test_files_that_hold_another_type_than_the_schema_fail(self, con: Any, tmp_path: Path) -> None:
        checks = tuple(checks_of({"name": "n", "logicalType": "integer"}).values())
        path = write(tmp_path / "x.parquet", schema_of(n="double"), column("n", [0.6]))
        found = judge(checks, measure(con, [path], schema_of(n="long"), checks)).results
        assert found[0].status == "fail"
        assert "holds double, not long" in found[0].message

    def test_dropping_any_measurement_never_makes_a_version_pass(self, con: Any, tmp_path: Path) -> None:
        checks = tuple(
            checks_of(
                {"name": "n", "logicalType": "integer", "required": True, "unique": True, "relationships": [{"to": "orders.n"}],
                 "quality": [{"type": "sql", "name": "r", "query": "SELECT 0", "mustBe": 0}]},
                quality=[{"metric": "rowCount", "mustBeGreaterThan": 0}],
            ).values()
        )  # fmt: skip
        path = write(tmp_path / "x.parquet", schema_of(n="long"), column("n", [1, 2]))
        whole = measure(con, [path], schema_of(n="long"), checks)
        assert not judge(checks, whole).blocked
        for check in checks:
            state = whole.files[path]
            less = Measurements(
                {
                    path: replace(
                        state, violations={k: v for k, v in state.violations.items() if k != check.id}
                    )
                },
                {k: v for k, v in whole.values.items() if k != check.id},
                whole.types,
                whole.failures,
            )
            result = judge(checks, less)
            if check.kind != "count":
                assert [r.check.id for r in result.blocked] == [check.id]
                assert result.blocked[0].status == "error"
        nothing = judge(checks, Measurements())
        assert {r.status for r in nothing.results} == {"error"}
        assert nothing.score is None


class TestStatesOfFiles:
    CHECKS = (
        {"name": "id", "logicalType": "integer", "unique": True},
        {"name": "n", "logicalType": "integer", "required": True, "logicalTypeOptions": {"minimum": 0}},
    )

    def rows(self, start: int, end: int) -> list[dict[str, Any]]:
        return [{"id": i, "n": None if i % 3 == 0 else i - 5} for i in range(start, end)]

    def test_many_files_say_what_one_file_says(self, con: Any, tmp_path: Path) -> None:
        checks, schema = tuple(checks_of(*self.CHECKS).values()), schema_of(id="long", n="long")
        one = write(tmp_path / "one.parquet", schema, self.rows(0, 20))
        parts = [write(tmp_path / f"p{i}.parquet", schema, self.rows(i * 5, i * 5 + 5)) for i in range(4)]
        parts.append(write(tmp_path / "empty.parquet", schema, []))
        single, several = (judge(checks, measure(con, f, schema, checks)) for f in ([one], parts))
        assert [(r.check.id, r.status, r.value) for r in single.results] == [
            (r.check.id, r.status, r.value) for r in several.results
        ]
        assert single.score == several.score

    def test_an_append_reads_only_new_files_and_says_what_a_full_look_says(
        self, con: Any, tmp_path: Path
    ) -> None:
        checks, schema = tuple(checks_of(*self.CHECKS).values()), schema_of(id="long", n="long")
        first = write(tmp_path / "a.parquet", schema, self.rows(0, 10))
        states = {
            k: file_state_from_json(file_state_to_json(v))
            for k, v in measure(con, [first], schema, checks).files.items()
        }
        second = write(tmp_path / "b.parquet", schema, self.rows(8, 14))
        full = judge(checks, measure(con, [first, second], schema, checks))
        kept = Scan(schema, (first,))
        appended = measure(con, [second], schema, checks, kept=kept, kept_states=states)
        assert [(r.check.id, r.value) for r in judge(checks, appended).results] == [
            (r.check.id, r.value) for r in full.results
        ]
        assert set(appended.files) == {first, second}
        third = write(tmp_path / "c.parquet", schema, self.rows(0, 2))
        again = measure(
            con, [third], schema, checks, kept=Scan(schema, (first, second)), kept_states=appended.files
        )
        assert again.values["id.unique"] == 4

    def test_row_counts_of_kept_files_come_from_their_state(self, con: Any, tmp_path: Path) -> None:
        checks = tuple(checks_of({"name": "n", "required": True}).values())
        schema = schema_of(n="long")
        first = write(tmp_path / "a.parquet", schema, column("n", [None]))
        states = measure(con, [first], schema, checks).files
        Path(first).unlink()
        second = write(tmp_path / "b.parquet", schema, column("n", [None, 1]))
        taken = measure(con, [second], schema, checks, kept=Scan(schema, (first,)), kept_states=states)
        assert {r.check.id: r.value for r in judge(checks, taken).results}["n.required"] == 2

    def test_a_changed_rule_is_counted_again_in_kept_files(self, con: Any, tmp_path: Path) -> None:
        schema = schema_of(n="long")

        def checks(limit: int) -> tuple[Check, ...]:
            return tuple(
                checks_of(
                    {"name": "n", "logicalType": "integer", "logicalTypeOptions": {"minimum": limit}}
                ).values()
            )

        first = write(tmp_path / "a.parquet", schema, column("n", [1, 2, 3]))
        states = measure(con, [first], schema, checks(1)).files
        taken = measure(con, [], schema, checks(3), kept=Scan(schema, (first,)), kept_states=states)
        assert {r.check.id: r.value for r in judge(checks(3), taken).results}["n.minimum"] == 2

    def test_keys_are_looked_at_as_a_whole_when_files_were_taken_away(self, con: Any, tmp_path: Path) -> None:
        checks, schema = tuple(checks_of({"name": "id", "unique": True}).values()), schema_of(id="long")
        a, b = (write(tmp_path / f"{n}.parquet", schema, column("id", [1])) for n in "ab")
        states = measure(con, [a, b], schema, checks).files
        c = write(tmp_path / "c.parquet", schema, column("id", [2]))
        taken = measure(con, [c], schema, checks, kept=Scan(schema, (b,)), kept_states=states)
        assert taken.values["id.unique"] == 0

    def test_profiles_come_from_footers_and_hide_sensitive_limits(self, con: Any, tmp_path: Path) -> None:
        checks = tuple(
            checks_of({"name": "id"}, {"name": "mail", "tags": ["pii.direct.email"]}, {"name": "f"}).values()
        )
        schema = schema_of(id="long", mail="string", f="double")
        path = write(
            tmp_path / "a.parquet",
            schema,
            [{"id": 3, "mail": "a@b.c", "f": None}, {"id": 1, "mail": None, "f": None}],
        )
        profile = measure(con, [path], schema, checks).files[path].columns
        assert profile["id"] == {"id": 1, "type": "int", "nulls": 0, "min": 1, "max": 3}
        assert profile["mail"] == {"id": 2, "type": "string", "nulls": 1}
        assert (profile["f"]["nulls"], profile["f"]["min"]) == (2, None)


class TestSamples:
    def test_samples_show_key_and_column_at_most_five_and_mask_sensitive_values(
        self, con: Any, tmp_path: Path
    ) -> None:
        checks = checks_of(
            {"name": "id", "primaryKey": True},
            {
                "name": "mail",
                "logicalType": "string",
                "tags": ["pii.direct.email"],
                "logicalTypeOptions": {"format": "email"},
            },
        )
        rows = [{"id": i, "mail": f"nobody{i}"} for i in range(9)]
        found = judged(con, tmp_path, schema_of(id="long", mail="string"), rows, checks)
        assert len(found["mail.format"].sample) == 5
        assert found["mail.format"].sample[0] == {"id": 0, "mail": "***"}

    def test_values_become_json(self, con: Any, tmp_path: Path) -> None:
        checks = checks_of({"name": "p", "logicalType": "number", "logicalTypeOptions": {"minimum": 1}})
        found = judged(con, tmp_path, schema_of(p=Decimal(9, 2)), column("p", [Number("0.10")]), checks)
        assert found["p.minimum"].sample == ({"p": "0.10"},)

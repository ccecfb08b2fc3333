"""Values come out as they went in: exact types, no lossy cast, nested data, awkward names."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import BreakingChangeError, ConformError
from raymesh.spec.types import Decimal as DecimalType
from raymesh.spec.types import Primitive
from raymesh.spi.conformance.engine_opened import OpenedEngine, column, columns, scan, short

if TYPE_CHECKING:
    from raymesh.spi.conformance.engine_opened import Bench

KEPT: list[tuple[str, str, Any]] = [
    ("1099511627776::bigint", "bigint", 2**40),
    ("9223372036854775807::bigint", "bigint", 2**63 - 1),
    ("7::tinyint", "integer", 7),
    ("7::integer", "bigint", 7),
    ("7::bigint", "integer", 7),
    ("sum(9007199254740993::bigint)", "bigint", 9007199254740993),
    ("sum(1.10::decimal(9,2))", "decimal(18,2)", Decimal("1.10")),
    ("0.6", "decimal(18,4)", Decimal("0.6000")),
    ("0.6", "double", 0.6),
    ("1.5::float", "double", 1.5),
    ("0.1::double", "double", 0.1),
    ("'x'::uuid_like", "varchar", "x"),
    ("'{\"a\": 1}'::json", "varchar", '{"a": 1}'),
    ("'b'::enum('a', 'b')", "varchar", "b"),
    ("18446744073709551615::ubigint", "decimal(20,0)", Decimal(18446744073709551615)),
    ("'\\x00\\xFF'::blob", "binary", b"\x00\xff"),
    ("date '2024-02-29'", "date", date(2024, 2, 29)),
    ("time '23:59:59.999999'", "time", time(23, 59, 59, 999999)),
    ("timestamp '2024-01-01 00:00:00.000001'", "timestamp", datetime(2024, 1, 1, 0, 0, 0, 1)),  # noqa: DTZ001
    ("timestamptz '2024-01-01 02:00:00+02'", "timestamptz", datetime(2024, 1, 1, tzinfo=UTC)),
    ("true", "boolean", True),
    ("null", "varchar", None),
    ("'Zürich 🐙'", "varchar", "Zürich 🐙"),
    ("[1, null, 3]", "bigint[]", [1, None, 3]),
    ("{'b': 1, 'A': {'x': [1.5]}}", "struct(a struct(x decimal(4,2)[]), b bigint)", {"a": {"x": [Decimal("1.50")]}, "b": 1}),
    ("map {'k': {'n': 1}}", "map(varchar, struct(n integer))", [("k", {"n": 1})]),
    ("[1, 2]::integer[2]", "integer[]", [1, 2]),
]  # fmt: skip

REFUSED = [
    ("0.6", "integer"),
    ("1.0::double", "bigint"),
    ("1.0::double", "decimal(9,2)"),
    ("1::bigint", "double"),
    ("1.25::decimal(9,2)", "decimal(9,1)"),
    ("'7'", "integer"),
    ("7", "varchar"),
    ("date '2024-01-01'", "timestamp"),
    ("timestamp '2024-01-01'", "timestamptz"),
    ("timestamptz '2024-01-01'", "timestamp"),
    ("{'a': 1}", "struct(a integer, b integer)"),
    ("{'a': 1, 'b': 2}", "struct(a integer)"),
    ("[0.5]", "integer[]"),
    ("interval 1 day", "varchar"),
    ("timestamp_ns '2024-01-01'", "timestamp"),
]

OVERFLOWING = [
    ("170141183460469231731687303715884105727::hugeint", "bigint"),
    ("2147483648::bigint", "integer"),
    ("12345.67::decimal(9,2)", "decimal(5,2)"),
]


class ValueConformance(OpenedEngine):
    @pytest.mark.parametrize(("sql", "physical", "value"), KEPT, ids=short)
    def test_a_value_survives_in_its_promised_type(
        self, bench: Bench, sql: str, physical: str, value: Any
    ) -> None:
        staged = bench.sql(f"select {sql.replace('::uuid_like', '')} as v", (column("v", physical),))
        assert bench.rows(staged) == [{"v": value}]

    @pytest.mark.parametrize(("sql", "physical"), REFUSED, ids=short)
    def test_a_cast_that_could_change_a_value_is_refused(self, bench: Bench, sql: str, physical: str) -> None:
        with pytest.raises(ConformError, match="column 'v'"):
            bench.sql(f"select {sql} as v", (column("v", physical),))
        assert bench.staged_files() == []

    @pytest.mark.parametrize(("sql", "physical"), OVERFLOWING, ids=short)
    def test_a_value_that_does_not_fit_is_refused_and_its_column_named(
        self, bench: Bench, sql: str, physical: str
    ) -> None:
        with pytest.raises(ConformError, match="column 'v'"):
            bench.sql(f"select {sql} as v from range(3)", (column("v", physical),))
        assert bench.staged_files() == []

    @pytest.mark.parametrize(
        ("logical", "sql", "stored"),
        [
            ("integer", "1::tinyint", Primitive("int")),
            ("integer", "sum(1)", DecimalType(38, 0)),
            ("number", "0.5", DecimalType(2, 1)),
            ("number", "0.5::float", Primitive("float")),
            ("string", "'x'", Primitive("string")),
            ("timestamp", "timestamptz '2024-01-01'", Primitive("timestamptz")),
        ],
        ids=short,
    )
    def test_a_logical_type_alone_keeps_the_type_of_the_data(
        self, bench: Bench, logical: str, sql: str, stored: Any
    ) -> None:
        staged = bench.sql(f"select {sql} as v", (column("v", logical=logical),))
        assert staged.schema.fields[0].type == stored

    def test_a_logical_type_refuses_another_kind(self, bench: Bench) -> None:
        with pytest.raises(ConformError, match="no integer"):
            bench.sql("select 0.5 as v", (column("v", logical="integer"),))

    def test_every_problem_is_listed_at_once(self, bench: Bench) -> None:
        with pytest.raises(ConformError) as caught:
            bench.sql("select 'x' as a, 2 as extra", columns(a="integer", missing="date"))
        for name in ("'a'", "'extra'", "'missing'"):
            assert name in caught.value.message

    def test_two_columns_of_one_name_are_refused_without_regard_to_case(self, bench: Bench) -> None:
        with pytest.raises(ConformError, match="2 columns are called"):
            bench.sql("select 1 as a, 2 as A")

    def test_names_leave_as_the_contract_writes_them_and_in_its_order(self, bench: Bench) -> None:
        staged = bench.sql("select 1 as B, 2 as A", columns(a="integer", b="integer"))
        assert staged.schema.names == ("a", "b")
        assert bench.rows(staged) == [{"a": 2, "b": 1}]

    def test_any_name_can_be_a_column(self, bench: Bench) -> None:
        names = ["select", "ünï cödé", 'we"ird', "a.b", "  ", "*", "'", "$1", "🐙", "{x}", "--"]
        quoted = ", ".join(f'{i} as "{n.replace(chr(34), chr(34) * 2)}"' for i, n in enumerate(names))
        staged = bench.sql(f"select {quoted}", tuple(column(n, "integer") for n in names))
        assert bench.rows(staged) == [{n: i for i, n in enumerate(names)}]

    def test_two_thousand_columns_work(self, bench: Bench) -> None:
        made = ", ".join(f"{i} as c{i}" for i in range(2000))
        staged = bench.sql(f"select {made}", tuple(column(f"c{i}", "integer") for i in range(2000)))
        assert len(staged.schema.fields) == 2000
        assert bench.rows(staged, columns=["c1999", "c0"]) == [{"c1999": 1999, "c0": 0}]

    def test_a_field_keeps_its_id_through_a_rename_and_a_widening(self, bench: Bench) -> None:
        first = bench.sql("select 1 as a, {'x': 1} as s", columns(a="integer", s="struct(x integer)"))
        promised = (column("b", "bigint", renamed_from="a"), column("s", "struct(x bigint, y varchar)"))
        second = bench.sql("select 2 as b, {'x': 2, 'y': 'n'} as s", promised, previous=first.schema)
        assert bench.rows(first, second) == [
            {"b": 1, "s": {"x": 1, "y": None}},
            {"b": 2, "s": {"x": 2, "y": "n"}},
        ]

    def test_a_dropped_column_needs_permission(self, bench: Bench) -> None:
        first = bench.sql("select 1 as a, 2 as b")
        with pytest.raises(BreakingChangeError, match="b"):
            bench.sql("select 1 as a", previous=first.schema)
        assert scan(bench.sql("select 1 as a", previous=first.schema, allow_breaking=True)).rows == 1

"""The SELECTs that part good rows from bad ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest

from raymesh.engines.kernel.fieldids import field_ids
from raymesh.engines.kernel.quarantine import bad_rows, good_rows
from raymesh.engines.kernel.sqltext import quote, text
from raymesh.mesh.plan import Scan
from raymesh.quality.model import Check
from raymesh.spec.expression import Column, Compare, Constant, IsNull, Or, Value
from raymesh.spec.types import Field, Primitive, TableSchema

STAMP = "'r' AS raymesh_run_id"
ODD = "a \"b\" 'c'"
SCHEMA = TableSchema((Field("id", Primitive("long"), 1), Field(ODD, Primitive("string"), 2)), 2)
LARGE = Check(
    "large", "row", "large", violates=Compare(">", Column(("id",)), Value(2)), description="id is small"
)
NAMED = Check("named", "row", "named", violates=IsNull(Column((ODD,))), description="it's named")


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    file = tmp_path_factory.mktemp("rows") / "rows.parquet"
    values = "(1, 'a'), (2, NULL), (3, 'c'), (4, NULL), (NULL, 'e')"
    rows = f"SELECT * FROM (VALUES {values}) AS t(id, {quote(ODD)})"
    duckdb.sql(f"COPY ({rows}) TO {text(str(file))} (FORMAT parquet, FIELD_IDS {field_ids(SCHEMA)})")
    return Scan(SCHEMA, (str(file),))


def good(scan: Scan, *checks: Check) -> list[Any]:
    return [row[0] for row in duckdb.sql(f"SELECT id FROM {good_rows(scan, checks)} AS q").fetchall()]


def bad(
    scan: Scan, *checks: Check, columns: str = "id, raymesh_rules, raymesh_reasons"
) -> list[tuple[Any, ...]]:
    return duckdb.sql(f"SELECT {columns} FROM {bad_rows(scan, checks, STAMP)} AS q").fetchall()


def test_every_row_is_in_one_part(scan: Scan) -> None:
    assert good(scan, LARGE, NAMED) == [1, None]
    assert bad(scan, LARGE, NAMED) == [
        (2, ["named"], ["it's named"]),
        (3, ["large"], ["id is small"]),
        (4, ["large", "named"], ["id is small", "it's named"]),
    ]


def test_a_row_of_which_it_is_unknown_is_good(scan: Scan) -> None:
    assert None in good(scan, LARGE)
    either = replace(LARGE, violates=Or((LARGE.violates, Compare("=", Column((ODD,)), Value("x")))))  # type: ignore[arg-type]
    assert good(scan, either) == [1, 2, None]


def test_without_checks_every_row_is_good(scan: Scan) -> None:
    assert good(scan) == [1, 2, 3, 4, None]
    assert bad(scan) == []


def test_a_check_that_no_row_or_every_row_breaks(scan: Scan) -> None:
    never, always = replace(LARGE, violates=Constant(False)), replace(LARGE, violates=Constant(True))
    assert (len(good(scan, never)), len(bad(scan, never))) == (5, 0)
    assert (len(good(scan, always)), len(bad(scan, always))) == (0, 5)


@pytest.mark.parametrize("name", ["x'] || 'y", 'a "quoted" id', "naïve; DROP TABLE t", "$n", "\\"])
def test_names_and_words_are_values_and_never_sql(scan: Scan, name: str) -> None:
    check = replace(NAMED, id=name, description=f"{name} {name}")
    assert bad(scan, check)[0] == (2, [name], [f"{name} {name}"])


def test_a_check_without_words_gives_its_name_as_the_reason(scan: Scan) -> None:
    assert bad(scan, replace(NAMED, description=""))[0] == (2, ["named"], ["named"])


def test_all_columns_and_the_stamp_are_there(scan: Scan) -> None:
    row = bad(scan, NAMED, columns="*")[0]
    assert row == (2, None, ["named"], ["it's named"], "r")


def test_no_files_are_no_rows(scan: Scan) -> None:
    nothing = replace(scan, files=())
    assert (good(nothing, LARGE), bad(nothing, LARGE)) == ([], [])

"""Keys and references counted in many tasks are what one look at the whole table counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as Number
from pathlib import Path
from typing import Any

import pytest

from random_sql import BOOLEAN, DOUBLE, INT, LONG, STRING, TIMESTAMPTZ, Here, limits, table, written
from raymesh.engines.kernel import duck
from raymesh.engines.kernel.measure import Counted, measure
from raymesh.engines.ray import counting, staged
from raymesh.engines.ray.counting import Whole, count_apart, pays
from raymesh.engines.ray.sql import Room
from raymesh.mesh.plan import Scan
from raymesh.quality.model import Check, Measurements
from raymesh.spec.expression import Column
from raymesh.spec.types import Decimal, Field, Struct, TableSchema

NAN = float("nan")
WORDS = ["a", "A", "ä", "a\u0308", "", "ß", "ss", None]
ODD = [0.0, -0.0, NAN, -NAN, None, 1.5, float("inf"), 5e-324]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small a table is, it is counted apart, in several partitions."""
    monkeypatch.setattr(counting, "pays", lambda *_: True)
    monkeypatch.setattr(staged, "_SMALL_EXCHANGE", 0)


def judged(folder: Path, whole: Whole, counted: Counted | None = None) -> Measurements:
    with duck.session(limits(folder)) as con:
        return measure(
            con,
            whole.new.files,
            whole.new.schema,
            whole.checks,
            kept=whole.kept,
            kept_states=whole.kept_states,
            inputs=whole.inputs,
            counted=counted,
        )


def apart(folder: Path, whole: Whole, memory: int = 1) -> Counted:
    each = replace(limits(folder), memory_bytes=memory)
    room = Room(3, replace(each, memory_bytes=256 << 20) if memory > 1 else each)
    return count_apart(whole, room, limits(folder), _Hands(folder))[0]


class _Hands(Here):
    """Limits of a task that are only there to be reckoned with are not those it runs under."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, function: Any, unit: Any, tables: Any, returns: int, *, alone: bool) -> list[Any]:
        real = replace(unit, limits=limits(self.folder))
        return Here.start(self, function, real, tables, returns, alone=alone)


def key(name: str, *columns: str, **more: Any) -> Check:
    return Check(name, "key", "unique", columns=columns, **more)


def reference(name: str, target: str, *pairs: tuple[str, str]) -> Check:
    theirs = tuple(t for _, t in pairs)
    return Check(name, "reference", "foreignKey", columns=tuple(m for m, _ in pairs), target=(target, theirs))


def sales(folder: Path, name: str, first: int, count: int, files: int = 4) -> Scan:
    start = datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC)
    rows = [
        (
            i if i % 50 else first,
            None if i % 11 == 0 else i % 90,
            WORDS[i % 8],
            ODD[i * 5 % 8],
            Number(i % 70) / 10,
            start + timedelta(hours=i % 30),
            bool(i % 3),
        )
        for i in range(first, first + count)
    ]
    schema = table(id=LONG, k0=INT, s=STRING, d=DOUBLE, n=Decimal(6, 2), t=TIMESTAMPTZ, b=BOOLEAN)
    return written(folder, name, schema, rows, files)


CHECKS = (
    key("id", "id"),
    key("some", "k0"),
    key("words", "s"),
    key("odd", "d"),
    key("same odd", "d"),
    key("pair", "k0", "s"),
    key("many", "id", "d", "n", "t", "b"),
    key("all of id", "id", "s"),
    key("missing", "nowhere"),
    reference("to others", "shop.others", ("k0", "n")),
    reference("to words", "shop.others", ("s", "word")),
    reference("to odd", "shop.others", ("d", "odd")),
    reference("to pairs", "shop.others", ("k0", "n"), ("s", "word")),
    reference("to itself", "", ("n", "k0")),
    reference("to nobody", "shop.nobody", ("k0", "n")),
    reference("of another kind", "shop.others", ("d", "n")),
)


def others(folder: Path, files: int = 3) -> Scan:
    rows = [(Number(i), WORDS[i % 6], ODD[i % 3]) for i in range(0, 80, 2)] + [(None, None, None)]
    return written(folder, "others", table(n=Decimal(20, 4), word=STRING, odd=DOUBLE), rows, files)


def assert_same(folder: Path, whole: Whole, counted: Counted) -> None:
    told, expected = judged(folder, whole, counted), judged(folder, whole)
    assert told.values == expected.values
    assert told.files == expected.files
    assert told.failures == expected.failures


@pytest.mark.parametrize("memory", [1, 256 << 20], ids=["exchanged", "given whole"])
def test_keys_and_references_are_counted_as_in_one_task(tmp_path: Path, memory: int) -> None:
    whole = Whole(sales(tmp_path, "sales", 0, 400), CHECKS, inputs={"shop.others": others(tmp_path)})
    counted = apart(tmp_path, whole, memory)
    assert set(counted.keys) == {c.id for c in CHECKS if c.kind == "key"} - {"missing"}
    assert set(counted.orphans) == {"to others", "to words", "to odd", "to pairs", "to itself"}
    assert counted.keys["id"] > 0
    assert 0 < sum(counted.orphans["to pairs"].values()) < 400
    assert_same(tmp_path, whole, counted)


def test_duplicates_lie_in_different_files_and_in_kept_ones(tmp_path: Path) -> None:
    old, inputs = sales(tmp_path, "old", 0, 120), {"shop.others": others(tmp_path)}
    states: Mapping[str, Any] = judged(tmp_path, Whole(old, CHECKS, inputs=inputs)).files
    new = sales(tmp_path, "new", 60, 90, files=3)
    known = Whole(new, CHECKS, old, states, inputs)
    counted = apart(tmp_path, known)
    assert not counted.keys  # only the few new rows are looked at, which one task does at once
    assert set(counted.orphans["to words"]) == {*new.files}  # what is known of kept files still holds
    assert set(counted.orphans["to itself"]) == {*old.files, *new.files}
    assert_same(tmp_path, known, counted)
    unknown = replace(known, kept_states={})
    counted = apart(tmp_path, unknown)
    assert counted.keys["id"] > 60
    assert_same(tmp_path, unknown, counted)


def test_a_single_file_and_members_of_structs(tmp_path: Path) -> None:
    inner = Struct((Field("k0", LONG, 3), Field("s", STRING, 4)))
    schema = TableSchema((Field("k0", LONG, 1), Field("of", inner, 2)))
    path = tmp_path / "rows.parquet"
    with duck.session(limits(tmp_path)) as con:
        con.execute(
            f"COPY (SELECT i AS k0, {{'k0': i % 700, 's': 'w' || i % 7}} AS \"of\" FROM range(1000) r(i)) TO '{path}' "
            "(FORMAT parquet, FIELD_IDS {k0: 1, of: {__duckdb_field_id: 2, k0: 3, s: 4}})"
        )
    checks = (
        Check("member", "key", "unique", keys=(Column(("of", "k0")), Column(("of", "s")))),
        Check("whole struct", "key", "unique", columns=("of",)),
        Check("mixed", "key", "unique", columns=("k0", "of")),
    )
    scan = Scan(schema, (str(path),), 1000, path.stat().st_size)
    counted = apart(tmp_path, Whole(scan, checks))
    assert set(counted.keys) == {"member", "mixed"}  # rows cannot be placed by a struct
    assert counted.keys["member"] > 0
    assert_same(tmp_path, Whole(scan, checks), counted)


def test_an_empty_table_and_an_empty_target(tmp_path: Path) -> None:
    checks = [c for c in CHECKS if c.kind == "key"] + [reference("to others", "shop.others", ("k0", "n"))]
    empty = Scan(others(tmp_path).schema, ())
    some = Whole(sales(tmp_path, "sales", 0, 50), checks, inputs={"shop.others": empty})
    assert_same(tmp_path, some, apart(tmp_path, some))
    none = replace(some, new=Scan(some.new.schema, ()))
    assert_same(tmp_path, none, apart(tmp_path, none))


def test_a_count_that_fails_is_left_to_the_task_that_measures_the_rest(tmp_path: Path) -> None:
    scan = sales(tmp_path, "sales", 0, 50)
    Path(scan.files[0]).write_bytes(b"PAR1 damaged PAR1")
    whole = Whole(scan, [key("id", "id")])
    counted, used = count_apart(whole, Room(3, limits(tmp_path)), limits(tmp_path), _Hands(tmp_path))
    assert not counted.keys
    (note,) = used.notes
    assert note.startswith("id: counting it in many tasks failed")


def _sizes() -> Sequence[Any]:
    mib = 1024 * 1024
    return [
        (100 * mib, 2, 2, False),  # one task has both processors
        (100 * mib, 16, 2, False),  # done before tasks would have begun
        (300 * mib, 16, 2, True),  # many more processors
        (300 * mib, 3, 2, False),
        (900 * mib, 2, 2, True),  # it would spill
    ]


@pytest.mark.parametrize(("size", "parallel", "threads", "expected"), _sizes())
def test_it_is_done_only_where_it_pays(
    size: float, parallel: int, threads: int, expected: bool, tmp_path: Path
) -> None:
    alone = replace(limits(tmp_path), memory_bytes=2 << 30, threads=threads)
    assert pays(size, Room(parallel, alone), alone) is expected

"""B: what is left in buffers and bytes of values that are not shown. Every type: tests/unit/engines/test_scrub.py."""

from __future__ import annotations

import os
import pickle
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from contracts import schema_of
from observing import Bench, serialised
from raymesh.engines.kernel import consumer
from raymesh.engines.kernel.scrub import scrub_table
from raymesh.errors import MeshError
from raymesh.mesh.plan import Limits, ViewColumn
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from raymesh.spec.types import Field, List, Primitive, Struct
from views import viewed, written

SCHEMA = schema_of(
    id="long",
    name="string",
    code="long",
    person=Struct((Field("name", Primitive("string")), Field("tags", List(Primitive("string"))))),
)
WORD, NUMBER = "H1DDEN-WORD", 0x5EC2E7_5EC2E7
MARKS = (WORD.encode(), NUMBER.to_bytes(8, "little"))
EVEN = x.In(x.Column(("id",)), tuple(range(0, 1000, 10)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A thousand rows; words and numbers are visible in every tenth, where they say something else."""
    rows = []
    for n in range(1000):
        word, code = (f"shown{n}", n) if n % 10 == 0 else (WORD, NUMBER)
        rows.append({"id": n, "name": word, "code": code, "person": {"name": word, "tags": [word]}})
    scan = written(tmp_path, SCHEMA, rows)
    cells = [ViewColumn(c, m.Raw(), EVEN) for c in ("name", "code", "person")]
    bench = Bench(
        tmp_path, {"cells": viewed(scan, "id", *cells), "t": viewed(scan, *SCHEMA.names, rows=EVEN)}
    )
    yield bench
    bench.close()


def clean(table: pa.Table) -> bool:
    found = serialised(table)
    return not any(mark in found for mark in MARKS)


def test_b1_no_value_lies_under_a_null(bench: Bench) -> None:
    for table in (bench.read("cells"), bench.sql("select * from cells"), bench.sql("from cells limit 50")):
        assert table.num_rows
        assert clean(table)
        assert table["name"].null_count


def test_b1_the_trap_is_real() -> None:
    names = pa.array([WORD] * 100)
    trap = pa.table({"c": pc.if_else(pa.array([False] * 100), names, pa.scalar(None, pa.string()))})
    assert not clean(trap)
    assert clean(scrub_table(trap))


def test_b2_frames_of_polars_and_pandas_hold_nothing_more(bench: Bench) -> None:
    import polars as pl

    frame = pl.from_arrow(bench.read("cells"))
    assert clean(frame.to_arrow())
    assert not any(mark in pickle.dumps(bench.read("cells").to_pandas()) for mark in MARKS)


def test_b3_no_dictionary_outlives_its_rows(bench: Bench) -> None:
    table = bench.read("t")
    assert clean(table)
    assert not any(pa.types.is_dictionary(f.type) for f in table.schema)


def test_b4_enums_become_texts(bench: Bench) -> None:
    for query in ("select cast(name as enum('shown0', 'H1DDEN')) as e from t where id = 0",):
        found = bench.sql(query)
        assert found.schema.field("e").type == pa.string()


def test_b5_a_slice_carries_no_neighbours(bench: Bench) -> None:
    for table in (bench.read("t", limit=3), bench.read("cells", limit=3)):
        assert clean(table)
        for column in table.columns:
            assert all(chunk.offset == 0 for chunk in column.chunks)


def test_b6_children_of_hidden_structs_are_gone(bench: Bench) -> None:
    people = bench.read("cells", columns=["person"])
    assert people["person"].null_count == 900
    assert clean(people)


def test_b7_schemas_say_names_and_types_only(bench: Bench) -> None:
    for table in (bench.read("t"), bench.sql("select * from t")):
        assert table.schema.metadata is None
        assert all(f.metadata is None for f in table.schema)


def test_b9_errors_hold_no_rows(bench: Bench) -> None:
    for query in ("select cast(name as integer) from t", "select cast(name as integer) from cells"):
        with pytest.raises(MeshError) as caught:
            bench.sql(query)
        told = "".join(traceback.format_exception(caught.value))
        assert WORD not in told
        assert "shown" not in told
        assert caught.value.__context__ is None


def test_b9_a_damaged_file_is_not_described(bench: Bench) -> None:
    file = Path(bench.tables["t"].files[0])
    file.write_bytes(file.read_bytes()[:400] + WORD.encode() * 20)
    for look in (lambda: bench.read("t"), lambda: bench.sql("select * from t")):
        with pytest.raises(MeshError) as caught:
            look()
        told = "".join(traceback.format_exception(caught.value))
        assert WORD not in told
        assert str(file) not in caught.value.message


def test_b10_the_consumers_side_spills_nothing(tmp_path: Path) -> None:
    con = consumer.connect(Limits(1 << 26, 1, str(tmp_path / "spill")))
    consumer.seal(con)
    found = con.execute("SELECT value FROM duckdb_settings() WHERE name IN ('temp_directory')").fetchall()
    assert found == [("",)]
    with pytest.raises(Exception, match="emory"):
        con.execute("SELECT * FROM range(50000000) t(a) ORDER BY hash(a)").fetchall()
    con.close()
    assert not (tmp_path / "spill").exists()


def test_b10_the_trusted_sides_scratch_folder_is_for_its_owner(tmp_path: Path) -> None:
    from raymesh.engines.kernel import duck

    os.umask(0o022)
    con = duck.connect(Limits(1 << 26, 1, str(tmp_path / "new")))
    con.close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_b1_whatever_an_engine_leaves_behind_is_scrubbed_on_the_way_to_the_consumer() -> None:
    from raymesh.engines.kernel import governed

    names = pa.array([WORD] * 100)
    trap = pa.table({"c": pc.if_else(pa.array([False] * 100), names, pa.scalar(None, pa.string()))})
    assert not clean(trap)
    passed = list(governed._masked(trap.to_reader(), trap.schema, {}))
    assert clean(pa.Table.from_batches(passed))

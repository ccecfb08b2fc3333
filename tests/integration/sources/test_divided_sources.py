"""Sources in pieces for readers side by side: together the rows, types and refusals of the whole."""

from __future__ import annotations

import json
from itertools import chain

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from position_deletes import delete_positions
from pyiceberg.catalog.sql import SqlCatalog

from raymesh.adapters import sources
from raymesh.errors import SourceError
from raymesh.spi.source import DivisibleSource

COLUMNS = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "varchar"}]


def spec_of(kind, **more):
    return {"type": kind, "name": "given", "location": "rows", **more}


def write(tmp_path, kind, *tables):
    """A file of `kind` per table, in a folder."""
    folder = tmp_path / "rows"
    folder.mkdir(exist_ok=True)
    for at, table in enumerate(tables):
        file, options = folder / f"{at}.{kind}", {"parquet": "parquet", "csv": "csv, header", "json": "json"}
        with duckdb.connect() as con:
            con.register("rows_now", table)
            con.execute(f"COPY rows_now TO '{file}' (FORMAT {options[kind]})")


def numbers(first, behind):
    return pa.table({"id": list(range(first, behind)), "name": [f"n{i}" for i in range(first, behind)]})


def divided(reader, spec, parts):
    return reader.adapter(spec).divide(reader.scan(spec), str(reader.root), parts)


def together(found):
    """The rows of all pieces, one piece after the other."""
    return list(chain.from_iterable(found))


def tuples(table):
    return list(zip(*table.to_pydict().values(), strict=True))


def read_apart(reader, division):
    """The rows of every piece; each is verified, and all have the same types."""
    found, types = [], []
    for piece in division.pieces:
        relation = reader.relation(piece)
        types.append(list(zip(relation.columns, map(str, relation.types), strict=True)))
        found.append(sorted(relation.fetchall()))
        reader.verify(piece)
    assert all(t == types[0] for t in types)
    return found, types[0]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "seen"])
def test_the_pieces_of_a_folder_are_the_whole_in_its_order(reader, tmp_path, kind, declared):
    write(tmp_path, kind, *(numbers(at, at + 100) for at in range(0, 500, 100)))
    spec = spec_of(kind, **({"columns": COLUMNS} if declared else {}))
    division = divided(reader, spec, 3)
    if kind == "json" and not declared:
        assert (len(division.pieces), division.why) == (
            1,
            "types are taken from every record of it: declare its `columns`",
        )
        return
    assert (len(division.pieces), division.why) == (3, "3 pieces of 5 files")
    whole = reader.relation(spec)
    found, types = read_apart(reader, division)
    assert types == list(zip(whole.columns, map(str, whole.types), strict=True))
    assert together(found) == whole.order("id").fetchall()


def test_a_large_file_is_cut_between_its_row_groups(reader, tmp_path):
    write(tmp_path, "parquet", numbers(0, 10))
    pq.write_table(numbers(10, 10_010), tmp_path / "rows/1.parquet", row_group_size=3000)
    division = divided(reader, spec_of("parquet"), 3)
    assert [p.pin.get("rows") for p in division.pieces] == [None, [0, 3000], [3000, 6000], [6000, 10_000]]
    found, _ = read_apart(reader, division)
    assert together(found) == reader.rows(spec_of("parquet"))


def test_a_file_of_one_row_group_is_cut_by_rows_unless_a_column_hides_their_numbers(reader, tmp_path):
    pq.write_table(numbers(0, 1000), tmp_path / "one.parquet")
    spec = spec_of("parquet", location="one.parquet")
    division = divided(reader, spec, 4)
    assert [p.pin["rows"] for p in division.pieces] == [[0, 250], [250, 500], [500, 750], [750, 1000]]
    assert together(read_apart(reader, division)[0]) == reader.rows(spec)
    pq.write_table(pa.table({"File_row_number": [1] * 1000}), tmp_path / "one.parquet")
    assert len(divided(reader, spec, 4).pieces) == 1


def test_parquet_files_that_do_not_fit_together_are_refused_before_anybody_reads(reader, tmp_path):
    write(tmp_path, "parquet", numbers(0, 10), pa.table({"id": ["a"], "name": ["b"]}))
    with pytest.raises(SourceError, match="do not have the same columns"):
        divided(reader, spec_of("parquet"), 2)


def test_columns_of_folders_stay_columns_in_every_piece(reader, tmp_path):
    for day in ("1", "2"):
        (tmp_path / f"rows/day={day}").mkdir(parents=True)
        pq.write_table(numbers(0, 5), tmp_path / f"rows/day={day}/x.parquet")
    found, types = read_apart(reader, divided(reader, spec_of("parquet"), 2))
    assert [t[0] for t in types] == ["id", "name", "day"]
    assert [{row[2] for row in piece} for piece in found] == [{"1"}, {"2"}]
    (tmp_path / "rows/hour=3").mkdir()
    pq.write_table(numbers(0, 5), tmp_path / "rows/hour=3/x.parquet")
    assert len(divided(reader, spec_of("parquet"), 2).pieces) == 1


def test_types_of_csv_columns_are_seen_once_for_all_pieces(reader, tmp_path):
    write(tmp_path, "csv", numbers(0, 10), pa.table({"id": ["x"], "name": ["1"]}))
    found, types = read_apart(reader, divided(reader, spec_of("csv"), 2))
    assert types == [("id", "VARCHAR"), ("name", "VARCHAR")]
    assert found[1] == [("x", "1")]


def test_a_json_column_may_come_in_another_piece_but_not_in_none(reader, tmp_path):
    write(tmp_path, "json", pa.table({"id": [1]}), numbers(2, 4), pa.table({"id": [5]}))
    found, _ = read_apart(reader, divided(reader, spec_of("json", columns=COLUMNS), 3))
    assert found == [[(1, None)], [(2, "n2"), (3, "n3")], [(5, None)]]
    nowhere = spec_of("json", columns=[*COLUMNS, {"name": "nowhere", "type": "date"}])
    with pytest.raises(SourceError, match="column nowhere is missing"):
        reader.relation(divided(reader, nowhere, 3).pieces[0])


def test_a_first_json_file_without_records_misses_nothing(reader, tmp_path):
    write(tmp_path, "json", pa.table({"id": [1], "name": ["a"]}), numbers(2, 4))
    (tmp_path / "rows/0.json").write_text("")
    found, _ = read_apart(reader, divided(reader, spec_of("json", columns=COLUMNS), 2))
    assert together(found) == [(2, "n2"), (3, "n3")]
    for at in (0, 1):
        (tmp_path / f"rows/{at}.json").write_text("\n")
    assert read_apart(reader, divided(reader, spec_of("json", columns=COLUMNS), 2))[0] == [[], []]


def test_one_text_file_and_records_over_several_lines_are_one_piece(reader, tmp_path):
    write(tmp_path, "csv", numbers(0, 10))
    division = divided(reader, spec_of("csv"), 4)
    assert (len(division.pieces), division.why) == (1, "one CSV file is read from its beginning to its end")
    for at in range(2):
        (tmp_path / f"rows/{at}.json").write_text(json.dumps({"id": at, "name": "n"}, indent=1))
    division = divided(reader, spec_of("json", columns=COLUMNS), 2)
    assert (len(division.pieces), division.why) == (1, "its records are written over several lines")


def test_delta_tables_are_divided_by_their_files(reader, tmp_path):
    deltalake = pytest.importorskip("deltalake")
    for at in range(0, 40, 10):
        deltalake.write_deltalake(tmp_path / "rows", numbers(at, at + 10), mode="append")
    spec = spec_of("delta")
    division = divided(reader, spec, 2)
    deltalake.write_deltalake(tmp_path / "rows", numbers(90, 95), mode="append")
    found, _ = read_apart(reader, division)
    assert [len(piece) for piece in found] == [20, 20]
    assert sorted(together(found)) == tuples(numbers(0, 40))
    configuration = {"delta.columnMapping.mode": "name"}
    deltalake.write_deltalake(tmp_path / "mapped", numbers(0, 5), configuration=configuration)
    deltalake.write_deltalake(tmp_path / "mapped", numbers(5, 9), mode="append")
    assert len(divided(reader, {**spec, "location": "mapped"}, 2).pieces) == 1


def test_iceberg_tables_are_divided_by_their_files_unless_rows_were_deleted(reader, tmp_path):
    catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/warehouse")
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.rows", schema=numbers(0, 1).schema)
    for at in range(0, 40, 10):
        table.append(numbers(at, at + 10))
    spec = spec_of("iceberg", location=table.location().removeprefix("file://"))
    division = divided(reader, spec, 2)
    table.append(numbers(90, 95))
    found, _ = read_apart(reader, division)
    assert [len(piece) for piece in found] == [20, 20]
    assert sorted(together(found)) == tuples(numbers(0, 40))
    one = catalog.create_table("shop.one", schema=numbers(0, 1).schema)
    one.append(numbers(0, 10))
    delete_positions(one, tmp_path, [0])
    catalog.close()
    division = divided(reader, {**spec, "location": one.location().removeprefix("file://")}, 2)
    assert (len(division.pieces), division.why[:11]) == (1, "its deletes")


def test_a_database_is_not_divided():
    assert not isinstance(sources.postgres(), DivisibleSource)
    assert isinstance(sources.files(), DivisibleSource)

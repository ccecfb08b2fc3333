from __future__ import annotations

import os
import pickle
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raymesh.errors import CorruptFileError, SourceChangedError, SourceError


def write(path: Path, **columns: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_a_file_a_folder_and_a_pattern_give_the_same_rows(reader, tmp_path):
    write(tmp_path / "in/a.parquet", id=[1, 2])
    write(tmp_path / "in/deep/b.parquet", id=[3])
    write(tmp_path / "in/_temporary/c.parquet", id=[9])
    (tmp_path / "in/notes.txt").write_text("not data")
    for location in ("in", "in/", "in/**/[ab].parquet", str(tmp_path / "in"), f"file://{tmp_path}/in"):
        assert reader.rows({"type": "parquet", "location": location}) == [(1,), (2,), (3,)], location
    assert reader.rows({"type": "parquet", "location": "in/a.parquet"}) == [(1,), (2,)]


def test_names_with_glob_characters_are_taken_literally(reader, tmp_path):
    write(tmp_path / "x[1].parquet", id=[1])
    write(tmp_path / "x1.parquet", id=[2])
    assert reader.rows({"type": "parquet", "location": "x[1].parquet"}) == [(1,)]


def test_a_pin_names_files_relative_to_the_mesh_and_their_state(reader, tmp_path):
    path = write(tmp_path / "a.parquet", id=[1])
    scan = reader.scan({"type": "parquet", "location": "a.parquet"})
    assert scan.pin["files"] == [["a.parquet", path.stat().st_size, path.stat().st_mtime_ns]]
    assert len(scan.pin["hash"]) == 64
    assert scan.pin == reader.scan({"type": "parquet", "location": str(path)}).pin


def test_reading_refuses_a_file_that_changed_since_it_was_pinned(reader, tmp_path):
    path = write(tmp_path / "a.parquet", id=[1])
    scan = reader.scan({"type": "parquet", "location": "a.parquet"})
    write(path, id=[1, 2, 3])
    with pytest.raises(
        SourceChangedError, match=r"changed while being read: a\.parquet was rewritten"
    ) as caught:
        reader.relation(scan)
    assert caught.value.retryable
    path.unlink()
    with pytest.raises(SourceChangedError, match=r"a\.parquet is gone"):
        reader.relation(scan)


def test_a_file_of_the_same_size_rewritten_during_the_read_is_noticed_at_its_end(reader, tmp_path):
    path = write(tmp_path / "a.parquet", id=[1])
    scan = reader.scan({"type": "parquet", "location": "a.parquet"})
    assert reader.relation(scan).fetchall() == [(1,)]
    reader.verify(scan)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceChangedError):
        reader.verify(scan)


def test_files_that_came_after_the_pin_are_not_read(reader, tmp_path):
    write(tmp_path / "in/a.parquet", id=[1])
    scan = reader.scan({"type": "parquet", "location": "in"})
    write(tmp_path / "in/b.parquet", id=[2])
    assert reader.rows(scan) == [(1,)]


def test_all_differences_between_files_are_listed(reader, tmp_path):
    write(tmp_path / "in/a.parquet", id=[1], name=["x"], old=[True])
    write(tmp_path / "in/b.parquet", id=["1"], name=["y"], new=[1.5])
    with pytest.raises(SourceError) as caught:
        reader.relation({"type": "parquet", "location": "in", "name": "given"})
    text = str(caught.value)
    assert "3 differences" in text
    assert "in/b.parquet: column id is VARCHAR, but BIGINT in in/a.parquet" in text
    assert "in/b.parquet: column old of in/a.parquet is missing" in text
    assert "in/b.parquet: column new is not in in/a.parquet" in text


def test_columns_in_another_order_are_read_by_name(reader, tmp_path):
    write(tmp_path / "in/a.parquet", id=[1], name=["x"])
    write(tmp_path / "in/b.parquet", name=["y"], id=[2])
    assert reader.rows({"type": "parquet", "location": "in"}) == [(1, "x"), (2, "y")]


def test_declared_columns_are_checked_all_at_once(reader, tmp_path):
    write(tmp_path / "a.parquet", household=[1], amount=["12"], when=[1.5])
    spec = {
        "type": "parquet",
        "location": "a.parquet",
        "columns": [
            {"name": "Household", "type": "bigint"},
            {"name": "amount", "type": "decimal(9,2)"},
            {"name": "when", "type": "bogus"},
        ],
    }
    with pytest.raises(SourceError, match="column when: no type is called 'bogus'"):
        reader.relation(spec)
    spec["columns"][2]["type"] = "integer"
    with pytest.raises(SourceError) as caught:
        reader.relation(spec)
    text = str(caught.value)
    assert "3 problems" in text
    assert "column Household is missing; did you mean household?" in text
    assert "column amount is VARCHAR, declared DECIMAL(9,2)" in text
    assert "column when is DOUBLE, declared INTEGER" in text


def test_declared_columns_widen_without_loss_and_leave_the_rest_out(reader, tmp_path):
    table = pa.table(
        {
            "extra": [1],
            "small": pa.array([7], pa.int16()),
            "at": pa.array([1_000_000_000_123_456_000], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    columns = [{"name": "at", "type": "timestamp"}, {"name": "small", "type": "bigint"}]
    relation = reader.relation({"type": "parquet", "location": "a.parquet", "columns": columns})
    assert list(map(str, relation.types)) == ["TIMESTAMP", "BIGINT"]
    assert relation.fetchall()[0][0].microsecond == 123456


def test_nanoseconds_that_would_be_lost_are_an_error(reader, tmp_path):
    table = pa.table({"at": pa.array([1_000_000_000_123_456_789], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "a.parquet")
    columns = [{"name": "at", "type": "timestamp"}]
    with pytest.raises(duckdb.Error, match="not exact: at"):
        reader.relation({"type": "parquet", "location": "a.parquet", "columns": columns}).fetchall()


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "footer"])
def test_a_damaged_file_is_named(reader, tmp_path, damage):
    write(tmp_path / "in/a.parquet", id=[1, 2, 3])
    good = write(tmp_path / "in/b.parquet", id=list(range(1000))).read_bytes()
    bad = {
        "cut": good[: len(good) // 2],
        "empty": b"",
        "text": b"id,name\n1,a\n" * 5,
        "footer": good[:-40] + b"\xff" * 32 + good[-8:],
    }[damage]
    (tmp_path / "in/b.parquet").write_bytes(bad)
    with pytest.raises(CorruptFileError, match=r"in/b\.parquet is not a whole Parquet file"):
        reader.relation({"type": "parquet", "location": "in"})


def test_a_page_that_turns_out_damaged_during_the_read_is_explained_by_verify(reader, tmp_path):
    path = write(tmp_path / "a.parquet", id=[str(i * 7919) for i in range(50_000)])
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 4 + 300] = b"\0" * 300
    path.write_bytes(bytes(content))
    scan = reader.scan({"type": "parquet", "location": "a.parquet"})
    relation = reader.relation(scan)
    with pytest.raises(duckdb.Error) as caught:
        relation.aggregate("count(distinct id)").fetchall()
    with pytest.raises(CorruptFileError, match=r"a\.parquet is not a whole Parquet file"):
        reader.verify(scan, caught.value)


def test_an_error_of_the_transform_is_not_blamed_on_the_source(reader, tmp_path):
    write(tmp_path / "a.parquet", id=[1])
    scan = reader.scan({"type": "parquet", "location": "a.parquet"})
    reader.verify(scan, duckdb.ConversionException("Conversion Error: could not convert 'x'"))


def test_pickled_extension_types_read_as_bytes_and_never_run(reader, tmp_path):
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (marker,)

    payload = pickle.dumps(Bomb())
    storage = pa.array([payload], pa.large_binary())
    field = pa.field(
        "payload",
        pa.large_binary(),
        metadata={
            b"ARROW:extension:name": b"ray.data.arrow_pickled_object",
            b"ARROW:extension:metadata": payload,
        },
    )
    pq.write_table(pa.Table.from_arrays([storage], schema=pa.schema([field])), tmp_path / "a.parquet")
    relation = reader.relation({"type": "parquet", "location": "a.parquet"})
    assert list(map(str, relation.types)) == ["BLOB"]
    assert relation.fetchall() == [(payload,)]
    assert relation.to_arrow_table().column("payload").to_pylist() == [payload]
    assert not marker.exists()


def test_doubled_column_names_are_an_error(reader, tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([[1]]), pa.array([2])], names=["id", "list", "ID"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="column name id and ID comes 2 times"):
        reader.relation({"type": "parquet", "location": "a.parquet"})


def test_partition_folders_become_columns_and_keep_their_zeros(reader, tmp_path):
    write(tmp_path / "in/region=007/a.parquet", id=[1])
    write(tmp_path / "in/region=012/a.parquet", id=[2])
    assert reader.rows({"type": "parquet", "location": "in"}) == [(1, "007"), (2, "012")]
    columns = [{"name": "region", "type": "integer"}]
    assert reader.rows({"type": "parquet", "location": "in", "columns": columns}) == [(7,), (12,)]


def test_equal_signs_in_folders_above_the_location_are_no_columns(reader, tmp_path):
    write(tmp_path / "env=prod/in/a.parquet", id=[1])
    assert reader.relation({"type": "parquet", "location": "env=prod/in"}).columns == ["id"]


def test_nothing_at_the_location_says_where_it_looked(reader, tmp_path):
    (tmp_path / "in").mkdir()
    for location in ("in", "nowhere.parquet", "in/*.parquet"):
        with pytest.raises(SourceError, match=f"no files at {location[:3]}") as caught:
            reader.scan({"type": "parquet", "location": location})
        assert str(tmp_path) in (caught.value.hint or "")


def test_a_description_counts_rows_and_bytes_without_reading(reader, tmp_path):
    path = write(tmp_path / "a.parquet", id=[1, 2], tags=[["x"], []])
    described = reader.describe({"type": "parquet", "location": "a.parquet"})
    assert [(f.name, str(f.type)) for f in described.fields] == [("id", "long"), ("tags", "list<string>")]
    assert (described.rows, described.bytes) == (2, path.stat().st_size)


@pytest.mark.s3
def test_objects_are_read_from_a_store_with_keys_of_its_own(reader, tmp_path, s3_bucket):
    write(tmp_path / "x.parquet", id=[1, 2])
    content = (tmp_path / "x.parquet").read_bytes()
    s3_bucket.put("in/a[1].parquet", content)
    s3_bucket.put("in/deep/b.parquet", content)
    s3_bucket.put("in/_hidden.parquet", b"junk")
    spec = {"type": "parquet", "location": f"{s3_bucket.address}/in", "storage": s3_bucket.storage}
    assert reader.rows(spec) == [(1,), (1,), (2,), (2,)]
    one = {**spec, "location": f"{s3_bucket.address}/in/a[1].parquet"}
    assert reader.rows(one) == [(1,), (2,)]
    assert reader.rows({**spec, "location": f"{s3_bucket.address}/in/*/*.parquet"}) == [(1,), (2,)]
    scan = reader.scan(spec)
    assert [f[0] for f in scan.pin["files"]] == [
        f"{s3_bucket.address}/in/a[1].parquet",
        f"{s3_bucket.address}/in/deep/b.parquet",
    ]
    s3_bucket.put("in/deep/b.parquet", content + b"x")
    with pytest.raises(SourceChangedError, match=f"{s3_bucket.address}/in/deep/b.parquet was rewritten"):
        reader.relation(scan)


@pytest.mark.s3
def test_errors_of_objects_show_the_users_address_and_no_secret(reader, s3_bucket):
    address = s3_bucket.put("bad.parquet", b"no parquet at all, but long enough")
    spec = {"type": "parquet", "location": address, "storage": s3_bucket.storage}
    with pytest.raises(CorruptFileError, match=address) as caught:
        reader.relation(spec)
    assert "s3-" not in str(caught.value).replace(s3_bucket.name, "")
    with pytest.raises(SourceError, match="no files at"):
        reader.scan({**spec, "location": f"{s3_bucket.address}/nothing"})
    with pytest.raises(SourceError) as caught:
        reader.scan({**spec, "location": "s3://no-such-bucket-here/x.parquet"})
    assert s3_bucket.storage["secretAccessKey"] not in f"{caught.value!r} {caught.value.hint}"

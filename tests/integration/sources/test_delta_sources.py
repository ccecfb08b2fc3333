from __future__ import annotations

import json
import struct

import pyarrow as pa
import pytest

from raymesh.errors import CorruptFileError, SourceChangedError, SourceError

deltalake = pytest.importorskip("deltalake")


def table(**columns):
    return pa.table(columns)


def spec_of(path, **more):
    return {"type": "delta", "name": "given", "location": str(path), **more}


def test_the_newest_version_is_pinned_and_read(reader, tmp_path):
    deltalake.write_deltalake(tmp_path / "t", table(id=[1, 2], name=["a", "b"]))
    scan = reader.scan(spec_of("t"))
    deltalake.write_deltalake(tmp_path / "t", table(id=[3], name=["c"]), mode="append")
    assert scan.pin["version"] == 0
    assert reader.rows(scan) == [(1, "a"), (2, "b")]
    assert reader.rows(spec_of("t")) == [(1, "a"), (2, "b"), (3, "c")]


def test_a_given_version_is_read(reader, tmp_path):
    deltalake.write_deltalake(tmp_path / "t", table(id=[1]))
    deltalake.write_deltalake(tmp_path / "t", table(id=[2]), mode="overwrite")
    assert reader.rows(spec_of("t", version=0)) == [(1,)]
    with pytest.raises(SourceError, match="has no Delta table with version 7"):
        reader.scan(spec_of("t", version=7))


def test_a_table_put_in_place_of_the_pinned_one_is_noticed(reader, tmp_path):
    deltalake.write_deltalake(tmp_path / "t", table(id=[1]))
    scan = reader.scan(spec_of("t"))
    (tmp_path / "t").rename(tmp_path / "old")
    deltalake.write_deltalake(tmp_path / "t", table(id=[2]))
    with pytest.raises(SourceChangedError, match="was replaced by another one"):
        reader.relation(scan)
    with pytest.raises(SourceChangedError):
        reader.verify(scan)


def test_column_mapping_reads_values_and_not_nulls(reader, tmp_path):
    deltalake.write_deltalake(
        tmp_path / "t", table(id=[1, 2], name=["a", None]), configuration={"delta.columnMapping.mode": "name"}
    )
    assert reader.rows(spec_of("t")) == [(1, "a"), (2, None)]


def test_rows_behind_a_deletion_vector_are_gone(reader, tmp_path):
    folder = tmp_path / "t"
    deltalake.write_deltalake(
        folder, table(id=[1, 2, 3, 4]), configuration={"delta.enableDeletionVectors": "true"}
    )
    delete_rows(folder, [1, 3])
    assert reader.rows(spec_of("t")) == [(1,), (3,)]
    assert reader.describe(spec_of("t")).rows is None


def delete_rows(folder, positions):
    """Commits version 1 with an inline deletion vector, as the protocol describes it."""
    log = folder / "_delta_log"
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    add = next(a["add"] for a in actions if "add" in a)
    rows = b"".join(struct.pack("<H", p) for p in positions)
    roaring = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16) + rows
    bitmap = struct.pack("<IQI", 1681511377, 1, 0) + roaring
    vector = {
        "storageType": "i",
        "pathOrInlineDv": z85(bitmap),
        "sizeInBytes": len(bitmap),
        "cardinality": len(positions),
    }
    removed = {"path": add["path"], "deletionTimestamp": add["modificationTime"], "dataChange": True}
    new = [{"remove": removed}, {"add": {**add, "deletionVector": vector}}]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, new)))


def z85(content):
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    content += b"\0" * (-len(content) % 4)
    words = struct.unpack(f">{len(content) // 4}I", content)
    return "".join(alphabet[word // 85**power % 85] for word in words for power in (4, 3, 2, 1, 0))


def test_partitions_and_nested_columns_are_read(reader, tmp_path):
    rows = table(id=[1, 2], day=["x", "y"], who=[{"a": 1, "b": ["p"]}, None])
    deltalake.write_deltalake(tmp_path / "t", rows, partition_by=["day"])
    relation = reader.relation(spec_of("t"))
    assert relation.order("id").fetchall() == [(1, "x", {"a": 1, "b": ["p"]}), (2, "y", None)]
    described = reader.describe(spec_of("t"))
    assert [str(f.type) for f in described.fields] == ["long", "string", "struct<a: long, b: list<string>>"]
    assert described.rows == 2


def test_declared_columns_are_checked(reader, tmp_path):
    deltalake.write_deltalake(tmp_path / "t", table(id=[1], name=["a"]))
    columns = [{"name": "id", "type": "integer"}, {"name": "nme", "type": "varchar"}]
    for read in (reader.relation, reader.describe):
        with pytest.raises(SourceError, match="2 problems") as caught:
            read(spec_of("t", columns=columns))
        assert "column id is BIGINT, declared INTEGER" in str(caught.value)
    assert reader.rows(spec_of("t", columns=[{"name": "name", "type": "varchar"}])) == [("a",)]


def test_no_table_and_missing_files_are_explained(reader, tmp_path):
    with pytest.raises(SourceError, match="has no Delta table"):
        reader.scan(spec_of("nowhere"))
    deltalake.write_deltalake(tmp_path / "t", table(id=[1]))
    scan = reader.scan(spec_of("t"))
    next((tmp_path / "t").glob("*.parquet")).unlink()
    with pytest.raises(Exception, match="parquet") as caught:
        reader.relation(scan).fetchall()
    with pytest.raises(CorruptFileError, match="vacuumed|cannot be read"):
        reader.verify(scan, caught.value)


@pytest.mark.s3
def test_a_table_in_an_object_store_is_read(reader, s3_bucket):
    address = f"{s3_bucket.address}/t"
    options = {
        "AWS_ENDPOINT_URL": s3_bucket.endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    deltalake.write_deltalake(address, table(id=[1, 2]), storage_options=options)
    spec = {**spec_of(address), "storage": s3_bucket.storage}
    assert reader.rows(spec) == [(1,), (2,)]
    with pytest.raises(SourceError) as caught:
        reader.scan({**spec, "location": f"{s3_bucket.address}/none"})
    assert s3_bucket.storage["secretAccessKey"] not in str(caught.value)


def test_storage_that_does_not_answer_is_not_a_missing_table(reader):
    storage = {"endpointUrl": "http://127.0.0.1:9", "accessKeyId": "key", "secretAccessKey": "secret"}
    with pytest.raises(SourceError, match=r"cannot be read: Connection refused \(os error \d+\)$") as caught:
        reader.scan(spec_of("s3://bucket/events", storage=storage))
    assert "endpointUrl" in (caught.value.hint or "")

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from position_deletes import delete_positions
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.types import IntegerType, LongType

from raymesh.errors import SourceChangedError, SourceError


@pytest.fixture
def catalog(tmp_path):
    found = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=f"file://{tmp_path}/warehouse")
    found.create_namespace("shop")
    yield found
    found.close()


def made(catalog, *batches, name="shop.orders", **properties):
    table = catalog.create_table(name, schema=batches[0].schema, properties=properties)
    for batch in batches:
        table.append(batch)
    return table


def folder(table):
    return {"type": "iceberg", "name": "given", "location": table.location().removeprefix("file://")}


def test_a_folder_a_metadata_file_and_a_catalog_give_the_same_rows(reader, tmp_path, catalog):
    table = made(catalog, pa.table({"id": [1, 2]}), pa.table({"id": [3]}))
    rows = [(1,), (2,), (3,)]
    assert reader.rows(folder(table)) == rows
    metadata = table.metadata_location.removeprefix("file://")
    assert reader.rows({**folder(table), "location": metadata}) == rows
    through = {"type": "iceberg", "location": f"sqlite:///{tmp_path}/c.db", "table": "shop.orders"}
    through["catalog"] = {"name": "c"}
    assert reader.rows(through) == rows
    with pytest.raises(SourceError, match=r"no table shop\.none"):
        reader.scan({**through, "table": "shop.none"})
    with pytest.raises(SourceError, match="catalog does not answer|has no Iceberg table"):
        reader.scan({**through, "location": "sqlite:////nowhere/c.db"})


def test_the_pinned_snapshot_is_read_after_newer_ones(reader, catalog):
    table = made(catalog, pa.table({"id": [1]}))
    scan = reader.scan(folder(table))
    table.append(pa.table({"id": [2]}))
    assert scan.pin["snapshot"] == table.snapshots()[0].snapshot_id
    assert reader.rows(scan) == [(1,)]
    reader.verify(scan)


def test_a_version_is_a_snapshot_a_branch_or_a_tag(reader, catalog):
    table = made(catalog, pa.table({"id": [1]}), pa.table({"id": [2]}))
    first = table.snapshots()[0].snapshot_id
    table.manage_snapshots().create_tag(first, "audited").commit()
    assert reader.rows({**folder(table), "version": first}) == [(1,)]
    assert reader.rows({**folder(table), "version": "audited"}) == [(1,)]
    assert reader.rows({**folder(table), "version": "main"}) == [(1,), (2,)]
    with pytest.raises(SourceError, match="no snapshot, branch or tag 12"):
        reader.scan({**folder(table), "version": 12})


def test_renamed_and_added_columns_are_matched_by_id(reader, catalog):
    first = pa.table({"id": pa.array([1], pa.int32()), "who": [{"name": "a", "age": 7}], "tags": [["x"]]})
    table = made(catalog, first)
    with table.update_schema() as update:
        update.rename_column("id", "number")
        update.rename_column("who.name", "called")
        update.update_column("id", LongType())
        update.add_column("added", IntegerType())
    table.append(
        pa.table(
            {
                "number": [2],
                "who": [{"called": "b", "age": 8}],
                "tags": [["y"]],
                "added": pa.array([5], pa.int32()),
            }
        )
    )
    relation = reader.relation(folder(table)).order("number")
    assert relation.columns == ["number", "who", "tags", "added"]
    assert relation.fetchall() == [
        (1, {"called": "a", "age": 7}, ["x"], None),
        (2, {"called": "b", "age": 8}, ["y"], 5),
    ]
    old = {**folder(table), "version": table.snapshots()[0].snapshot_id}
    assert reader.relation(old).columns == ["id", "who", "tags"]
    assert [f.name for f in reader.describe(old).fields] == ["id", "who", "tags"]


def test_files_without_field_ids_do_not_read_as_null(reader, tmp_path, catalog):
    table = catalog.create_table("shop.orders", schema=pa.schema([("id", pa.int64())]))
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "plain.parquet")
    table.add_files([f"file://{tmp_path}/plain.parquet"])
    assert reader.rows(folder(table)) == [(1,), (2,)]


def test_deleted_rows_are_not_read(reader, tmp_path, catalog):
    table = made(catalog, pa.table({"id": [1, 2, 3]}))
    delete_positions(table, tmp_path, [1])
    assert [len(t.delete_files) for t in table.scan().plan_files()] == [1]
    assert reader.rows(folder(table)) == [(1,), (3,)]


def test_values_a_new_column_defaults_to_are_read(reader, catalog):
    table = made(catalog, pa.table({"id": [1]}))
    with table.update_schema() as update:
        update.add_column("level", LongType(), default_value=42)
    assert reader.rows(folder(table)) == [(1, 42)]
    assert reader.rows({**folder(table), "version": table.current_snapshot().snapshot_id}) == [(1, 42)]


def test_a_table_without_snapshots_has_no_rows(reader, catalog):
    table = catalog.create_table("shop.orders", schema=pa.schema([("id", pa.int64()), ("n", pa.string())]))
    relation = reader.relation(folder(table))
    assert (relation.columns, relation.fetchall()) == (["id", "n"], [])


def test_a_table_in_place_of_the_pinned_one_and_an_expired_pin_are_noticed(reader, tmp_path, catalog):
    table = made(catalog, pa.table({"id": [1]}))
    scan = reader.scan(folder(table))
    (tmp_path / "warehouse/shop/orders").rename(tmp_path / "gone")
    for read in (reader.relation, reader.verify):
        with pytest.raises(SourceChangedError, match="cannot be read any more"):
            read(scan)


def test_descriptions_and_declared_columns(reader, catalog):
    table = made(catalog, pa.table({"id": [1, 2], "price": [1.5, 2.5]}))
    described = reader.describe(folder(table))
    assert [(f.name, str(f.type)) for f in described.fields] == [("id", "long"), ("price", "double")]
    assert described.rows == 2
    with pytest.raises(SourceError, match="column price is DOUBLE, declared INTEGER"):
        reader.relation({**folder(table), "columns": [{"name": "price", "type": "integer"}]})


def test_no_table_is_explained(reader, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="has no Iceberg table") as caught:
        reader.scan({"type": "iceberg", "location": "empty"})
    assert "metadata.json" in (caught.value.hint or "")


@pytest.mark.s3
def test_a_table_in_an_object_store_is_read(reader, tmp_path, s3_bucket):
    store = {
        "s3.endpoint": s3_bucket.endpoint,
        "s3.access-key-id": "x",
        "s3.secret-access-key": "y",
        "s3.region": "us-east-1",
    }
    catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/s.db", warehouse=s3_bucket.address, **store)
    catalog.create_namespace("shop")
    table = made(catalog, pa.table({"id": [1]}), pa.table({"id": [2]}))
    catalog.close()
    spec = {"type": "iceberg", "location": table.location(), "storage": s3_bucket.storage}
    assert reader.rows(spec) == [(1,), (2,)]

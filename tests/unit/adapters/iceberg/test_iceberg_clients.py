"""Other Iceberg clients read our tables, and we notice what they do to them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import IcebergNamespaceProperties, SqlCatalog
from pyiceberg.catalog.sql import IcebergTables as TheirTables
from pyiceberg.manifest import ManifestContent, ManifestWriterV2
from pyiceberg.types import IntegerType

from raymesh.adapters.iceberg import CATALOG_NAME, IcebergTables
from raymesh.adapters.iceberg.catalog import NAMESPACES, TABLES
from raymesh.adapters.state import SqlStateStore
from raymesh.errors import CommitConflictError, CorruptFileError, StorageError
from raymesh.mesh.evolution import evolve
from raymesh.mesh.plan import Layout
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema
from raymesh.spi.conformance.tables_samples import (
    DATE,
    DOUBLE,
    FLOAT,
    INT,
    LONG,
    PLAIN,
    TEXT,
    Bench,
    LocalShelf,
    numbers,
    schema,
)

T = "sales.orders"


@pytest.fixture
def bench(tmp_path):
    state = SqlStateStore("sqlite:///mesh.db", root=str(tmp_path))
    state.migrate()
    tables = IcebergTables(warehouse="warehouse", root=str(tmp_path), state=state)
    folder = tmp_path / "bench"
    folder.mkdir()
    yield Bench(tables, state, LocalShelf(), folder)
    state.close()


@pytest.fixture
def catalog(bench, tmp_path):
    """pyiceberg's own catalog on the database of the state store, opened as any client would."""
    opened = SqlCatalog(CATALOG_NAME, uri=f"sqlite:///{tmp_path}/mesh.db")
    yield opened
    opened.engine.dispose()


def their_rows(catalog, table=T, **scan):
    return sorted(catalog.load_table(table).scan(**scan).to_arrow().to_pylist(), key=lambda r: r["id"])


def metadata_of(bench, table=T):
    return json.loads(Path(bench.tables.heads([table])[table]).read_text())


# ── they read ours ────────────────────────────────────────────────────────────────────────────


def test_the_catalog_tables_are_the_ones_every_sql_catalog_has():
    for ours, theirs in ((TABLES, TheirTables), (NAMESPACES, IcebergNamespaceProperties)):
        described = [
            [(c.name, str(c.type), c.nullable, c.primary_key) for c in t.columns]
            for t in (ours, theirs.__table__)
        ]
        assert described[0] == described[1]


def test_a_client_lists_and_reads_published_tables(bench, catalog):
    bench.publish(T, "replace", numbers(1, 3))
    bench.publish(T, "append", numbers(4, 5))
    assert catalog.list_namespaces() == [("sales",)]
    assert catalog.list_tables("sales") == [("sales", "orders")]
    assert their_rows(catalog) == numbers(1, 5)
    assert catalog.load_table(T).metadata.location == str(Path(bench.tables.location(T)).parent)


def test_a_client_travels_in_time_and_sees_one_snapshot_per_change(bench, catalog):
    staged = [bench.publish(T, k, numbers(n, n)) for n, k in enumerate(["replace", "append", "replace"], 1)]
    table = catalog.load_table(T)
    assert [s.summary.operation.value for s in table.metadata.snapshots] == [
        "overwrite",
        "append",
        "overwrite",
    ]
    assert [s.snapshot_id for s in table.metadata.snapshots] == [s.snapshot_id for s in staged]
    assert their_rows(catalog, snapshot_id=staged[1].snapshot_id) == numbers(1, 2)
    bench.publish(T, "rewrite", numbers(3, 3), removed=bench.tables.scan(T).files)
    assert catalog.load_table(T).current_snapshot().summary.operation.value == "replace"
    assert their_rows(catalog) == numbers(3, 3)


def test_a_client_reads_an_evolved_table_as_we_do(bench, catalog):
    line = Struct((Field("sku", TEXT), Field("qty", INT)))
    first = schema(
        id=INT, name=TEXT, price=FLOAT, amount=Decimal(8, 2), lines=List(line), tags=Map(TEXT, line)
    )
    row = {
        "id": 1,
        "name": "a",
        "price": 1.5,
        "amount": "12.50",
        "lines": [{"sku": "s", "qty": 2}],
        "tags": [("k", {"sku": "t", "qty": 3})],
    }
    from decimal import Decimal as Number

    row["amount"] = Number("12.50")
    bench.publish(T, "replace", [row], first)
    wider = Struct((Field("article", TEXT), Field("qty", LONG), Field("note", TEXT)))
    wanted = [
        Field("label", TEXT),
        Field("id", LONG),
        Field("price", DOUBLE),
        Field("amount", Decimal(12, 2)),
        Field("lines", List(wider)),
        Field("tags", Map(TEXT, wider)),
        Field("day", DATE),
    ]
    renames = {"label": "name", "lines.element.article": "sku", "tags.value.article": "sku"}
    second = evolve(first, wanted, renames).schema
    empty = {"lines": [], "tags": []}  # pyiceberg reads a NULL list as an empty one
    bench.publish(T, "append", [{**dict.fromkeys(second.names), **empty, "id": 2, "label": "b"}], second)
    ours = sorted(bench.rows(T), key=lambda r: r["id"])
    assert ours == their_rows(catalog)
    assert ours[0]["lines"] == [{"article": "s", "qty": 2, "note": None}]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (LONG, [None, -5, 0, 7, 2**50]),
        (TEXT, [None, "", "a", "zz" * 300, "é" * 40, "zzz"]),
        (DOUBLE, [None, -1.5, 0.0, 2.5, float("inf")]),
        (Primitive("boolean"), [None, True, False]),
        (DATE, [None, *[__import__("datetime").date(2020, 1, d) for d in (1, 2, 3)]]),
    ],
)
def test_a_client_that_prunes_by_our_bounds_finds_every_row(bench, catalog, type_, values):
    from pyiceberg.expressions import EqualTo, GreaterThanOrEqual, IsNull, LessThanOrEqual

    columns = schema(id=LONG, v=type_)
    files = [bench.write(T, columns, [{"id": n, "v": v}]) for n, v in enumerate(values)]
    bench.publish(T, "replace", files=files, columns=columns)
    assert [r["id"] for r in their_rows(catalog, row_filter=IsNull("v"))] == [0]
    for v in values[1:]:
        same = [n for n, other in enumerate(values) if other == v]
        assert [r["id"] for r in their_rows(catalog, row_filter=EqualTo("v", v))] == same
        more = [n for n, other in enumerate(values) if other is not None and other >= v]
        assert [r["id"] for r in their_rows(catalog, row_filter=GreaterThanOrEqual("v", v))] == more
        less = [n for n, other in enumerate(values) if other is not None and other <= v]
        assert [r["id"] for r in their_rows(catalog, row_filter=LessThanOrEqual("v", v))] == less


def test_a_client_that_prunes_by_partition_finds_every_row(bench, catalog):
    from datetime import date

    columns = schema(id=LONG, day=DATE, kind=TEXT)
    rows = [
        {"id": n, "day": d, "kind": k}
        for n, (d, k) in enumerate([(date(2020, 1, 1), "a"), (None, "b"), (None, None)])
    ]
    layout = Layout(partition_by=("day", "kind"), sort_by=("id",))
    files = [bench.write(T, columns, [r], partition=["day", "kind"]) for r in rows]
    bench.publish(T, "replace", files=files, columns=columns, layout=layout)
    table = catalog.load_table(T)
    assert [f.name for f in table.spec().fields] == ["day", "kind"]
    assert [f.source_id for f in table.sort_order().fields] == [1]
    assert {t.file.sort_order_id for t in table.scan().plan_files()} == {1}
    partitions = sorted(str(t.file.partition) for t in table.scan().plan_files())
    assert partitions == sorted(["Record[18262, a]", "Record[None, b]", "Record[None, None]"])
    assert [r["id"] for r in their_rows(catalog, row_filter="kind = 'b'")] == [1]
    assert [r["id"] for r in their_rows(catalog, row_filter="day = '2020-01-01'")] == [0]


def test_manifests_are_merged_before_there_are_many(bench, catalog):
    layouts = [Layout(), Layout(partition_by=("name",))]
    for n in range(40):
        bench.publish(T, "append", numbers(n, n), layout=layouts[n % 2])
    table = catalog.load_table(T)
    assert len(table.current_snapshot().manifests(table.io)) <= 18
    assert [r["id"] for r in their_rows(catalog)] == list(range(40))
    assert sorted(r["id"] for r in their_rows(catalog, row_filter="name = 'name 7'")) == [7]
    old = {t.file.file_path for t in table.scan().plan_files()}
    assert old == set(bench.tables.scan(T).files)


def test_the_metadata_follows_the_specification(bench):
    for n in range(1, 4):
        bench.publish(T, "append", numbers(n, n))
    found = metadata_of(bench)
    assert found["format-version"] == 2
    assert found["last-sequence-number"] == 3
    assert [s["sequence-number"] for s in found["snapshots"]] == [1, 2, 3]
    assert [s.get("parent-snapshot-id") for s in found["snapshots"]] == [
        None,
        *(s["snapshot-id"] for s in found["snapshots"][:-1]),
    ]
    stamps = [e["timestamp-ms"] for e in found["snapshot-log"]]
    assert stamps == sorted(stamps)
    assert stamps[-1] == found["last-updated-ms"]
    assert [Path(e["metadata-file"]).name[:5] for e in found["metadata-log"]] == ["00000", "00001"]
    assert found["refs"]["main"]["snapshot-id"] == found["current-snapshot-id"]
    assert not any(f["required"] for f in found["schemas"][0]["fields"])
    assert found["properties"]["commit.manifest-merge.enabled"] == "true"


def test_an_unchanged_schema_and_layout_are_said_once(bench):
    layout = Layout(partition_by=("name",), sort_by=("id",))
    for n in range(3):
        bench.publish(T, "append", numbers(n, n), layout=layout)
    found = metadata_of(bench)
    assert (len(found["schemas"]), len(found["partition-specs"])) == (1, 1)
    assert found["default-sort-order-id"] == 1


def test_history_of_metadata_files_stays_short_and_the_rest_may_go(bench):
    for n in range(25):
        bench.publish(T, "replace", numbers(n, n))
    found = metadata_of(bench)
    assert len(found["metadata-log"]) == 20
    assert len([p for p in bench.orphans(T) if p.endswith(".metadata.json")]) == 4


# ── they change ours ──────────────────────────────────────────────────────────────────────────


def test_what_another_writer_appends_is_read_and_its_commit_is_a_conflict_for_ours(bench, catalog):
    bench.publish(T, "replace", numbers(1, 2))
    ours = bench.tables.stage(bench.change(T, "append", numbers(9, 9)))
    catalog.load_table(T).append(pa.table({"id": pa.array([3], pa.int64()), "name": ["x"]}))
    assert bench.ids(T) == [1, 2, 3]
    with pytest.raises(CommitConflictError):
        bench.commit(ours)
    bench.publish(T, "append", numbers(4, 4))
    assert [r["id"] for r in their_rows(catalog)] == [1, 2, 3, 4]
    assert bench.orphans(T) >= set(ours.written)


def test_delete_files_of_another_writer_are_refused_not_ignored(bench, monkeypatch):
    bench.publish(T, "replace", numbers(1, 2))
    monkeypatch.setattr(ManifestWriterV2, "content", lambda self: ManifestContent.DELETES)
    bench.publish(T, "append", numbers(3, 3))
    monkeypatch.undo()
    with pytest.raises(StorageError, match="delete files"):
        bench.tables.scan(T)
    bench.publish(T, "replace", numbers(1, 3))
    assert bench.ids(T) == [1, 2, 3]


def test_a_default_another_writer_gave_a_column_is_refused_not_ignored(bench, catalog):
    bench.publish(T, "replace", numbers(1, 2))
    with catalog.load_table(T).update_schema() as update:
        update.add_column("more", IntegerType(), default_value=5)
    with pytest.raises(StorageError, match="more"):
        bench.tables.scan(T)


def test_snapshots_another_writer_has_tagged_do_not_expire(bench, catalog):
    first = bench.publish(T, "replace", numbers(1, 1))
    second = bench.publish(T, "replace", numbers(2, 2))
    bench.publish(T, "replace", numbers(3, 3))
    catalog.load_table(T).manage_snapshots().create_tag(first.snapshot_id, "audit").commit()
    base = bench.tables.heads([T])[T]
    bench.commit(bench.tables.expire(T, [first.snapshot_id, second.snapshot_id], base))
    assert bench.ids(T, first.snapshot_id) == [1]
    assert len(bench.tables.snapshots(T)) == 2


def test_a_table_of_another_format_is_not_written(bench, monkeypatch):
    from raymesh.adapters.iceberg import reading

    bench.publish(T, "replace", numbers(1, 1))
    change = bench.change(T, "append", numbers(2, 2))
    load = reading.load
    newer = lambda *where: load(*where).model_copy(update={"format_version": 3})  # noqa: E731
    monkeypatch.setattr(reading, "load", newer)
    with pytest.raises(StorageError, match="format version 3"):
        bench.tables.stage(change)


def test_totals_another_writer_left_out_are_counted_again_by_a_replace(bench):
    path = Path(bench.publish(T, "replace", numbers(1, 3)).metadata_location)
    found = json.loads(path.read_text())
    summary = found["snapshots"][0]["summary"]
    found["snapshots"][0]["summary"] = {k: v for k, v in summary.items() if not k.startswith("total-")}
    path.write_text(json.dumps(found))
    assert bench.ids(T) == [1, 2, 3]
    bench.publish(T, "append", numbers(4, 4))
    assert bench.ids(T) == [1, 2, 3, 4]
    bench.publish(T, "replace", numbers(5, 6))
    assert bench.tables.snapshots(T)[-1].summary["total-records"] == "2"


# ── torn where a decoder sees nothing wrong ───────────────────────────────────────────────────


def cut_last_block(path):
    """Shorten an Avro file to the end of its last block but one (or of its header)."""
    content = path.read_bytes()
    sync = content[-16:]
    path.write_bytes(content[: content.rindex(sync, 0, len(content) - 16) + 16])


@pytest.mark.parametrize("kind", ["append", "replace", "rewrite"])
@pytest.mark.parametrize("torn", ["manifest", "list"])
def test_nothing_is_built_on_metadata_torn_at_the_end_of_a_block(bench, catalog, kind, torn):
    files = [bench.write(T, PLAIN, numbers(n, n)) for n in (1, 2, 3)]
    bench.publish(T, "replace", files=files)
    for n in range(4, 19):  # as many manifests as the next append merges
        bench.publish(T, "append", numbers(n, n))
    table = catalog.load_table(T)
    snapshot = table.current_snapshot()
    (first,) = [m for m in snapshot.manifests(table.io) if m.added_files_count == 3]
    path = Path(first.manifest_path if torn == "manifest" else snapshot.manifest_list)
    change = bench.change(T, kind, numbers(1, 1), removed=(files[0].path,) if kind == "rewrite" else ())
    cut_last_block(path)
    before = bench.tables.list_files(T)
    with pytest.raises(CorruptFileError, match=path.name):
        bench.tables.stage(change)
    with pytest.raises(CorruptFileError, match=path.name):
        bench.tables.scan(T)
    with pytest.raises(CorruptFileError, match=path.name):
        bench.tables.live_files(T)
    assert bench.tables.list_files(T) == before


# ── time ──────────────────────────────────────────────────────────────────────────────────────


def shift_clock(monkeypatch, seconds):
    import time

    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + int(seconds * 1e9))


@pytest.mark.parametrize("kind", ["append", "rollback", "expire"])
def test_a_clock_that_went_back_is_refused(bench, monkeypatch, kind):
    first = bench.publish(T, "replace", numbers(1, 1))
    second = bench.publish(T, "replace", numbers(2, 2))
    shift_clock(monkeypatch, -3600)
    before = bench.tables.list_files(T)
    with pytest.raises(StorageError, match="clock"):
        if kind == "expire":
            bench.tables.expire(T, [first.snapshot_id], second.metadata_location)
        else:
            bench.tables.stage(bench.change(T, kind, snapshot_id=first.snapshot_id))
    assert bench.tables.list_files(T) == before


@pytest.mark.parametrize("kind", ["append", "rollback", "expire"])
def test_clocks_that_disagree_a_little_never_make_history_go_backwards(bench, monkeypatch, kind):
    first = bench.publish(T, "replace", numbers(1, 1))
    second = bench.publish(T, "replace", numbers(2, 2))
    last = metadata_of(bench)["last-updated-ms"]
    shift_clock(monkeypatch, -30)
    if kind == "expire":
        bench.commit(bench.tables.expire(T, [first.snapshot_id], second.metadata_location))
    else:
        bench.publish(T, kind, snapshot_id=first.snapshot_id)
    found = metadata_of(bench)
    stamps = [e["timestamp-ms"] for e in found["snapshot-log"]]
    assert stamps == sorted(stamps)
    assert found["last-updated-ms"] == last
    assert all(s["timestamp-ms"] <= last for s in found["snapshots"])


def test_a_clock_far_ahead_is_believed(bench, monkeypatch):
    bench.publish(T, "replace", numbers(1, 1))
    shift_clock(monkeypatch, 400 * 86400)
    bench.publish(T, "append", numbers(2, 2))
    assert bench.ids(T) == [1, 2]


# ── names and sizes ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["select", "größe 顧客", 'quoted"name', "a.b", "1st", "it's", "Name", "{curly}", "line\nbreak"]
)
def test_columns_may_have_any_name(bench, catalog, name):
    columns = schema(**{"id": LONG, name: TEXT})
    layout = Layout(partition_by=(name,), sort_by=(name,))
    bench.publish(T, "replace", [{"id": 1, name: "x"}], columns, layout=layout)
    assert bench.rows(T) == [{"id": 1, name: "x"}]
    assert bench.tables.schema(T).names == ("id", name)
    assert their_rows(catalog) == [{"id": 1, name: "x"}]


def test_a_table_of_two_thousand_columns(bench, catalog):
    columns = schema(id=LONG, **{f"c{n}": TEXT for n in range(2000)})
    bench.publish(T, "replace", [{"id": 1, **{f"c{n}": "x" for n in range(2000)}}], columns)
    assert len(bench.rows(T)[0]) == 2001
    assert len(catalog.load_table(T).schema().fields) == 2001


def test_a_folder_may_have_any_name(tmp_path):
    root = tmp_path / "a b#c?d%20é"
    root.mkdir()
    state = SqlStateStore("sqlite:///mesh.db", root=str(tmp_path))
    state.migrate()
    tables = IcebergTables(warehouse="ware house", root=str(root), state=state)
    bench = Bench(tables, state, LocalShelf(), tmp_path)
    bench.publish(T, "replace", numbers(1, 2))
    bench.publish(T, "append", numbers(3, 3))
    assert bench.ids(T) == [1, 2, 3]
    catalog = SqlCatalog(CATALOG_NAME, uri=f"sqlite:///{tmp_path}/mesh.db")
    assert their_rows(catalog) == numbers(1, 3)
    catalog.engine.dispose()
    state.close()


def test_every_address_is_a_plain_path(bench):
    staged = bench.publish(T, "replace", numbers(1, 2))
    found = {
        *bench.tables.live_files(T),
        *(p for p, _ in bench.tables.list_files(T)),
        *bench.tables.scan(T).files,
    }
    found |= {staged.metadata_location, bench.tables.location(T), *staged.written}
    assert all(urlsplit(p).scheme == "" and Path(p).is_absolute() for p in found)


def test_foreign_types_are_named(bench, catalog):
    bench.publish(T, "replace", numbers(1, 1))
    from pyiceberg.types import UUIDType

    with catalog.load_table(T).update_schema() as update:
        update.add_column("key", UUIDType())
    with pytest.raises(StorageError, match="key has the type uuid"):
        bench.tables.schema(T)


def test_schemas_survive_the_way_there_and_back():
    from raymesh.adapters.iceberg.schema import from_iceberg, to_iceberg

    names = [
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "string",
        "binary",
    ]
    inner = Struct((Field("x", Decimal(38, 10), doc="in"), Field("l", List(Map(TEXT, List(INT))))))
    columns = evolve(
        None, [*(Field(n, Primitive(n), doc=f"{n} doc") for n in names), Field("s", inner)]
    ).schema
    assert from_iceberg(to_iceberg(columns, 3), columns.last_id) == columns
    assert isinstance(columns, TableSchema)
    assert PLAIN.names == ("id", "name")

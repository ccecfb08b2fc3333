"""Reading published rows, consumer SQL in its sandbox, and measuring anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raymesh.errors import CorruptFileError, MeshError, NotFoundError, StorageError, TransformError
from raymesh.quality.model import Check
from raymesh.spec.expression import And, Column, Compare, IsNull, Not, Value
from raymesh.spi.conformance.engine_opened import OpenedEngine, columns, scan, short

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.mesh.plan import Scan
    from raymesh.spi.conformance.engine_opened import Bench

ROWS = (
    "select range as id, range % 3 as k, case when range % 2 = 0 then 'n' || range end as name from range(10)"
)


class ReadConformance(OpenedEngine):
    @pytest.fixture
    def published(self, bench: Bench) -> Scan:
        return scan(bench.sql(ROWS, columns(id="bigint", k="bigint", name="varchar")))

    def test_a_read_chooses_columns_rows_and_a_limit(self, bench: Bench, published: Scan) -> None:
        where = And((Compare(">", Column(("id",)), Value(3)), Not(IsNull(Column(("name",))))))
        found = bench.engine.read(published, columns=["name", "id"], where=where, limit=2).read_all()
        assert found.to_pylist() == [{"name": "n4", "id": 4}, {"name": "n6", "id": 6}]

    def test_a_read_streams(self, bench: Bench) -> None:
        large = scan(bench.sql("select range as id from range(500000)"))
        reader = bench.engine.read(large)
        assert reader.read_next_batch().num_rows < 500_000
        assert sum(b.num_rows for b in reader) > 300_000

    def test_a_read_of_no_files_has_the_columns(self, bench: Bench) -> None:
        empty = scan(bench.sql("select 1 as a, 'x' as b where false"))
        assert bench.engine.read(empty, columns=["b"]).read_all().schema.names == ["b"]

    def test_an_unknown_column_is_not_found(self, bench: Bench, published: Scan) -> None:
        with pytest.raises(NotFoundError, match="nmae") as caught:
            bench.engine.read(published, columns=["nmae"])
        assert "name" in (caught.value.hint or "")

    def test_a_query_joins_products_and_itself(self, bench: Bench, published: Scan) -> None:
        other = scan(bench.sql("select 4::bigint as id, 9 as x"))
        sql = "select a.name, b.x from d.a a join d.b b using (id) join d.a c using (id) where a.id > 1"
        found = bench.engine.query(sql, {"d.a": published, "d.b": other}).read_all()
        assert found.to_pylist() == [{"name": "n4", "x": 9}]

    def test_a_query_filters_on_columns_it_does_not_return(self, bench: Bench, published: Scan) -> None:
        sql = "select name from d.a where k = 1 and name is not null and id between 2 and 8 order by id desc"
        found = bench.engine.query(sql, {"d.a": published}).read_all()
        assert [r["name"] for r in found.to_pylist()] == ["n4"]

    def test_a_query_counts_without_columns(self, bench: Bench, published: Scan) -> None:
        assert (
            bench.engine.query("select count(*) as n from d.a", {"d.a": published}).read_all()["n"][0].as_py()
            == 10
        )

    @pytest.mark.parametrize(
        "sql",
        [
            "select * from read_text('{file}')",
            "select * from read_parquet('{data}')",
            "select * from '{data}'",
            "copy (select 1) to '{file}2'",
            "attach '{file}'",
            "set enable_external_access = true",
            "select 1; select 2",
            "create table x as select 1 as a",
        ],
        ids=short,
    )
    def test_a_query_sees_nothing_but_its_inputs(self, bench: Bench, published: Scan, sql: str) -> None:
        secret = bench.root / "secret.txt"
        secret.write_text("secret", encoding="utf-8")
        with pytest.raises(TransformError) as caught:
            bench.engine.query(
                sql.format(file=secret, data=published.files[0]), {"d.a": published}
            ).read_all()
        assert caught.value.spans

    def test_a_wrong_query_names_line_and_column(self, bench: Bench, published: Scan) -> None:
        with pytest.raises(TransformError) as caught:
            bench.engine.query("select\n nope from d.a", {"d.a": published})
        assert (caught.value.spans[0].line, caught.value.spans[0].column) == (2, 2)

    def test_a_query_that_fails_on_a_row_is_an_error_of_ours(self, bench: Bench, published: Scan) -> None:
        with pytest.raises(MeshError, match="n0"):
            bench.engine.query("select error(name) from d.a where id = 0", {"d.a": published}).read_all()

    @pytest.mark.parametrize("damage", ["cut", "emptied", "removed", "replaced"], ids=short)
    def test_a_damaged_file_is_named_and_never_read_short(
        self, bench: Bench, published: Scan, damage: str
    ) -> None:
        path = bench.root / "warehouse/d/p/data" / published.files[0].rsplit("/", 1)[-1]
        _damage(path, damage)
        kind = StorageError if damage == "removed" else CorruptFileError
        with pytest.raises(kind, match=path.name):
            bench.engine.read(published).read_all()
        with pytest.raises(kind, match=path.name):
            bench.engine.query("select sum(id) from d.a", {"d.a": published}).read_all()
        bench.inputs = {"d.a": published}
        with pytest.raises(kind, match=path.name):
            bench.sql("select sum(id) as n from d.a")

    def test_a_file_without_field_ids_is_refused(self, bench: Bench, published: Scan) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = str(bench.root / "foreign.parquet")
        pq.write_table(pa.table({"id": [1], "k": [1], "name": ["x"]}), path)
        with pytest.raises(CorruptFileError, match="field ids"):
            bench.engine.read(type(published)(published.schema, (path,))).read_all()

    def test_published_rows_are_measured_anew(self, bench: Bench, published: Scan) -> None:
        missing = Check("missing", "row", "nullValues", columns=("name",), violates=IsNull(Column(("name",))))
        rows = Check("rows", "count", "rowCount")
        found = bench.engine.measure(published, (missing, rows))
        assert [s.violations["missing"] for s in found.files.values()] == [5]
        assert sum(s.rows for s in found.files.values()) == 10


def _damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:-20], "emptied": b"", "replaced": b"no parquet at all " * 20}[how])

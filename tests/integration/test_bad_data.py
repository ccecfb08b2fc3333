"""Data that is damaged, empty, odd or too much: a clear error with place and way out, or it just works."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raymesh
from lives import columns, command, current, ended, failed, publish, rows, staged
from meshes import write_mesh, write_product, write_source


def parquet(count: int = 10_000) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array(range(count), pa.int64())}), buffer)
    return buffer.getvalue()


GOOD = parquet()
SHAPE = [{"name": "a", "type": "bigint"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def given(root: Path, content: bytes, kind: str = "parquet", promised: Any = None, **source: Any) -> Path:
    """Product `shop.made` of a source over one file with this content; the file."""
    file = root.parent / f"in.{kind}"
    file.write_bytes(content)
    write_source(root, "shop.raw", file, kind, **source)
    write_product(root, "shop.made", promised or {"a": "bigint"}, sql="SELECT * FROM source.raw")
    return file


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage" * 100, GOOD[:-100], GOOD[: len(GOOD) // 2], GOOD[:200] + bytes(200) + GOOD[400:]],
    ids=["empty", "garbage", "cut", "half", "overwritten"],
)
def test_a_damaged_parquet_source_is_named(root: Path, content: bytes) -> None:
    file = given(root, GOOD)
    publish(root)
    given(root, content)
    error = failed(root, "shop.made", "corrupt-file")
    assert str(file) in error.message
    assert error.hint
    assert current(root, "shop.made").rows == 10_000
    given(root, GOOD)
    publish(root)


@pytest.mark.parametrize(
    ("content", "part", "place"),
    [
        (b"a,b\n1,2\n3\n", "2 values expected, 1 found", ":3:2"),
        (b"a,b\n1,2\n3,4,5\n", "3 found", ":3:"),
        (b'a,b\n1,"x\n2,y\n', "unterminated quote", ":2:1"),
        (b"a,b\n1,x\n", "'x' in column b is not exactly a BIGINT", ":2:3"),
        (b"a,b\n1,2.5\n", "'2.5' in column b is not exactly a BIGINT", ":2:3"),
    ],
    ids=["short row", "long row", "open quote", "wrong type", "fraction"],
)
def test_a_bad_csv_row_is_named_with_line_and_column(
    root: Path, content: bytes, part: str, place: str
) -> None:
    shape = [{"name": "a", "type": "bigint"}, {"name": "b", "type": "bigint"}]
    file = given(root, content, "csv", {"a": "bigint", "b": "bigint"}, columns=shape)
    error = failed(root, "shop.made", "source")
    assert part in error.message
    assert str(error.spans[0]).startswith(f"{file}{place}")
    assert error.hint


def test_a_cut_json_record_is_named_with_its_line(root: Path) -> None:
    file = given(root, b'{"a":1}\n{"a":', "json")
    error = failed(root, "shop.made", "source")
    assert str(error.spans[0]).startswith(f"{file}:2:")


@pytest.mark.parametrize(
    ("kind", "content", "part"),
    [("csv", b"", "is empty: not even a header"), ("csv", b"a\n\xff\xfe\n", "not written in utf-8")],
    ids=["no header", "encoding"],
)
def test_a_csv_file_that_cannot_be_a_table_says_why(root: Path, kind: str, content: bytes, part: str) -> None:
    given(root, content, kind, columns=SHAPE)
    error = failed(root, "shop.made", "source")
    assert part in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("kind", "content"),
    [("parquet", parquet(0)), ("csv", b"a\n"), ("json", b"")],
)
def test_a_source_without_rows_makes_a_product_without_rows(root: Path, kind: str, content: bytes) -> None:
    given(root, content, kind, columns=SHAPE)
    assert publish(root)["shop.made"].rows == 0
    assert columns(root, "shop.made") == ["a int64"]


@pytest.mark.parametrize(
    ("code", "promised", "source", "part"),
    [
        (
            "source",
            {"a": "bigint"},
            {"columns": [{"name": "a", "type": "varchar"}]},
            "column a is BIGINT, declared VARCHAR",
        ),
        ("conform", {"a": "varchar"}, {}, "'a': it is BIGINT, not VARCHAR"),
        ("conform", {"a": "integer"}, {}, "'a'"),
        ("conform", {"a": "bigint", "b": "bigint"}, {}, "'b' is promised but the transform does not make it"),
        ("conform", {"b": "bigint"}, {}, "2 columns do not fit the contract"),
    ],
    ids=["declared", "promised", "narrower", "missing", "other name"],
)
def test_other_types_than_said_are_refused_with_the_column(
    root: Path, code: str, promised: Any, source: Any, part: str
) -> None:
    given(root, parquet(10), promised=promised, **source)
    if promised == {"a": "integer"}:
        write_product(root, "shop.made", promised, sql="SELECT a + 3000000000 AS a FROM source.raw")
    error = failed(root, "shop.made", code)
    assert part in error.message
    assert error.hint


def test_a_source_that_is_not_there_says_where_it_looked(root: Path) -> None:
    file = given(root, GOOD)
    file.unlink()
    error = failed(root, "shop.made", "source")
    assert f"no files at {file}" in error.message
    assert error.hint


NAMES = (
    "select", "order", "null", "a b", 'a"b', "it's", "a.b", "a\\b", "; DROP TABLE x;--", "/*", "--", "%s", "$1", "{run}",
    "[0]", "?", "ünï", "🙂", "الاسم", "x\ty", "A", "__file", "k0", "q", "rowid",
)  # fmt: skip


def test_any_column_name_is_only_a_name(root: Path) -> None:
    promise = {"physicalType": "integer", "logicalType": "integer", "required": True, "unique": True}
    made = ", ".join(f"{i} AS {_quoted(n)}" for i, n in enumerate(NAMES))
    write_product(root, "shop.first", dict.fromkeys(NAMES, promise), sql=f"SELECT {made}")
    write_product(
        root,
        "shop.second",
        dict.fromkeys(NAMES, promise),
        sql="SELECT * FROM shop.first",
        sortBy=["a b", 'a"b'],
        partitionBy=["it's", "🙂"],
    )
    write_product(
        root,
        "shop.third",
        dict.fromkeys(NAMES, "integer"),
        python="from raymesh import batch\nimport pyarrow as pa\n\n"
        "@batch(input='shop.second')\ndef transform(rows: pa.Table) -> pa.Table:\n    return rows\n",
        mode="append",
        incrementalColumn="; DROP TABLE x;--",
    )
    publish(root)
    for product in ("shop.first", "shop.second", "shop.third"):
        assert rows(root, product) == [tuple(range(len(NAMES)))]
        assert [c.rsplit(" ", 1)[0] for c in columns(root, product)] == list(NAMES)
    with raymesh.Mesh.load(root) as mesh:
        some = mesh.read("shop.second", columns=["🙂", "; DROP TABLE x;--"], where='"a""b" = 4').to_arrow()
        assert some.to_pydict() == {"🙂": [NAMES.index("🙂")], "; DROP TABLE x;--": [8]}
        edges = mesh._workspace.state.lineage(current(root, "shop.second").run_id)
    assert {(e.column, e.source_column) for e in edges if e.kind == "direct"} == {(n, n) for n in NAMES}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_two_thousand_columns_are_published_checked_and_read(root: Path) -> None:
    promise = {"physicalType": "integer", "logicalType": "integer", "required": True}
    made = ", ".join(f"{i} AS c{i}" for i in range(2000))
    write_product(root, "shop.wide", {f"c{i}": promise for i in range(2000)}, sql=f"SELECT {made}")
    report = publish(root)["shop.wide"]
    assert report.checks["pass"] >= 2000
    assert rows(root, "shop.wide") == [tuple(range(2000))]


def test_columns_of_one_name_are_refused(root: Path) -> None:
    write_product(root, "shop.made", {"x": "integer"}, sql="SELECT 1 AS x, 2 AS X")
    error = failed(root, "shop.made", "conform")
    assert "2 columns are called 'x'" in error.message
    assert [s.file for s in error.spans] == ["domains/shop/products/made/transform.sql"]


def test_a_mesh_without_products_runs_and_says_so(root: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run()
    assert (finished.reports, finished.exit_code) == ((), 0)
    code, out, err = ended(command(root, "run"))
    assert code == 0
    assert "nothing to do" in out + err
    assert "raymesh new product" in err


DISK_FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
"""
PYTHON = (
    "from raymesh import batch\nimport pyarrow as pa\n\n"
    "@batch(input='shop.base')\ndef transform(rows: pa.Table) -> pa.Table:\n    return rows\n"
)


@pytest.mark.parametrize("kind", ["sql", "python"])
def test_a_full_disk_while_staging_leaves_the_old_version_and_the_next_run_succeeds(
    root: Path, kind: str
) -> None:
    made: dict[str, Any] = {"sql": "SELECT a FROM shop.base"} if kind == "sql" else {"python": PYTHON}
    few, many = "SELECT hash(range) AS a FROM range({})".format, {"a": "decimal(20,0)"}
    write_product(root, "shop.base", many, sql=few(10))
    write_product(root, "shop.made", many, **made)
    publish(root)
    write_product(root, "shop.base", many, sql=few(400_000))
    publish(root, "shop.base")
    code, out, err = ended(command(root, "run", "--output", "json", before=DISK_FULL))
    assert code == 1, err
    report = {p["product"]: p for p in json.loads(out)["products"]}["shop.made"]
    assert (report["status"], report["error"]["code"]) == ("failed", "disk-full"), report
    assert "no space left" in report["error"]["message"]
    assert "{" not in report["error"]["message"], "the words of DuckDB, not its JSON"
    assert "free space" in report["error"]["hint"]
    assert current(root, "shop.made").rows == 10
    assert staged(root, "shop.made") == set()
    assert publish(root)["shop.made"].rows == 400_000

"""Transforms that fail in every way: a clear error with the place, nothing left behind, the rest unharmed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import command, ended, failed, publish, rows, staged
from meshes import write_mesh, write_product

HEAD = "import os, sys, time\nimport pyarrow as pa\nfrom raymesh import batch, product\n\n"
FORMS = {
    "batch": "@batch(input='shop.base')\ndef transform(rows: pa.Table) -> pa.Table:\n",
    "dataset": "@product(inputs={'rows': 'shop.base'})\ndef transform(rows: pa.Table) -> pa.Table:\n",
}
FILE = "domains/shop/products/made/transform.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_mesh(tmp_path / "mesh")
    write_product(root, "shop.base", {"x": "bigint"}, sql="SELECT range AS x FROM range(10)")
    return root


def python(root: Path, body: str, form: str = "batch", **settings: Any) -> None:
    """Product `shop.made` by a function whose body begins in line 7."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    write_product(root, "shop.made", {"x": "bigint"}, python=HEAD + FORMS[form] + lines, **settings)


def broken(root: Path, code: str) -> raymesh.MeshError:
    publish(root, "shop.base")
    return failed(root, "shop.made", code)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("body", "parts", "place"),
    [
        ("raise ValueError('boom é')", "ValueError: boom é", "7:5"),
        ("x = 1\nreturn rows.nothing", "AttributeError", "8:12"),
        ("return None", "`transform` returned None", "6:1"),
        ("return 'rows'", "returned a value of type str", "6:1"),
        ("os._exit(3)", "exited with status 3", "1:1"),
        ("sys.exit('bye')", "SystemExit: bye", "7:5"),
        ("os.kill(os.getpid(), 11)", "ended by SIGSEGV", "1:1"),
        ("import not_there", "No module named 'not_there'", "7:5"),
    ],
    ids=["raises", "attribute", "None", "text", "os._exit", "sys.exit", "crashes", "import"],
)
def test_python_that_fails_is_named_with_its_line(
    root: Path, form: str, body: str, parts: str, place: str, request: pytest.FixtureRequest
) -> None:
    if (
        form == "dataset"
        and body.startswith(("x", "sys", "os.kill"))
        and not request.config.getoption("--complete")
    ):
        pytest.skip("sampled: run with --complete")
    python(root, body, form)
    error = broken(root, "transform")
    assert parts in error.message
    assert [str(s) for s in error.spans] == [f"{FILE}:{place}"]
    python(root, "return rows", form)
    assert publish(root)["shop.made"].rows == 10


def test_python_that_makes_other_columns_is_told_which(root: Path) -> None:
    python(root, "return rows.rename_columns(['y'])")
    error = broken(root, "conform")
    assert "column 'x' is promised but the transform does not make it" in error.message
    assert "column 'y' is not in the contract" in error.message
    assert [s.file for s in error.spans] == [FILE]
    assert error.hint


@pytest.mark.parametrize("body", ["time.sleep(60)", "while True: pass"], ids=["sleeps", "spins"])
def test_python_that_hangs_is_stopped_where_it_hangs(root: Path, body: str) -> None:
    python(root, body, timeout="1s")
    error = broken(root, "transform-timeout")
    assert "its limit of 1 s" in error.message
    assert [str(s) for s in error.spans] == [f"{FILE}:7:1"]
    assert "timeout" in (error.hint or "")


def test_sql_that_hangs_is_stopped(root: Path) -> None:
    sql = "SELECT count(*) AS x FROM range(1000000000) AS a, range(1000000000) AS b WHERE a.range < b.range"
    write_product(root, "shop.made", {"x": "bigint"}, sql=sql, timeout="1s")
    assert "its limit of 1 s" in broken(root, "transform-timeout").message


@pytest.mark.parametrize(
    "body",
    [
        "hoard = []\nwhile True:\n    hoard.append(bytearray(10_000_000))\n    time.sleep(0.002)",
        "return bytearray(200_000_000_000)",
    ],
    ids=["grows", "at once"],
)
def test_python_that_exhausts_its_memory_is_stopped(root: Path, body: str) -> None:
    python(root, body, resources={"memory": "256MB"})
    error = broken(root, "transform-memory")
    assert FILE in error.message
    assert "resources.memory" in (error.hint or "")
    assert {s.file for s in error.spans} == {FILE}


def test_sql_that_exhausts_its_memory_is_stopped(root: Path) -> None:
    sql = "SELECT string_agg(hash(range)::varchar) AS x FROM range(20000000)"
    write_product(root, "shop.made", {"x": "varchar"}, sql=sql, resources={"memory": "64MB"})
    assert "resources.memory" in (broken(root, "transform-memory").hint or "")


@pytest.mark.parametrize(
    ("sql", "part", "place"),
    [
        ("SELECT\n  CAST(v AS bigint) AS x FROM (VALUES ('1'), ('z')) AS t(v)", "'z'", "2:3"),
        ("SELECT\n  missing AS x FROM shop.base", '"missing"', "2:3"),
        ("SELECT error('no such thing') AS x", "no such thing", "1:"),
    ],
    ids=["cast", "column", "error"],
)
def test_sql_that_fails_is_named_with_its_place(root: Path, sql: str, part: str, place: str) -> None:
    write_product(root, "shop.made", {"x": "bigint"}, sql=sql)
    error = broken(root, "transform")
    assert part in error.message
    assert str(error.spans[0]).startswith(f"domains/shop/products/made/transform.sql:{place}")


def test_a_value_that_does_not_fit_its_promised_type_is_refused(root: Path) -> None:
    write_product(root, "shop.made", {"x": "integer"}, sql="SELECT 3000000000::bigint AS x")
    error = broken(root, "conform")
    assert "'x'" in error.message
    assert "3000000000" in error.message
    assert "wider type" in (error.hint or "")


def test_what_a_transform_prints_never_mixes_with_the_result(root: Path) -> None:
    python(root, "print('hello from user code')\nprint('and errors', file=sys.stderr)\nreturn rows")
    code, out, err = ended(command(root, "run", "--output", "json"))
    assert code == 0, err
    document = json.loads(out)
    assert document["schema"] == "raymesh/run/1"
    assert {p["status"] for p in document["products"]} == {"published"}


def test_what_a_failing_transform_printed_is_part_of_the_error(root: Path) -> None:
    python(root, "print('the last words')\nraise ValueError('boom')")
    code, out, _ = ended(command(root, "run", "--output", "json"))
    assert code == 1
    (made,) = [p for p in json.loads(out)["products"] if p["product"] == "shop.made"]
    assert made["error"]["code"] == "transform"
    assert "boom" in made["error"]["message"]
    with raymesh.Mesh.load(root) as mesh:
        (record,) = [r for r in mesh._workspace.state.runs() if r.product == "shop.made"]
    assert record.error is not None
    assert record.error["spans"] == [f"{FILE}:8:5"]
    assert "the last words" in record.error["trace"]


@pytest.mark.parametrize("form", FORMS)
def test_an_interrupt_in_a_transform_stops_it_and_leaves_the_old_version(root: Path, form: str) -> None:
    python(root, "return rows", form)
    publish(root)
    mark = root / "started"
    python(root, f"open({str(mark)!r}, 'w').close()\ntime.sleep(60)\nreturn rows", form)
    process = command(root, "run", "--output", "json")
    deadline = time.monotonic() + 30
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    code, out, err = ended(process, timeout=15)
    assert code == 130, err
    statuses = {p["product"]: p["status"] for p in json.loads(out)["products"]}
    assert statuses == {"shop.base": "unchanged", "shop.made": "interrupted"}
    assert len(rows(root, "shop.made")) == 10
    assert staged(root, "shop.made") == set()
    with raymesh.Mesh.load(root) as mesh:
        assert not mesh._workspace.state.runs(status="running")
        assert mesh._workspace.state.holder("shop.made") is None
    python(root, "return rows.slice(0, 3)", form)
    assert publish(root)["shop.made"].rows == 3

"""Documents that are wrong: every problem at once with code, place and way out, and nothing is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import command, ended
from meshes import write_mesh, write_product
from raymesh.errors import DocumentsInvalidError

ONE = {"x": "integer"}
SQL = "SELECT 1 AS x"
FOLDER = "domains/shop/products"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_mesh(tmp_path / "mesh")


def problems(root: Path) -> dict[str, Any]:
    """The problems that keep the mesh from being loaded, by code."""
    with pytest.raises(DocumentsInvalidError) as error:
        raymesh.Mesh.load(root)
    assert error.value.exit_code == 3
    return {d.code: d for d in error.value.diagnostics if d.severity == "error"}


def cycle(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="SELECT x FROM shop.b")
    write_product(root, "shop.b", ONE, sql="SELECT x FROM shop.a")


def itself(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="SELECT x FROM shop.a")


def missing_input(root: Path) -> None:
    write_product(root, "shop.base", ONE, sql=SQL)
    write_product(root, "shop.a", ONE, sql="SELECT x FROM shop.bass")


def missing_source(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="SELECT x FROM source.nothing")


def open_bracket(root: Path) -> None:
    (write_product(root, "shop.a", ONE, sql=SQL) / "contract.yaml").write_text("schema: [1\nid: x")


def twice(root: Path) -> None:
    write_product(root, "shop.a", {"x": "integer", "X": "integer"}, sql="SELECT 1 AS x")


def no_select(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="CREATE TABLE y AS SELECT 1 AS x")


def two_statements(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="SELECT 1 AS x; SELECT 2 AS x")


def from_outside(root: Path) -> None:
    write_product(root, "shop.a", ONE, sql="SELECT * FROM read_text('/etc/passwd')")


def bad_python(root: Path) -> None:
    write_product(root, "shop.a", ONE, python="def transform(rows:\n    return rows\n")


def no_decorator(root: Path) -> None:
    write_product(root, "shop.a", ONE, python="def transform(rows):\n    return rows\n")


def no_contract(root: Path) -> None:
    (write_product(root, "shop.a", ONE, sql=SQL) / "contract.yaml").unlink()


@pytest.mark.parametrize(
    ("prepare", "code", "part", "place", "help_"),
    [
        (cycle, "input-cycle", "shop.a → shop.b → shop.a", f"{FOLDER}/a/transform.sql:1:15", "split"),
        (itself, "input-self", "shop.a reads itself", f"{FOLDER}/a/transform.sql:1:15", "append"),
        (missing_input, "input-unknown", "`shop.bass`", f"{FOLDER}/a/transform.sql:1:15", "shop.base"),
        (
            missing_source,
            "source-unknown",
            "`nothing`",
            f"{FOLDER}/a/transform.sql:1:15",
            "sources/nothing.yaml",
        ),
        (open_bracket, "yaml-syntax", "not closed", f"{FOLDER}/a/contract.yaml:1:9", "]"),
        (twice, "duplicate-column", "`X`", f"{FOLDER}/a/contract.yaml:", ""),
        (no_select, "sql-not-select", "CREATE", f"{FOLDER}/a/transform.sql:1:1", "SELECT"),
        (two_statements, "sql-statements", "one statement", f"{FOLDER}/a/transform.sql:1:16", "SELECT"),
        (from_outside, "sql-table-function", "read_text()", f"{FOLDER}/a/transform.sql:1:15", "sources/"),
        (bad_python, "python-syntax", "'(' was never closed", f"{FOLDER}/a/transform.py:1:14", ""),
        (
            no_decorator,
            "python-input",
            "does not say what it reads",
            f"{FOLDER}/a/transform.py:1:5",
            "@batch",
        ),
        (
            no_contract,
            "missing-document",
            "contract.yaml is missing",
            f"{FOLDER}/a/product.yaml:1:1",
            "infer",
        ),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_problem_has_a_code_a_place_and_a_way_out(
    root: Path, prepare: Callable[[Path], None], code: str, part: str, place: str, help_: str
) -> None:
    prepare(root)
    found = problems(root)
    assert code in found, found
    problem = found[code]
    assert part in problem.message
    assert str(problem.span).startswith(place), problem.span
    assert help_ in (problem.help or "")


def test_all_problems_are_told_at_once_and_nothing_is_run(root: Path) -> None:
    open_bracket(root)
    write_product(root, "shop.b", ONE, sql=SQL)
    product = root / FOLDER / "b" / "product.yaml"
    product.write_text(product.read_text().replace('"domain"', '"domian"'))
    code, out, _ = ended(command(root, "run", "--output", "json"))
    assert code == 3
    document = json.loads(out)
    assert document["schema"] == "raymesh/error/1"
    codes = {d["code"] for d in document["diagnostics"]}
    assert {"yaml-syntax", "unknown-key"} <= codes
    assert "did you mean" in json.dumps(document)
    assert not (root / ".raymesh" / "warehouse").exists()


def test_the_command_line_shows_place_excerpt_and_caret(root: Path) -> None:
    missing_input(root)
    code, _, err = ended(command(root, "run"))
    assert code == 3
    assert "error[input-unknown]" in err
    assert f"--> {FOLDER}/a/transform.sql:1:15" in err
    assert "SELECT x FROM shop.bass" in err
    assert "^^^" in err

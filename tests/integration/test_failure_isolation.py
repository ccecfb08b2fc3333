"""One product that fails stops what is made from it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import raymesh
from lives import publish, rows, run
from meshes import write_mesh, write_product

ONE = {"x": "bigint"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """a → b → c → d, a → e, f alone, and g made from c and f."""
    root = write_mesh(tmp_path / "mesh")
    write_product(root, "shop.a", ONE, sql="SELECT 1::bigint AS x")
    for name, source in (("b", "a"), ("c", "b"), ("d", "c"), ("e", "a")):
        write_product(root, f"shop.{name}", ONE, sql=f"SELECT x + 1 AS x FROM shop.{source}")
    write_product(root, "shop.f", ONE, sql="SELECT 100::bigint AS x")
    write_product(root, "shop.g", ONE, sql="SELECT c.x + f.x AS x FROM shop.c AS c, shop.f AS f")
    return root


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_failing_product_stops_its_downstream_only(root: Path, jobs: int) -> None:
    publish(root)
    write_product(root, "shop.a", ONE, sql="SELECT 2::bigint AS x")
    write_product(root, "shop.b", ONE, sql="SELECT error('broken')::bigint AS x FROM shop.a")
    write_product(root, "shop.f", ONE, sql="SELECT 200::bigint AS x")
    reports = run(root, jobs=jobs)
    assert {p: r.status for p, r in reports.items()} == {
        "shop.a": "published",
        "shop.b": "failed",
        "shop.c": "skipped",
        "shop.d": "skipped",
        "shop.e": "published",
        "shop.f": "published",
        "shop.g": "skipped",
    }
    assert reports["shop.c"].reason == "its input shop.b failed"
    assert reports["shop.d"].reason == "its input shop.c was skipped"
    assert reports["shop.g"].reason == "its input shop.c was skipped"
    assert [rows(root, f"shop.{p}")[0][0] for p in "abcdefg"] == [2, 2, 3, 4, 3, 200, 103]
    write_product(root, "shop.b", ONE, sql="SELECT x + 1 AS x FROM shop.a")
    repaired = publish(root, jobs=jobs)
    assert {p for p, r in repaired.items() if r.status == "published"} == {
        "shop.b",
        "shop.c",
        "shop.d",
        "shop.g",
    }
    assert [rows(root, f"shop.{p}")[0][0] for p in "abcdefg"] == [2, 3, 4, 5, 3, 200, 204]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_fault_of_raymesh_in_one_product_stops_that_one_only(
    root: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh.actions import evidence

    real = evidence.check_records

    def faulty(verdict: object) -> object:
        if any("f" in str(r.check.span) and "/f/" in str(r.check.span) for r in verdict.results):  # type: ignore[attr-defined]
            raise ZeroDivisionError("a defect")
        return real(verdict)  # type: ignore[arg-type]

    monkeypatch.setattr(evidence, "check_records", faulty)
    reports = run(root, jobs=jobs)
    assert {p for p, r in reports.items() if r.status == "published"} == {f"shop.{p}" for p in "abcde"}
    failure = reports["shop.f"].error
    assert failure is not None
    assert failure.code == "internal"
    assert reports["shop.g"].status == "skipped"
    monkeypatch.undo()
    publish(root)


def test_a_run_of_a_product_whose_input_was_never_published_says_how_to_build_it(root: Path) -> None:
    report = run(root, "shop.g")["shop.g"]
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.code == "not-found"
    assert "no published version" in report.error.message
    assert "+shop.g" in (report.error.hint or "")
    assert str(report.error.spans[0]).startswith("domains/shop/products/g/transform.sql:1:")


def test_exit_codes_say_how_the_whole_run_ended(root: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().exit_code == 0
    write_product(
        root, "shop.f", {"x": {"physicalType": "bigint", "required": True}}, sql="SELECT NULL::bigint AS x"
    )
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().exit_code == 4
    write_product(root, "shop.e", ONE, sql="SELECT error('broken')::bigint AS x FROM shop.a")
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().exit_code == 1

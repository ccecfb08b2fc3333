"""Products with several tables: all of them change together, or none does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import raymesh
from lives import KEY, NEEDED, checks, look_after, publish, roll_back, rows, run, staged, versions
from meshes import _property, write_mesh, write_product
from raymesh.spi import faults

RATES = "SELECT 1::bigint AS id, {}::bigint AS value"


def with_port(root: Path, value: int, *, old: int | None = None, mesh: bool = True) -> Path:
    """Product `shop.table` and its port `old`, each with one row."""
    if mesh and not (root / "mesh.yaml").exists():
        write_mesh(root)
    columns: dict[str, Any] = {"id": KEY, "value": NEEDED}
    folder = write_product(root, "shop.table", columns, sql=RATES.format(value))
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "shop.table.old",
        "version": "1.0.0",
        "schema": [{"name": "table__old", "properties": [_property(n, c) for n, c in columns.items()]}],
    }
    product = json.loads((folder / "product.yaml").read_text())
    product["outputPorts"].append({"name": "old", "version": "1.0.0", "contractId": "shop.table.old"})
    (folder / "product.yaml").write_text(json.dumps(product))
    for name, text in (
        ("contracts/old.yaml", json.dumps(contract)),
        ("transforms/old.sql", RATES.format(value if old is None else old)),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "mesh"


def test_all_ports_are_published_by_one_run(root: Path) -> None:
    with_port(root, 1, old=10)
    report = publish(root)["shop.table"]
    assert report.rows == 1
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 1)], [(1, 10)])
    assert {v.run_id for p in ("default", "old") for v in versions(root, "shop.table", p)} == {report.run_id}
    assert checks(root, report.run_id, "default")
    assert checks(root, report.run_id, "old")
    assert publish(root)["shop.table"].status == "unchanged"


def test_a_port_is_an_input_by_its_own_name(root: Path) -> None:
    with_port(root, 1, old=10)
    write_product(root, "shop.copy", {"value": "bigint"}, sql="SELECT value FROM shop.table__old")
    publish(root)
    assert rows(root, "shop.copy") == [(10,)]
    with_port(root, 1, old=11)
    assert publish(root)["shop.copy"].status == "published"
    assert rows(root, "shop.copy") == [(11,)]


def test_a_blocked_port_keeps_every_port_as_it_was(root: Path) -> None:
    folder = with_port(root, 1)
    publish(root)
    with_port(root, 2)
    (folder / "transforms" / "old.sql").write_text("SELECT 1::bigint AS id, NULL::bigint AS value")
    report = run(root)["shop.table"]
    assert report.status == "blocked", report
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 1)], [(1, 1)])
    assert staged(root, "shop.table") == staged(root, "shop.table__old") == set()


def test_a_failing_port_keeps_every_port_as_it_was(root: Path) -> None:
    folder = with_port(root, 1)
    publish(root)
    with_port(root, 2)
    (folder / "transforms" / "old.sql").write_text("SELECT 1::bigint AS id, error('no')::bigint AS value")
    assert run(root)["shop.table"].status == "failed"
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 1)], [(1, 1)])
    assert staged(root, "shop.table") == staged(root, "shop.table__old") == set()


def test_a_reader_of_both_ports_never_sees_two_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.actions.read import pin_all

    with_port(root, 1)
    publish(root)
    with_port(root, 2)
    seen = []

    def look(point: str) -> None:
        if point in ("metadata_written", "before_commit"):
            with raymesh.Mesh.load(root) as mesh:
                found = pin_all(mesh._workspace.storage, ["shop.table", "shop.table__old"])
                seen.append({p.version.number for p in found.values()})

    with raymesh.Mesh.load(root) as mesh:
        monkeypatch.setattr(faults, "observer", look)
        mesh.run()
        monkeypatch.undo()
    assert seen
    assert all(numbers == {1} for numbers in seen)
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 2)], [(1, 2)])


def test_ports_roll_back_one_by_one_and_the_next_run_builds_both(root: Path) -> None:
    for value in (1, 2):
        with_port(root, value)
        publish(root)
    roll_back(root, "shop.table__old", 1)
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 2)], [(1, 1)])
    assert publish(root)["shop.table"].status == "published"
    assert (rows(root, "shop.table"), rows(root, "shop.table__old")) == ([(1, 2)], [(1, 2)])


def test_maintenance_looks_after_every_port(root: Path) -> None:
    with_port(root, 1)
    publish(root)
    assert [m.table for m in look_after(root, "shop.table")] == ["shop.table", "shop.table__old"]


def test_a_port_that_comes_later_is_built_and_one_that_is_taken_away_leaves_the_rest_unchanged(
    root: Path,
) -> None:
    write_mesh(root)
    write_product(root, "shop.table", {"id": KEY, "value": NEEDED}, sql=RATES.format(1))
    publish(root)
    folder = with_port(root, 1)
    assert publish(root)["shop.table"].status == "published"
    assert rows(root, "shop.table__old") == [(1, 1)]
    write_product(root, "shop.table", {"id": KEY, "value": NEEDED}, sql=RATES.format(1))
    (folder / "contracts" / "old.yaml").unlink()
    (folder / "transforms" / "old.sql").unlink()
    publish(root)
    assert publish(root)["shop.table"].status == "unchanged"
    assert rows(root, "shop.table__old") == [(1, 1)], "what is published is published"

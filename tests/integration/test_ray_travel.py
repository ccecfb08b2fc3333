"""User code on a cluster that does not see our files: a domain's files travel, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshes import write_domain, write_mesh, write_product
from raymesh import Mesh
from reliability.ray_harness import Nodes, nodes

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

COLUMNS = {"id": "bigint", "said": "varchar", "before": "varchar", "files": "varchar"}
LOOK = """
import builtins, json
from pathlib import Path
import pyarrow as pa
import lib.words

DOMAIN = Path(__file__).parents[2]

def look(rows):
    before = getattr(builtins, "LEFT_BY", "nobody")
    builtins.LEFT_BY = DOMAIN.name
    said = lib.words.SHARED + (DOMAIN / "words.txt").read_text()
    root = DOMAIN.parents[1]
    files = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.suffix != ".pyc")
    return pa.table({"id": rows["id"], "said": [said], "before": [before], "files": [json.dumps(files)]})
"""
FUNCTION = (
    LOOK
    + """
def transform(rows: pa.Table) -> pa.Table:
    return look(rows)
"""
)
CLASS = (
    LOOK
    + """
class transform:
    def __call__(self, rows: pa.Table) -> pa.Table:
        return look(rows)
"""
)
STAYS = (
    "mesh.yaml",
    ".env",
    "keys/of_storage",
    "warehouse/shop/x/v1.avro",
    "domains/shop/data.csv",
    "domains/shop/private.key",
    "domains/shop/passwords",
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with nodes(tmp_path_factory.mktemp("home"), 1) as cluster:
        yield cluster


@pytest.fixture
def root(one: Nodes, tmp_path: Path) -> Path:
    """A mesh of two domains, whose builds run on a cluster that is told not to see them."""
    from raymesh.engines.ray import access

    token = "${file:" + str(access.own_token()) + "}"
    root = write_mesh(
        tmp_path / "mesh",
        state=f"sqlite:///{tmp_path}/state.db",
        warehouse="warehouse",
        engines={"default": "ray", "ray": {"address": one.address, "token": token}},
        storage={"s3": {"secretAccessKey": "${file:keys/of_storage}"}},
    )
    write_domain(root, "press")
    for name, code in (("shop.seen", FUNCTION), ("press.seen", FUNCTION), ("press.by_class", CLASS)):
        half = {"cpus": 0.5}  # of the one processor: a class holds one part, reading needs the other
        sql = "SELECT 1::bigint AS id"
        write_product(root, name, COLUMNS, sql=sql, python=code, resources=half)
    for domain in ("shop", "press"):
        (root / f"domains/{domain}/words.txt").write_text(domain)
    (root / "lib").mkdir()
    (root / "lib/words.py").write_text("SHARED = 'we '")
    for name in STAYS:
        if not (file := root / name).exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")
    (root / "domains/shop/domain.yaml").write_text(
        (root / "domains/shop/domain.yaml").read_text() + "\n# ${file:domains/shop/passwords}\n"
    )
    return root


@pytest.fixture
def addresses(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the files of every build went. While it runs the mesh's folder is not one for workers, as elsewhere."""
    from raymesh.engines.ray import travel

    packed, found = travel.packed, []

    @contextmanager
    def hidden(plan: Any) -> Iterator[dict[str, Any]]:
        with packed(plan) as keywords:
            found.append(keywords["runtime_env"]["working_dir"])
            (root / "mesh.yaml").rename(root / "hidden.yaml")
            try:
                yield keywords
            finally:
                (root / "hidden.yaml").rename(root / "mesh.yaml")

    monkeypatch.setattr(travel, "packed", hidden)
    return found


def seen(mesh: Mesh, product: str) -> dict[str, Any]:
    report = next(r for r in mesh.run(product, refresh=True).reports if r.product == product)
    assert report.status == "published", report
    (row,) = mesh.read(product).to_arrow().to_pylist()
    return row


def test_every_domain_has_its_own_files_and_processes_and_no_secrets(
    root: Path, addresses: list[str]
) -> None:
    with Mesh.load(root) as mesh:
        shop, press = seen(mesh, "shop.seen"), seen(mesh, "press.seen")
        assert (shop["said"], shop["before"]) == ("we shop", "nobody")
        assert (press["said"], press["before"]) == ("we press", "nobody")
        for own, other, row in (("shop", "press", shop), ("press", "shop", press)):
            files = json.loads(row["files"])
            assert {f"domains/{own}/words.txt", f"domains/{own}/domain.yaml", "lib/words.py"} <= set(files)
            assert not [f for f in files if f in STAYS or f.startswith(f"domains/{other}/")]
        (root / "domains/shop/words.txt").write_text("shop, changed")
        assert seen(mesh, "shop.seen")["said"] == "we shop, changed"
        assert seen(mesh, "press.by_class")["said"] == "we press"
    first, second, third, fourth = addresses
    assert second == fourth != first != third


def test_packages_stay_while_builds_run_and_go_after_them(
    one: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray._private.runtime_env.packaging import package_exists

    from raymesh.engines.ray import cluster, parcels
    from raymesh.spec.mesh import RayEngineSpec

    cluster.connect(RayEngineSpec(address=one.address), root=tmp_path)
    monkeypatch.setattr(parcels, "_SECONDS", 2)
    monkeypatch.setattr(parcels, "_RENEWED", 0.5)
    monkeypatch.setenv("RAY_RUNTIME_ENV_TEMPORARY_REFERENCE_EXPIRATION_S", "1")  # Ray's own, while it uploads
    (tmp_path / "code.py").write_text("x = 1")
    with parcels.kept(tmp_path, ()) as address:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            parcels.renew()
            assert package_exists(address)
            time.sleep(0.2)
    until = time.monotonic() + 20
    while package_exists(address):
        assert time.monotonic() < until
        time.sleep(0.2)

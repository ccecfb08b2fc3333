"""The mesh in Python, as a notebook uses it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import raymesh
from meshes import write_product
from raymesh.errors import DocumentsInvalidError, MissingExtraError, NotFoundError, TransformError, UsageError
from shops import promise, write_shop

HOSTILE = "<script>alert('x')</script>&\"<img src=//evil.example/x>"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A shop with everything published; no test changes it."""
    root = write_shop(tmp_path_factory.mktemp("api") / "shop")
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().exit_code == 0
    return root


@pytest.fixture
def mesh(root):
    with raymesh.Mesh.load(root) as mesh:
        yield mesh


def test_the_public_names_are_these():
    assert sorted(raymesh.__all__) == [
        "Domain",
        "Lineage",
        "Mesh",
        "MeshError",
        "Product",
        "Reading",
        "batch",
        "product",
    ]
    assert all(getattr(raymesh, name) is not None for name in raymesh.__all__)
    assert set(raymesh.__all__) <= set(dir(raymesh))
    with pytest.raises(AttributeError, match="no attribute 'Mseh'"):
        _ = raymesh.Mseh


def test_a_mesh_knows_its_domains_and_products(mesh, root):
    assert (mesh.name, mesh.root, mesh.domains) == ("test", root.resolve(), ("shop",))
    assert mesh.products == ("shop.orders", "shop.large", "shop.totals")
    assert repr(mesh) == f"<Mesh test: 1 domain, 3 products at {root.resolve()}>"
    domain = mesh.domain("shop")
    assert sorted(domain.products) == sorted(mesh.products)
    product = domain.product("large")
    assert (product.name, product.columns, product.version) == ("shop.large", ("id", "amount"), 1)
    assert product.contract["id"] == "shop.large"
    assert repr(product) == "<Product shop.large: 2 columns>"
    assert mesh.product("totals").name == "shop.totals"


def test_a_mesh_is_found_from_a_folder_within(root, monkeypatch):
    monkeypatch.chdir(root / "domains")
    with raymesh.Mesh.load() as mesh:
        assert mesh.root == root.resolve()


@pytest.mark.parametrize(
    ("wrong", "error", "hint"),
    [
        (lambda m: m.domain("shp"), NotFoundError, "shop"),
        (lambda m: m.product("shop.lrge"), NotFoundError, "shop.large"),
        (lambda m: m.domain("shop").product("lrge"), NotFoundError, "shop.large"),
        (lambda m: m.read("shop.lrge"), NotFoundError, "shop.large"),
        (lambda m: m.read("shop.large", columns=["amunt"]), NotFoundError, "amount"),
        (lambda m: m.read("shop.large", where="amunt > 1"), NotFoundError, "amount"),
        (lambda m: m.read("shop.large", where="drop table x"), UsageError, "comparisons"),
        (lambda m: m.read("shop.large", version=9), NotFoundError, "readable: 1"),
        (lambda m: m.sql("select * from shop.lrge"), NotFoundError, "shop.large"),
        (lambda m: m.sql("drop table shop.large"), UsageError, "SELECT"),
        (lambda m: m.sql("select nope from shop.large"), TransformError, "id"),
        (lambda m: m.run("shop.lrge"), NotFoundError, "shop.large"),
        (lambda m: m.lineage("shop.large", column="amunt"), NotFoundError, "amount"),
        (lambda m: m.history("shop.lrge"), NotFoundError, "shop.large"),
    ],
)
def test_mistakes_raise_errors_with_a_way_out(mesh, wrong, error, hint):
    with pytest.raises(error) as caught:
        wrong(mesh)
    assert hint in (caught.value.hint or "")


def test_documents_and_folders_that_are_no_mesh_raise_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"holds no mesh\.yaml"):
        raymesh.Mesh.load(tmp_path)
    write_shop(tmp_path)
    file = tmp_path / "domains/shop/domain.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "ownr": 1, "tgas": 2}))
    with pytest.raises(DocumentsInvalidError) as caught:
        raymesh.Mesh.load(tmp_path)
    assert len(caught.value.diagnostics) == 2


def test_a_reading_is_pinned_and_converts_to_every_frame(mesh):
    reading = mesh.read("shop.large", columns=["amount", "id"], where="amount > 4", limit=5)
    assert (reading.name, reading.version, reading.quality_score) == ("shop.large", 1, 1.0)
    assert reading.snapshot_id > 0
    rows = [{"amount": 4.5, "id": 3}]
    table = reading.to_arrow()
    assert isinstance(table, pa.Table)
    assert table.to_pylist() == rows
    assert table.schema.types == [pa.float64(), pa.int64()]
    assert pa.Table.from_batches(reading.to_batches()).to_pylist() == rows
    frame = reading.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("records") == rows
    assert isinstance(reading.to_polars(), pl.DataFrame)
    assert reading.to_polars().to_dicts() == rows
    assert reading.to_duckdb().fetchall() == [(4.5, 3)]
    with duckdb.connect() as own:
        assert reading.to_duckdb(own).aggregate("count(*)").fetchall() == [(1,)]
    assert repr(reading).startswith("<Reading of shop.large version 1: ")


def test_a_missing_frame_library_says_what_to_install(mesh, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for name in ("pandas", "polars"):
        with pytest.raises(MissingExtraError) as caught:
            getattr(mesh.read("shop.large"), f"to_{name}")()
        assert caught.value.hint == f"pip install 'raymesh[{name}]'"


def test_sql_answers_over_products(mesh):
    found = mesh.sql("select count(*) as n from shop.orders join shop.large using (id)")
    assert found.to_pylist() == [{"n": 2}]


def test_runs_tell_events_and_report_every_product(tmp_path):
    root = write_shop(tmp_path / "shop")
    promise(root, logicalTypeOptions={"maximum": 4})
    seen = []
    with raymesh.Mesh.load(root) as mesh:
        finished = mesh.run(on_event=seen.append, jobs=1)
        assert {r.product: r.status for r in finished.reports} == {
            "shop.orders": "published",
            "shop.large": "blocked",
            "shop.totals": "skipped",
        }
        assert finished.exit_code == 4
        assert mesh.product("shop.large").version is None
        assert mesh.product("shop.orders").run().reports[0].status == "unchanged"
        assert mesh.domain("shop").run(refresh=True).exit_code == 4
        assert [v["version"] for v in mesh.history("shop.orders")] == [2, 1]
    names = [type(e).__name__ for e in seen]
    assert (names[0], names[-1]) == ("RunStarted", "RunFinished")
    assert names.count("ProductFinished") == 3


def test_lineage_is_text_svg_and_mermaid_of_the_same_graph(mesh):
    lineage = mesh.product("shop.large").lineage()
    for picture in (lineage.to_text(), lineage.to_svg(), lineage.to_mermaid()):
        assert "orders" in picture
        assert "totals" in picture
    assert repr(lineage) == lineage.to_text()
    assert ET.fromstring(lineage._repr_html_()).tag.endswith("svg")
    column = mesh.lineage("shop.totals", column="amount").to_text()
    assert "shop.orders.amount" in column
    assert "raw_orders" in mesh.lineage("shop.totals", hops=3).to_text()


def safe(html: str) -> None:
    """Static, self-contained, nothing of the user's interpreted."""
    assert not re.search(r"<script|<img|<iframe|\bon\w+\s*=\s*[\"']", html, re.IGNORECASE)
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", html)) - {"http://www.w3.org/2000/svg"}
    assert not addresses
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#)", html)
    assert len(html.encode()) < 50_000


def test_representations_are_static_and_escape_what_users_wrote(tmp_path):
    root = write_shop(tmp_path / "shop")
    columns = {
        "id": {"physicalType": "bigint", "description": HOSTILE, "tags": [HOSTILE]},
        HOSTILE: {"physicalType": "bigint", "description": "https://evil.example/ is text only"},
    }
    quoted = HOSTILE.replace('"', '""')
    folder = write_product(root, "shop.evil", columns, sql=f'SELECT id, id AS "{quoted}" FROM shop.orders')
    file = folder / "product.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "description": {"purpose": HOSTILE}}))
    with raymesh.Mesh.load(root) as mesh:
        card = mesh.product("shop.evil")._repr_html_()
        assert "&lt;script&gt;" in card
        safe(card.replace("https://evil.example/ is text only", ""))
        safe(mesh._repr_html_())
        safe(mesh.product("shop.evil").lineage()._repr_html_())
        safe(mesh.lineage("shop.evil", column=HOSTILE)._repr_html_())


def test_representations_read_no_data(tmp_path, monkeypatch):
    root = write_shop(tmp_path / "shop")
    with raymesh.Mesh.load(root) as mesh:
        monkeypatch.setattr("raymesh.spi.registry.load", None)
        for thing in (mesh, mesh.domain("shop").product("large"), mesh.lineage("shop.large")):
            assert thing._repr_html_()
            assert repr(thing)

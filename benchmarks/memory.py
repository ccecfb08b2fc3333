"""A build of data ten times its memory limit."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.customer_360 import write_mesh
from benchmarks.measure import Figure, process, raymesh, tpch

LIMIT = "400MB"


def run(_rounds: int = 1) -> Iterator[Figure]:
    """A sort and a distinct over wide rows of lineitem, which both need all of it at once."""
    data = tpch(1)
    with tempfile.TemporaryDirectory() as scratch:
        root = write_mesh(Path(scratch), data)
        mesh = json.loads((root / "mesh.yaml").read_text())
        mesh["engines"] = {"local": {"memory": LIMIT, "threads": 2}}
        (root / "mesh.yaml").write_text(json.dumps(mesh))
        _product(root)
        took = process(raymesh("-C", str(root), "run", "--quiet", "--jobs", "1", "tpch.wide"))
    yield Figure(
        f"24 M rows (4 GB in memory) sorted and made distinct under a memory limit of {LIMIT}",
        f"finishes in {took.wall:.0f} s, peak {took.peak / 1e9:.2f} GB",
        "finishes",
        True,
    )


def _product(root: Path) -> None:
    folder = root / "domains/tpch/products/wide"
    folder.mkdir(parents=True)
    product = {
        "apiVersion": "v1.1.0",
        "kind": "DataProduct",
        "id": "tpch.wide",
        "version": "1.0.0",
        "domain": "tpch",
        "outputPorts": [{"name": "wide", "version": "1.0.0", "contractId": "tpch.wide"}],
        "customProperties": [{"property": "sortBy", "value": ["comment"], "vendor": "raymesh"}],
    }
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "tpch.wide",
        "version": "1.0.0",
        "schema": [
            {
                "name": "wide",
                "properties": [
                    {"name": "copy", "logicalType": "integer", "physicalType": "bigint"},
                    {"name": "order_id", "logicalType": "integer", "physicalType": "bigint"},
                    {"name": "line", "logicalType": "integer", "physicalType": "integer"},
                    {"name": "comment", "logicalType": "string", "physicalType": "varchar"},
                    {"name": "instruction", "logicalType": "string", "physicalType": "varchar"},
                    {"name": "price", "logicalType": "number", "physicalType": "decimal(15,2)"},
                ],
            }
        ],
    }
    (folder / "product.yaml").write_text(json.dumps(product))
    (folder / "contract.yaml").write_text(json.dumps(contract))
    (folder / "transform.sql").write_text(
        "SELECT DISTINCT range::bigint AS copy, l_orderkey::bigint AS order_id, l_linenumber::integer AS line, "
        "l_comment || range AS comment, l_shipinstruct || l_shipmode AS instruction, l_extendedprice::decimal(15, 2) AS price "
        "FROM source.lineitem, range(4)"
    )

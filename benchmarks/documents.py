"""How long `--help`, `validate`, planning and a small read take."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Figure, process, raymesh


def run(rounds: int = 5) -> Iterator[Figure]:
    """Figures of everyday commands, whole processes in processor seconds."""
    help_ = median(process(raymesh("--help")).cpu for _ in range(rounds))
    yield Figure("`raymesh --help`, process time", f"{help_:.2f} s", "≤ 0.2 s", help_ <= 0.2)
    with tempfile.TemporaryDirectory() as scratch:
        for count, bar in ((100, 1.5), (1000, None)):
            root = write_mesh(Path(scratch) / str(count), count)
            took = [
                process(raymesh("-C", str(root), "validate")) for _ in range(3 if count > 100 else rounds)
            ]
            cpu, wall = median(t.cpu for t in took), median(t.wall for t in took)
            yield Figure(
                f"`raymesh validate` of {count:,} products of 20 columns",
                f"{cpu:.2f} s ({wall:.2f} s wall)",
                f"≤ {bar} s" if bar else "",
                None if bar is None else cpu <= bar,
            )
        yield from _reading(Path(scratch) / "100", rounds)
    yield from _graph()


def _reading(root: Path, rounds: int) -> Iterator[Figure]:
    process(raymesh("-C", str(root), "run", "--quiet", "d0.p0"))
    cpu = median(process(raymesh("-C", str(root), "read", "d0.p0")).cpu for _ in range(rounds))
    yield Figure("`raymesh read` of a small product, process time", f"{cpu:.2f} s", "≤ 1 s", cpu <= 1)


def _graph() -> Iterator[Figure]:
    """Order, selection and decision structure of 10,000 products with 50,000 edges, in memory."""
    from raymesh.mesh.order import reach, reverse, topological

    upstream = {
        f"d{i % 100}.p{i}": tuple(f"d{j % 100}.p{j}" for j in range(max(0, i - 5), i)) for i in range(10_000)
    }
    began = time.perf_counter()
    order, cycles = topological(upstream)
    downstream = reverse(upstream)
    reach(downstream, [order[0]], None)
    seconds = time.perf_counter() - began
    assert len(order) == 10_000
    assert not cycles
    yield Figure(
        "order and closures of 10,000 products / 50,000 edges",
        f"{seconds:.2f} s",
        "≤ 5 s, stretch 1 s",
        seconds <= 5,
    )


def write_mesh(root: Path, count: int) -> Path:
    """`count` products of 20 columns in domains of ten, each reading the one before it."""

    def put(path: str, content: dict[str, object]) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1))

    put("mesh.yaml", {"apiVersion": "raymesh/v1", "kind": "Mesh", "name": "many"})
    for i in range(count):
        domain, name = f"d{i // 10}", f"p{i}"
        put(
            f"domains/{domain}/domain.yaml",
            {"apiVersion": "raymesh/v1", "kind": "Domain", "name": domain, "owner": {"team": "t"}},
        )
        folder = f"domains/{domain}/products/{name}"
        put(
            f"{folder}/product.yaml",
            {
                "apiVersion": "v1.1.0",
                "kind": "DataProduct",
                "id": f"{domain}.{name}",
                "version": "1.0.0",
                "domain": domain,
                "outputPorts": [{"name": name, "version": "1.0.0", "contractId": f"{domain}.{name}"}],
            },
        )
        columns = [
            {
                "name": f"c{c}",
                "logicalType": "integer",
                "physicalType": "bigint",
                "description": f"Column {c}.",
                "required": c == 0,
            }
            for c in range(20)
        ]
        put(
            f"{folder}/contract.yaml",
            {
                "apiVersion": "v3.2.0",
                "kind": "DataContract",
                "id": f"{domain}.{name}",
                "version": "1.0.0",
                "schema": [
                    {
                        "name": name,
                        "properties": columns,
                        "quality": [{"metric": "rowCount", "mustBeGreaterThan": 0}],
                    }
                ],
            },
        )
        made = ", ".join(f"range::bigint + {c} AS c{c}" for c in range(20))
        read = ", ".join(f"c{c}" for c in range(20))
        before = f"d{(i - 1) // 10}.p{i - 1}"
        sql = (
            f"SELECT {made} FROM range(100)" if i % 10 == 0 else f"SELECT {read} FROM {before} WHERE c0 >= 0"
        )
        (root / folder / "transform.sql").write_text(sql)
    return root

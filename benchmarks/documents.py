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
                process(raymesh("-C", str(root), "validate")) for _ in range(1 if count > 100 else rounds)
            ]
            cpu, wall = median(t.cpu for t in took), median(t.wall for t in took)
            yield Figure(
                f"`raymesh validate` of {count:,} products of 20 columns",
                f"{cpu:.2f} s ({wall:.2f} s wall)",
                f"≤ {bar} s" if bar else "",
                None if bar is None else cpu <= bar,
            )
        yield from _reading(Path(scratch) / "100", rounds)
        yield from _planning(Path(scratch) / "10000")


def _reading(root: Path, rounds: int) -> Iterator[Figure]:
    process(raymesh("-C", str(root), "run", "--quiet", "d0.p0"))
    cpu = median(process(raymesh("-C", str(root), "read", "d0.p0")).cpu for _ in range(rounds))
    yield Figure("`raymesh read` of a small product, process time", f"{cpu:.2f} s", "≤ 1 s", cpu <= 1)


def _planning(root: Path) -> Iterator[Figure]:
    """A plan of 10,000 products with 50,000 edges, once the documents are in memory."""
    from raymesh.actions.plan import plan
    from raymesh.actions.workspace import open_workspace

    write_mesh(root, 10_000, inputs=5)
    began = time.perf_counter()
    with open_workspace(root) as workspace:
        loaded = time.perf_counter() - began
        edges = sum(len(u) for u in workspace.graph.upstream.values())
        began = time.perf_counter()
        steps = plan(workspace, workspace.graph.order)
        seconds = time.perf_counter() - began
    assert len(steps) == 10_000
    yield Figure(
        f"plan of 10,000 products / {edges:,} edges",
        f"{seconds:.2f} s",
        "≤ 5 s, stretch 1 s",
        seconds <= 5,
        f"nothing was published yet; reading and parsing the 30,000 files before took {loaded:.0f} s",
    )


def write_mesh(root: Path, count: int, inputs: int = 1) -> Path:
    """`count` products of 20 columns in domains of ten, each reading `inputs` products before it."""

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
        before = [f"d{j // 10}.p{j}" for j in range(max(0, i - inputs), i)]
        joined = " JOIN ".join([before[0], *(f"{b} USING (c0)" for b in before[1:])]) if before else ""
        columns_read = ", ".join(f"{before[0].split('.')[1]}.c{c}" for c in range(20)) if before else ""
        alone = i == 0 if inputs > 1 else i % 10 == 0
        sql = f"SELECT {made} FROM range(100)" if alone else f"SELECT {columns_read} FROM {joined}"
        (root / folder / "transform.sql").write_text(sql)
    return root

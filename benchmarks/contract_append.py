"""What it costs to judge an append of one percent, against judging the whole table again.

The product of 20 million rows is published by `raymesh`'s own build in append mode, one more percent joins it in
a second build. Both ways of judging what is then there are timed in turn, in this process, on the files of the
two versions: everything anew, and the new file with what evidence says of the others (reading it from the state
store belongs to it).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract import COUNTRIES, ROWS, STATUSES, contract, data
from benchmarks.measure import DATA, Figure, alternate

if TYPE_CHECKING:
    from raymesh import Mesh
    from raymesh.mesh.plan import Scan
    from raymesh.quality.model import Check, FileState, Measurements

SHARE = 100
KEYS = {
    "numbers that go on": "'o' || range",
    "random texts": "md5(range::varchar)",
}
"""The two kinds of keys: statistics prove that new ones are new, or they have to be looked up."""


def run(rounds: int = 5) -> Iterator[Figure]:
    """Both kinds of keys; the bar is for the data of the contract benchmark."""
    for kind, order_no in KEYS.items():
        with tempfile.TemporaryDirectory(dir=DATA) as scratch:
            yield from _measured(Path(scratch), order_no, kind, rounds)


def _measured(scratch: Path, order_no: str, kind: str, rounds: int) -> Iterator[Figure]:
    from raymesh import Mesh

    source = scratch / "orders"
    source.mkdir()
    _first(source / "1.parquet", order_no)
    root = write_mesh(scratch / "mesh", source)
    with Mesh.load(root) as mesh:
        _built(mesh)
        _more(source / "2.parquet", order_no)
        seconds = _built(mesh)
        case = Case.of(mesh)
        again, whole, ratio = alternate(case.again, case.whole, rounds)
    bar = "≤ 0.05, stretch 0.02" if order_no == KEYS["numbers that go on"] else ""
    yield Figure(
        f"re-check after 1 % joined {ROWS:,} rows / 39 rules, order numbers: {kind} / full check",
        f"{ratio:.3f}  ({again:.3f} s / {whole:.2f} s)",
        bar,
        ratio <= 0.05 if bar else None,
        f"the whole append (rows, re-check, commit, evidence) took {seconds:.2f} s",
    )


@dataclass(slots=True)
class Case:
    """Two versions of the product, and what is promised of it."""

    mesh: Mesh
    checks: tuple[Check, ...]
    before: Scan
    after: Scan

    @classmethod
    def of(cls, mesh: Mesh) -> Case:
        from raymesh.actions.read import pin
        from raymesh.quality.compile import compile_checks

        storage = mesh._workspace.storage
        port = mesh._workspace.graph.port("shop.orders")
        checks = compile_checks(port.contract, port=port.name, table=port.table)
        return cls(mesh, checks, pin(storage, "shop.orders", 1).scan, pin(storage, "shop.orders", 2).scan)

    def again(self) -> float:
        """Seconds to judge the new rows with what is known of the others."""
        began = time.perf_counter()
        found = self._measure(tuple(f for f in self.after.files if f not in self.before.files), known=True)
        seconds = time.perf_counter() - began
        self._must_pass(found)
        return seconds

    def whole(self) -> float:
        """Seconds to judge all rows."""
        began = time.perf_counter()
        found = self._measure(self.after.files, known=False)
        seconds = time.perf_counter() - began
        self._must_pass(found)
        return seconds

    def _measure(self, files: tuple[str, ...], *, known: bool) -> Measurements:
        from raymesh.engines.kernel import duck
        from raymesh.engines.kernel.measure import measure
        from raymesh.engines.local.engine import machine_limits

        kept = self.before if known else None
        states = self._states() if known else {}
        with duck.session(machine_limits()) as con:
            return measure(con, files, self.after.schema, self.checks, kept=kept, kept_states=states)

    def _states(self) -> dict[str, FileState | None]:
        from raymesh.quality.state import file_state_from_json

        state = self.mesh._workspace.state
        version = state.version("shop.orders", "default", 1)
        assert version is not None
        return {f.path: file_state_from_json(f.state) for f in state.files(version)}

    def _must_pass(self, found: Measurements) -> None:
        from raymesh.quality.judge import judge

        verdict = judge(self.checks, found)
        assert {r.status for r in verdict.results} == {"pass"}, verdict.counts


def _built(mesh: Mesh) -> float:
    report = mesh.run("shop.orders").reports[0]
    assert report.status == "published", report
    return report.seconds


def _first(file: Path, order_no: str) -> None:
    if order_no == KEYS["numbers that go on"]:
        file.symlink_to(data())
    else:
        _write(f"SELECT * REPLACE ({order_no.replace('range', 'id')} AS order_no) FROM '{data()}'", file)


def _more(file: Path, order_no: str) -> None:
    """One percent more rows of the same kind."""
    rows = f"range({ROWS}, {ROWS + ROWS // SHARE})"
    _write(
        f"""SELECT range::bigint AS id,
                   (hash(range) % 2000000)::bigint AS customer_id,
                   {list(COUNTRIES)!r}[1 + (hash(range + 1) % {len(COUNTRIES)})::integer] AS country,
                   ((hash(range + 2) % 1000000) / 100)::double AS amount,
                   (1 + hash(range + 3) % 20)::integer AS quantity,
                   'user' || (hash(range + 4) % 5000000) || '@example.com' AS email,
                   TIMESTAMP '2026-01-01' + INTERVAL (range % 31536000) SECOND AS ordered_at,
                   {list(STATUSES)!r}[1 + (hash(range + 5) % {len(STATUSES)})::integer] AS status,
                   {order_no} AS order_no
            FROM {rows}""",
        file,
    )


def _write(query: str, file: Path) -> None:
    import duckdb

    with duckdb.connect() as con:
        con.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")


def write_mesh(root: Path, source: Path) -> Path:
    """The contract of the contract benchmark as a product in append mode."""

    def put(path: str, content: dict[str, Any]) -> None:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    shutil.rmtree(root, ignore_errors=True)
    put("mesh.yaml", {"apiVersion": "raymesh/v1", "kind": "Mesh", "name": "bench"})
    domain = {"apiVersion": "raymesh/v1", "kind": "Domain", "name": "shop", "owner": {"team": "bench"}}
    put("domains/shop/domain.yaml", domain)
    found = {"name": "orders", "type": "parquet", "location": f"{source}/*.parquet"}
    put("domains/shop/sources/orders.yaml", {"apiVersion": "raymesh/v1", "kind": "Source", **found})
    settings = {"mode": "append", "incrementalColumn": "id"}
    product = {
        "apiVersion": "v1.1.0",
        "kind": "DataProduct",
        "id": "shop.orders",
        "version": "1.0.0",
        "domain": "shop",
        "outputPorts": [{"name": "orders", "version": "1.0.0", "contractId": "orders"}],
        "customProperties": [{"property": k, "value": v, "vendor": "raymesh"} for k, v in settings.items()],
    }
    put("domains/shop/products/orders/product.yaml", product)
    promised = {k: v for k, v in contract(source).items() if k != "servers"}
    put("domains/shop/products/orders/contract.yaml", promised)
    transform = "SELECT * FROM source.orders"
    (root / "domains/shop/products/orders/transform.sql").write_text(transform)
    return root

"""Reading through policies: a full read with a row rule and three masks, a point lookup, tokens."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.measure import DATA, Figure, alternate

ROWS = 2_000_000
VALUES = 1_000_000
_PAUSE_SECONDS = 0.3
KEY = "RAYMESH_BENCHMARK_TOKEN_KEY"


def customers() -> Any:
    """Two million customers as one Parquet file with field ids, made once."""
    import duckdb

    from raymesh.engines.kernel.fieldids import field_ids
    from raymesh.mesh.plan import Scan
    from raymesh.spec.types import Decimal, Field, Primitive, TableSchema

    kinds = {
        "id": Primitive("long"),
        "region": Primitive("int"),
        "name": Primitive("string"),
        "email": Primitive("string"),
        "city": Primitive("string"),
        "street": Primitive("string"),
        "born": Primitive("date"),
        "joined": Primitive("timestamp"),
        "income": Decimal(9, 2),
        "score": Primitive("double"),
    }
    schema = TableSchema(tuple(Field(n, k, i) for i, (n, k) in enumerate(kinds.items(), 1)), len(kinds))
    file = DATA / f"customers-{ROWS}.parquet"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as con:
            con.execute(
                f"""COPY (
                    SELECT r AS id, (hash(r) % 1000)::integer AS region, 'Customer number ' || r AS name,
                           'user' || (hash(r + 1) % 5000000) || '@example.com' AS email,
                           'City ' || (hash(r + 2) % 3000) AS city,
                           'Street of names ' || (hash(r + 3) % 90000) AS street,
                           DATE '1940-01-01' + (hash(r + 4) % 25000)::integer AS born,
                           TIMESTAMP '2020-01-01' + INTERVAL (r) SECOND AS joined,
                           ((hash(r + 5) % 9000000) / 100)::decimal(9, 2) AS income,
                           (hash(r + 6) % 1000000) / 7 AS score
                    FROM range({ROWS}) t(r)
                ) TO '{file}' (FORMAT parquet, FIELD_IDS {field_ids(schema)}, ROW_GROUP_SIZE 100000)"""
            )
    return Scan(schema, (str(file),), ROWS)


def run() -> Iterator[Figure]:
    from raymesh.engines.local import LocalEngine
    from raymesh.mesh.plan import Limits

    os.environ[KEY] = secrets.token_hex(32)
    scan = customers()
    with tempfile.TemporaryDirectory() as scratch:
        engine = LocalEngine(Limits(2 << 30, 2, scratch))
        yield full(engine, scan)
        yield from lookups(engine, scan)
        engine.close()
    yield from token_costs()


def _views(scan: Any) -> tuple[Any, Any]:
    """The rule alone as a condition, and the scan through rule and masks."""
    from dataclasses import replace

    from raymesh.mesh.plan import View, ViewColumn
    from raymesh.spec import mask as m
    from raymesh.spec.expression import Column, Compare, Value

    rule = Compare("<", Column(("region",)), Value(900))
    masks = {"email": m.Partial(1, 4), "born": m.Truncate("year"), "income": m.Bucket(Fraction(1000))}
    columns = tuple(ViewColumn(n, masks.get(n, m.Raw())) for n in scan.schema.names)
    return rule, replace(scan, view=View(rule, columns))


def full(engine: Any, scan: Any) -> Figure:
    rule, governed = _views(scan)
    masked, raw, ratio = alternate(
        lambda: _cpu(lambda: _drain(engine.read(governed))),
        lambda: _cpu(lambda: _drain(engine.read(scan, where=rule))),
    )
    return Figure(
        f"full read of {ROWS:,} rows, a row rule and three masks / the same rows raw, processor time",
        f"{ratio:.2f}  ({masked:.2f} s / {raw:.2f} s)",
        "≤ 1.5",
        ratio <= 1.5,
    )


def lookups(engine: Any, scan: Any) -> Iterator[Figure]:
    from raymesh.spec.expression import Column, Compare, Value

    _, governed = _views(scan)
    by_id = Compare("=", Column(("id",)), Value(1_234_567))
    looks: dict[str, Callable[[], Any]] = {
        "point lookup through a policy, `read`": lambda: _drain(engine.read(governed, where=by_id)),
        "point lookup through a policy, `sql`": lambda: _drain(
            engine.query("SELECT * FROM t WHERE id = 1234567", {"t": governed})
        ),
    }
    for what, look in looks.items():
        seconds = median(_cpu(look) for _ in _apart(look))
        at_once = median(_cpu(look) for _ in range(9))
        note = f"{at_once * 1000:.0f} ms without a pause, with the preparation of the next one"
        yield Figure(f"{what}, processor time", f"{seconds * 1000:.0f} ms", "≤ 40 ms", seconds <= 0.04, note)


def _apart(look: Callable[[], Any]) -> Iterator[int]:
    """Nine turns after two questions, with pauses in which the engine has prepared for the next one."""
    look()
    look()
    for n in range(9):
        time.sleep(_PAUSE_SECONDS)
        yield n


def token_costs() -> Iterator[Figure]:
    import pyarrow as pa

    from raymesh.engines.kernel.tokens import TokenKey, tokens

    key = TokenKey(os.environ[KEY], "benchmark")
    extra = "" if find_spec("polars_hash") else "the extra `fasthash` is not installed"
    for what, different in (("all different", VALUES), ("1,000 different", 1000)):
        column = pa.array([f"user{n % different:08d}@example.com" for n in range(VALUES)])
        parts = [column.slice(n, 65_536) for n in range(0, VALUES, 65_536)]
        seconds = median(_cpu(lambda p=parts: [tokens(c, key) for c in p]) for _ in range(3))
        cost = seconds / VALUES * 1e9
        yield Figure(f"token of a string, {what}", f"{cost:.0f} ns", "≤ 400 ns", cost <= 400, extra)


def _drain(reader: Any) -> None:
    for _ in reader:
        pass


def _cpu(look: Callable[[], Any]) -> float:
    began = time.process_time()
    look()
    return time.process_time() - began

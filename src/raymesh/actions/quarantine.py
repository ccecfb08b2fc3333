"""Rows set aside: how many, which, why; and judged again when the promise has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from raymesh.actions.build import attempt, settle
from raymesh.actions.ids import began, new_id
from raymesh.actions.planning import Decision, decide
from raymesh.actions.read import allowed, open_engine, pin, pin_published, rows_of, split_name
from raymesh.errors import NotFoundError, UsageError
from raymesh.mesh.fingerprint import with_part
from raymesh.mesh.plan import BuildPlan, Output, Quarantine, Scan, Transform
from raymesh.mesh.quarantine import AT, RULES, guarded_port, quarantine_port, quarantine_table
from raymesh.quality.quarantine import demanding
from raymesh.quality.state import file_state_from_json
from raymesh.spec.expression import AnyItem, Column, Compare, Expression, Or, Value
from raymesh.spec.types import TableSchema
from raymesh.spi.scan_sql import identifier
from raymesh.spi.state import InputPin

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.actions.events import ProductReport
    from raymesh.actions.governed import Claim
    from raymesh.actions.invocation import Invocation
    from raymesh.actions.read import Pinned
    from raymesh.actions.workspace import Storage
    from raymesh.spi.engine import Engine
    from raymesh.spi.state import Lease, Version


@dataclass(frozen=True, slots=True)
class Held:
    """What one quarantine holds now: its rows, how many of them break which rule, and the time of the first."""

    table: str
    of: str
    rows: int
    rules: Mapping[str, int]
    since: datetime | None


def listing(
    storage: Storage, products: tuple[str, ...] | None = None, claim: Claim | None = None
) -> list[Held]:
    """The quarantines that hold rows, by name; of all products when none are named. In a governed mesh those
    whose numbers of rows the reader may know."""
    from raymesh.actions.governed import known

    current = storage.state.current(products)
    held = [v for v in current.values() if guarded_port(v.port) is not None and v.rows]
    told = known(storage, held, claim)
    names = sorted(v.table for v in held if told.counts(v))
    if not names:
        return []
    engine = open_engine(storage)
    try:
        return [_held(engine, name, pinned) for name, pinned in pin_published(storage, names).items()]
    finally:
        engine.close()


def _held(engine: Engine, name: str, pinned: Pinned) -> Held:
    table = ".".join(identifier(part) for part in name.split(".", 1))
    asked = (
        "SELECT rule, count(*) AS n, min(since) AS since "
        f"FROM (SELECT unnest({RULES}) AS rule, {AT} AS since FROM {table}) GROUP BY rule ORDER BY 2 DESC, 1"
    )
    found = engine.query(asked, {name: pinned.scan}).read_all().to_pylist()
    since = min((row["since"] for row in found), default=None)
    rows = {row["rule"]: row["n"] for row in found}
    return Held(name, _guarded(name), pinned.scan.rows, rows, since)


def rows(
    storage: Storage,
    engine: Engine,
    name: str,
    *,
    rule: str | None = None,
    limit: int | None = None,
    claim: Claim | None = None,
) -> tuple[Pinned, pa.RecordBatchReader]:
    """Rows set aside from a port, those of one `rule` (a check's id) when it is named, as far as whoever reads
    may see them.

    Raises NotFoundError when nothing was ever set aside, AccessDeniedError.
    """
    where = AnyItem(Column((RULES,)), Compare("=", Column(("$item",)), Value(rule))) if rule else None
    pinned = _pinned(storage, name)
    seen, _ = allowed(storage, pinned.version.table, pinned, claim, where=where, surface="quarantine")
    return seen, rows_of(engine, seen, where=where, limit=limit)


def _pinned(storage: Storage, name: str) -> Pinned:
    product, port = split_name(name)
    if (product, port) not in storage.state.current([product]):
        pin(storage, name)  # says what there is instead
    try:
        return pin(storage, quarantine_table(name))
    except NotFoundError:
        raise NotFoundError(
            f"no row of {name} was ever set aside",
            hint="rows are set aside by promises with `onViolation: quarantine`",
        ) from None


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay ended: of `rows` set aside so many `passed` and were published. `advice` says what to do
    when nothing was done, `report` how the publish went."""

    product: str
    rows: int
    passed: int = 0
    advice: str = ""
    report: ProductReport | None = None


def replay(invocation: Invocation, name: str) -> Replayed:
    """Judge the rows set aside from `name` by the contract of today, and publish those that pass now.

    They join the product and leave its quarantine in one transaction. A product that is always built as a
    whole needs no replay: the next run judges all its rows. Raises NotFoundError when nothing was ever set
    aside, UsageError when another program changed one of the tables, and what a build raises.
    """
    workspace = invocation.workspace
    port = workspace.graph.port(name)
    pinned = _pinned(workspace.storage, port.table)
    found = Replayed(port.table, pinned.scan.rows)
    if not pinned.scan.rows:
        return replace(found, advice="nothing is set aside")
    if port.settings.mode == "full":
        again = f"raymesh run --refresh {port.product}"
        return replace(found, advice=f"it is built as a whole: {again} judges every row anew")
    run_id = new_id()
    with invocation.lease(port.product, run_id) as lease:
        settle(port.product, invocation)
        return _replay(invocation, replace(found, rows=0), port.name, lease, run_id)


def _replay(invocation: Invocation, found: Replayed, port: str, lease: Lease, run_id: str) -> Replayed:
    decision = decide(invocation, split_name(found.product)[0], run_id)
    whole = next(o for o in decision.plan.outputs if o.port == port) if decision.plan else None
    if decision.plan is None or whole is None:
        raise UsageError("a replay needs an invocation that refreshes")
    aside = _current(decision, quarantine_port(port))
    storage = invocation.workspace.storage
    again = pin(storage, aside.table).scan
    stay = _breaking(invocation, again, whole)
    found = replace(found, rows=again.rows, passed=again.rows - stay)
    if not found.passed:
        return replace(found, advice="every row still breaks a promise")
    output = _output(storage, decision, whole, again)
    mark = _mark(_current(decision, port), decision.plan)
    plan = replace(decision.plan, inputs=(), outputs=(output,), fingerprint=mark)
    told = replace(
        decision,
        engine="local",
        reason="replay of rows set aside",
        plan=plan,
        pins=(InputPin(aside.table, aside.number, aside.snapshot_id),),
    )
    return replace(found, report=attempt(told, plan, lease, invocation))


def _current(decision: Decision, port: str) -> Version:
    """The version of a port, whose table is as raymesh left it."""
    version = decision.current[port]
    if decision.heads.get(version.table) != version.metadata_location:
        raise UsageError(
            f"another program changed {version.table}", hint=f"raymesh run {decision.product} builds it anew"
        )
    return version


def _breaking(invocation: Invocation, again: Scan, output: Output) -> int:
    """How many of the rows still break a promise."""
    terms = tuple(c.violates for c in demanding(output.checks) if c.violates is not None)
    if not terms:
        return 0
    where: Expression = Or(terms)
    engine = open_engine(invocation.workspace.storage)
    try:
        return sum(batch.num_rows for batch in engine.read(again, columns=[AT], where=where))
    finally:
        engine.close()


def _output(storage: Storage, decision: Decision, whole: Output, again: Scan) -> Output:
    """The output that adds to what is published, judged over both by the checks of today."""
    version = _current(decision, whole.port)
    records = storage.state.files(version)
    schema = TableSchema.from_json(dict(version.schema))
    return replace(
        whole,
        transform=Transform("ingest"),
        watermark=version.watermark,
        kept=Scan(schema, tuple(f.path for f in records), version.rows, version.bytes),
        kept_states={f.path: file_state_from_json(f.state) for f in records},
        allow_breaking=False,
        quarantine=Quarantine(
            port=quarantine_port(whole.port),
            table=quarantine_table(whole.table),
            location=storage.tables.location(quarantine_table(whole.table)),
            limit=1.0,
            at=began(decision.run_id),
            previous=again.schema,
            again=again,
        ),
    )


def _mark(version: Version, plan: BuildPlan) -> str:
    """The fingerprint of the version: what was published, by the contract of today when that judged all of it."""
    alone = len(plan.outputs) == 1
    return with_part(version.fingerprint, "contract", plan.fingerprint) if alone else version.fingerprint


def _guarded(table: str) -> str:
    """The table whose rows are set aside in `table`."""
    return table.removesuffix(quarantine_table(""))

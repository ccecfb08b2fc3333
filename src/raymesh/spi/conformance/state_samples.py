"""Values to put into a state store, and small moves that several tests make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from raymesh.spi.state import CheckRecord, FileRecord, Run, Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.spi.state import StateStore, Transaction

PORT = "default"
MOMENT = datetime(2026, 3, 29, 1, 30, 0, 123457, tzinfo=UTC)
AWKWARD = "naïve 顧客 🧺 'quoted\" \\ % :x ; -- {} \n\ttab"
"""Text that breaks careless quoting."""


def run(product: str = "sales.orders", run_id: str | None = None, **changes: Any) -> Run:
    """A run that has just started."""
    started = Run(run_id or uuid4().hex, "invocation-1", product, "local", MOMENT)
    return replace(started, **changes)


def file(path: str, rows: int = 10, **state: Any) -> FileRecord:
    """A data file of `rows` rows."""
    return FileRecord(path, rows, rows * 8, state)


def check(check_id: str, status: str = "pass", **changes: Any) -> CheckRecord:
    """A check result."""
    result = CheckRecord(check_id, "row", status, 0, "rows", "validity", "error", True, {"rule": "enum"})
    return replace(result, **changes)


def version(of: Run, number: int, port: str = PORT, **changes: Any) -> Version:
    """The version `number` that the run publishes."""
    made = Version(
        product=of.product,
        port=port,
        number=number,
        kind="publish",
        table=of.product,
        run_id=of.run_id,
        snapshot_id=7_000_000_000_000_000_000 + number,
        metadata_location=f"/warehouse/{of.product}/metadata/{number}.json",
        schema={"fields": [{"id": 1, "name": "order_id", "type": "bigint"}]},
        contract={"id": of.product, "version": "1.0.0"},
        contract_version="1.0.0",
        rows=10,
        bytes=80,
        fingerprint=f"fingerprint-{number}",
        published_at=MOMENT + timedelta(seconds=number),
    )
    return replace(made, **changes)


def publish(
    state: StateStore,
    product: str,
    number: int,
    files: Sequence[FileRecord] = (),
    port: str = PORT,
    **changes: Any,
) -> Version:
    """Publish version `number` with exactly `files`, by a run of its own."""
    started = run(product)
    state.start_run(started)
    published = version(started, number, port, **changes)
    with state.write() as tx:
        state.replace_files(tx, published, files)
        state.finish_run(replace(started, status="published", finished_at=MOMENT), within=tx)
    return published


def append(
    state: StateStore, product: str, number: int, added: Sequence[FileRecord], removed: Sequence[str] = ()
) -> Version:
    """Publish version `number` as a change of the version before."""
    started = run(product)
    state.start_run(started)
    published = version(started, number)
    with state.write() as tx:
        state.record_version(tx, published, added=added, removed=removed)
    return published


def next_number(state: StateStore, product: str, within: Transaction | None = None) -> int:
    """The number the next version of the product has."""
    current = state.current([product], within=within).get((product, PORT))
    return 1 if current is None else current.number + 1


def paths(state: StateStore, published: Version) -> set[str]:
    """The paths of a version's files."""
    return {record.path for record in state.files(published)}

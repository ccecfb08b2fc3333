"""Parts rows that keep their promises from rows that do not: the same files, read once for each part.

Rows for which it is unknown whether a promise is broken are good, as in every check.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.conform import Conformed, conform
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.engines.kernel.query import Rows, shape
from raymesh.engines.kernel.sqltext import literal, quote, text, texts
from raymesh.engines.kernel.write import Target, stage, staging
from raymesh.mesh.evolution import evolve
from raymesh.mesh.plan import Layout, Output, Scan
from raymesh.mesh.quarantine import AT, NOTED, NOTES, REASONS, RULES, RUN
from raymesh.quality.quarantine import demanding
from raymesh.spi.scan_sql import scan_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb

    from raymesh.mesh.plan import BuildPlan, DataFile, Quarantine
    from raymesh.quality.model import Check
    from raymesh.spec.types import TableSchema
    from raymesh.spi.engine import StagedOutput

_BROKEN, _N = quote("$broken"), quote("$n")


@dataclass(frozen=True, slots=True)
class Aside:
    """Rows set aside: the columns of their table, their files, and the checks they were judged by."""

    schema: TableSchema
    files: tuple[DataFile, ...]
    checks: tuple[Check, ...]

    @property
    def rows(self) -> int:
        return sum(f.rows for f in self.files)


@dataclass(frozen=True, slots=True)
class Parts:
    """Both parts of an output, each in files of its own. `conformed` are the columns of the good rows."""

    conformed: Conformed
    good: tuple[DataFile, ...]
    aside: Aside

    @property
    def files(self) -> tuple[DataFile, ...]:
        return self.good + self.aside.files


def aside_target(plan: BuildPlan, output: Output, part: str = "") -> Target | None:
    """Where the rows go that `output` sets aside; None when it sets none aside."""
    place = output.quarantine
    if place is None:
        return None
    layout = Layout(
        output.layout.target_bytes, output.layout.sort_by
    )  # no partitions: bad rows hold anything
    table = Output(place.port, place.table, place.location, output.transform, (), layout=layout)
    return Target(table, plan.run_id, plan.storage, part)


@contextmanager
def leaving_nothing(target: Target | None) -> Iterator[None]:
    """The files of `target` are removed when something raises inside."""
    try:
        yield
    except BaseException:
        if target is not None:
            with suppress(OSError):  # what cannot be removed now is an orphan that maintenance collects
                target.remove()
        raise


def discard(plan: BuildPlan, output: Output) -> None:
    """Remove what was staged for an output, rows set aside too."""
    for target in (Target(output, plan.run_id, plan.storage), aside_target(plan, output)):
        with suppress(OSError):  # maintenance collects what cannot be removed now
            if target is not None:
                target.remove()


def remove(files: Iterable[DataFile], storage: Mapping[str, Any]) -> None:
    """Delete staged files that another part of the same rows has replaced."""
    paths = [f.path for f in files]
    objects = [p for p in paths if stores.is_object(p)]
    if objects:
        stores.object_store(storage).rm(objects)
    for path in paths:
        if not stores.is_object(path):
            Path(path).unlink(missing_ok=True)


def part(
    con: duckdb.DuckDBPyConnection,
    plan: BuildPlan,
    output: Output,
    staged: StagedOutput,
    checks: Sequence[Check],
) -> Parts:
    """The staged rows in two parts: those that break one of `checks`, and the others.

    The staged files stay; the caller removes them. Raises DiskFullError, TransformMemoryError, StorageError.
    """
    scan = Scan(staged.schema, tuple(f.path for f in staged.files))
    conformed = Conformed(staged.schema, staged.schema.names)
    return _parts(con, plan, output, scan=scan, conformed=conformed, checks=checks)


def part_again(con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, scan: Scan) -> Parts:
    """The rows of `scan`, set aside earlier, parted by what the contract demands of rows today.

    Raises ConformError when they do not have the columns that it promises today.
    """
    stores.attach(con, plan.storage, scan.files)
    require_field_ids(con, scan.files)
    names = ", ".join(quote(f.name) for f in scan.schema if f.name not in NOTED)
    conformed = conform(shape(con, Rows(f"(SELECT {names} FROM ({scan_sql(scan)}))")), output)
    return _parts(con, plan, output, scan=scan, conformed=conformed, checks=demanding(output.checks))


def _parts(
    con: duckdb.DuckDBPyConnection,
    plan: BuildPlan,
    output: Output,
    *,
    scan: Scan,
    conformed: Conformed,
    checks: Sequence[Check],
) -> Parts:
    place, bad = output.quarantine, aside_target(plan, output, f"{len(checks)}-")
    if place is None or bad is None:
        raise ValueError(f"{output.table} has no quarantine")
    alone = replace(output, mode="full", kept=None, quarantine=None)
    good = Target(alone, plan.run_id, plan.storage, f"good-{len(checks)}-")
    schema = evolve(place.previous, (*conformed.schema, *NOTES)).schema
    noted = Conformed(schema, (*conformed.sources, *(f.name for f in NOTES)))
    with staging(good), staging(bad):
        rows = Rows(good_rows(scan, checks))
        files = stage(con, rows, conformed, good, plan.limits)
        rows = Rows(bad_rows(scan, checks, _stamp(scan, place, plan.run_id)))
        aside = stage(con, rows, noted, bad, plan.limits)
    return Parts(conformed, files, Aside(schema, aside, tuple(checks)))


def good_rows(scan: Scan, checks: Sequence[Check]) -> str:
    """The rows of `scan` that break none of `checks`, as a subquery."""
    conditions = _conditions(scan, checks) or ["FALSE"]
    return f"(SELECT * FROM ({scan_sql(scan)}) WHERE ({' OR '.join(conditions)}) IS NOT TRUE)"


def bad_rows(scan: Scan, checks: Sequence[Check], stamp: str) -> str:
    """The rows of `scan` that break one of `checks` as a subquery, with the checks' ids and what they promise.

    `stamp` are the last two columns, the run and the time. Every condition is written, and tried, once.
    """
    tried = ", ".join(
        f"CASE WHEN {condition} THEN {n} END" for n, condition in enumerate(_conditions(scan, checks), 1)
    )
    numbers = f"list_filter([{tried or 'NULL::INTEGER'}], lambda {_N}: {_N} IS NOT NULL)"
    columns = ", ".join(quote(f.name) for f in scan.schema if f.name not in NOTED)
    ids = _picked([c.id for c in checks])
    reasons = _picked([c.description or c.id for c in checks])
    return (
        f"(SELECT {columns}, {ids} AS {quote(RULES)}, {reasons} AS {quote(REASONS)}, {stamp} "
        f"FROM (SELECT *, {numbers} AS {_BROKEN} FROM ({scan_sql(scan)})) WHERE len({_BROKEN}) > 0)"
    )


def _conditions(scan: Scan, checks: Sequence[Check]) -> list[str]:
    return [
        predicate_sql(c.violates, scan.schema, exact_null=False) for c in checks if c.violates is not None
    ]


def _picked(words: Sequence[str]) -> str:
    """Those of `words` whose numbers are in the list of broken checks."""
    return f"list_transform({_BROKEN}, lambda {_N}: {texts(words)}[{_N}])"


def _stamp(scan: Scan, place: Quarantine, run_id: str) -> str:
    """The run and the time to note: those that rows have already, or this run's."""
    if scan.schema.find(RUN) is not None and place.again is not None:
        return f"{quote(RUN)}, {quote(AT)}"
    return f"{text(run_id)} AS {quote(RUN)}, {literal(place.at)} AS {quote(AT)}"

"""What detectors see in a sample of a version's values: raymesh's own in one pass of DuckDB, then those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raymesh.actions.classify_values import DETECTORS, Detector
from raymesh.errors import MeshError, UsageError
from raymesh.spec.types import Decimal, Field, Primitive
from raymesh.spi import registry
from raymesh.spi.detector import Finding, Sample
from raymesh.spi.statements import stoppable

if TYPE_CHECKING:
    import duckdb

    from raymesh.actions.read import Pinned
    from raymesh.mesh.plan import Scan
    from raymesh.spi.engine import Engine

MOST_READ = 1_000_000
"""Rows read at most to sample from, give or take a file."""


@dataclass(frozen=True, slots=True)
class Found:
    """What detectors saw in the values of one column: different values, and by pattern the best detector with the
    share of values it matched (0 for none). `others` are findings of detectors that others wrote."""

    values: int
    matched: Mapping[str, tuple[Detector, float, bool]] = field(default_factory=dict)
    others: tuple[Finding, ...] = ()


def look(engine: Engine, pinned: Pinned, rows: int) -> tuple[dict[str, Found], int]:
    """What detectors see in a sample of a version, by column, and the size of the sample."""
    import duckdb

    settings: dict[str, Any] = {
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "threads": 2,
    }
    con = stoppable(duckdb.connect(config=settings))
    try:
        con.execute("SET TimeZone = 'UTC'")
        columns = [f for f in pinned.scan.schema if _has_text(f)]
        if not columns:
            return {}, 0
        names = [f.name for f in columns]
        con.register("published", engine.read(_some_files(pinned.scan), columns=names))
        con.execute(
            f"CREATE TABLE sample AS SELECT * FROM published USING SAMPLE reservoir({rows} ROWS) REPEATABLE (42)"
        )
        ((taken,),) = con.execute("SELECT count(*) FROM sample").fetchall()
        return {f.name: replace(detect(con, f.name), others=others(con, f)) for f in columns}, int(taken)
    finally:
        con.close()


def _some_files(scan: Scan) -> Scan:
    """Files all over the table, enough for `MOST_READ` rows: a sample must not take as long as the whole."""
    count = len(scan.files)
    if scan.rows <= MOST_READ or count < 2:
        return scan
    wanted = max(1, -(-count * MOST_READ // scan.rows))
    chosen = tuple(scan.files[n * count // wanted] for n in range(wanted))
    return replace(scan, files=chosen)


def _has_text(f: Field) -> bool:
    return isinstance(f.type, Decimal) or (
        isinstance(f.type, Primitive) and f.type.name not in ("boolean", "binary")
    )


def detect(con: duckdb.DuckDBPyConnection, column: str) -> Found:
    """What detectors see in a column of the table `sample`."""
    tests = ", ".join(f"count(*) FILTER (WHERE {d.test}), {_whole(d)}" for d in DETECTORS)
    sql = f"WITH v AS ({_different(column)}) SELECT count(*), {tests} FROM v WHERE c <> ''"
    ((values, *rest),) = con.execute(sql).fetchall()
    found: dict[str, tuple[Detector, float, bool]] = {}
    for index, detector in enumerate(DETECTORS):
        count, whole = rest[2 * index], bool(rest[2 * index + 1])
        share = count / values if values else 0.0
        holds = whole and count >= detector.least and share >= detector.share
        before = found.get(detector.pattern)
        if before is None or (holds, share) > (before[2], before[1]):
            found[detector.pattern] = (detector, share, holds)
    return Found(int(values), found)


def _whole(d: Detector) -> str:
    """The condition over matching values alone."""
    if d.whole == "TRUE":
        return "TRUE"
    return f"(SELECT coalesce({d.whole}, FALSE) FROM v WHERE c <> '' AND {d.test})"


def others(con: duckdb.DuckDBPyConnection, column: Field) -> tuple[Finding, ...]:
    """What installed detectors of others say of a column of the table `sample`. Raises UsageError for one that
    fails; its own words stay out of the message, as they may hold values."""
    names = registry.names("detectors")
    if not names:
        return ()
    sql = f"SELECT c FROM ({_different(column.name)}) WHERE c <> '' ORDER BY hash(c)"
    values = con.sql(sql).to_arrow_table()["c"].combine_chunks()
    sample = Sample(column.name, column.type, values)
    return tuple(finding for name in names for finding in _asked(name, sample))


def _asked(name: str, sample: Sample) -> Sequence[Finding]:
    detector: Any = registry.load("detectors", name)
    try:
        return tuple(detector(sample))
    except MeshError:
        raise
    except Exception as error:
        raise UsageError(
            f"the detector {name} fails on the column {sample.column}: {type(error).__name__}",
            hint="repair or remove the package that registers it under raymesh.detectors",
        ) from error


def _different(column: str) -> str:
    """The different values of a column of the table `sample`, as texts `c`."""
    quoted = '"' + column.replace('"', '""') + '"'
    return f"SELECT DISTINCT trim({quoted}::VARCHAR) AS c FROM sample WHERE {quoted} IS NOT NULL"

"""What the kernel does inside Ray tasks: stage some rows of an output and measure exactly what was staged.

Nothing here talks to Ray, so it runs in any process. The rules of a task that writes:

- It names its files by its index among the tasks of this output and by a token of its own (`part_name`), so that
  an attempt that is repeated, or runs twice, never touches the files of another.
- It returns a `Part`: its files, what was measured of them, and their columns. What a build staged but no returned
  part names is removed by `engine.settle` before the build ends. Rows never travel to the driver.
- It raises our own errors only; the driver unwraps them (`calls.Calls`).

A staged SQL build ends with one `write_rows` per partition on a connection of its own, whose rows may come from
anywhere (registered Arrow tables, views). The engine makes a StagedOutput of the parts.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.build import Written, write_output
from raymesh.engines.kernel.conform import Conformed, conform
from raymesh.engines.kernel.fieldids import require_field_ids
from raymesh.engines.kernel.inputs import bind_scan
from raymesh.engines.kernel.measure import measure, measure_files
from raymesh.engines.kernel.quarantine import part
from raymesh.engines.kernel.query import Rows, shape, view
from raymesh.engines.kernel.watermark import newest
from raymesh.engines.kernel.write import Target, stage, staging
from raymesh.engines.ray.usage import Used, counted
from raymesh.errors import ConformError, SourceSpan
from raymesh.mesh.plan import Scan
from raymesh.quality.model import Measurements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from raymesh.engines.kernel.measure import Counted
    from raymesh.engines.kernel.quarantine import Aside, Parts
    from raymesh.mesh.plan import BuildPlan, DataFile, Limits, Output
    from raymesh.quality.model import Check
    from raymesh.spi.engine import StagedOutput


_PART = "the part"


@dataclass(frozen=True, slots=True)
class Part:
    """What one task staged of an output.

    `measured` holds types and row checks of exactly `files`; what only the whole table can say is measured
    afterwards. `newest` is the largest value of the incremental column in `files`.
    """

    conformed: Conformed
    files: tuple[DataFile, ...]
    measured: Measurements = field(default_factory=Measurements)
    newest: Any = None
    aside: Aside | None = None
    used: Used = field(default_factory=Used)


def part_name(index: int) -> str:
    """The name that the files of the task `index` carry in this attempt of it."""
    return f"{index:05d}-{uuid.uuid4().hex[:6]}-"


def whole(plan: BuildPlan, output: Output) -> Part:
    """An output whose transform is a source, SQL, or rows set aside earlier, made by this one task."""
    name = "" if output.quarantine is not None and output.quarantine.again is not None else part_name(0)
    with counted() as used:
        target = Target(output, plan.run_id, plan.storage, name)
        with duck.session(plan.limits, ordered=bool(output.layout.sort_by)) as con, staging(target):
            con.execute("PRAGMA enable_profiling='no_output'")
            written = write_output(con, plan, output, name)
            used.add_profile(con)
        return part_of(plan, output, written, used)


def judged(
    plan: BuildPlan, output: Output, part: Part, paths: tuple[str, ...], elsewhere: Counted | None = None
) -> Part:
    """`part`, which stands for the whole table, with all checks measured and not only those of each file.

    `paths` are its files. What the part says about them, and what was counted `elsewhere`, is taken as it is.
    """
    schema = part.conformed.schema
    inputs = {i.name: i.content for i in (*plan.inputs, *plan.references) if isinstance(i.content, Scan)}
    kept = output.kept.files if output.kept else ()
    reached = [*paths, *kept, *(f for s in inputs.values() for f in s.files)]
    with counted() as used, duck.session(plan.limits) as con:
        stores.attach(con, plan.storage, reached)
        found = measure(
            con,
            paths,
            schema,
            output.checks,
            kept=output.kept,
            kept_states=output.kept_states,
            inputs=inputs,
            prepare=lambda further: stores.attach(further, plan.storage, reached),
            measured=part.measured,
            counted=elsewhere,
        )
    return replace(part, measured=found, used=used)


def parted(plan: BuildPlan, output: Output, staged: StagedOutput, checks: tuple[Check, ...]) -> Parts:
    """The rows that break `checks` and the others, each in files of their own."""
    with duck.session(plan.limits, ordered=bool(output.layout.sort_by)) as con:
        return part(con, plan, output, staged, checks)


def measured(  # noqa: PLR0917 - what a task is given, in order
    scan: Scan,
    checks: tuple[Check, ...],
    limits: Limits,
    storage: Mapping[str, Any],
    inputs: Mapping[str, Scan],
    elsewhere: Counted | None = None,
) -> Measurements:
    """What `checks` say about files that are there already, with nothing taken from evidence but what was counted
    `elsewhere`."""
    reached = [*scan.files, *(f for s in inputs.values() for f in s.files)]
    with duck.session(limits) as con:
        stores.attach(con, storage, reached)
        require_field_ids(con, scan.files)
        return measure(
            con,
            scan.files,
            scan.schema,
            checks,
            inputs=inputs,
            prepare=lambda further: stores.attach(further, storage, reached),
            counted=elsewhere,
        )


def write_rows(
    con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, rows: Rows, index: int
) -> Part:
    """Stage `rows` of `con` as the part `index` of `output`, and measure what was staged.

    In append mode only new rows are staged. Raises ConformError, BreakingChangeError, TransformError,
    TransformMemoryError, DiskFullError, StorageError; then nothing of this part is left.
    """
    target = Target(output, plan.run_id, plan.storage, part_name(index))
    with counted() as used:
        with staging(target):
            conformed = conform(shape(con, rows), output)
            files = stage(con, rows, conformed, target, plan.limits)
        return part_of(plan, output, Written(conformed, files), used)


def part_of(plan: BuildPlan, output: Output, written: Written, used: Used | None = None) -> Part:
    """The part that `written` is, its files measured as they lie there."""
    schema, paths = written.conformed.schema, [f.path for f in written.files]
    with duck.session(plan.limits) as con:
        stores.attach(con, plan.storage, paths)
        measured = measure_files(con, paths, schema, output.checks)
        last = newest(con, output, paths)
    return Part(written.conformed, written.files, measured, last, written.aside, used or Used())


def retyped(plan: BuildPlan, output: Output, part: Part, conformed: Conformed, index: int) -> Part:
    """The rows of `part` in files with the columns `conformed`, which know the types that stood in there.

    What stood in holds only NULL, so no value changes. The files of `part` are not touched.
    """
    target = Target(output, plan.run_id, plan.storage, part_name(index))
    ordered = bool(output.layout.sort_by)
    with counted() as used, duck.session(plan.limits, ordered=ordered) as con, staging(target):
        paths = tuple(f.path for f in part.files)
        stores.attach(con, plan.storage, paths)
        bind_scan(con, _PART, Scan(part.conformed.schema, paths))
        files = stage(con, view(_PART), conformed, target, plan.limits)
    return part_of(plan, output, Written(conformed, files), used)


def merged(parts: Sequence[Part]) -> Measurements:
    """What was measured of all parts together. A check that failed in one has no count at all."""
    found = Measurements(
        {path: state for p in parts for path, state in p.measured.files.items()},
        {check: value for p in parts for check, value in p.measured.values.items()},
        {check: problem for p in parts for check, problem in p.measured.types.items()},
        {check: reason for p in parts for check, reason in p.measured.failures.items()},
    )
    return replace(found, values={k: v for k, v in found.values.items() if k not in found.failures})


def agreed(output: Output, parts: Sequence[Part]) -> Part:
    """A part whose columns are those of all. Raises ConformError naming the columns that differ."""
    first = parts[0]
    for other in parts[1:]:
        if other.conformed.schema == first.conformed.schema:
            continue
        mine = {f.name: str(f.type) for f in first.conformed.schema}
        theirs = {f.name: str(f.type) for f in other.conformed.schema}
        different = [n for n in {**mine, **theirs} if mine.get(n) != theirs.get(n)]
        said = "; ".join(
            f"{n!r} is {mine.get(n, 'missing')} and {theirs.get(n, 'missing')}" for n in different
        )
        file = output.transform.python_file or output.transform.sql_file
        raise ConformError(
            f"{output.table}: the transform made different columns from different rows: {said}",
            hint="return the same types for every batch, or promise each column a physicalType",
            spans=(SourceSpan(file),) if file else (),
        )
    return first

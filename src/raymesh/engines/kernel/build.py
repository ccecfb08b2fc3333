"""One output from its inputs to its staged files: SQL in this process, Python wherever this is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.conform import Conformed, conform
from raymesh.engines.kernel.increment import known_files
from raymesh.engines.kernel.inputs import bind, reading
from raymesh.engines.kernel.query import Rows, shape, user_query, view
from raymesh.engines.kernel.write import Target, stage
from raymesh.errors import TransformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from raymesh.engines.kernel.quarantine import Aside
    from raymesh.mesh.plan import BuildPlan, DataFile, Output


@dataclass(frozen=True, slots=True)
class Written:
    """What one output wrote: its columns and its new files, and rows that stay set aside."""

    conformed: Conformed
    files: tuple[DataFile, ...]
    aside: Aside | None = None


def is_python(output: Output) -> bool:
    """Whether building `output` runs user Python."""
    return output.transform.kind in ("batch", "dataset")


def write_output(con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, part: str = "") -> Written:
    """Run the transform of `output` on `con` and stage what it makes, in files named after `part`.

    The caller removes staged files when this raises (`write.staging`). Raises SourceError, TransformError,
    ConformError, BreakingChangeError, StorageError.
    """
    if output.quarantine is not None and output.quarantine.again is not None:
        from raymesh.engines.kernel.quarantine import part_again  # few builds need it

        parts = part_again(con, plan, output, output.quarantine.again)
        return Written(parts.conformed, parts.good, parts.aside)
    target = Target(output, plan.run_id, plan.storage, part)
    with reading(plan.inputs, plan.root):
        files = bind(con, plan.inputs, plan.root, plan.storage)
        if output.transform.kind == "dataset":
            from raymesh.engines.kernel.stream import over_inputs  # and Arrow with it, as below

            return Written(*over_inputs(con, plan, target))
        rows = rows_of(con, plan, output, files)
        if output.transform.kind == "batch":
            from raymesh.engines.kernel.stream import over_batches

            return Written(*over_batches(con, plan, target, rows))
        conformed = conform(shape(con, rows), output)
        return Written(conformed, stage(con, rows, conformed, target, plan.limits))


def rows_of(con: duckdb.DuckDBPyConnection, plan: BuildPlan, output: Output, files: Sequence[str]) -> Rows:
    """What the SQL of `output` makes of inputs that are bound and read `files`, or its one input.

    User SQL finds a locked connection. Raises TransformError.
    """
    transform = output.transform
    if transform.sql is None:
        return the_input(plan, output)
    duck.lock(con, files=[*files, *known_files(output)], folders=[output.location])
    return user_query(con, transform.sql, transform.sql_file or "transform.sql")


def the_input(plan: BuildPlan, output: Output) -> Rows:
    """The one input of a transform without SQL: the bound one, or the only one there is."""
    names = tuple(output.transform.bindings.values()) or tuple(i.name for i in plan.inputs)
    if len(names) != 1:
        raise TransformError(f"{output.table} needs exactly one input, not {len(names)}")
    return view(names[0])

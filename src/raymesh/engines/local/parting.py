"""Takes rows that break a promise out of what is published, and says how many broke which."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.build import Written
from raymesh.engines.kernel.quarantine import aside_target, leaving_nothing, part, remove
from raymesh.quality.quarantine import broken, only
from raymesh.spi.engine import StagedOutput

__all__ = ["aside_target", "leaving_nothing", "parted", "with_aside"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.engines.kernel.quarantine import Aside, Parts
    from raymesh.engines.local.watch import Watch
    from raymesh.mesh.plan import BuildPlan, Output
    from raymesh.quality.model import Check


def parted(
    plan: BuildPlan,
    output: Output,
    staged: StagedOutput,
    judged: Callable[[Written], StagedOutput],
    watch: Watch,
) -> StagedOutput:
    """`staged` without the rows that break a promise whose `onViolation` is quarantine.

    Nothing is done while all of these are kept. What is left is measured again by `judged`; a share that was
    small enough among all rows may be too large among the good ones, and then more rows are taken out.
    """
    chosen: tuple[Check, ...] = ()
    found, parts = staged, None
    while more := _more(output, found, chosen):
        chosen += more
        if parts is not None:
            remove(parts.files, plan.storage)
        parts = _part(plan, output, staged, chosen, watch)
        if parts.aside.rows > _most(output, staged):
            remove(parts.files, plan.storage)
            return replace(staged, over_limit=parts.aside.rows)
        found = judged(Written(parts.conformed, parts.good))
    if parts is None:
        return staged
    remove(staged.files, plan.storage)
    found = replace(found, watermark=staged.watermark)  # rows set aside are no news any more
    return with_aside(plan, output, found, parts.aside, watch)


def with_aside(
    plan: BuildPlan, output: Output, staged: StagedOutput, aside: Aside, watch: Watch
) -> StagedOutput:
    """`staged` with the rows set aside beside it, counted and sampled by the checks that they break."""
    from raymesh.engines.kernel.measure import measure

    place, paths = output.quarantine, [f.path for f in aside.files]
    told = [c for c in output.checks if c.kind in ("row", "type")]  # all of them: they say what is masked
    with duck.session(plan.limits) as con, watch.over(con, "quarantine"):
        stores.attach(con, plan.storage, paths)
        measured = only(measure(con, paths, aside.schema, told), aside.checks)
    rows = StagedOutput(place.port if place else "", aside.schema, aside.files, measured)
    return replace(staged, quarantine=rows)


def _more(output: Output, found: StagedOutput, chosen: tuple[Check, ...]) -> tuple[Check, ...]:
    if output.quarantine is None:
        return ()
    violated = broken(output.checks, found.measurements, [f.path for f in found.files])
    return tuple(c for c in violated if c not in chosen)


def _part(
    plan: BuildPlan, output: Output, staged: StagedOutput, checks: tuple[Check, ...], watch: Watch
) -> Parts:
    with (
        duck.session(plan.limits, ordered=bool(output.layout.sort_by)) as con,
        watch.over(con, "quarantine"),
    ):
        return part(con, plan, output, staged, checks)


def _most(output: Output, staged: StagedOutput) -> float:
    """How many rows may be set aside."""
    limit = output.quarantine.limit if output.quarantine else 0.0
    return limit * sum(f.rows for f in staged.files)

"""Takes rows that break a promise out of what is published, and says how many broke which.

What to do is decided here, for every engine; an engine says by its `Hands` where each step runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from raymesh.engines.kernel.build import Written
from raymesh.engines.kernel.quarantine import remove
from raymesh.quality.quarantine import broken, only
from raymesh.spi.engine import StagedOutput

if TYPE_CHECKING:
    from raymesh.engines.kernel.quarantine import Aside, Parts
    from raymesh.mesh.plan import BuildPlan, Output
    from raymesh.quality.model import Check, Measurements


class Hands(Protocol):
    """The steps of parting one output, wherever an engine runs them."""

    def judged(self, written: Written) -> StagedOutput:
        """Everything measured of what was written."""
        ...

    def part(self, staged: StagedOutput, checks: tuple[Check, ...]) -> Parts:
        """`kernel.quarantine.part`."""
        ...

    def measured_aside(self, aside: Aside, checks: tuple[Check, ...]) -> Measurements:
        """What `checks` say about rows set aside."""
        ...


def parted(plan: BuildPlan, output: Output, staged: StagedOutput, hands: Hands) -> StagedOutput:
    """`staged` without the rows that break a promise whose `onViolation` is quarantine.

    Nothing is done while all of these are kept. What is left is measured again; a share that was small enough
    among all rows may be too large among the good ones, and then more rows are taken out.
    """
    chosen: tuple[Check, ...] = ()
    found, parts = staged, None
    while more := _more(output, found, chosen):
        chosen += more
        if parts is not None:
            remove(parts.files, plan.storage)
        parts = hands.part(staged, chosen)
        if parts.aside.rows > _most(output, staged):
            remove(parts.files, plan.storage)
            return replace(staged, over_limit=parts.aside.rows)
        found = hands.judged(Written(parts.conformed, parts.good))
    if parts is None:
        return staged
    remove(staged.files, plan.storage)
    found = replace(found, watermark=staged.watermark)  # rows set aside are no news any more
    return with_aside(output, found, parts.aside, hands)


def with_aside(output: Output, staged: StagedOutput, aside: Aside, hands: Hands) -> StagedOutput:
    """`staged` with the rows set aside beside it, counted and sampled by the checks that they break."""
    place = output.quarantine
    told = tuple(c for c in output.checks if c.kind in ("row", "type"))  # all: they say what is masked
    measured = only(hands.measured_aside(aside, told), aside.checks)
    rows = StagedOutput(place.port if place else "", aside.schema, aside.files, measured)
    return replace(staged, quarantine=rows)


def _more(output: Output, found: StagedOutput, chosen: tuple[Check, ...]) -> tuple[Check, ...]:
    if output.quarantine is None:
        return ()
    violated = broken(output.checks, found.measurements, [f.path for f in found.files])
    return tuple(c for c in violated if c not in chosen)


def _most(output: Output, staged: StagedOutput) -> float:
    """How many rows may be set aside."""
    limit = output.quarantine.limit if output.quarantine else 0.0
    return limit * sum(f.rows for f in staged.files)

"""The steps of parting rows, run in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.quarantine import part

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.engines.kernel.build import Written
    from raymesh.engines.kernel.quarantine import Aside, Parts
    from raymesh.engines.local.watch import Watch
    from raymesh.mesh.plan import BuildPlan, Output
    from raymesh.quality.model import Check, Measurements
    from raymesh.spi.engine import StagedOutput


@dataclass(frozen=True, slots=True)
class LocalHands:
    """Parts one output of a plan; `judge` measures what was written."""

    plan: BuildPlan
    output: Output
    watch: Watch
    judge: Callable[[Written], StagedOutput]

    def judged(self, written: Written) -> StagedOutput:
        return self.judge(written)

    def part(self, staged: StagedOutput, checks: tuple[Check, ...]) -> Parts:
        with (
            duck.session(self.plan.limits, ordered=bool(self.output.layout.sort_by)) as con,
            self.watch.over(con, "quarantine"),
        ):
            return part(con, self.plan, self.output, staged, checks)

    def measured_aside(self, aside: Aside, checks: tuple[Check, ...]) -> Measurements:
        from raymesh.engines.kernel.measure import measure

        paths = [f.path for f in aside.files]
        with duck.session(self.plan.limits) as con, self.watch.over(con, "quarantine"):
            stores.attach(con, self.plan.storage, paths)
            return measure(con, paths, aside.schema, checks)

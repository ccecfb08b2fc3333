"""What passes between the engine and a worker process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.engines.kernel.build import Written
    from raymesh.errors import MeshError
    from raymesh.mesh.plan import BuildPlan


@dataclass(frozen=True, slots=True)
class Task:
    """Build one port of a plan. `secrets` are values of the variables that its references name: they pass through
    the channel because the worker's environment does not have them."""

    plan: BuildPlan
    port: str
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """How a task ended: with `written` or with `error`. `reusable` says whether the process is as before."""

    written: Written | None
    error: MeshError | None
    cpu_seconds: float
    reusable: bool

    def result(self) -> Written:
        """What was written; raises the error when there is none."""
        if self.written is None:
            raise self.error or RuntimeError("a worker answered nothing")
        return self.written

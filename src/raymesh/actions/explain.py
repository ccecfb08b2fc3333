"""Says in which stages an engine would build products, whether they have to be built or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from raymesh.actions.ids import new_id
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.pinning import standing
from raymesh.actions.planning import decide
from raymesh.errors import MeshError

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.spi.engine import Explains, PlannedStage


def stages(
    workspace: Workspace, products: Sequence[str], options: RunOptions | None = None
) -> Mapping[str, tuple[PlannedStage, ...]]:
    """The stages by product. A product is left out when its inputs are not there yet, or its plan has a problem
    (which `plan.plan` tells), or its engine makes everything in one piece."""
    forced = replace(options or RunOptions(), refresh=True)
    found: dict[str, tuple[PlannedStage, ...]] = {}
    with Invocation(workspace, forced, lambda _: None) as invocation:
        known = standing(workspace, products)
        for name in products:
            try:
                decision = decide(invocation, name, new_id(), known)
                engine = invocation.engine(decision.engine)
                if decision.plan is not None and hasattr(engine, "explain"):
                    found[name] = cast("Explains", engine).explain(decision.plan)
            except MeshError:  # the plan tells it, with what to do
                continue
    return found

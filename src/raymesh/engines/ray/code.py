"""User code in a Ray worker: loaded once per build, forgotten when the next build comes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from raymesh.engines.kernel.leftovers import ProcessState
from raymesh.engines.kernel.usercode import UserFunction, load
from raymesh.engines.ray.quiet import disarm
from raymesh.spi.secrets import withhold

if TYPE_CHECKING:
    from raymesh.mesh.plan import BuildPlan, Output

_loaded: dict[tuple[str, str], UserFunction] = {}
_clean: list[tuple[ProcessState, str]] = []
"""How this process was before it loaded user code, and the folder that code came from."""


def function(plan: BuildPlan, output: Output) -> UserFunction:
    """The function of `output`; a class is instantiated once per process and build. Raises TransformError."""
    disarm()
    key = (plan.run_id, output.port)
    if key not in _loaded:
        _forget_others(plan.run_id)
        if not _clean:
            _clean.append((ProcessState.now(), plan.root))
        withhold(plan.withheld)
        sys.dont_write_bytecode = True  # files of one second with the same size would be taken for the same
        _loaded[key] = load(output.transform, plan.root)
    return _loaded[key]


def _forget_others(run_id: str) -> None:
    for old in [k for k in _loaded if k[0] != run_id]:
        del _loaded[old]
    if not _loaded and _clean:
        state, root = _clean.pop()
        state.restore(root)

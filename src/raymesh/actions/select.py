"""Turns a selection into products; the state store is asked only when `state:changed` occurs in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from raymesh.mesh.selection import select as choose

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace


def select(workspace: Workspace, selection: Sequence[str]) -> tuple[str, ...]:
    """Ids of the selected products in build order; all of them when nothing is selected.

    `state:changed` are the products a run would build, `state:new` those never published.
    Raises NotFoundError and UsageError as mesh.selection.
    """

    @cache
    def builds() -> frozenset[str]:
        from raymesh.actions.plan import plan

        return frozenset(s.product for s in plan(workspace, workspace.graph.order) if s.build)

    @cache
    def published() -> frozenset[str]:
        return frozenset(product for product, _ in workspace.state.current())

    states = {"changed": lambda name: name in builds(), "new": lambda name: name not in published()}
    return choose(workspace.graph, selection, states=states)

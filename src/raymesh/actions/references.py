"""Tables that contracts refer to: foreign keys reach across contracts and domains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from raymesh.actions.read import pin_published
from raymesh.mesh.plan import Input
from raymesh.quality.compile import by_name

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Graph, Port
    from raymesh.mesh.plan import Output


def referenced(workspace: Workspace, outputs: Sequence[Output], known: Iterable[str]) -> tuple[Input, ...]:
    """The current versions of the tables that the checks of `outputs` refer to, without the `known` ones.

    A table that was never published is left out: its checks then end in `error`, which blocks.
    """
    names = {c.target[0] for o in outputs for c in o.checks if c.kind == "reference" and c.target}
    wanted = sorted(names - {"", *known, *(o.table for o in outputs)})
    found = pin_published(workspace.storage, wanted)
    return tuple(Input(n, p.scan, p.version.number, p.version.snapshot_id) for n, p in found.items())


def prerequisites(graph: Graph, product: str) -> set[str]:
    """Products that `product` refers to without reading them, and that are not made from it themselves.

    They are worth waiting for in a run that builds both, so that keys are compared with the newest rows.
    """
    found = {t.partition("__")[0] for port in graph.products[product].ports for t in _targets(port)}
    found = {t for t in found if t in graph.products and t != product}
    return found - graph.descendants([product]).keys() if found else set()


def _targets(port: Port) -> set[str]:
    objects = port.contract.objects
    if not objects:
        return set()
    relationships = [*objects[0].relationships, *(r for p in objects[0].properties for r in p.relationships)]
    return {target[0] for r in relationships if (target := by_name(r.to)) is not None}

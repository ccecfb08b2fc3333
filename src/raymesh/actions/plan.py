"""Says what a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raymesh.actions.contracts import Compared, pending_changes, refuse_breaking
from raymesh.actions.ids import new_id
from raymesh.actions.invocation import Invocation, RunOptions
from raymesh.actions.pinning import Standing, standing
from raymesh.actions.planning import decide
from raymesh.actions.policies import require_policies
from raymesh.errors import BreakingChangeError, MeshError, NotFoundError, SourceError
from raymesh.mesh.plan import Scan

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Product
    from raymesh.spi.state import Version


@dataclass(frozen=True, slots=True)
class Step:
    """What a run would do with one product, and why. `problem` is what would keep it from being built.

    Rows and bytes are those of the inputs; None when an input is a source, which nobody has counted yet.
    `changes` are the differences between the published contracts and those of the documents.
    """

    product: str
    build: bool
    reason: str
    engine: str | None = None
    engine_reason: str = ""
    input_rows: int | None = None
    input_bytes: int | None = None
    problem: MeshError | None = None
    changes: tuple[Compared, ...] = ()


def plan(workspace: Workspace, products: Sequence[str], options: RunOptions | None = None) -> list[Step]:
    """One step per product in build order. A product whose input would be built is built too.

    Raises DocumentsInvalidError for policies that a run would refuse.
    """
    require_policies(workspace, products)
    with Invocation(workspace, options or RunOptions(), lambda _: None) as invocation:
        return list(_steps(invocation, products))


def _steps(invocation: Invocation, products: Sequence[str]) -> Iterator[Step]:
    graph = invocation.workspace.graph
    known = standing(invocation.workspace, products)
    published = _by_port(known)
    chosen, building = set(products), set[str]()
    for name in (p for p in graph.order if p in chosen):
        before = [u for u in graph.upstream[name] if u in building]
        product, current = graph.products[name], published.get(name, {})
        step = _after(product, before, current) if before else _step(invocation, name, known)
        if step.build:
            building.add(name)
            step = replace(step, changes=pending_changes(invocation.workspace, product, current))
            if step.problem is None:
                step = replace(step, problem=invocation.gate.documents(name))
        yield step


def _by_port(known: Standing) -> Mapping[str, Mapping[str, Version]]:
    """Current versions by product and port."""
    found: dict[str, dict[str, Version]] = {}
    for (product, port), version in known.versions.items():
        found.setdefault(product, {})[port] = version
    return found


def _after(product: Product, before: Sequence[str], current: Mapping[str, Version]) -> Step:
    step = Step(product.name, True, f"{', '.join(before)} will be built")
    try:
        refuse_breaking(product, current)
    except BreakingChangeError as problem:
        return replace(step, problem=problem)
    return step


def _step(invocation: Invocation, name: str, known: Standing) -> Step:
    try:
        decision = decide(invocation, name, new_id(), known)
    except BreakingChangeError as problem:
        return Step(name, True, "its contract breaks readers", problem=problem)
    except (NotFoundError, SourceError) as problem:
        return Step(name, True, problem.message, problem=problem)
    if decision.plan is None:
        return Step(name, False, decision.reason, decision.engine)
    scans = [i.content for i in decision.plan.inputs if isinstance(i.content, Scan)]
    complete = len(scans) == len(decision.plan.inputs)
    return Step(
        name,
        True,
        decision.reason,
        decision.engine,
        decision.engine_reason,
        input_rows=sum(s.rows for s in scans) if complete else None,
        input_bytes=sum(s.bytes for s in scans) if complete else None,
    )

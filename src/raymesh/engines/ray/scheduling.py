"""Where tasks of a build may run and how many at a time: demands as options of Ray, feasibility, fair shares."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from raymesh.errors import ClusterError

if TYPE_CHECKING:
    from raymesh.mesh.plan import BuildPlan, Demand, Limits
    from raymesh.spec.mesh import RayEngineSpec

POLL_SECONDS = 0.5
SHARE = 0.5
"""Of what a node lets tasks ask for; the rest is for Python, copies in flight, and what DuckDB takes beyond its limit."""
LEAST_BYTES = 256 * 1024 * 1024
SCRATCH = "/tmp/raymesh-scratch"  # noqa: S108  # a folder of the node; what is in it gets private names
_CHOICE = re.compile(r"(!?)in\(([^)]*)\)")
_WORDS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory"}


@dataclass(frozen=True, slots=True)
class Node:
    """A living node: what it has in all, and its labels."""

    name: str
    has: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)

    def can(self, wants: Mapping[str, float], labels: Mapping[str, str]) -> bool:
        """Whether a task that wants so much could ever run here."""
        return all(self.has.get(k, 0.0) >= v for k, v in wants.items()) and all(
            _matches(self.labels.get(k), v) for k, v in labels.items()
        )


def nodes() -> list[Node]:
    """The living nodes of the connected cluster."""
    ray = import_module("ray")
    return [
        Node(n["NodeManagerHostname"] or n["NodeID"], n["Resources"], n.get("Labels") or {})
        for n in ray.nodes()
        if n["Alive"]
    ]


def options(limits: Limits, here: Sequence[Node] | None = None) -> dict[str, Any]:
    """Keywords of `ray.remote` for a task that has a whole build's share.

    Without a demand for processors the task takes as many as the local engine would, at most those of the largest
    node; without one for memory none is reserved.
    """
    demand = limits.demand
    cpus = demand.cpus if demand.cpus is not None else min(limits.threads, most_cpus(here))
    found: dict[str, Any] = {"num_cpus": cpus}
    if demand.memory is not None:
        found["memory"] = demand.memory
    return found | _beyond(demand)


def elsewhere(limits: Limits, here: Sequence[Node] | None = None) -> Limits:
    """The limits of a build whose tasks run on other machines than ours: what nobody said comes from the largest node,
    and what does not fit is spilled to its temporary folder."""
    found = nodes() if here is None else here
    most = max((n.has.get("memory", 0.0) for n in found), default=0.0)
    memory = limits.demand.memory or int(most * SHARE) or limits.memory_bytes
    cpus = limits.demand.cpus if limits.demand.cpus is not None else most_cpus(found)
    return replace(limits, memory_bytes=max(memory, LEAST_BYTES), threads=max(int(cpus), 1), scratch=SCRATCH)


def small(limits: Limits) -> dict[str, Any]:
    """The same for one of many tasks of a build: one processor (or what less the product may use)."""
    cpus = min(1.0, limits.demand.cpus) if limits.demand.cpus is not None else 1.0
    return {"num_cpus": cpus} | _beyond(limits.demand)


def beside(limits: Limits, held: Mapping[str, Any], here: Sequence[Node] | None = None) -> dict[str, Any]:
    """The same as `small` for tasks that feed others, which hold what the keywords `held` say as long as the build lasts.

    They ask for no GPU and no custom resource, and for a processor only where one is left: else both would wait for
    each other for ever.
    """
    found = {name: said for name, said in small(limits).items() if name not in ("num_gpus", "resources")}
    labels = found.get("label_selector") or {}
    cpus = sum(n.has.get("CPU", 0.0) for n in (nodes() if here is None else here) if n.can({}, labels))
    if cpus < held.get("num_cpus", 0.0) + found["num_cpus"]:
        found["num_cpus"] = 0
    return found


def _beyond(demand: Demand) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if demand.gpus:
        found["num_gpus"] = demand.gpus
    if demand.custom:
        found["resources"] = dict(demand.custom)
    if demand.labels:
        found["label_selector"] = dict(demand.labels)
    return found


def most_cpus(here: Sequence[Node] | None = None) -> float:
    """Processors of the largest node."""
    return max((n.has.get("CPU", 0.0) for n in (nodes() if here is None else here)), default=1.0) or 1.0


def parallel(limits: Limits, here: Sequence[Node] | None = None) -> int:
    """Tasks with the options of `small` that the whole cluster can run side by side."""
    said = small(limits)
    wants, labels = wanted(said), said.get("label_selector") or {}
    found = [n for n in (nodes() if here is None else here) if n.can(wants, labels)]
    return max(sum(int(min(n.has[k] // v for k, v in wants.items())) for n in found), 1)


def wanted(said: Mapping[str, Any]) -> dict[str, float]:
    """Amounts by the names that nodes use, of keywords of `ray.remote`."""
    found = {"CPU": said.get("num_cpus"), "GPU": said.get("num_gpus"), "memory": said.get("memory")}
    return {k: float(v) for k, v in {**found, **(said.get("resources") or {})}.items() if v}


def require_feasible(
    plan: BuildPlan,
    said: Mapping[str, Any],
    spec: RayEngineSpec | None,
    tick: Callable[[], object] = lambda: None,
) -> int:
    """Return when some node could run a task with the options `said`; else Ray would let it wait for ever.

    On a cluster that grows, ask it to and wait, calling `tick`; the answer is how many nodes came. Raises
    ClusterError that names what the cluster has.
    """
    wants, labels = wanted(said), said.get("label_selector") or {}
    at_first = nodes()
    if any(n.can(wants, labels) for n in at_first):
        return 0
    if spec is None or not spec.autoscaling:
        raise ClusterError(
            f"{plan.product} asks for {_told(wants, labels)}, which no node of the cluster has: {_listed(at_first)}",
            hint="lower `resources` of the product or its domain, or set engines.ray.autoscaling when nodes can come",
        )
    return _grown(plan.product, wants, labels, spec.patience, tick)


def _grown(
    product: str,
    wants: Mapping[str, float],
    labels: Mapping[str, str],
    patience: float,
    tick: Callable[[], object],
) -> int:
    before = len(nodes())
    ask_for([dict(wants)], labels)
    deadline = time.monotonic() + patience
    while True:
        now = nodes()
        if any(n.can(wants, labels) for n in now):
            break
        tick()
        if time.monotonic() > deadline:
            ask_for([])
            raise ClusterError(
                f"{product} asks for {_told(wants, labels)}; no such node came within {patience:.0f} s:"
                f" {_listed(now)}",
                hint="does the cluster have a group of such nodes, and may it grow?",
            )
        time.sleep(POLL_SECONDS)
    ask_for([])  # the tasks themselves keep the node from now on
    return max(len(now) - before, 0)


def ask_for(bundles: Sequence[Mapping[str, float]], labels: Mapping[str, str] | None = None) -> None:
    """Ask the autoscaler for room for `bundles` at one time; none takes the request back."""
    from ray.autoscaler.sdk import request_resources

    whole = [{k: int(v) if float(v).is_integer() else v for k, v in b.items()} for b in bundles]
    selectors = [dict(labels)] * len(whole) if labels else None
    if selectors:
        request_resources(bundles=whole, bundle_label_selectors=selectors)
    else:
        request_resources(bundles=whole)


def _matches(value: str | None, asked: str) -> bool:
    asked = asked.strip()
    if choice := _CHOICE.fullmatch(asked):
        found = value in [part.strip() for part in choice[2].split(",")]
        return not found if choice[1] else found
    return value != asked[1:] if asked.startswith("!") else value == asked


def _told(wants: Mapping[str, float], labels: Mapping[str, str]) -> str:
    parts = [_amount(k, v) for k, v in wants.items()]
    parts += [f"label {k}={v}" for k, v in labels.items()]
    return ", ".join(parts)


def _listed(found: Sequence[Node]) -> str:
    shown = []
    for node in found[:8]:
        has = [_amount(k, v) for k, v in sorted(node.has.items()) if _shown(k)]
        own = [f"{k}={v}" for k, v in sorted(node.labels.items()) if not k.startswith("ray.io/node")]
        shown.append(f"{node.name} ({', '.join([*has, *own])})")
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return ("; ".join(shown) or "no node at all") + more


def _shown(name: str) -> bool:
    return not name.startswith(("node:", "object_store"))


def _amount(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / 1e9:.2g} GB memory"
    return f"{amount:g} {_WORDS.get(name, name)}"


@dataclass(slots=True)
class Share:
    """The part of the cluster that one build may hold at a time while others build beside it.

    `together` is what its domain may use. Processors are shared equally between the domains that build now, and
    a domain's between its builds; a build that is alone has all.
    """

    domain: str
    together: Mapping[str, float]
    cpus: float
    floor: float = 1.0
    held: dict[str, float] = field(default_factory=dict)

    def admits(self, wants: Mapping[str, float]) -> bool:
        """Whether one more task may be submitted. A build that holds nothing may always submit one."""
        with _lock:
            if not any(self.held.values()):
                return True
            cpus = self.held.get("CPU", 0.0) + wants.get("CPU", 0.0)
            return cpus <= max(self._part(), self.floor) and self._within(wants)

    def _part(self) -> float:
        domains = {s.domain for s in _active}
        beside = [s for s in _active if s.domain == self.domain]
        if len(_active) < 2:
            return float("inf")
        return self.cpus / max(len(domains), 1) / max(len(beside), 1)

    def _within(self, wants: Mapping[str, float]) -> bool:
        for name, most in self.together.items():
            word = {"cpus": "CPU", "gpus": "GPU"}.get(name, name)
            used = sum(s.held.get(word, 0.0) for s in _active if s.domain == self.domain)
            if used + wants.get(word, 0.0) > most:
                return False
        return True

    def take(self, wants: Mapping[str, float]) -> None:
        with _lock:
            for name, amount in wants.items():
                self.held[name] = self.held.get(name, 0.0) + amount

    def give_back(self, wants: Mapping[str, float]) -> None:
        with _lock:
            for name, amount in wants.items():
                self.held[name] = max(self.held.get(name, 0.0) - amount, 0.0)

    @property
    def cpu_limit(self) -> float | None:
        """Processors to hold at most now, None without a limit."""
        with _lock:
            limits = [x for x in (self._part(), self.together.get("cpus", float("inf"))) if x != float("inf")]
            return max(min(limits), 1.0) if limits else None


_lock = threading.RLock()
_active: list[Share] = []


@contextmanager
def sharing(plan: BuildPlan, here: Sequence[Node] | None = None) -> Iterator[Share]:
    """The share of a build while the block lasts."""
    cpus = sum(n.has.get("CPU", 0.0) for n in (nodes() if here is None else here))
    share = Share(plan.product.split(".")[0], plan.limits.demand.shared, cpus)
    with _lock:
        _active.append(share)
    try:
        yield share
    finally:
        with _lock:
            _active.remove(share)

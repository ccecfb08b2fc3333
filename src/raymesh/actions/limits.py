"""What one build may use, from the mesh's, the domain's and the product's documents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.mesh.plan import Demand, Limits

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.spec.domain import Quota, Resources

SHARE = 0.5
"""The share of the machine's memory that all builds of a run may use together when mesh.yaml names none;
the rest is for Python, the page cache and everybody else."""
LEAST_BYTES = 256 * 1024 * 1024


def limits_for(workspace: Workspace, product: str, jobs: int) -> Limits:
    """Limits of one build of `product` while `jobs` builds run side by side.

    Memory: what the product asks for, at most what its domain may use; otherwise an equal share of the
    engine's memory. Threads are not divided: the operating system shares processors well.
    """
    engine = workspace.spec.engines.local
    documents = workspace.graph.product(product).documents
    above = workspace.graph.domains[documents.domain].documents.document.model
    domain, own = above.resources, documents.settings.resources
    total = engine.memory or int(machine_memory() * SHARE)
    memory = (own.memory if own and own.memory else None) or max(total // jobs, LEAST_BYTES)
    threads = int(own.cpus) if own and own.cpus else engine.threads or processors()
    if domain is not None:
        memory = min(memory, domain.memory or memory)
        threads = min(threads, int(domain.cpus) if domain.cpus else threads)
    scratch = workspace.root / (engine.scratch or ".raymesh/scratch")
    return Limits(
        memory_bytes=memory,
        threads=max(threads, 1),
        scratch=str(scratch),
        scratch_bytes=engine.scratch_size,
        timeout=documents.settings.timeout,
        demand=demand_of(own, domain, above.quota),
    )


def demand_of(own: Resources | None, domain: Resources | None, quota: Quota | None) -> Demand:
    """What a product asks of a cluster, within what its domain may use for one build and for all together.

    The product's labels come on top of its domain's; where both name one, the domain's holds.
    """
    asked = own.model_dump(exclude_none=True) if own else {}
    most = domain.model_dump(exclude_none=True) if domain else {}
    together = quota.model_dump(exclude_none=True) if quota else {}
    bounds = [most, together]
    custom = {
        name: min(amount, *(b.get("custom", {}).get(name, amount) for b in bounds))
        for name, amount in asked.get("custom", {}).items()
    }
    return Demand(
        cpus=_least("cpus", asked, bounds),
        memory=_least("memory", asked, bounds),
        gpus=_least("gpus", asked, bounds) if "gpus" in asked else 0.0,
        custom=custom,
        labels={**asked.get("labels", {}), **most.get("labels", {})},
        shared={**{k: v for k, v in together.items() if k != "custom"}, **together.get("custom", {})},
    )


def _least(name: str, asked: Mapping[str, Any], bounds: Sequence[Mapping[str, Any]]) -> Any:
    """The smallest of what is asked for and what is allowed; None when nobody says anything."""
    return min((said[name] for said in (asked, *bounds) if name in said), default=None)


def processors() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def machine_memory() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's when that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(file).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total

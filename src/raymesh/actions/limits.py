"""What one build may use, from the mesh's, the domain's and the product's documents."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.mesh.plan import Limits

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace

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
    domain = workspace.graph.domains[documents.domain].documents.document.model.resources
    own = documents.settings.resources
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
    )


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

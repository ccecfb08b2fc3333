"""What more processors than this machine has would give: a model of a staged build, its parts measured here.

    T(n) = F + tasks(n) · d + W / n + X / (v · n / 8)

F      seconds of the build outside of tasks: planning, judging, commit; measured as the time that is left when both
       processors are thought to have been busy with tasks all the while, so never too small
d      seconds the driver needs to start a task and learn of its end, measured with tasks that do nothing
W      processor seconds of all tasks, measured
X      bytes that tasks hand each other: at most four times the bytes read (Parquet unpacked), as the sizing page says
v      bytes per second of a node's network, 10 Gbit/s; nodes have 8 processors
tasks  the measured ones as long as partitions are of the same size; at least two per processor

Assumed: keys spread evenly, processors like this machine's, storage that is as fast for many readers as for one, and
a partition that costs a processor the same on every node. Not in the model: stragglers, lost nodes, spilling.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.customer_360 import write_mesh
from benchmarks.measure import Figure, tpch
from benchmarks.ray_customer_360 import warm

HERE_PROCESSORS = 2
PROCESSORS_PER_NODE = 8
NETWORK = 1.25e9
UNPACKED = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds and bytes of one build, by the names of the model."""

    outside: float
    per_task: float
    work: float
    exchanged: float
    tasks: int

    def grown(self, times: int) -> Parts:
        """The same build of `times` as many rows."""
        return replace(
            self, work=self.work * times, exchanged=self.exchanged * times, tasks=self.tasks * times
        )

    def seconds(self, processors: int) -> float:
        """How long the build would take."""
        nodes = max(processors / PROCESSORS_PER_NODE, 1)
        crossing = 0.0 if nodes == 1 else self.exchanged / (NETWORK * nodes)
        tasks = max(self.tasks, 2 * processors)
        return self.outside + tasks * self.per_task + self.work / processors + crossing


def run(check: int = 4, times: int = 100) -> Iterator[Figure]:
    """customer_360 measured at scale 1; what the model says for `check` times as many rows, measured too; and for
    `times` as many on more processors."""
    with tempfile.TemporaryDirectory() as scratch, warm(Path(scratch)):
        one = _measured(write_mesh(Path(scratch) / "one", tpch(1)))
        other = _measured(write_mesh(Path(scratch) / "check", tpch(check)))
    told, took = one.grown(check).seconds(HERE_PROCESSORS), other.seconds(HERE_PROCESSORS)
    yield Figure(
        f"customer_360 at scale {check} on {HERE_PROCESSORS} processors, what the model says after scale 1 / measured",
        f"{told / took:.2f}  ({told:.1f} s / {took:.1f} s)",
        note=f"scale 1: {one.tasks} tasks, {one.work:.1f} processor seconds, {one.outside:.2f} s outside of tasks, "
        f"{one.per_task * 1000:.1f} ms of the driver per task",
    )
    many = one.grown(times)
    alone = many.seconds(HERE_PROCESSORS)
    for processors in (8, 32, 128, 512):
        seconds = many.seconds(processors)
        yield Figure(
            f"model: scale {times} on {processors} processors",
            f"{seconds:.0f} s, {alone / seconds:.0f} times as fast as on {HERE_PROCESSORS}",
        )


def _measured(mesh: Path) -> Parts:
    from raymesh import Mesh

    per_task = _per_task()
    with Mesh.load(mesh) as opened:
        builds = [
            opened.run("tpch.customer_360", refresh=True, jobs=1, engine="ray").reports[0] for _ in range(4)
        ]
        used = opened._workspace.state.runs(product="tpch.customer_360")[0].resources
    took, work, tasks = float(builds[-1].seconds), float(used["cpu_seconds"]), int(used["tasks"])
    outside = max(took - work / HERE_PROCESSORS - tasks * per_task, 0.0)
    return Parts(outside, per_task, work, float(used["bytes_read"]) * UNPACKED, tasks)


def _per_task(count: int = 500) -> float:
    """Seconds per task of the driver: many that do nothing, of which two run at a time."""
    import ray

    @ray.remote(num_cpus=1)
    def nothing() -> Any:
        return None

    ray.get([nothing.remote() for _ in range(count)])
    began = time.perf_counter()
    ray.get([nothing.remote() for _ in range(count)])
    return (time.perf_counter() - began) / count

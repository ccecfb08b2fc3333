"""Order and reach of a directed graph given as node → what it reads. Linear in nodes and edges."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Neighbours = Mapping[str, Sequence[str]]


def reverse(upstream: Neighbours) -> dict[str, tuple[str, ...]]:
    """Node → who reads it, sorted; every node is a key."""
    found: dict[str, list[str]] = {node: [] for node in upstream}
    for node in sorted(upstream):
        for origin in upstream[node]:
            found[origin].append(node)
    return {node: tuple(readers) for node, readers in found.items()}


def topological(upstream: Neighbours) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """All nodes, each after what it reads, and the cycles that stand in the way.

    The order depends on names and edges only: generation by generation, by name within one. A cycle is
    the path a, b, c in which a reads b, b reads c and c reads a; nodes of cycles come last, so that every node is
    in the order. One cycle is reported per knot that is left when the ones before are cut.
    """
    downstream = reverse(upstream)
    waiting = {node: len(set(upstream[node])) for node in upstream}
    order: list[str] = []
    cycles: list[tuple[str, ...]] = []
    _release(sorted(n for n, count in waiting.items() if not count), waiting, downstream, order)
    for start in sorted(waiting):
        while start in waiting:
            cycle = _walk_to_cycle(start, upstream, waiting)
            cycles.append(cycle)
            for node in cycle:
                del waiting[node]
            order.extend(cycle)
            _release(_readers_set_free(cycle, waiting, downstream), waiting, downstream, order)
    return tuple(order), tuple(cycles)


def _release(ready: list[str], waiting: dict[str, int], downstream: Neighbours, order: list[str]) -> None:
    """Move nodes that wait for nothing from `waiting` to `order`, generation by generation."""
    while ready:
        for node in ready:
            del waiting[node]
        order.extend(ready)
        ready = _readers_set_free(ready, waiting, downstream)


def _readers_set_free(done: Iterable[str], waiting: dict[str, int], downstream: Neighbours) -> list[str]:
    free: list[str] = []
    for node in done:
        for reader in dict.fromkeys(downstream[node]):
            if reader in waiting:
                waiting[reader] -= 1
                if not waiting[reader]:
                    free.append(reader)
    return sorted(free)


def _walk_to_cycle(start: str, upstream: Neighbours, waiting: Mapping[str, int]) -> tuple[str, ...]:
    """Follow what is still waited for until a node comes again; every waiting node waits for another."""
    seen: dict[str, int] = {}
    path: list[str] = []
    node = start
    while node not in seen:
        seen[node] = len(path)
        path.append(node)
        node = min(origin for origin in upstream[node] if origin in waiting)
    cycle = path[seen[node] :]
    first = cycle.index(min(cycle))
    return tuple(cycle[first:] + cycle[:first])


def reach(neighbours: Neighbours, start: Iterable[str], hops: int | None = None) -> dict[str, int]:
    """Every node within `hops` steps of `start` (any number when None) with its distance; start has 0."""
    distance = dict.fromkeys(start, 0)
    queue = deque(distance)
    while queue:
        node = queue.popleft()
        if hops is not None and distance[node] >= hops:
            continue
        for neighbour in neighbours.get(node, ()):
            if neighbour not in distance:
                distance[neighbour] = distance[node] + 1
                queue.append(neighbour)
    return distance

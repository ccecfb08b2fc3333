"""Places the boxes of a layered graph: left to right by longest path, few crossings, straight lines.

Time grows with edges × sweeps; nothing is random, so equal input gives equal pictures.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from raymesh.mesh.order import reverse, topological

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GAP_X = 56.0
GAP_Y = 14.0
SWEEPS = 8

Link = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Box:
    """A placed node: its upper left corner and size, in the units of the sizes given."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Boxes by node, and for every link the points between its two boxes where it bends: it enters and leaves
    each layer it crosses at the same height, clear of the boxes there."""

    width: float
    height: float
    boxes: Mapping[str, Box]
    bends: Mapping[Link, tuple[tuple[float, float], ...]]


def place(sizes: Mapping[str, tuple[float, float]], links: Iterable[Link]) -> Placement:
    """Place nodes of the given (width, height); each link goes from a node to one further right.

    Links to unknown nodes, loops and the links that close a circle are left out of `bends`.
    """
    wanted = [(a, b) for a, b in dict.fromkeys(links) if a in sizes and b in sizes and a != b]
    work = _Work.start(sizes, wanted)
    _reduce_crossings(work)
    return _coordinates(work)


@dataclass(slots=True)
class _Work:
    """Layers of nodes; a link over several layers is a chain through helper nodes, one per layer between."""

    sizes: dict[str, tuple[float, float]]
    layers: list[list[str]]
    chains: dict[Link, tuple[str, ...]]
    helpers: set[str] = field(default_factory=set)
    left: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    right: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def start(cls, sizes: Mapping[str, tuple[float, float]], links: Sequence[Link]) -> _Work:
        ranks = _ranks(sizes, links)
        layers: list[list[str]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
        for node in sizes:
            layers[ranks[node]].append(node)
        work = cls(dict(sizes), layers, {})
        for link in links:
            if ranks[link[0]] < ranks[link[1]]:
                work.add_chain(link, ranks)
        return work

    def add_chain(self, link: Link, ranks: Mapping[str, int]) -> None:
        start, end = link
        between = [f"\0{start}\0{end}\0{r}" for r in range(ranks[start] + 1, ranks[end])]
        for rank, node in enumerate(between, ranks[start] + 1):
            self.helpers.add(node)
            self.sizes[node] = (0.0, 0.0)
            self.layers[rank].append(node)
        chain = (start, *between, end)
        self.chains[link] = chain
        for a, b in pairwise(chain):
            self.right[a].append(b)
            self.left[b].append(a)


def _ranks(nodes: Iterable[str], links: Sequence[Link]) -> dict[str, int]:
    """Longest path from the left; nodes that nothing leads to stand right before what they lead to."""
    upstream: dict[str, list[str]] = {n: [] for n in nodes}
    for a, b in links:
        upstream[b].append(a)
    order, _ = topological(upstream)
    downstream = reverse(upstream)
    ranks: dict[str, int] = {}
    for node in order:
        ranks[node] = max((ranks[u] + 1 for u in upstream[node] if u in ranks), default=0)
    for node in order:
        if not upstream[node] and downstream[node]:
            ranks[node] = max(0, min(ranks[d] for d in downstream[node]) - 1)
    return ranks


# order within layers


def _reduce_crossings(work: _Work) -> None:
    best = [list(layer) for layer in work.layers]
    fewest = _crossings(work)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        _sweep(work, rightward=sweep % 2 == 0)
        found = _crossings(work)
        if found < fewest:
            fewest, best = found, [list(layer) for layer in work.layers]
    work.layers = best


def _sweep(work: _Work, *, rightward: bool) -> None:
    neighbours = work.left if rightward else work.right
    layers = work.layers if rightward else work.layers[::-1]
    for fixed, layer in pairwise(layers):
        at = {n: i for i, n in enumerate(fixed)}
        medians = {n: _median([at[m] for m in neighbours[n] if m in at], i) for i, n in enumerate(layer)}
        layer.sort(key=lambda n: medians[n])


def _median(positions: list[int], otherwise: int) -> float:
    if not positions:
        return float(otherwise)
    positions.sort()
    middle = len(positions) // 2
    return float(positions[middle]) if len(positions) % 2 else (positions[middle - 1] + positions[middle]) / 2


def _crossings(work: _Work) -> int:
    """Pairs of links that cross between neighbouring layers, counted with a binary indexed tree."""
    total = 0
    for left, right in pairwise(work.layers):
        at = {n: i for i, n in enumerate(right)}
        ends = [at[m] for n in left for m in sorted(work.right[n], key=at.__getitem__)]
        tree = [0] * (len(right) + 1)
        for seen, end in enumerate(ends):
            below, i = 0, end + 1
            while i:
                below += tree[i]
                i -= i & -i
            total += seen - below
            i = end + 1
            while i <= len(right):
                tree[i] += 1
                i += i & -i
    return total


# coordinates


def _coordinates(work: _Work) -> Placement:
    middles = _middles(work)
    xs: list[float] = []
    x = 0.0
    for layer in work.layers:
        xs.append(x)
        x += max((work.sizes[n][0] for n in layer), default=0.0) + GAP_X
    top = min((middles[n] - work.sizes[n][1] / 2 for layer in work.layers for n in layer), default=0.0)
    boxes: dict[str, Box] = {}
    across: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    for layer, left in zip(work.layers, xs, strict=True):
        widest = max(work.sizes[n][0] for n in layer)
        for node in layer:
            width, height = work.sizes[node]
            if node in work.helpers:
                y = middles[node] - top
                across[node] = ((left, y), (left + widest, y))
            else:
                boxes[node] = Box(
                    left + (widest - width) / 2, middles[node] - top - height / 2, width, height
                )
    bends = {link: tuple(p for n in chain[1:-1] for p in across[n]) for link, chain in work.chains.items()}
    bottom = max((b.y + b.height for b in boxes.values()), default=0.0)
    bottom = max([bottom, *(y for (_, y), _ in across.values())])
    return Placement(max(0.0, x - GAP_X), bottom, boxes, bends)


def _middles(work: _Work) -> dict[str, float]:
    """The vertical middle of each node: drawn towards its neighbours, never out of order, never overlapping."""
    middles: dict[str, float] = {}
    for layer in work.layers:
        y = 0.0
        for node in layer:
            middles[node] = y + work.sizes[node][1] / 2
            y += work.sizes[node][1] + GAP_Y
    for sweep in range(SWEEPS):
        rightward = sweep % 2 == 0
        neighbours = work.left if rightward else work.right
        for layer in work.layers if rightward else work.layers[::-1]:
            wish = [_mean([middles[m] for m in neighbours[n]], middles[n]) for n in layer]
            middles.update(zip(layer, _spread(work, layer, wish), strict=True))
    return middles


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _spread(work: _Work, layer: list[str], wish: list[float]) -> list[float]:
    """Positions closest to `wish` that keep order and distance: runs of nodes that touch move as one."""
    offsets: list[float] = []
    offset = 0.0
    for i, node in enumerate(layer):
        if i:
            offset += (work.sizes[layer[i - 1]][1] + work.sizes[node][1]) / 2 + GAP_Y
        offsets.append(offset)
    runs: list[list[float]] = []  # [sum of wishes less offsets, count]
    for want, shift in zip(wish, offsets, strict=True):
        runs.append([want - shift, 1.0])
        while len(runs) > 1 and runs[-2][0] / runs[-2][1] > runs[-1][0] / runs[-1][1]:
            total, count = runs.pop()
            runs[-1][0] += total
            runs[-1][1] += count
    starts = [total / count for total, count in runs for _ in range(int(count))]
    return [start + shift for start, shift in zip(starts, offsets, strict=True)]

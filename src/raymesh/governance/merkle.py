"""Merkle trees as RFC 6962 defines them: hashes, a tree that only grows, proofs of content and of growth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EMPTY = hashlib.sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(content: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree of `size` leaves, known by the roots of its perfect subtrees, the largest first.

    That is all that is needed to add leaves: at most 64 hashes however many leaves there are.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The hash that stands for all leaves."""
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def grown(self, leaves: Iterable[bytes]) -> Tree:
        """The tree with more leaves, given as hashes."""
        peaks, size = list(self.peaks), self.size
        for leaf in leaves:
            found, bit = leaf, size
            while bit & 1:
                found = node_hash(peaks.pop(), found)
                bit >>= 1
            peaks.append(found)
            size += 1
        return Tree(size, tuple(peaks))

    @property
    def whole(self) -> bool:
        """Whether there are as many peaks as a tree of this size has."""
        return len(self.peaks) == self.size.bit_count()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Tree().grown(leaves).root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from leaf `index` to the root over `leaves` (RFC 6962, 2.1.1)."""
    if len(leaves) <= 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*inclusion(leaves[:k], index), root_of(leaves[k:])]
    return [*inclusion(leaves[k:], index - k), root_of(leaves[:k])]


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` is number `index` of the `size` leaves under `root`."""
    if not 0 <= index < size:
        return False
    found, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def consistency(leaves: Sequence[bytes], size: int) -> list[bytes]:
    """The hashes that show that the first `size` leaves were only added to (RFC 6962, 2.1.2)."""
    return _consistency(leaves, size, whole=True) if 0 < size < len(leaves) else []


def _consistency(leaves: Sequence[bytes], size: int, *, whole: bool) -> list[bytes]:
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    k = _split(len(leaves))
    if size <= k:
        return [*_consistency(leaves[:k], size, whole=whole), root_of(leaves[k:])]
    return [*_consistency(leaves[k:], size - k, whole=False), root_of(leaves[:k])]


def consistent(old: tuple[int, bytes], new: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree `new` (size, root) is `old` with leaves added (RFC 9162, 2.1.4.2)."""
    (old_size, old_root), (new_size, new_root) = old, new
    if old_size in (0, new_size):
        return not proof and (old_size == 0 or old_root == new_root)
    if old_size > new_size or not proof:
        return False
    hashes = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and older == old_root and newer == new_root

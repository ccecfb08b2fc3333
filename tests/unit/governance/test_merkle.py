"""The Merkle tree against the definitions of RFC 6962, written down plainly."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raymesh.governance.merkle import (
    EMPTY,
    Tree,
    consistency,
    consistent,
    included,
    inclusion,
    leaf_hash,
    root_of,
)


def plain_root(contents: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not contents:
        return hashlib.sha256(b"").digest()
    if len(contents) == 1:
        return hashlib.sha256(b"\x00" + contents[0]).digest()
    k = 1
    while k * 2 < len(contents):
        k *= 2
    return hashlib.sha256(b"\x01" + plain_root(contents[:k]) + plain_root(contents[k:])).digest()


def contents(size: int) -> list[bytes]:
    return [f"record {n}".encode() for n in range(size)]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(c) for c in contents(size)]


def test_roots_of_known_trees():
    """The test vectors of the certificate transparency implementations."""
    vectors = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43"]
    assert EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    roots = [root_of(leaf_hash(v) for v in vectors[:n]).hex() for n in (1, 2, 3)]
    assert roots == [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    ]


@pytest.mark.parametrize("size", range(40))
def test_a_tree_that_grows_has_the_root_of_the_whole(size):
    tree = Tree()
    for leaf in leaves(size):
        tree = tree.grown([leaf])
    assert tree.size == size
    assert tree.whole
    assert tree.root == plain_root(contents(size))


@given(st.lists(st.integers(1, 9), max_size=8))
def test_it_does_not_matter_in_which_portions_a_tree_grows(portions):
    tree, done, everything = Tree(), 0, leaves(sum(portions))
    for portion in portions:
        tree = tree.grown(everything[done : done + portion])
        done += portion
    assert tree == Tree().grown(everything)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_leaf_is_proved_and_nothing_else(size):
    every = leaves(size)
    root = root_of(every)
    for index in range(size):
        proof = inclusion(every, index)
        assert included(every[index], index, size, proof, root)
        assert not included(every[index], (index + 1) % size, size, proof, root) or size == 1
        assert not included(leaf_hash(b"other"), index, size, proof, root)
        assert not included(every[index], index, size, [*proof, root], root)
        assert not included(every[index], index, size, proof, leaf_hash(b"other"))
        if proof:
            assert not included(every[index], index, size, proof[:-1], root)
            assert not included(every[index], index, size, [*proof[:-1], bytes(32)], root)
    assert not included(every[0], size, size, [], root)
    assert not included(every[0], -1, size, [], root)


@pytest.mark.parametrize("size", range(1, 26))
def test_growth_is_proved_and_a_rewrite_is_not(size):
    every = leaves(size)
    new = size, root_of(every)
    for old_size in range(size + 1):
        old = old_size, root_of(every[:old_size])
        proof = consistency(every, old_size)
        assert consistent(old, new, proof)
        if 0 < old_size < size:
            assert not consistent((old_size, leaf_hash(b"other")), new, proof)
            assert not consistent(old, (size, leaf_hash(b"other")), proof)
            assert not consistent(old, new, [*proof, bytes(32)])
            assert not consistent(old, new, [])
            assert not consistent(new, old, proof)
            rewritten = [leaf_hash(b"other"), *every[1:]]
            assert not consistent(old, (size, root_of(rewritten)), consistency(rewritten, old_size))


def test_a_tree_knows_when_it_is_torn():
    tree = Tree().grown(leaves(5))
    assert not Tree(5, tree.peaks[:1]).whole

"""A mark of everything that decides about a product's rows, part by part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

WORDS = {
    "transform": "its transform changed",
    "contract": "its contract changed",
    "settings": "its settings changed",
    "inputs": "its inputs have new versions",
    "raymesh": "raymesh itself changed",
}


def fingerprint(parts: Mapping[str, Any]) -> str:
    """The mark of `parts`, such as `transform:0f3a… contract:91bc…`: 64 bits of SHA-256 over the canonical
    JSON of each. Equal marks mean equal parts; unequal ones tell which part differs."""
    return " ".join(f"{name}:{_digest(value)}" for name, value in sorted(parts.items()))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changed(old: str, new: str) -> tuple[str, ...]:
    """The names of the parts in which two marks differ."""
    before, after = _split(old), _split(new)
    return tuple(sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n)))


def why(parts: tuple[str, ...]) -> str:
    """What changed, for people."""
    return ", ".join(WORDS.get(p, f"{p} changed") for p in parts) or "nothing changed"


def with_part(mark: str, name: str, other: str) -> str:
    """`mark` with the part `name` as it is in `other`."""
    parts = _split(mark)
    parts |= {n: digest for n, digest in _split(other).items() if n == name}
    return " ".join(f"{n}:{digest}" for n, digest in sorted(parts.items()))


def part_of(mark: str, name: str) -> str:
    """The digest of one part, empty when the mark has no such part."""
    return _split(mark).get(name, "")


def _split(mark: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in mark.split() if ":" in part)

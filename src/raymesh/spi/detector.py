"""Detectors of what values are, found by entry point `raymesh.detectors`.

`raymesh classify` asks every one that is installed, beside its own; what they say is a proposal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from raymesh.spec.types import Type


@dataclass(frozen=True, slots=True)
class Sample:
    """Values of one column: different ones, as texts without blanks around them, shuffled, the same
    way each time; none is empty."""

    column: str
    type: Type
    values: pa.StringArray


@dataclass(frozen=True, slots=True)
class Finding:
    """A tag that values speak for: the `share` (0-1) of them that are what `words` says (`staff numbers`), and how
    sure that makes the tag (`confidence`, 0-1). Words are shown to people; they quote no value."""

    tag: str
    words: str
    share: float
    confidence: float


class Detector(Protocol):
    """Looks at one column at a time, in the process of the command."""

    def __call__(self, sample: Sample) -> Iterable[Finding]:
        """What the values are, if this detector knows them. Tags that the mesh does not have are passed over."""
        ...

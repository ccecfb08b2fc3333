"""Detectors of other programs for `raymesh classify`; their libraries are imported on use, and only where installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raymesh.spi.detector import Finding, Sample

__all__ = ["presidio"]


def presidio(sample: Sample) -> Iterable[Finding]:
    """Personal data inside free text; see `presidio_text.search`. Nothing without the extra `presidio`."""
    if find_spec("presidio_analyzer") is None:
        return ()
    from raymesh.adapters.detectors.presidio_text import search

    return search(sample)

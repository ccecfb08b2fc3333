"""Version numbers of contracts: which part a change raises."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raymesh.spec.change import Grade

_NUMBERED = re.compile(r"(v?)(\d+)(?:\.(\d+))?(?:\.(\d+)(?:[-+][0-9A-Za-z.+-]+)?)?", re.ASCII)
FIRST = "1.0.0"


def major_of(version: str) -> int:
    """The major part; 0 for a version that is no number (`draft`, `2024-01-15`)."""
    match = _NUMBERED.fullmatch(version.strip())
    return int(match[2]) if match else 0


def raised(version: str, grade: Grade | None) -> str:
    """The next version after a change of this grade, as long as the version itself: `1.2` becomes `1.3`.

    Suffixes for previews and builds are dropped. What is no number becomes 1.0.0; without a change it stays.
    """
    if grade is None:
        return version
    match = _NUMBERED.fullmatch(version.strip())
    if match is None:
        return FIRST
    prefix, *texts = match.groups()
    size = sum(t is not None for t in texts)
    parts = [int(t or 0) for t in texts]
    at = {"major": 0, "minor": 1, "patch": 2}[grade]
    parts = [*parts[:at], parts[at] + 1, *(0 for _ in parts[at + 1 :])]
    return prefix + ".".join(str(p) for p in parts[: max(size, at + 1)])

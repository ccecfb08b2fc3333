"""The quality score: one number between 0 and 1 for a verdict.

Every judged check (pass, fail, warn) has a share: checks that count rows against an upper limit
contribute the share of rows that are fine, 1 - violations / rows, so one bad row in a million costs
a millionth; all others contribute 1 when they pass and 0 when not. Within a dimension shares are
averaged with the weight of their severity (error 4, warning 2, info 1); the score is the plain mean over
the dimensions that were judged. Checks that were not judged (error, skip, not executed) do not count:
they block or are visible by themselves. Without any judged check there is no score.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raymesh.quality.model import CheckResult

WEIGHTS = {"info": 1, "information": 1, "warning": 2, "warn": 2}
DEFAULT_WEIGHT = 4
JUDGED = ("pass", "fail", "warn")
NO_DIMENSION = "conformity"

_COUNTING = ("row", "key", "reference")
_UPPER_LIMITS = ("mustBe", "mustBeLessThan", "mustBeLessOrEqualTo", "mustBeBetween")


def score_of(results: Iterable[tuple[CheckResult, int | None]], rows: int) -> float | None:
    """The score of results with the violations each counted (None for checks that count none)."""
    sums: dict[str, tuple[Fraction, int]] = {}
    for result, violations in results:
        if result.status not in JUDGED:
            continue
        dimension = result.check.dimension or NO_DIMENSION
        weight = WEIGHTS.get(result.check.severity.lower(), DEFAULT_WEIGHT)
        share, weights = sums.get(dimension, (Fraction(0), 0))
        sums[dimension] = share + weight * _share(result, violations, rows), weights + weight
    if not sums:
        return None
    return float(sum(share / weights for share, weights in sums.values()) / len(sums))


def below_minimum(score: float | None, minimum: float | None) -> str | None:
    """Why `score` does not reach `minimum`, or None when it does or nothing is demanded.

    Without a score a demanded minimum is not reached.
    """
    if minimum is None or minimum <= 0:
        return None
    if score is None:
        return f"nothing was judged, but the minimum quality is {minimum}"
    return f"quality score {score:.4f} is below the minimum {minimum}" if score < minimum else None


def _share(result: CheckResult, violations: int | None, rows: int) -> Fraction:
    check = result.check
    counts = check.kind in _COUNTING and violations is not None and rows > 0
    if counts and check.threshold.operator in _UPPER_LIMITS:
        return max(Fraction(0), 1 - Fraction(violations or 0, rows))
    return Fraction(result.status == "pass")

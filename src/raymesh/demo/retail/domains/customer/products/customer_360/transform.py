"""Tier and lifecycle stage of each household, batch by batch over the rows of transform.sql."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raymesh import batch

TIERS = (
    ("platinum", 20_000.0),
    ("gold", 10_000.0),
    ("silver", 4_000.0),
)  # lifetime value at least, US dollars
NEW_WITHIN_DAYS = 60
AT_RISK_AFTER_DAYS = 30
LAPSED_AFTER_DAYS = 90
GROWTH = 1.2  # the last half year against the one before
DECLINE = 0.8

Numbers = npt.NDArray[np.float64]


def numbers(batch: pa.Table, column: str) -> Numbers:
    values: Numbers = pc.cast(batch[column], pa.float64()).combine_chunks().to_numpy(zero_copy_only=False)
    return values


def tiers(lifetime_value: Numbers) -> pa.Array:
    """The highest tier whose threshold the value reaches, bronze below all of them."""
    reached = [lifetime_value >= threshold for _, threshold in TIERS]
    return pa.array(np.select(reached, [name for name, _ in TIERS], default="bronze"))


def stages(recency: Numbers, tenure: Numbers, recent: Numbers, previous: Numbers) -> pa.Array:
    """Silence speaks first, then youth, then the trend of spending."""
    rules = {
        "lapsed": recency > LAPSED_AFTER_DAYS,
        "at_risk": recency > AT_RISK_AFTER_DAYS,
        "new": tenure <= NEW_WITHIN_DAYS,
        "growing": recent >= GROWTH * previous,
        "declining": recent <= DECLINE * previous,
    }
    return pa.array(np.select(list(rules.values()), list(rules), default="established"))


@batch(size=65536)
def transform(batch: pa.Table) -> pa.Table:
    stage = stages(
        *(numbers(batch, c) for c in ("recency_days", "tenure_days", "recent_value", "previous_value"))
    )
    return batch.append_column(
        "customer_tier", tiers(numbers(batch, "customer_lifetime_value"))
    ).append_column("lifecycle_stage", stage)

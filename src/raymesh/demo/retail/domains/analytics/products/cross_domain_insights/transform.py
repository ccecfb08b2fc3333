"""Churn risk of a household in the light of one category: a logistic score with fixed, written weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raymesh import batch

INTERCEPT = -1.5
WEIGHT_SILENCE = 0.9  # per usual gap between baskets that has passed without a visit, at most five
WEIGHT_CATEGORY_SILENCE = 0.8  # per quarter year without the category, at most four
WEIGHT_TREND = -1.0  # category spend of the last half year against the one before, from -1 to 1
WEIGHT_ENGAGEMENT = -2.0  # engagement score from 0 to 1
USUAL_GAP_DAYS = 14.0  # for a household seen once

Numbers = npt.NDArray[np.float64]


def numbers(batch: pa.Table, column: str, missing: float = 0.0) -> Numbers:
    filled = pc.fill_null(pc.cast(batch[column], pa.float64()), missing)
    values: Numbers = filled.combine_chunks().to_numpy(zero_copy_only=False)
    return values


def risk(batch: pa.Table) -> Numbers:
    gap = np.maximum(numbers(batch, "average_days_between_baskets", USUAL_GAP_DAYS), 1.0)
    score = (
        INTERCEPT
        + WEIGHT_SILENCE * np.minimum(numbers(batch, "recency_days") / gap, 5.0)
        + WEIGHT_CATEGORY_SILENCE * np.minimum(numbers(batch, "category_recency_days") / 91.0, 4.0)
        + WEIGHT_TREND * numbers(batch, "category_trend")
        + WEIGHT_ENGAGEMENT * numbers(batch, "engagement_score") / 100.0
    )
    return 1.0 / (1.0 + np.exp(-score))


@batch(size=65536)
def transform(batch: pa.Table) -> pa.Table:
    return batch.append_column("contextual_churn_risk", pa.array(np.round(risk(batch), 4)))

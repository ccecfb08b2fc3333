"""Great Expectations: one expectation in the contract, judged on all rows.

quality:
  - type: custom
    engine: great-expectations
    implementation: {type: expect_column_values_to_be_between, kwargs: {column: amount, min_value: 0}}
"""

from __future__ import annotations

import os
from typing import Any

from raymesh.adapters.checks.frame import frame
from raymesh.errors import MissingExtraError, UsageError


def broken_rows(implementation: Any, rows: Any) -> int:
    """How many rows break an expectation; one when it is about the table as a whole and does not hold.

    Raises UsageError for what is no expectation or cannot be evaluated, MissingExtraError.
    """
    kind, kwargs = _said(implementation)
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # nothing about rules leaves this machine
    try:
        import great_expectations as gx
        from great_expectations.expectations.registry import get_expectation_impl
    except ImportError:
        raise MissingExtraError("rules of Great Expectations", "great-expectations") from None
    refusals: Any = gx.exceptions
    try:
        expectation = get_expectation_impl(kind)(**kwargs)
    except refusals.ExpectationNotFoundError:
        raise UsageError(f"Great Expectations has no expectation {kind!r}") from None
    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    data = context.data_sources.add_pandas("judged").add_dataframe_asset("rows")
    whole = data.add_batch_definition_whole_dataframe("all")
    found = frame(rows, "Great Expectations", "great-expectations")
    batch = whole.get_batch(batch_parameters={"dataframe": found})
    return _rows(kind, batch.validate(expectation))


def _said(implementation: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(implementation, dict):
        kind = implementation.get("type") or implementation.get("expectation_type")
        kwargs = implementation.get("kwargs") or {}
        if isinstance(kind, str) and isinstance(kwargs, dict):
            return kind, kwargs
    raise UsageError("a rule of Great Expectations is one expectation: `type` and `kwargs`")


def _rows(kind: str, result: Any) -> int:
    information = result.exception_info or {}
    inner = [v for v in information.values() if isinstance(v, dict)]
    if any(i.get("raised_exception") or i.get("exception_message") for i in (information, *inner)):
        raise UsageError(f"{kind} could not be evaluated on these rows")
    if result.success:
        return 0
    return max(int((result.result or {}).get("unexpected_count") or 1), 1)

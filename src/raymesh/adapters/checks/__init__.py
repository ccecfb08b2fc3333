"""Rules of other programs as `custom` checks. Each module answers for one engine; its library is imported on use.

An adapter is called with the rule's `implementation` and the judged rows (a DuckDB relation). It answers with the
number of rows that break the rule, or whether it holds; what it raises makes the check an `error`, which blocks.
"""

from __future__ import annotations

from typing import Any

__all__ = ["great_expectations", "pandera", "soda"]


def pandera(implementation: Any, rows: Any) -> int:
    """Rows that a pandera schema refuses; see `pandera_schema.broken_rows`."""
    from raymesh.adapters.checks.pandera_schema import broken_rows

    return broken_rows(implementation, rows)


def great_expectations(implementation: Any, rows: Any) -> int:
    """Rows that break an expectation; see `expectations.broken_rows`."""
    from raymesh.adapters.checks.expectations import broken_rows

    return broken_rows(implementation, rows)


def soda(implementation: Any, rows: Any) -> int:
    """Rows that break the checks of a Soda contract; see `soda_contract.broken_rows`."""
    from raymesh.adapters.checks.soda_contract import broken_rows

    return broken_rows(implementation, rows)

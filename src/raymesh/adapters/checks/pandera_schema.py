"""pandera: a schema of columns in the contract, judged on all rows.

quality:
  - type: custom
    engine: pandera
    implementation:
      columns: {amount: {nullable: false, checks: {greater_than_or_equal_to: 0}}}
      unique: [id, day]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raymesh.adapters.checks.frame import frame
from raymesh.errors import MissingExtraError, UsageError

_COLUMN = frozenset({"nullable", "unique", "checks"})
_SCHEMA = frozenset({"columns", "unique"})


def broken_rows(implementation: Any, rows: Any) -> int:
    """How many rows a schema refuses; one when it refuses the table as a whole.

    Raises UsageError for what is no schema or cannot be run on these rows, MissingExtraError.
    """
    try:
        import pandera.errors
        import pandera.pandas as pa
    except ImportError:
        raise MissingExtraError("rules of pandera", "pandera") from None
    schema = _schema(pa, _said(implementation))
    found = frame(rows, "pandera", "pandera")
    missing = [c for c in (*schema.columns, *(schema.unique or ())) if c not in found.columns]
    if missing:
        raise UsageError(f"the schema names columns that are not there: {', '.join(missing)}")
    try:
        schema.validate(found, lazy=True)
    except pandera.errors.SchemaErrors as refused:
        return _count(refused.failure_cases)
    return 0


def _said(implementation: Any) -> Mapping[str, Any]:
    if isinstance(implementation, str):
        import yaml

        try:
            implementation = yaml.safe_load(implementation)
        except yaml.YAMLError:
            implementation = None
    if not isinstance(implementation, dict) or not implementation.keys() <= _SCHEMA or not implementation:
        raise UsageError("a rule of pandera is a schema: a mapping with `columns` and `unique`")
    return implementation


def _schema(pa: Any, said: Mapping[str, Any]) -> Any:
    columns = {name: _column(pa, name, column or {}) for name, column in (said.get("columns") or {}).items()}
    return pa.DataFrameSchema(columns, unique=said.get("unique"))


def _column(pa: Any, name: str, said: Any) -> Any:
    if not isinstance(said, dict) or not said.keys() <= _COLUMN:
        raise UsageError(
            f"column {name}: a schema says {', '.join(sorted(_COLUMN))} of a column, nothing else"
        )
    checks = [_check(pa, check, value) for check, value in (said.get("checks") or {}).items()]
    nullable, unique = bool(said.get("nullable", True)), bool(said.get("unique"))
    return pa.Column(checks=checks, nullable=nullable, unique=unique)


def _check(pa: Any, name: str, value: Any) -> Any:
    """A check that pandera brings along, with its arguments: a mapping of them, or the only one."""
    if name.startswith("_") or not hasattr(pa.Check, name):
        raise UsageError(f"pandera has no check {name!r}")
    try:
        make = getattr(pa.Check, name)
        return make(**value) if isinstance(value, dict) else make(value)
    except (AttributeError, TypeError, ValueError) as problem:
        raise UsageError(f"pandera cannot make the check {name!r}: {problem}") from None


def _count(cases: Any) -> int:
    """Rows with a failure; what refuses a column or the table as a whole counts as one row.

    Raises UsageError when a check could not be run: pandera tells that as a failure too.
    """
    if cases["failure_case"].astype(str).str.contains(r"^\w*(?:Error|Exception)\(", regex=True).any():
        raise UsageError("pandera could not run a check on values of these types")
    return max(int(cases["index"].dropna().nunique()), 1)

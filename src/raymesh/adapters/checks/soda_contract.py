"""Soda: the checks of a Soda contract, judged on all rows.

quality:
  - type: custom
    engine: soda
    implementation:
      columns: [{name: amount, checks: [{missing: }, {invalid: {valid_min: 0}}]}]
      checks: [{row_count: }]
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from raymesh.adapters.checks.frame import whole
from raymesh.errors import UsageError

_SOURCE = "judged"
_COUNTS = ("missing_count", "invalid_count", "duplicate_count", "failed_rows_count")


def broken_rows(implementation: Any, rows: Any) -> int:
    """How many rows break the check that most rows break; one when only checks of the table as a whole fail.

    Raises UsageError for what is no contract or cannot be evaluated on these rows, and when Soda is not installed.
    """
    said = _said(implementation)
    os.environ["SODA_CORE_TELEMETRY_ENABLED"] = "false"  # nothing about rules leaves this machine
    try:
        from soda_core.contracts.contract_verification import ContractVerificationSession
        from soda_duckdb.common.data_sources.duckdb_data_source import DuckDBDataSourceImpl
    except ImportError:
        raise UsageError(
            "rules of Soda need the package soda-duckdb, which is not installed",
            hint="pip install soda-duckdb, after reading its licence: it is not open source",
        ) from None
    con = _database(rows, said)
    try:
        source = DuckDBDataSourceImpl.from_existing_cursor(con, _SOURCE)
        return _judged(ContractVerificationSession, source, said)
    finally:
        con.close()


def _said(implementation: Any) -> Mapping[str, Any]:
    if isinstance(implementation, str):
        import yaml

        try:
            implementation = yaml.safe_load(implementation)
        except yaml.YAMLError:
            implementation = None
    if not isinstance(implementation, dict) or not implementation.keys() & {"columns", "checks"}:
        raise UsageError("a rule of Soda is a Soda contract: a mapping with `columns` or `checks`")
    return {"columns": [], **implementation, "dataset": f"{_SOURCE}/main/rows"}


def _database(rows: Any, said: Mapping[str, Any]) -> Any:
    """The rows as table `rows` of a database that reaches nothing else."""
    import duckdb

    found = whole(rows, "Soda")
    columns = [c.get("name") for c in said["columns"] or () if isinstance(c, dict)]
    if missing := [str(c) for c in columns if c not in found.column_names]:
        raise UsageError(f"the Soda contract names columns that are not there: {', '.join(missing)}")
    con = duckdb.connect()
    con.register("arriving", found)
    con.execute("CREATE TABLE rows AS FROM arriving")
    con.unregister("arriving")
    con.execute("SET enable_external_access = false; SET lock_configuration = true")
    return con


def _judged(session: Any, source: Any, said: Mapping[str, Any]) -> int:
    import json

    from soda_core.common.exceptions import SodaCoreException
    from soda_core.common.yaml import ContractYamlSource

    text = ContractYamlSource.from_str(json.dumps(said))
    try:
        found = session.execute(contract_yaml_sources=[text], data_source_impls=[source])
    except SodaCoreException as problem:
        raise UsageError(f"Soda cannot read the contract: {problem}") from None
    results = [r for one in found.contract_verification_results for r in one.check_results]
    if not results:  # then nothing was asked of the rows, and what Soda says is about the contract
        said_of_it = " ".join(found.get_errors_str().split()) or "it has no check"
        raise UsageError(f"Soda cannot use the contract: {said_of_it}"[:300])
    return _broken(results, found.has_errors)


def _broken(results: Sequence[Any], has_errors: bool) -> int:
    """Raises UsageError when a check has no outcome: what Soda says then may quote rows, so it is not repeated."""
    if open_ := [r.check.name for r in results if not (r.is_passed or r.is_warned or r.is_failed)]:
        raise UsageError(f"Soda could not evaluate these rows: {', '.join(map(str, open_))}")
    if has_errors:
        raise UsageError("Soda met errors beside its checks, so their outcomes prove nothing")
    failed = [r.diagnostic_metric_values or {} for r in results if r.is_failed]
    return max((int(values.get(name) or 1) for values in failed for name in _COUNTS), default=0)

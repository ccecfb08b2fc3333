"""A few violating rows per broken check, as JSON values, with sensitive columns masked."""

from __future__ import annotations

import math
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.keys import key_of
from raymesh.engines.kernel.partners import orphan_rows
from raymesh.engines.kernel.predicates import predicate_sql
from raymesh.engines.kernel.sqltext import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raymesh.engines.kernel.rows import Table
    from raymesh.mesh.plan import Scan
    from raymesh.quality.model import Check, FileState

MASK = "***"
MOST = 5
_LONGEST = 200


def sample(
    table: Table, check: Check, states: Mapping[str, FileState], inputs: Mapping[str, Scan | Table]
) -> tuple[Mapping[str, Any], ...]:
    """Up to five rows that break `check`; of key checks values with the number of their rows under `$rows`."""
    names = [c for c in check.shown or check.columns if table.schema.find(c)]
    if check.kind == "key":
        return _duplicates(table, check)
    selected = ", ".join(quote(n) for n in names) or "1"
    if check.kind == "reference":
        rows = f"SELECT * FROM {orphan_rows(table, check, inputs, selected)} LIMIT {MOST}"
    elif check.violates is not None:
        files = [f for f in table.files if f not in states or states[f].violations.get(check.id) != 0]
        where = predicate_sql(check.violates, table.schema, exact_null=False)
        rows = f"SELECT {selected} FROM {table.rows(files)} WHERE {where} LIMIT {MOST}"
    else:
        return ()
    return tuple(_shown(check, names, row) for row in table.all(rows))


def _duplicates(table: Table, check: Check) -> tuple[Mapping[str, Any], ...]:
    key = key_of(check, table)
    names = [".".join(path) for path in sorted(key.names)]
    sql = f"SELECT {key.columns}, count(*) AS c FROM {key.of(table.rows())} GROUP BY {key.columns} HAVING c > 1 LIMIT {MOST}"
    return tuple({**_shown(check, names, row[:-1]), "$rows": int(row[-1])} for row in table.all(sql))


def _shown(check: Check, names: Sequence[str], row: Sequence[Any]) -> Mapping[str, Any]:
    hidden = {n for n in names if n.split(".")[0] in check.masked}
    return {
        n: MASK if n in hidden and v is not None else json_value(v) for n, v in zip(names, row, strict=False)
    }


def json_value(value: Any) -> Any:  # noqa: PLR0911 - one line per kind of value
    """A value of a row as JSON: exact numbers and times as text, long texts cut."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
        case bytes():
            return json_value(value.hex())
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [json_value(v) for v in value[:20]]
        case dict():
            return {str(k): json_value(v) for k, v in list(value.items())[:20]}
        case Decimal():
            return str(value)
    return str(value)

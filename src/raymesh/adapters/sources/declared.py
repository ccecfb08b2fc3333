"""The declared shape of a source against the shape it has: every difference at once, then exact conversion."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import duckdb

from raymesh.adapters.sources.exact import from_typed, or_error
from raymesh.spi.scan_sql import identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raymesh.adapters.sources.settings import Settings
    from raymesh.errors import SourceError

NOT_EXACT = "raymesh: not exact"
"""How an error raised inside a query starts when a value does not convert: it goes on `: column<TAB>value`."""


def declared_types(con: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, Any]:
    """Declared columns with their DuckDB types; raises SourceError that lists every unknown type."""
    found, problems = {}, []
    for name, text in settings.columns:
        try:
            found[name] = _microseconds(con.type(text))
        except duckdb.Error:
            problems.append(f"column {name}: no type is called {text!r}")
    if problems:
        raise mismatch(settings, problems)
    return found


def _microseconds(kind: Any) -> Any:
    return duckdb.type("TIMESTAMP") if kind.id in {"timestamp_s", "timestamp_ms", "timestamp_ns"} else kind


def mismatch(settings: Settings, problems: Sequence[str]) -> SourceError:
    """One error for all differences between what is declared and what is there."""
    listed = "\n".join(f"  - {p}" for p in problems)
    return settings.error(
        f"its columns are not the declared ones ({len(problems)} problem{'s' if len(problems) > 1 else ''}):\n{listed}",
        "correct `columns` of the source, or what writes it",
    )


def missing(name: str, present: Iterable[str]) -> str:
    """The sentence for a declared column that is not there, with a close name if there is one."""
    known = list(present)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    folded = [k for k in known if k.casefold() == name.casefold()]
    near = (folded or close)[:1]
    return f"column {name} is missing" + (f"; did you mean {near[0]}?" if near else "")


def duplicates(names: Iterable[str]) -> list[str]:
    """A sentence for every column name that comes twice; case makes no difference in SQL."""
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(name.casefold(), []).append(name)
    return [
        f"column name {' and '.join(same)} comes {len(same)} times" for same in seen.values() if len(same) > 1
    ]


def projection(settings: Settings, present: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The select list that makes a typed table the declared one; extra columns are left out.

    Without declared columns all are taken as they are. Raises SourceError that lists every missing column
    and every column of another type, lossless widening accepted.
    """
    if not wanted:
        return ", ".join(identifier(name) for name in present)
    problems, columns = [], []
    for name, target in wanted.items():
        if name not in present:
            problems.append(missing(name, present))
            continue
        exact = from_typed(identifier(name), present[name], target)
        if exact is None:
            problems.append(f"column {name} is {present[name]}, declared {target}")
        else:
            columns.append(f"{or_error(identifier(name), exact, not_exact(name))} AS {identifier(name)}")
    if problems:
        raise mismatch(settings, problems)
    return ", ".join(columns)


def not_exact(column: str) -> str:
    """What a query raises for a value of `column`, followed by a tab and the value."""
    return f"{NOT_EXACT}: {column}"


def read_not_exact(message: str) -> tuple[str, str] | None:
    """(column, value) when a query's error says that a value did not convert."""
    _, found, rest = message.partition(f"{NOT_EXACT}: ")
    column, tab, value = rest.partition("\t")
    return (column, value) if found and tab else None

"""Evidence of all products at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, delete, insert, select

from raymesh.adapters.state import evidence, runs, versions
from raymesh.adapters.state import schema as tables
from raymesh.adapters.state.values import from_micros, to_micros
from raymesh.spi.state import LineageEdge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Column, Connection, Row

    from raymesh.adapters.state.store import SqlStateStore
    from raymesh.spi.evidence import Broken
    from raymesh.spi.state import CheckRecord, Run, Transaction, Version

_MANY = 500
"""Beyond that many runs all rows are read and the wanted ones picked: databases bound the parameters."""


class SqlEvidence:
    """`Evidence` of a state store."""

    def __init__(self, store: SqlStateStore) -> None:
        self._store = store

    def versions(self, within: Transaction | None = None) -> Sequence[tuple[Version, bool]]:
        """Every version that can still be read, and whether it is the current one."""
        with self._store.reading(within) as connection:
            return versions.readable(connection)

    def checks(
        self, runs: Iterable[str], within: Transaction | None = None
    ) -> Sequence[tuple[str, str, CheckRecord]]:
        """(run, port, result) for the runs named."""
        query = select(tables.checks).order_by(
            tables.checks.c.run_id, tables.checks.c.port, tables.checks.c.ordinal
        )
        with self._store.reading(within) as connection:
            rows = _of_runs(connection, query, tables.checks.c.run_id, runs)
            return [(row.run_id, row.port, evidence.check_of(row)) for row in rows]

    def lineage(
        self, runs: Iterable[str], within: Transaction | None = None
    ) -> Sequence[tuple[str, LineageEdge]]:
        """(product, edge) for the runs named."""
        query = select(tables.lineage).order_by(tables.lineage.c.run_id, tables.lineage.c.ordinal)
        with self._store.reading(within) as connection:
            rows = _of_runs(connection, query, tables.lineage.c.run_id, runs)
            return [
                (row.product, LineageEdge(row.column_name, row.source, row.source_column, row.kind))
                for row in rows
            ]

    def runs(self, limit: int, within: Transaction | None = None) -> Sequence[Run]:
        """The latest runs of all products."""
        with self._store.reading(within) as connection:
            return runs.find(connection, {}, limit)

    def since(
        self, broken: Iterable[Broken], now: datetime, product: str | None = None
    ) -> Mapping[Broken, datetime]:
        """Note what is broken now, and say since when each is."""
        wanted = dict.fromkeys(broken)
        noted = tables.violations
        query = select(noted) if product is None else select(noted).where(noted.c.product == product)
        with self._store.writing() as connection:
            known = {(r.rule, r.product, r.port, r.column_name): r.since for r in connection.execute(query)}
            for key in known.keys() - wanted.keys():
                place = zip(
                    (noted.c.rule, noted.c.product, noted.c.port, noted.c.column_name), key, strict=True
                )
                connection.execute(delete(noted).where(*(c == v for c, v in place)))
            new = [
                dict(zip(_PLACE, key, strict=True), since=to_micros(now))
                for key in wanted
                if key not in known
            ]
            if new:
                connection.execute(insert(noted), new)
        return {key: from_micros(known[key]) if key in known else now for key in wanted}


_PLACE = ("rule", "product", "port", "column_name")


def _of_runs(
    connection: Connection, query: Select[Any], column: Column[Any], runs_: Iterable[str]
) -> Iterator[Row[Any]]:
    wanted = frozenset(runs_)
    if len(wanted) <= _MANY:
        query = query.where(column.in_(sorted(wanted)))
    return (row for row in connection.execute(query) if row.run_id in wanted)

"""Effective tags: a column's own and those of everything it is computed from, through the whole mesh.

Tags grow along lineage until nothing changes, so circles that history leaves (a product once read another that
reads it today) do no harm. A tag that was lowered stops where it was lowered, and only for the versions that
the review was about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from raymesh.governance.classification import EVERY, ColumnRecord, Key, Origin, PortRecord
from raymesh.spec.documents import DEFAULT_PORT

Look: TypeAlias = Callable[[Iterable[Key]], Mapping[Key, PortRecord]]
"""Gives the records of ports; those that have none are left out."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What a column counts as. `inherited` are the tags that came with inputs alone."""

    tags: frozenset[str] = frozenset()
    classified: bool = False
    inherited: frozenset[str] = frozenset()


NOTHING = Effective()
_Node: TypeAlias = tuple[Key, int, int]
"""A column at a version: (port, field id, version; 0 for none in particular, where nothing counts as lowered)."""


def key_of(table: str) -> Key:
    """The port behind a table's name."""
    product, _, port = table.partition("__")
    return product, port or DEFAULT_PORT


def gather(keys: Iterable[Key], look: Look) -> dict[Key, PortRecord]:
    """The records of `keys` and of everything they come from, one look per step of lineage."""
    found: dict[Key, PortRecord] = {}
    wanted = set(keys)
    asked: set[Key] = set()
    while wanted:
        asked |= wanted
        new = look(sorted(wanted))
        found |= new
        wanted = {key_of(o.table) for r in new.values() for c in r.columns.values() for o in c.origins}
        wanted -= asked
    return found


def effective(
    wanted: Iterable[tuple[Key, int]], records: Mapping[Key, PortRecord]
) -> dict[tuple[Key, int], dict[int, Effective]]:
    """For each wanted (port, version) its columns by field id. `records` must hold all they come from."""
    spread = _Spread(records)
    out = {}
    for key, version in dict.fromkeys(wanted):
        record = records.get(key)
        nodes = {id_: (key, id_, version) for id_ in (record.columns if record else ())}
        for node in nodes.values():
            spread.add(node)
        out[key, version] = nodes
    spread.settle()
    return {place: {id_: spread.of(node) for id_, node in nodes.items()} for place, nodes in out.items()}


class _Spread:
    """Columns and their inputs as a graph; tags and `classified` grow in it to a fixed point."""

    def __init__(self, records: Mapping[Key, PortRecord]) -> None:
        self.records = records
        self.own: dict[_Node, frozenset[str]] = {}
        self.tags: dict[_Node, set[str]] = {}
        self.classified: dict[_Node, bool] = {}
        self.inputs: dict[_Node, list[tuple[Origin, tuple[_Node, ...]]]] = {}
        self.readers: dict[_Node, set[_Node]] = {}

    def add(self, start: _Node) -> None:
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node in self.tags:
                continue
            record, column = self._column(node)
            self.own[node] = own_tags(record, column, node[2])
            self.tags[node] = set(self.own[node])
            self.classified[node] = column.settled
            self.inputs[node] = [(o, self._behind(o, record, node[2])) for o in column.origins]
            for _, behind in self.inputs[node]:
                for other in behind:
                    self.readers.setdefault(other, set()).add(node)
                    waiting.append(other)

    def _column(self, node: _Node) -> tuple[PortRecord, ColumnRecord]:
        record = self.records[node[0]]
        return record, record.columns[node[1]]

    def _behind(self, origin: Origin, record: PortRecord, version: int) -> tuple[_Node, ...]:
        """The columns behind an origin, at the version that was read when that is known."""
        key = key_of(origin.table)
        found = self.records.get(key)
        if found is None:
            return ()
        newest = version != 0 and record.made_by(version) == record.published
        at = record.pins.get(origin.table, 0) if newest else 0
        if origin.field == EVERY or origin.field not in found.columns:
            return tuple((key, id_, at) for id_ in found.columns)
        return ((key, origin.field, at),)

    def settle(self) -> None:
        waiting = set(self.tags)
        while waiting:
            node = waiting.pop()
            if self._grow(node):
                waiting |= self.readers.get(node, set())

    def _grow(self, node: _Node) -> bool:
        record, column = self._column(node)
        tags, classified = self.tags[node], self.classified[node]
        before = len(tags)
        for origin, behind in self.inputs[node]:
            for other in behind:
                tags |= {
                    t for t in self.tags[other] if not is_lowered(record, column, t, origin.since, node[2])
                }
        if not classified and self.inputs[node]:
            self.classified[node] = all(
                behind and all(self.classified[other] for other in behind) for _, behind in self.inputs[node]
            )
        return len(tags) != before or self.classified[node] != classified

    def of(self, node: _Node) -> Effective:
        tags = frozenset(self.tags[node])
        return Effective(tags, self.classified[node], tags - self.own[node])


def own_tags(record: PortRecord, column: ColumnRecord, version: int) -> frozenset[str]:
    """The tags that contracts and people gave the column itself, for rows of `version`.

    What the newest contract says always counts: a lowered tag has to be taken out there too.
    """
    said = {
        tag
        for tag, last in column.said.items()
        if last == record.version or not is_lowered(record, column, tag, last, version)
    }
    return frozenset(said | column.confirmed)


def is_lowered(record: PortRecord, column: ColumnRecord, tag: str, since: int, version: int) -> bool:
    """Whether `tag`, given to the column in or up to version `since`, was taken away for rows of `version`."""
    act = column.lowered.get(tag)
    return act is not None and since <= act.reviewed and version != 0 and record.made_by(version) >= act.since

"""Folds versions, lineage and pins into the classification records of ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, insert, select, tuple_, update

from raymesh.adapters.state.schema import classifications
from raymesh.adapters.state.values import dumps, loads
from raymesh.governance.classification import (
    EVERY,
    Key,
    PortRecord,
    VersionFacts,
    contract_renames,
    contract_tags,
    record_json,
    record_of,
    with_origins,
    with_pins,
    with_version,
)
from raymesh.governance.inheritance import key_of
from raymesh.mesh.fingerprint import part_of
from raymesh.mesh.quarantine import NOTED, guarded_port

if TYPE_CHECKING:
    from raymesh.spi.state import InputPin, LineageEdge, Version

_MANY = 300
"""Beyond that many ports all records are read and the wanted ones picked."""

ALL = "*"


def read(connection: Connection, ports: Iterable[Key] | None, *, lock: bool = False) -> dict[Key, PortRecord]:
    """The records of the ports, of all when none are named. One query. With `lock` nobody else changes them before
    this transaction ends."""
    query = select(classifications.c.product, classifications.c.port, classifications.c.record)
    wanted = None if ports is None else frozenset(ports)
    if wanted is not None and len(wanted) <= _MANY:
        place = tuple_(classifications.c.product, classifications.c.port)
        query = query.where(place.in_(sorted(wanted))).order_by(
            classifications.c.product, classifications.c.port
        )
    rows = connection.execute(query.with_for_update() if lock else query)
    return {(p, q): record_of(loads(text)) for p, q, text in rows if wanted is None or (p, q) in wanted}


def write(connection: Connection, records: Mapping[Key, PortRecord]) -> None:
    """Put records in the place of those that are there, which the caller has locked."""
    for (product, port), record in records.items():
        place = (classifications.c.product == product, classifications.c.port == port)
        text = dumps(record_json(record))
        changed = connection.execute(update(classifications).where(*place).values(record=text))
        if changed.rowcount == 0:
            connection.execute(insert(classifications).values(product=product, port=port, record=text))


def fold_version(connection: Connection, version: Version) -> None:
    """Add what a version says; called where versions are recorded, in the same transaction."""
    key = (version.product, version.port)
    guarded = guarded_port(version.port)
    folding = Folding(read(connection, [key], lock=True))
    if guarded is not None:
        folding.records |= read(connection, [(version.product, guarded)])
    folding.version(
        key,
        number=version.number,
        kind=version.kind,
        schema=version.schema,
        contract=version.contract,
        fingerprint=version.fingerprint,
        of_version=version.of_version,
    )
    write(connection, {key: folding.records[key]})


def fold_lineage(connection: Connection, keys: Sequence[Key], edges: Sequence[LineageEdge]) -> None:
    """Add where the columns of the ports come from that a run has just published."""
    counting = [e for e in edges if e.kind != "indirect" or e.chooses]
    own = read(connection, keys, lock=True)
    folding = Folding({**read(connection, {key_of(e.source) for e in counting}), **own})
    names = {c.name.casefold() for r in own.values() for c in r.columns.values()}
    edges_ = [
        # a column no port has: nobody can tell which one is meant, so every one is
        (e.column if e.column.casefold() in names else ALL, e.source, e.source_column)
        for e in counting
    ]
    for key in keys:
        folding.lineage(key, edges_)
    write(connection, {key: folding.records[key] for key in keys if key in folding.records})


def fold_inputs(connection: Connection, keys: Sequence[Key], pins: Sequence[InputPin]) -> None:
    """Add which versions of its inputs a run has read to the ports that it published."""
    folding = Folding(read(connection, keys, lock=True))
    read_ = {pin.input: pin.version for pin in pins if pin.version is not None}
    for key in keys:
        folding.pins(key, read_)
    write(connection, {key: folding.records[key] for key in keys if key in folding.records})


class Folding:
    """Records in memory on their way to the next state."""

    def __init__(self, records: Mapping[Key, PortRecord]) -> None:
        self.records = dict(records)

    def version(
        self,
        key: Key,
        *,
        number: int,
        kind: str,
        schema: Mapping[str, Any],
        contract: Mapping[str, Any],
        fingerprint: str,
        of_version: int | None,
    ) -> None:
        guarded = guarded_port(key[1])
        facts = VersionFacts(
            number=number,
            columns={int(f["id"]): str(f["name"]) for f in schema.get("fields", ())},
            tags=contract_tags(contract),
            transform=part_of(fingerprint, "transform"),
            serves=of_version if kind != "publish" else None,
            own=NOTED if guarded is not None else frozenset(),
            renamed=contract_renames(contract),
        )
        record = with_version(self.records.get(key), facts)
        if guarded is not None:
            record = self._as_guarded(record, (key[0], guarded))
        self.records[key] = record

    def _as_guarded(self, record: PortRecord, guarded: Key) -> PortRecord:
        """Rows set aside are rows of the port: each column has the tags that it has there."""
        source = self.records.get(guarded)
        table = guarded[0] if guarded[1] == "default" else f"{guarded[0]}__{guarded[1]}"
        origins: dict[int, list[tuple[str, int]]] = {}
        for id_, column in record.columns.items():
            if column.name not in NOTED:
                found = source.named(column.name) if source else None
                origins[id_] = [(table, found.id if found else EVERY)]
        return with_origins(record, origins)

    def lineage(self, key: Key, edges: Sequence[tuple[str, str, str]]) -> None:
        """`edges` are (column, source, source column) by name; `*` is every column."""
        record = self.records.get(key)
        if record is None:
            return
        found: dict[int, dict[str, set[int]]] = {}
        for column, source, source_column in edges:
            target = EVERY if column == ALL else (named.id if (named := record.named(column)) else None)
            if target is not None:
                found.setdefault(target, {}).setdefault(source, set()).add(self._field(source, source_column))
        origins = {
            id_: [(source, f) for source, fields in sources.items() for f in self._short(source, fields)]
            for id_, sources in found.items()
        }
        self.records[key] = with_origins(record, origins)

    def _field(self, source: str, column: str) -> int:
        record = self.records.get(key_of(source))
        found = record.named(column) if record and column != ALL else None
        return found.id if found else EVERY

    def _short(self, source: str, fields: set[int]) -> set[int]:
        """All columns of a table as one word."""
        record = self.records.get(key_of(source))
        every = {c.id for c in record.columns.values() if c.seen == record.version} if record else set()
        return {EVERY} if EVERY in fields or (len(fields) > 3 and fields >= every) else fields

    def pins(self, key: Key, versions: Mapping[str, int]) -> None:
        if key in self.records:
            self.records[key] = with_pins(self.records[key], versions)

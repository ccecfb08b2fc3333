"""Which tags a published column has: what contracts said, what was confirmed, what came with its inputs.

The state store keeps one `PortRecord` per port, folded forward by every version and every reviewed act:

said      tags that contracts put on the column, in any version; bound to its field id, so renames keep them
origins   the columns it is computed from, in any version: their tags come along
confirmed tags that somebody confirmed after looking
lowered   tags that two people agreed to take away

A tag is lowered only for rows made by the transform that was reviewed or a later reviewed one: when the
transform changes, or a contract says the tag again, it is back. So the sets here only ever err on the side of
more tags. Everything is pure; records are small values that turn into JSON and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from raymesh.spec.classifications import normal

Key: TypeAlias = tuple[str, str]
"""Product and port."""

EVERY = 0
"""In place of a field id: every column the table has or had."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """`field` of `table` (a port's, or the id of a source) feeds a column since version `since`, or since the
    transform changed with it still in force."""

    table: str
    field: int
    since: int


@dataclass(frozen=True, slots=True)
class Lowered:
    """A tag taken away: the review looked at version `reviewed`, made by a transform in force since `since`."""

    reviewed: int
    since: int


@dataclass(frozen=True, slots=True)
class ColumnRecord:
    """What is known of one field. `said` maps tags to the last version whose contract said them, `seen` is the
    last version that has the column. `settled` says that a contract, or somebody, has classified it."""

    id: int
    name: str
    seen: int = 0
    said: Mapping[str, int] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    confirmed: frozenset[str] = frozenset()
    lowered: Mapping[str, Lowered] = field(default_factory=dict)
    settled: bool = False


@dataclass(frozen=True, slots=True)
class PortRecord:
    """What is known of the columns of one port, by field id.

    `version` is the last one folded in, `published` the last that a build made, `transform` the mark of the
    transform that made it, in force since version `since`. `pins` are the versions of inputs it read.
    `content` maps versions that only serve older rows again (rollbacks, maintenance) to the version that made
    the rows.
    """

    version: int = 0
    published: int = 0
    transform: str = ""
    since: int = 0
    columns: Mapping[int, ColumnRecord] = field(default_factory=dict)
    pins: Mapping[str, int] = field(default_factory=dict)
    content: Mapping[int, int] = field(default_factory=dict)

    def made_by(self, version: int) -> int:
        """The version whose build made the rows of `version`."""
        return self.content.get(version, version)

    def named(self, name: str) -> ColumnRecord | None:
        """The column of this name in the last version that was folded in."""
        wanted = name.casefold()
        return next(
            (c for c in self.columns.values() if c.seen == self.version and c.name.casefold() == wanted), None
        )


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What a new version says about its columns. `columns` maps field ids to names, `tags` names to the tags of
    the contract. `serves` is the older version whose rows it has, None when a build made it. `own` are columns
    that raymesh itself adds and that hold nobody's data. `renamed` maps names to those the contract says the
    columns had before, lower case."""

    number: int
    columns: Mapping[int, str]
    tags: Mapping[str, frozenset[str]]
    transform: str = ""
    serves: int | None = None
    own: frozenset[str] = frozenset()
    renamed: Mapping[str, str] = field(default_factory=dict)


def contract_tags(contract: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The tags of every column of a contract as written, those of nested members and `classification` among
    them, by lower-case column name."""
    found: dict[str, frozenset[str]] = {}
    for table in contract.get("schema") or ():
        for item in (table.get("properties") or ()) if isinstance(table, Mapping) else ():
            if isinstance(item, Mapping) and isinstance(item.get("name"), str):
                name = item["name"].casefold()
                found[name] = found.get(name, frozenset()) | frozenset(_tags(item))
    return found


def contract_renames(contract: Mapping[str, Any]) -> dict[str, str]:
    """What columns of a contract as written were called before, where it says so (`renamedFrom`); lower case."""
    found: dict[str, str] = {}
    for table in contract.get("schema") or ():
        for item in (table.get("properties") or ()) if isinstance(table, Mapping) else ():
            said = item.get("customProperties") if isinstance(item, Mapping) else None
            for custom in said if isinstance(said, list | tuple) else ():
                if isinstance(custom, Mapping) and custom.get("property") == "renamedFrom":
                    found[str(item.get("name")).casefold()] = str(custom.get("value")).casefold()
    return found


def _tags(item: Mapping[str, Any]) -> Iterable[str]:
    tags = item.get("tags")
    yield from (normal(t) for t in (tags if isinstance(tags, list | tuple) else ()) if isinstance(t, str))
    if isinstance(item.get("classification"), str):
        yield normal(item["classification"])
    for member in _members(item):
        yield from _tags(member)


def _members(item: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    inner = item.get("properties")
    mapped = item.get("map")
    parts = [*(inner if isinstance(inner, list | tuple) else ()), item.get("items")]
    if isinstance(mapped, Mapping):
        parts += [mapped.get("key"), mapped.get("value")]
    return [part for part in parts if isinstance(part, Mapping)]


# folding


def with_version(record: PortRecord | None, facts: VersionFacts) -> PortRecord:
    """The record after a version. What older versions said stays: they can still be read."""
    old = record or PortRecord()
    columns = dict(old.columns)
    for id_, name in facts.columns.items():
        column = _with_former(columns.get(id_) or ColumnRecord(id_, name), name, old, facts)
        columns[id_] = _seen(column, name, facts)
    if facts.serves is not None:
        content = {**old.content, facts.number: old.made_by(facts.serves)}
        return replace(old, version=facts.number, columns=columns, content=content)
    changed = facts.transform != old.transform or not old.published
    return replace(
        old,
        version=facts.number,
        published=facts.number,
        transform=facts.transform,
        since=facts.number if changed else old.since,
        columns=columns,
        pins={},
    )


def _with_former(column: ColumnRecord, name: str, old: PortRecord, facts: VersionFacts) -> ColumnRecord:
    """The column with the tags of the one that the contract says it was, where that is still there under another
    field id: columns that swap names swap what they hold."""
    former = old.named(facts.renamed.get(name.casefold(), name))
    if former is None or former.id == column.id:
        return column
    said = {t: max(former.said.get(t, 0), column.said.get(t, 0)) for t in {**former.said, **column.said}}
    origins = tuple(sorted({*former.origins, *column.origins}))
    return replace(column, said=said, origins=origins, confirmed=former.confirmed | column.confirmed)


def _seen(column: ColumnRecord, name: str, facts: VersionFacts) -> ColumnRecord:
    says = facts.tags.get(name.casefold(), frozenset())
    settled = column.settled or bool(says) or name in facts.own
    said = {**column.said, **dict.fromkeys(sorted(says), facts.number)}
    return replace(column, name=name, seen=facts.number, said=said, settled=settled)


def with_origins(record: PortRecord, origins: Mapping[int, Iterable[tuple[str, int]]]) -> PortRecord:
    """The record after lineage of its last build: for each field id (or `EVERY`) the fields it comes from.

    An origin keeps the version it began with while the transform stays the same.
    """
    everybody = tuple(origins.get(EVERY, ()))
    columns = dict(record.columns)
    for id_, column in record.columns.items():
        if column.seen == record.version:
            now = {*origins.get(id_, ()), *everybody}
            columns[id_] = replace(column, origins=_merged(column.origins, now, record))
    return replace(record, columns=columns)


def _merged(old: Iterable[Origin], now: Iterable[tuple[str, int]], record: PortRecord) -> tuple[Origin, ...]:
    since = {(o.table, o.field): o.since for o in old}
    for place in now:
        stays = place in since and record.since <= since[place]
        since[place] = since[place] if stays else record.published
    return tuple(sorted(Origin(table, id_, version) for (table, id_), version in since.items()))


def with_pins(record: PortRecord, pins: Mapping[str, int]) -> PortRecord:
    """The record with the versions of inputs that its last build read."""
    return replace(record, pins=dict(pins))


def with_confirmed(record: PortRecord, id_: int, tags: Iterable[str]) -> PortRecord:
    """The record after somebody confirmed that a column has `tags` (and, for all they saw, no others)."""
    column = record.columns[id_]
    added = frozenset(normal(t) for t in tags)
    lowered = {tag: act for tag, act in column.lowered.items() if tag not in added}
    changed = replace(column, confirmed=column.confirmed | added, lowered=lowered, settled=True)
    return replace(record, columns={**record.columns, id_: changed})


def with_lowered(record: PortRecord, id_: int, tags: Iterable[str], reviewed: int) -> PortRecord:
    """The record after two people agreed, looking at version `reviewed`, that a column does not have `tags`."""
    column = record.columns[id_]
    taken = frozenset(normal(t) for t in tags)
    acts = {**column.lowered, **{t: Lowered(reviewed, record.since) for t in sorted(taken)}}
    changed = replace(column, confirmed=column.confirmed - taken, lowered=acts, settled=True)
    return replace(record, columns={**record.columns, id_: changed})


# JSON, short because every port has one


def record_json(record: PortRecord) -> dict[str, Any]:
    """The record as JSON."""
    return {
        "version": record.version,
        "published": record.published,
        "transform": record.transform,
        "since": record.since,
        "columns": [_column_json(c) for c in record.columns.values()],
        "pins": dict(record.pins),
        "content": [[k, v] for k, v in record.content.items()],
    }


def _column_json(c: ColumnRecord) -> list[Any]:
    origins = [[o.table, o.field, o.since] for o in c.origins]
    lowered = {t: [a.reviewed, a.since] for t, a in c.lowered.items()}
    return [c.id, c.name, c.seen, dict(c.said), origins, sorted(c.confirmed), lowered, int(c.settled)]


def record_of(value: Mapping[str, Any]) -> PortRecord:
    """The record that `record_json` wrote."""
    columns = (_column_of(c) for c in value["columns"])
    return PortRecord(
        version=value["version"],
        published=value["published"],
        transform=value["transform"],
        since=value["since"],
        columns={c.id: c for c in columns},
        pins=value["pins"],
        content={int(k): int(v) for k, v in value["content"]},
    )


def _column_of(value: list[Any]) -> ColumnRecord:
    id_, name, seen, said, origins, confirmed, lowered, settled = value
    return ColumnRecord(
        id_,
        name,
        seen,
        said,
        tuple(Origin(*o) for o in origins),
        frozenset(confirmed),
        {t: Lowered(*a) for t, a in lowered.items()},
        bool(settled),
    )

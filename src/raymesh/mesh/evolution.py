"""From the columns a table has to the columns it shall have, by field id.

Readers match columns by field id and never by name, so an id keeps its meaning for ever: a kept column keeps
its id through renames and widenings, a new column gets an id the table has never used, and a column whose
type changes in any other way is a new column that carries an old name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from raymesh.errors import ConformError
from raymesh.spec.types import Decimal, Field, List, Map, Primitive, Struct, TableSchema, Type, widens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ChangeKind = Literal["added", "renamed", "widened", "dropped", "narrowed", "retyped", "reordered"]

BREAKING: frozenset[ChangeKind] = frozenset({"dropped", "narrowed", "retyped"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: `column` is the path by names (`address.zip`, `lines.element.price`), new where it has
    one; `message` is a sentence for people."""

    kind: ChangeKind
    column: str
    message: str

    @property
    def breaking(self) -> bool:
        """Whether somebody who reads the old columns can no longer do so."""
        return self.kind in BREAKING


@dataclass(frozen=True, slots=True)
class Evolution:
    """The schema with every field id assigned, and how it differs from the one before."""

    schema: TableSchema
    changes: tuple[Change, ...] = ()

    @property
    def breaking(self) -> tuple[Change, ...]:
        return tuple(c for c in self.changes if c.breaking)


def evolve(
    previous: TableSchema | None, columns: Sequence[Field], renames: Mapping[str, str] | None = None
) -> Evolution:
    """Give every column and nested member of `columns` its field id.

    `previous` None is a new table: ids count from 1, the members of a struct before their own members.
    `renames` maps the new path of a column to the old name it had at the same level (`{"zip": "postcode"}`,
    `{"address.zip": "postcode"}`). A rename that has already happened, or whose old name is still in use, is
    ignored, so a contract may keep saying it. Ids given in `columns` are not looked at.
    Raises ConformError when two columns at one level have the same name.
    """
    work = _Evolver(last_id=previous.last_id if previous else 0, renames=renames or {})
    old = Struct(previous.fields) if previous else Struct(())
    new = work.struct(old, Struct(tuple(columns)), "")
    return Evolution(TableSchema(new.fields, work.last_id), tuple(work.changes) if previous else ())


@dataclass(slots=True)
class _Evolver:
    """One walk over old and new columns: counts ids and notes changes."""

    last_id: int
    renames: Mapping[str, str]
    changes: list[Change] = field(default_factory=list)

    def note(self, kind: ChangeKind, column: str, message: str) -> None:
        self.changes.append(Change(kind, column, message))

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def struct(self, old: Struct, new: Struct, path: str) -> Struct:
        """The new members with ids: first all of this level, then what is inside each."""
        _refuse_duplicates(new.fields, path)
        origins = self._origins(old, new, path)
        plans = [self._plan(f, origins.get(f.name), _join(path, f.name)) for f in new.fields]
        ids = [self.next_id() if kept is None else kept.id for kept in plans]
        members = [
            replace(f, id=i, type=self._type(kept.type if kept else None, f.type, _join(path, f.name)))
            for f, kept, i in zip(new.fields, plans, ids, strict=True)
        ]
        self._note_order(old, plans, path)
        self._note_dropped(old, origins, path)
        return Struct(tuple(members))

    def _origins(self, old: Struct, new: Struct, path: str) -> dict[str, Field]:
        """The old field behind each new name: by name first, then by what the rename map says."""
        by_name = {f.name: f for f in old.fields}
        found = {f.name: by_name[f.name] for f in new.fields if f.name in by_name}
        free = {name: f for name, f in by_name.items() if name not in found}
        for f in new.fields:
            old_name = self.renames.get(_join(path, f.name))
            if f.name not in found and old_name in free:
                found[f.name] = free.pop(old_name)
        return found

    def _plan(self, new: Field, old: Field | None, path: str) -> Field | None:
        """The old field whose id the new one keeps, None when it is a new field."""
        if old is None:
            self.note("added", path, f"{path} is new ({new.type})")
            return None
        if not fits(old.type, new.type):
            kind: ChangeKind = "narrowed" if fits(new.type, old.type) else "retyped"
            self.note(kind, path, f"{path} was {old.type} and becomes {new.type}")
            return None
        if old.name != new.name:
            self.note("renamed", path, f"{path} was called {old.name}")
        return old

    def _type(self, old: Type | None, new: Type, path: str) -> Type:
        match new:
            case Struct():
                return self._nested_struct(old, new, path)
            case List():
                return self._list(old if isinstance(old, List) else None, new, path)
            case Map():
                return self._map(old if isinstance(old, Map) else None, new, path)
        if old is not None and widens(old, new):
            self.note("widened", path, f"{path} was {old} and becomes {new}")
        return new

    def _list(self, old: List | None, new: List, path: str) -> List:
        element_id = old.element_id if old else self.next_id()
        return List(self._type(old and old.element, new.element, _join(path, "element")), element_id)

    def _map(self, old: Map | None, new: Map, path: str) -> Map:
        key_id, value_id = (old.key_id, old.value_id) if old else (self.next_id(), self.next_id())
        key = self._type(old and old.key, new.key, _join(path, "key"))
        return Map(key, self._type(old and old.value, new.value, _join(path, "value")), key_id, value_id)

    def _nested_struct(self, old: Type | None, new: Struct, path: str) -> Struct:
        if isinstance(old, Struct):
            return self.struct(old, new, path)
        quiet = _Evolver(self.last_id, {})  # inside a new column every member is new; that needs no saying
        members = quiet.struct(Struct(()), new, path)
        self.last_id = quiet.last_id
        return members

    def _note_order(self, old: Struct, kept: Sequence[Field | None], path: str) -> None:
        now = [f.id for f in kept if f is not None]
        still = set(now)
        if now != [f.id for f in old.fields if f.id in still]:
            where = f"the members of {path}" if path else "the columns"
            self.note("reordered", path, f"{where} are in another order")

    def _note_dropped(self, old: Struct, origins: Mapping[str, Field], path: str) -> None:
        used = {f.id for f in origins.values()}
        for f in old.fields:
            if f.id not in used:
                self.note("dropped", _join(path, f.name), f"{_join(path, f.name)} ({f.type}) is gone")


def fits(old: Type, new: Type) -> bool:
    """Whether files written with `old` can be read as `new`, so that the field may keep its id.

    Struct members come and go one by one. The element of a list and the value of a map have no
    name of their own to give up, and the key of a map is fixed: when those do not fit, the
    column that holds them is another column.
    """
    match old, new:
        case Struct(), Struct():
            return True
        case List(before), List(after):
            return fits(before, after)
        case Map(key, value), Map(new_key, new_value):
            return _same(key, new_key) and fits(value, new_value)
        case ((Primitive() | Decimal()), (Primitive() | Decimal())):
            return old == new or widens(old, new)
    return False


def _same(old: Type, new: Type) -> bool:
    """Whether two types are equal but for their field ids and docs."""
    match old, new:
        case Struct(before), Struct(after):
            return [f.name for f in before] == [f.name for f in after] and all(
                _same(a.type, b.type) for a, b in zip(before, after, strict=True)
            )
        case List(before_element), List(after_element):
            return _same(before_element, after_element)
        case Map(key, value), Map(new_key, new_value):
            return _same(key, new_key) and _same(value, new_value)
    return old == new


def _refuse_duplicates(fields: Sequence[Field], path: str) -> None:
    seen: set[str] = set()
    for f in fields:
        if f.name in seen:
            raise ConformError(
                f"two columns are called {_join(path, f.name)}", hint="give one of them another name with AS"
            )
        seen.add(f.name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

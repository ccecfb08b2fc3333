"""Column types of published tables, named as in the Iceberg specification.

One type system for contracts, engines and table formats. Every nested part of a published
schema carries a field id, because readers match columns by id and never by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

PrimitiveName = Literal[
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "string",
    "binary",
]


@dataclass(frozen=True, slots=True)
class Primitive:
    """A type without parameters. `timestamp` has no zone, `timestamptz` is an instant; both microseconds."""

    name: PrimitiveName

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Decimal:
    """Exact number of `precision` digits (1–38), `scale` of them behind the point."""

    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision}, {self.scale})"


@dataclass(frozen=True, slots=True)
class Struct:
    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return "struct<" + ", ".join(f"{f.name}: {f.type}" for f in self.fields) + ">"


@dataclass(frozen=True, slots=True)
class List:
    element: Type
    element_id: int = 0

    def __str__(self) -> str:
        return f"list<{self.element}>"


@dataclass(frozen=True, slots=True)
class Map:
    key: Type
    value: Type
    key_id: int = 0
    value_id: int = 0

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


Type: TypeAlias = Primitive | Decimal | Struct | List | Map


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a member of a struct. `id` 0 means: not assigned yet."""

    name: str
    type: Type
    id: int = 0
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of one table in order; `last_id` is the highest field id ever used by the table."""

    fields: tuple[Field, ...]
    last_id: int = 0

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.fields)

    def find(self, name: str) -> Field | None:
        return next((f for f in self.fields if f.name == name), None)

    def to_json(self) -> dict[str, Any]:
        return {"fields": [_field_json(f) for f in self.fields], "last_id": self.last_id}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TableSchema:
        return cls(tuple(_field_from(f) for f in value["fields"]), value["last_id"])


_WIDER = {("int", "long"), ("float", "double")}


def widens(old: Type, new: Type) -> bool:
    """Whether every value of `old` is a value of `new`, a different type, without rewriting old files."""
    if isinstance(old, Primitive) and isinstance(new, Primitive):
        return (old.name, new.name) in _WIDER
    if isinstance(old, Decimal) and isinstance(new, Decimal):
        return old.scale == new.scale and new.precision > old.precision
    return False


def _field_json(f: Field) -> dict[str, Any]:
    out: dict[str, Any] = {"id": f.id, "name": f.name, "type": _type_json(f.type)}
    if f.doc:
        out["doc"] = f.doc
    return out


def _type_json(t: Type) -> Any:
    match t:
        case Primitive(name):
            return name
        case Decimal(p, s):
            return {"decimal": [p, s]}
        case Struct(fields):
            return {"struct": [_field_json(f) for f in fields]}
        case List(element, element_id):
            return {"list": _type_json(element), "id": element_id}
        case Map(key, value, key_id, value_id):
            return {"map": [_type_json(key), _type_json(value)], "ids": [key_id, value_id]}


def _field_from(value: dict[str, Any]) -> Field:
    return Field(value["name"], _type_from(value["type"]), value["id"], value.get("doc"))


def _type_from(value: Any) -> Type:
    if isinstance(value, str):
        return Primitive(value)  # type: ignore[arg-type]  # written by _type_json
    if "decimal" in value:
        return Decimal(*value["decimal"])
    if "struct" in value:
        return Struct(tuple(_field_from(f) for f in value["struct"]))
    if "list" in value:
        return List(_type_from(value["list"]), value["id"])
    key, item = value["map"]
    return Map(_type_from(key), _type_from(item), *value["ids"])

"""Physical types as contracts write them: the words of DuckDB and of SQL, nested types included."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from raymesh.spec.types import Decimal, Field, List, Map, Primitive, PrimitiveName, Struct, Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.spec.contract_schema import Item


@dataclass(frozen=True, slots=True)
class Physical:
    """What a physical type promises: the stored `type`, and what the stored type cannot say.

    `max_length` is in characters (bytes for binary types), `minimum` and `maximum` are inclusive. `parts` holds
    nested types under the names of struct members, `[]` for list items, `{key}` and `{value}` for maps.
    `items` is the length of a fixed-size array.
    """

    type: Type
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    items: int | None = None
    parts: tuple[tuple[str, Physical], ...] = ()


@lru_cache(maxsize=4096)
def parse_physical(text: str) -> Physical | None:
    """The type `text` names (`decimal(18,2)`, `struct(a integer, b varchar)`, `integer[]`), None if unknown."""
    parser = _Parser(_TOKENS.findall(text))
    try:
        found = parser.type()
    except _UnknownError:
        return None
    return found if parser.at_end else None


_TOKENS = re.compile(r'"(?:[^"]|"")*"|\w+|[^\w\s]')
_WORDS: dict[PrimitiveName, str] = {
    "boolean": "boolean bool logical",
    "int": "integer int int4 int32 signed",
    "long": "bigint int8 int64 long",
    "float": "float float4 real float32",
    "double": "double float8 float64",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp datetime timestamp_ntz timestamp_s timestamp_ms timestamp_us",
    "timestamptz": "timestamptz timestamp_tz",
    "string": "varchar string text char bpchar nvarchar nchar character uuid enum json",
    "binary": "binary blob varbinary bytea bytes",
}
_NAMES = {word: Primitive(name) for name, words in _WORDS.items() for word in words.split()}
_RANGED: dict[str, tuple[Type, int, int]] = {
    "tinyint": (Primitive("int"), -(2**7), 2**7 - 1),
    "int1": (Primitive("int"), -(2**7), 2**7 - 1),
    "smallint": (Primitive("int"), -(2**15), 2**15 - 1),
    "int2": (Primitive("int"), -(2**15), 2**15 - 1),
    "short": (Primitive("int"), -(2**15), 2**15 - 1),
    "utinyint": (Primitive("int"), 0, 2**8 - 1),
    "usmallint": (Primitive("int"), 0, 2**16 - 1),
    "uinteger": (Primitive("long"), 0, 2**32 - 1),
    "ubigint": (Decimal(20, 0), 0, 2**64 - 1),
    "hugeint": (Decimal(38, 0), -(10**38) + 1, 10**38 - 1),
}
_EXACT = ("decimal", "numeric", "number", "dec")
TYPE_WORDS = (*_NAMES, *_RANGED, *_EXACT, "struct", "map", "list", "array")
"""Every word a type may begin with, for suggestions."""
_LENGTHS = ("varchar", "char", "bpchar", "nvarchar", "nchar", "character", "binary", "varbinary")
MAX_NESTING = 50
_BRACKETS = {"(": ")", "<": ">"}


class _UnknownError(Exception):
    """The text is no type we know."""


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    @property
    def at_end(self) -> bool:
        return self.at == len(self.tokens)

    def type(self) -> Physical:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _UnknownError
        found = self._suffixed()
        self.depth -= 1
        return found

    def _suffixed(self) -> Physical:
        found = self._plain()
        while self._take("["):
            size = self._number() if not self._sees("]") else None
            self._expect("]")
            found = Physical(List(found.type), items=size, parts=(("[]", found),))
        return found

    def _plain(self) -> Physical:
        word = self._next().lower()
        nested: dict[str, Callable[[], Physical]] = {
            "struct": self._struct, "row": self._struct, "map": self._map, "list": self._list, "array": self._list,
        }  # fmt: skip
        if word in nested:
            return nested[word]()
        if word in _EXACT:
            return self._decimal(word)
        if word in _RANGED:
            return Physical(_RANGED[word][0], None, *_RANGED[word][1:])
        if word not in _NAMES:
            raise _UnknownError
        return self._named(word)

    def _named(self, word: str) -> Physical:
        found = _NAMES[word]
        if word == "character":
            self._take("varying")
        if word == "double":
            self._take("precision")
        size = self._arguments()
        if found.name == "timestamp":
            found = self._zoned()
        if word in _LENGTHS:
            return Physical(found, max_length=size[0] if size else None)
        if size and found.name not in ("timestamp", "timestamptz", "time", "int", "long"):
            raise _UnknownError
        return Physical(found)

    def _zoned(self) -> Primitive:
        for word, name in (("with", "timestamptz"), ("without", "timestamp")):
            if self._take(word):
                self._take("local")
                for expected in ("time", "zone"):
                    self._expect(expected)
                return _NAMES[name]
        return _NAMES["timestamp"]

    def _decimal(self, word: str) -> Physical:
        size = self._arguments()
        if not size and word == "number":
            raise _UnknownError
        precision, scale = {0: (18, 3), 1: (*size, 0)}.get(len(size), size)
        if not (1 <= precision <= 38 and 0 <= scale <= precision):
            raise _UnknownError
        return Physical(Decimal(precision, scale))

    def _struct(self) -> Physical:
        close = self._open()
        members: list[tuple[str, Physical]] = []
        while True:
            name = self._name()
            self._take(":")
            members.append((name, self.type()))
            if not self._take(","):
                break
        self._expect(close)
        return Physical(Struct(tuple(Field(n, p.type) for n, p in members)), parts=tuple(members))

    def _map(self) -> Physical:
        close = self._open()
        key = self.type()
        self._expect(",")
        value = self.type()
        self._expect(close)
        return Physical(Map(key.type, value.type), parts=(("{key}", key), ("{value}", value)))

    def _list(self) -> Physical:
        close = self._open()
        item = self.type()
        self._expect(close)
        return Physical(List(item.type), parts=(("[]", item),))

    def _arguments(self) -> tuple[int, ...]:
        if not self._take("("):
            return ()
        found = [self._number()]
        while self._take(","):
            found.append(self._number())
        self._expect(")")
        return tuple(found)

    def _open(self) -> str:
        bracket = self._next()
        if bracket not in _BRACKETS:
            raise _UnknownError
        return _BRACKETS[bracket]

    def _name(self) -> str:
        name = self._next()
        return name[1:-1].replace('""', '"') if name.startswith('"') else name

    def _number(self) -> int:
        token = self._next()
        if not token.isdecimal():
            raise _UnknownError
        return int(token)

    def _next(self) -> str:
        if self.at_end:
            raise _UnknownError
        self.at += 1
        return self.tokens[self.at - 1]

    def _sees(self, token: str) -> bool:
        return not self.at_end and self.tokens[self.at].lower() == token

    def _take(self, token: str) -> bool:
        found = self._sees(token)
        self.at += found
        return found

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise _UnknownError


_FIXED = {
    "string": Primitive("string"),
    "boolean": Primitive("boolean"),
    "date": Primitive("date"),
    "time": Primitive("time"),
}
_INT, _LONG, _FLOAT, _DOUBLE = Primitive("int"), Primitive("long"), Primitive("float"), Primitive("double")
_FORMATS: dict[str, Type] = {
    **dict.fromkeys(("i8", "i16", "i32", "u8", "u16"), _INT),
    **dict.fromkeys(("i64", "u32"), _LONG),
    "u64": Decimal(20, 0),
    "i128": Decimal(38, 0),
    "u128": Decimal(38, 0),
    "f32": _FLOAT,
    "f64": _DOUBLE,
}
_ELEMENTS: dict[str, Type] = {
    **dict.fromkeys(("float32", "float16", "bfloat16"), _FLOAT),
    "float64": _DOUBLE,
    **dict.fromkeys(("int8", "uint8"), _INT),
}


def declared_type(item: Item) -> Type | None:
    """The exact stored type a contract fixes for a value, None when it leaves the type to the data.

    `physicalType` decides when it is one we know. A format in `logicalTypeOptions` decides the width of numbers;
    without one nothing is narrowed. A timestamp has a zone only when `timezone` says so. Nested types are
    fixed when every part of them is.
    """
    physical = parse_physical(item.physical_type) if item.physical_type else None
    if physical is not None:
        return physical.type
    options = item.logical_type_options or {}
    match item.logical_type:
        case "integer" | "number":
            return _FORMATS.get(str(options.get("format")))
        case "timestamp" if isinstance(options.get("timezone"), bool):
            return Primitive("timestamptz" if options["timezone"] else "timestamp")
        case "vector":
            element = _ELEMENTS.get(str(options.get("elementType")))
            return List(element) if element else None
        case "object" | "array" | "map":
            return _declared_nested(item)
    return _FIXED.get(str(item.logical_type))


def _declared_nested(item: Item) -> Type | None:
    if item.logical_type == "object":
        members = [(p.name, declared_type(p)) for p in item.properties]
        fields = tuple(Field(name, found) for name, found in members if found is not None)
        return Struct(fields) if members and len(fields) == len(members) else None
    if item.logical_type == "array":
        element = declared_type(item.items) if item.items else None
        return List(element) if element else None
    key = declared_type(item.map.key) if item.map else None
    value = declared_type(item.map.value) if item.map else None
    return Map(key, value) if key and value else None


_ACCEPTED: dict[str, tuple[str, ...]] = {
    "string": ("string", "binary"),
    "date": ("date",),
    "time": ("time",),
    "timestamp": ("timestamp", "timestamptz"),
    "integer": ("int", "long"),
    "number": ("int", "long", "float", "double"),
    "boolean": ("boolean",),
}


def logical_accepts(logical: str, stored: Type) -> bool:
    """Whether values of the stored type can be what `logicalType` calls them."""
    match stored:
        case Decimal(_, scale):
            return logical == "number" or (logical == "integer" and scale == 0)
        case List():
            return logical in ("array", "vector")
        case Struct():
            return logical == "object"
        case Map():
            return logical in ("map", "object")
    return stored.name in _ACCEPTED.get(logical, ())

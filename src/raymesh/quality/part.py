"""A part of a row that a contract describes: a column, a struct member, list items, keys and values of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.spec.expression import AnyItem, Column, Expression, MapKeys, MapValues, Operand
from raymesh.spec.physical import Physical, parse_physical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raymesh.spec.contract_schema import Item, Property

ITEM = "$item"
SENSITIVE = ("pii", "restricted", "confidential", "sensitive", "secret")


@dataclass(frozen=True, slots=True)
class Part:
    """One described part.

    `label` is its name for people and in check ids (`address.street`, `lines[].sku`, `labels{key}`), `where` its
    place in the document, `steps` its path through the column's type. `outside` are the lists around it,
    outermost first; `parent` is the struct it is a member of. `masked` says that its values must not
    be shown.
    """

    item: Item
    label: str
    where: tuple[str | int, ...]
    operand: Operand
    steps: tuple[str, ...]
    outside: tuple[Operand, ...] = ()
    parent: Operand | None = None
    physical: Physical | None = None
    masked: bool = False

    @property
    def column(self) -> str:
        """The column of the table it belongs to."""
        return self.steps[0]

    @property
    def path(self) -> Column | None:
        """The column or struct member it is, None inside a list or map."""
        return self.operand if isinstance(self.operand, Column) and not self.outside else None

    def of_row(self, violation: Expression) -> Expression:
        """`violation`, said of this part, as a predicate of the whole row: some item somewhere violates."""
        for around in reversed(self.outside):
            violation = AnyItem(around, violation)
        return violation


def column_part(item: Property, where: tuple[str | int, ...]) -> Part:
    """A column of the table."""
    return Part(
        item,
        item.name,
        where,
        Column((item.name,)),
        (item.name,),
        physical=parse_physical(item.physical_type) if item.physical_type else None,
        masked=is_sensitive(item),
    )


def every_part(part: Part) -> Iterator[Part]:
    """The part itself and everything inside it, in the order of the document."""
    yield part
    for inner in _inside(part):
        yield from every_part(inner)


def is_sensitive(item: Item) -> bool:
    """Whether tags or classification say that values must not be shown."""
    return is_sensitive_words([*item.tags, item.classification or ""])


def is_sensitive_words(words: Iterable[str]) -> bool:
    """Whether one of these tags or classifications is a sensitive one, or below one."""
    return any(str(w).lower() == s or str(w).lower().startswith(s + ".") for w in words for s in SENSITIVE)


def _inside(part: Part) -> Iterator[Part]:
    for n, member in enumerate(part.item.properties):
        yield _member(part, member, n)
    if part.item.items is not None:
        yield _item(part, part.item.items, "[]", part.operand, "items")
    if part.item.map is not None:
        yield _item(part, part.item.map.key, "{key}", MapKeys(part.operand), "map", "key")
        yield _item(part, part.item.map.value, "{value}", MapValues(part.operand), "map", "value")


def _member(part: Part, member: Property, n: int) -> Part:
    path = part.operand.path if isinstance(part.operand, Column) else ()
    return Part(
        member,
        f"{part.label}.{member.name}",
        (*part.where, "properties", n),
        Column((*path, member.name)),
        (*part.steps, member.name),
        part.outside,
        part.operand,
        _physical(part, member, member.name),
        part.masked or is_sensitive(member),
    )


def _item(part: Part, item: Item, step: str, items: Operand, *where: str) -> Part:
    return Part(
        item,
        part.label + step,
        (*part.where, *where),
        Column((ITEM,)),
        (*part.steps, step),
        (*part.outside, items),
        None,
        _physical(part, item, step),
        part.masked or is_sensitive(item),
    )


def _physical(part: Part, item: Item, step: str) -> Physical | None:
    if item.physical_type:
        return parse_physical(item.physical_type)
    return dict(part.physical.parts).get(step) if part.physical else None

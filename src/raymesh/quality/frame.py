"""What is the same for every check of one contract, and how a check is made from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from raymesh.quality.model import Check, OnViolation
from raymesh.spec.settings import VENDOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raymesh.errors import SourceSpan
    from raymesh.quality.part import Part
    from raymesh.spec.bitol import CustomProperty
    from raymesh.spec.expression import Expression

Loc: TypeAlias = tuple[str | int, ...]
Target: TypeAlias = tuple[str, tuple[str, ...]]
SOFT = ("info", "information", "warning", "warn")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the checks belong: port, table, its names in rules, its key, settings, places in the document.

    `adapters` are the engines of custom rules that can be executed. `resolve` turns a relationship's
    references into a table and its columns, None when it knows no such table.
    """

    port: str
    table: str
    names: tuple[str, ...]
    key: tuple[str, ...] = ()
    masked: frozenset[str] = frozenset()
    on_violation: OnViolation = "fail"
    spans: Callable[[Loc], SourceSpan | None] = field(default=lambda _: None)
    adapters: frozenset[str] = frozenset()
    resolve: Callable[[Sequence[str]], Target | None] = field(default=lambda _: None)

    def check(self, check: Check, where: Loc) -> Check:
        """`check` with what the frame knows: port, place, columns worth showing and those to mask."""
        shown = tuple(dict.fromkeys((*self.key, *check.columns)))
        return replace(
            check,
            port=self.port,
            where=where,
            span=self.spans(where),
            shown=shown,
            masked=tuple(c for c in shown if c in self.masked),
        )

    def soften(self, check: Check, chosen: OnViolation | None = None) -> Check:
        """`check` with severity and `onViolation` turned into whether it blocks.

        Quarantine is for rows; a promise about the whole table that is to be quarantined blocks. A warning
        takes no row away unless its own rule says so.
        """
        if check.kind == "text":
            return check
        soft = check.severity.lower() in SOFT
        wanted = chosen or self.on_violation
        if wanted == "quarantine" and check.kind != "row":
            wanted = "fail"
        elif wanted == "quarantine" and soft and chosen is None:
            wanted = "warn"
        blocking = wanted != "warn" and not soft
        return replace(check, on_violation=wanted, blocking=blocking)


def row_check(part: Part, rule: str, violates: Expression, *, dimension: str, description: str) -> Check:
    """A check that counts the rows in which `violates`, said of the part, is true."""
    return Check(
        f"{part.label}.{rule}",
        "row",
        rule,
        columns=(part.column,),
        violates=part.of_row(violates),
        dimension=dimension,
        description=f"{part.label} {description}",
    )


def refused(part: Part, rule: str, reason: str, *, dimension: str = "conformity") -> Check:
    """A promise that cannot be executed; it blocks as if it were broken."""
    return Check(
        f"{part.label}.{rule}",
        "row",
        rule,
        columns=(part.column,),
        dimension=dimension,
        description=f"{part.label} {rule}",
        unsupported=reason,
    )


def advice(part: Part, rule: str, words: str) -> Check:
    """Something the contract says that no value can break; reported with its words."""
    return Check(
        f"{part.label}.{rule}", "text", rule, columns=(part.column,), blocking=False, description=words
    )


def chosen(properties: Sequence[CustomProperty]) -> OnViolation | None:
    """`onViolation` among custom properties of ours, None when it is not said."""
    found: Any = next(
        (p.value for p in properties if p.property == "onViolation" and p.vendor == VENDOR), None
    )
    return found if found in ("fail", "quarantine", "warn") else None

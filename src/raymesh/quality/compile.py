"""A contract as checks: every promise becomes one, whether it can be executed or not.

Check ids are stable and readable: `order_id.required`, `address.street.maxLength`, `lines[].sku.pattern`,
`amount.quality.<rule>`, `quality.<rule>`, `primaryKey`, `reference.<columns>`, `sla.latency`, `table.rows`.
Two promises that would share an id are told apart by `.2`, `.3` in the order of the document.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raymesh.quality.columns import part_checks
from raymesh.quality.completeness import KEY, TABLE
from raymesh.quality.frame import Frame, Loc, Target
from raymesh.quality.model import Check, OnViolation, Threshold
from raymesh.quality.part import Part, column_part, every_part
from raymesh.quality.references import object_references, part_references
from raymesh.quality.rules import object_rules, part_rules
from raymesh.quality.service import service_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from raymesh.errors import SourceSpan
    from raymesh.spec.contract import Contract
    from raymesh.spec.contract_schema import SchemaObject
    from raymesh.spec.expression import Column

_TABLE: Loc = TABLE


def compile_checks(
    contract: Contract,
    *,
    port: str = "default",
    table: str,
    settings_on_violation: OnViolation = "fail",
    spans: Callable[[Loc], SourceSpan | None] = lambda _: None,
    adapters: Iterable[str] = (),
    resolve: Callable[[Sequence[str]], Target | None] | None = None,
) -> tuple[Check, ...]:
    """Every promise of `contract` about `table`, in the order of the document.

    `settings_on_violation` is what the product wants for rules that do not say; `spans` gives the place of
    a path in the document. `adapters` names the engines whose custom rules can be executed. `resolve`
    turns the references of a relationship into a table and its columns; without it `domain.product.column`
    stands for that product.
    """
    if not contract.objects:
        return (_promises_nothing(port, spans),)
    described = contract.objects[0]
    parts = tuple(_parts(described))
    frame = _frame(described, parts, table)
    frame = replace(
        frame,
        port=port,
        on_violation=settings_on_violation,
        spans=spans,
        adapters=frozenset(adapters),
        resolve=resolve or by_name,
    )
    checks = [c for part in parts for c in _of_part(part, frame)]
    checks += [*_of_table(described, parts, frame), *service_checks(contract, frame)]
    if not parts and not described.quality:
        checks.append(_promises_nothing(port, spans))
    return _distinct(checks)


def by_name(references: Sequence[str]) -> Target | None:
    """`domain.product.column` as product and column; None for everything else."""
    split = [r.split(".") for r in references]
    tables = {".".join(s[:2]) for s in split}
    if len(tables) != 1 or any(len(s) != 3 for s in split):
        return None
    return tables.pop(), tuple(s[2] for s in split)


def _parts(described: SchemaObject) -> Iterator[Part]:
    for n, item in enumerate(described.properties):
        yield from every_part(column_part(item, (*_TABLE, "properties", n)))


def _frame(described: SchemaObject, parts: Sequence[Part], table: str) -> Frame:
    names = (table, described.name, described.physical_name or "")
    keyed = sorted((p for p in parts if p.item.primary_key), key=_position)
    return Frame(
        port="",
        table=table,
        names=tuple(dict.fromkeys(n for n in names if n)),
        key=tuple(dict.fromkeys(p.column for p in keyed)),
        masked=frozenset(p.column for p in parts if p.masked),
    )


def _position(part: Part) -> int:
    """Where the column stands in the key; columns without a position come last, in their order."""
    position = part.item.primary_key_position
    return position if position > 0 else 1_000_000


def _of_part(part: Part, frame: Frame) -> Iterator[Check]:
    yield from part_checks(part, frame)
    yield from part_rules(part, frame)
    yield from part_references(part, frame)


def _of_table(described: SchemaObject, parts: Sequence[Part], frame: Frame) -> Iterator[Check]:
    keyed = sorted((p for p in parts if p.item.primary_key and p.path), key=_position)
    if keyed:
        yield _primary_key(keyed, frame)
    yield from object_rules(described, _TABLE, frame)
    yield from object_references(described, _TABLE, frame)
    if not any(r.metric == "rowCount" for r in described.quality):
        yield frame.check(_not_empty(), _TABLE)


def _primary_key(keyed: Sequence[Part], frame: Frame) -> Check:
    keys = tuple(p.path for p in keyed if p.path)
    check = Check(
        "primaryKey",
        "key",
        "primaryKey",
        columns=tuple(p.column for p in keyed),
        keys=keys,
        dimension="uniqueness",
        description=f"no two rows have the same {_and(keys)}",
    )
    return frame.soften(replace(frame.check(check, (*keyed[0].where, "primaryKey")), where=KEY))


def _and(keys: Sequence[Column]) -> str:
    return " and ".join(".".join(k.path) for k in keys)


def _not_empty() -> Check:
    """Always there, so that an empty table never passes without a word."""
    return Check(
        "table.rows",
        "count",
        "rows",
        threshold=Threshold("mustBeGreaterThan", 0),
        dimension="coverage",
        severity="warning",
        blocking=False,
        on_violation="warn",
        description="the table has rows",
    )


def _promises_nothing(port: str, spans: Callable[[Loc], SourceSpan | None]) -> Check:
    return Check(
        "contract.promises",
        "custom",
        "promises",
        port=port,
        description="the contract promises something",
        span=spans(("schema",)) or spans(()),
        unsupported="the contract describes no column and no rule, so nothing can be judged",
    )


def _distinct(checks: Iterable[Check]) -> tuple[Check, ...]:
    used: set[str] = set()
    out: list[Check] = []
    for check in checks:
        free, n = check.id, 1
        while free in used:
            n += 1
            free = f"{check.id}.{n}"
        used.add(free)
        out.append(replace(check, id=free))
    return tuple(out)

"""Checks from quality rules: library metrics, SQL, other engines' rules, words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raymesh.quality.columns import typed
from raymesh.quality.fit import is_text
from raymesh.quality.frame import Frame, Loc, chosen
from raymesh.quality.model import Check, Threshold, Unit
from raymesh.quality.pattern import PatternError, re2_pattern
from raymesh.spec.expression import Column, Constant, Expression, In, IsNull, Matches, Not, Or

if TYPE_CHECKING:
    from raymesh.quality.part import Part
    from raymesh.spec.contract_quality import QualityRule
    from raymesh.spec.contract_schema import SchemaObject

_DIMENSIONS = {
    "nullValues": "completeness",
    "missingValues": "completeness",
    "invalidValues": "conformity",
    "duplicateValues": "uniqueness",
    "rowCount": "coverage",
}


def part_rules(part: Part, frame: Frame) -> Iterator[Check]:
    """The quality rules of a part; ids are `<label>.quality.<rule>`."""
    for n, rule in enumerate(part.item.quality):
        check = _rule(rule, part, frame)
        named = replace(check, id=f"{part.label}.quality.{rule_name(rule)}", columns=(part.column,))
        yield _finish(named, rule, frame, (*part.where, "quality", n))


def object_rules(table: SchemaObject, where: Loc, frame: Frame) -> Iterator[Check]:
    """The quality rules of the table; ids are `quality.<rule>`."""
    for n, rule in enumerate(table.quality):
        named = replace(_rule(rule, None, frame), id=f"quality.{rule_name(rule)}")
        yield _finish(named, rule, frame, (*where, "quality", n))


def rule_name(rule: QualityRule) -> str:
    """The stable name of a rule: its id, else its name, else what it measures."""
    if rule.id:
        return rule.id
    if rule.name:
        return re.sub(r"[^\w]+", "-", rule.name.strip()).strip("-").lower() or rule.kind()
    return rule.metric or rule.rule or rule.kind()


def _finish(check: Check, rule: QualityRule, frame: Frame, where: Loc) -> Check:
    description = rule.description or rule.name or check.description
    made = replace(
        check,
        dimension=rule.dimension or check.dimension,
        severity=rule.severity or "error",
        description=description,
    )
    made = frame.check(made, where)
    if made.kind == "text":
        return replace(made, blocking=False)
    return frame.soften(made, chosen(rule.custom_properties))


def _rule(rule: QualityRule, part: Part | None, frame: Frame) -> Check:
    kind = rule.kind()
    if kind == "text":
        return Check("", "text", "text", description=rule.description or rule.name or "")
    if kind == "custom":
        return _custom(rule, frame)
    threshold = rule.threshold()
    if threshold is None:
        return _refused(rule, "the rule has no operator such as mustBe")
    unit = rule.unit or "rows"
    if unit not in ("rows", "percent"):
        return _refused(rule, f"{unit!r} is no unit; it is rows or percent")
    check = _sql(rule, part, frame) if kind == "sql" else _library(rule, part)
    return replace(check, threshold=Threshold(*threshold), unit=_unit(unit))


def _unit(unit: str) -> Unit:
    return "percent" if unit == "percent" else "rows"


def _refused(rule: QualityRule, reason: str) -> Check:
    metric = rule.metric or rule.rule or rule.kind()
    return Check("", "row", metric, dimension=_DIMENSIONS.get(metric), unsupported=reason)


def _custom(rule: QualityRule, frame: Frame) -> Check:
    engine = rule.engine or ""
    known = engine in frame.adapters
    reason = None if known else f"no adapter for the engine {engine!r} is installed"
    return Check(
        "",
        "custom",
        "custom",
        arguments={"engine": engine, "implementation": rule.implementation},
        description=f"{engine}: {rule.name or 'custom rule'}",
        unsupported=reason,
    )


def _sql(rule: QualityRule, part: Part | None, frame: Frame) -> Check:
    if not rule.query:
        return _refused(rule, "the rule has no query")
    names = part.path.path if part and part.path else ()
    if part is not None and part.path is None and _names_column(rule.query):
        return _refused(rule, "a part of a list or map has no name in SQL")
    return Check(
        "",
        "sql",
        "sql",
        query=rule.query,
        arguments={"tables": list(frame.names), "column": list(names), "hides": bool(frame.masked)},
        description=rule.query.strip(),
    )


def _names_column(query: str) -> bool:
    return any("{" + name + "}" in query for name in ("property", "column"))


def _library(rule: QualityRule, part: Part | None) -> Check:
    metric = rule.metric or rule.rule
    if metric == "rowCount":
        return _row_count(rule, part)
    if metric == "duplicateValues":
        return _duplicates(rule, part)
    if metric not in _DIMENSIONS:
        return _refused(rule, f"{metric!r} is no metric of the library")
    if part is None:
        return _refused(rule, f"{metric} belongs to a column")
    try:
        violates = _violation(metric, rule.arguments or {}, part)
    except (ValueError, PatternError) as problem:
        return _refused(rule, str(problem))
    return Check(
        "",
        "row",
        metric,
        violates=part.of_row(violates),
        dimension=_DIMENSIONS[metric],
        description=f"{metric} of {part.label}",
    )


def _row_count(rule: QualityRule, part: Part | None) -> Check:
    if part is not None:
        return _refused(rule, "rowCount belongs to the table, not to a column")
    if rule.unit == "percent":
        return _refused(rule, "a number of rows has no percent")
    return Check("", "count", "rowCount", dimension="coverage", description="number of rows")


def _duplicates(rule: QualityRule, part: Part | None) -> Check:
    names = (rule.arguments or {}).get("properties")
    if part is not None:
        if part.path is None:
            return _refused(rule, "duplicateValues says nothing about a part of a list or map")
        keys: tuple[Column, ...] = (part.path,)
    elif isinstance(names, Sequence) and names and all(isinstance(n, str) for n in names):
        keys = tuple(Column(tuple(n.split("."))) for n in names)
    else:
        return _refused(rule, "duplicateValues of a table needs arguments.properties")
    return Check(
        "",
        "key",
        "duplicateValues",
        columns=tuple(k.path[0] for k in keys),
        keys=keys,
        dimension="uniqueness",
        description="rows in excess of one per " + ", ".join(".".join(k.path) for k in keys),
    )


def _violation(metric: str, arguments: dict[str, Any], part: Part) -> Expression:
    if metric == "nullValues":
        return IsNull(part.operand)
    if metric == "missingValues":
        return _missing(arguments.get("missingValues", [None]), part)
    return _invalid(arguments, part)


def _missing(values: Any, part: Part) -> Expression:
    if not isinstance(values, list | tuple):
        values = [values]
    terms: list[Expression] = [IsNull(part.operand)] if None in values else []
    possible = tuple(v for v in values if v is not None and _can_hold(part, v))
    if possible:
        terms.append(In(part.operand, typed(part, possible)))
    return Or(tuple(terms)) if terms else Constant(value=False)


def _can_hold(part: Part, value: Any) -> bool:
    """Whether the part could hold the value at all: a number column holds no 'N/A'."""
    logical = part.item.logical_type
    as_text = is_text(part.physical.type) if part.physical else None
    if logical in ("integer", "number") and not as_text:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if logical == "boolean" and not as_text:
        return isinstance(value, bool)
    if logical == "string" or as_text:
        return isinstance(value, str)
    if logical in ("date", "time", "timestamp"):
        return isinstance(value, str) and _is_typed(part, value)
    return True


def _is_typed(part: Part, value: str) -> bool:
    try:
        typed(part, (value,))
    except ValueError:
        return False
    return True


def _invalid(arguments: dict[str, Any], part: Part) -> Expression:
    terms: list[Expression] = []
    if "validValues" in arguments:
        known = tuple(v for v in arguments["validValues"] if v is not None)
        terms.append(Not(In(part.operand, typed(part, known))))
    if "pattern" in arguments:
        terms.append(Not(Matches(part.operand, re2_pattern(str(arguments["pattern"])))))
    if not terms:
        raise ValueError("invalidValues needs arguments.validValues or arguments.pattern")
    return Or(tuple(terms))

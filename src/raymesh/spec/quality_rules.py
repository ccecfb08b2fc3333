"""What an ODCS quality rule must satisfy beyond the types of its keys."""

from collections.abc import Iterator
from typing import Any

from raymesh.spec.contract_quality import METRICS, OPERATORS
from raymesh.spec.problems import Problem, entries, mapping
from raymesh.spec.wording import did_you_mean, listed
from raymesh.spec.yaml import Loc

LIBRARY_KEYS = frozenset({"metric", "rule", "arguments"})
KIND_KEYS = {
    "library": LIBRARY_KEYS,
    "sql": frozenset({"query"}),
    "custom": frozenset({"engine", "implementation"}),
    "text": frozenset[str](),
}
"""The keys each type of rule has besides the common ones and, for library and sql, one operator."""

OBJECT_METRICS = ("rowCount", "duplicateValues")
PROPERTY_METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues")
_BETWEEN = ("mustBeBetween", "mustNotBeBetween")


def quality_problems(rules: Any, loc: Loc, *, level: str, columns: frozenset[str]) -> Iterator[Problem]:
    """Problems of the rules at `loc`; `level` is `object` or `property`, `columns` the object's names."""
    for index, rule in entries(rules):
        at = (*loc, index)
        kind = rule_kind(rule)
        yield from _kind_problems(rule, at, kind)
        yield from _operator_problems(rule, at, kind)
        if kind == "library":
            yield from _metric_problems(rule, at, level)
            yield from _argument_problems(rule, at, level, columns)


def rule_kind(rule: dict[str, Any]) -> str:
    """`type`, otherwise what the other keys show."""
    kind = rule.get("type")
    if isinstance(kind, str):
        return kind
    return "library" if "metric" in rule or "rule" in rule else "text"


def _kind_problems(rule: dict[str, Any], at: Loc, kind: str) -> Iterator[Problem]:
    if kind not in KIND_KEYS:
        return
    for key in ("query", "engine", "implementation", "arguments"):
        if key in rule and key not in KIND_KEYS[kind]:
            owner = next(name for name, keys in KIND_KEYS.items() if key in keys)
            way = "add a `metric`" if owner == "library" else f"add `type: {owner}`"
            message = f"`{key}` belongs to a rule of type {owner}, and this rule is of type {kind}"
            yield Problem((*at, key), "quality-rule", message, way, "key")
    for key in {"sql": ("query",), "custom": ("engine", "implementation")}.get(kind, ()):
        if key not in rule:
            yield Problem((*at, key), "missing-key", f"a rule of type {kind} needs `{key}`", None, "key")
    if kind != "library" and "metric" in rule:
        message = f"the rule is of type {kind}, so its `metric` would be ignored"
        problem = Problem((*at, "metric"), "quality-rule", message, "remove one of the two", "key")
        yield problem._replace(severity="warning") if kind == "sql" else problem
    implementation = rule.get("implementation")
    if implementation is not None and not isinstance(implementation, str | dict):
        yield Problem((*at, "implementation"), "wrong-type", "`implementation` must be text or a mapping")


def _operator_problems(rule: dict[str, Any], at: Loc, kind: str) -> Iterator[Problem]:
    present = [name for name in OPERATORS if name in rule]
    if kind in ("library", "sql") and not present:
        way = "add one, for example `mustBe: 0`"
        yield Problem(at, "quality-rule", "the rule has no operator, so nothing could break it", way)
    if kind in ("text", "custom") and present:
        way = (
            "add a `metric`, or `type: sql` and a `query`"
            if kind == "text"
            else "put it into `implementation`"
        )
        message = f"a rule of type {kind} has no operator `{present[0]}`"
        yield Problem((*at, present[0]), "quality-rule", message, way, "key")
    for extra in present[1:]:
        message = f"a rule has one operator, and this one already has `{present[0]}`"
        way = "use `mustBeBetween`, or write two rules"
        yield Problem((*at, extra), "quality-rule", message, way, "key")
    for name in _BETWEEN:
        yield from _range_problems(rule.get(name), (*at, name))
    if kind == "library":
        for name in ("mustBe", "mustNotBe"):
            value = rule.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                message = f"a metric is a number, so `{name}` must be a number"
                yield Problem((*at, name), "wrong-type", message)


def _range_problems(value: Any, at: Loc) -> Iterator[Problem]:
    if not isinstance(value, list):
        return
    if len(value) != 2:
        message = f"`{at[-1]}` needs two numbers, the smaller first"
        yield Problem(at, "wrong-value", message, "write it as `[1, 5]`")
    elif all(isinstance(v, int | float) for v in value) and not value[0] < value[1]:
        message = f"no number lies between {value[0]} and {value[1]}"
        yield Problem(at, "wrong-value", message, "write two different numbers, the smaller first")


def _metric_problems(rule: dict[str, Any], at: Loc, level: str) -> Iterator[Problem]:
    metric = rule.get("metric")
    if metric is None and "rule" in rule:
        if rule["rule"] in METRICS:
            message, way = "`rule` is an old word for `metric`", f"write `metric: {rule['rule']}`"
            yield Problem((*at, "rule"), "deprecated", message, way, "key", "warning")
        else:
            message = "`rule` alone does not say what is measured; the rule needs a `metric`"
            yield Problem((*at, "rule"), "quality-rule", message, f"write {listed(METRICS)}", "key")
        metric = rule["rule"]
    elif metric is None and "metric" not in rule:
        message = "a rule of type library needs a `metric`"
        yield Problem((*at, "metric"), "missing-key", message, f"write {listed(METRICS)}", "key")
    allowed = OBJECT_METRICS if level == "object" else PROPERTY_METRICS
    if metric in METRICS and metric not in allowed:
        other = "a property" if level == "object" else "the schema object"
        key = "metric" if "metric" in rule else "rule"
        message = (
            f"`{metric}` measures {other}, not {'the schema object' if level == 'object' else 'a property'}"
        )
        yield Problem((*at, key), "metric-level", message, f"move the rule to `quality` of {other}")


def _argument_problems(
    rule: dict[str, Any], at: Loc, level: str, columns: frozenset[str]
) -> Iterator[Problem]:
    metric, arguments = rule.get("metric", rule.get("rule")), mapping(rule.get("arguments"))
    if metric == "missingValues" and not isinstance(arguments.get("missingValues"), list):
        yield _argument(
            rule,
            at,
            "`missingValues` needs the list of values that stand for nothing",
            "missingValues: ['', 'N/A']",
        )
    if metric == "invalidValues" and not ({"validValues", "pattern"} & arguments.keys()):
        yield _argument(rule, at, "`invalidValues` needs to know what is valid", "validValues: [a, b]")
    if metric == "invalidValues":
        yield from _valid_values_problems(arguments, (*at, "arguments"))
    if metric == "duplicateValues" and level == "object":
        names = arguments.get("properties")
        if not isinstance(names, list) or not names:
            yield _argument(
                rule,
                at,
                "`duplicateValues` of an object needs the properties of the key",
                "properties: [a, b]",
            )
            return
        for index, name in enumerate(names):
            if str(name) not in columns:
                place = (*at, "arguments", "properties", index)
                yield Problem(
                    place,
                    "unknown-column",
                    f"there is no property `{name}`",
                    did_you_mean(str(name), columns),
                )


def _valid_values_problems(arguments: dict[str, Any], at: Loc) -> Iterator[Problem]:
    if not isinstance(arguments.get("validValues", []), list):
        yield Problem((*at, "validValues"), "wrong-type", "`validValues` must be a list")
    if not isinstance(arguments.get("pattern", ""), str):
        yield Problem((*at, "pattern"), "wrong-type", "`pattern` must be text")


def _argument(rule: dict[str, Any], at: Loc, message: str, example: str) -> Problem:
    key = "arguments" if "arguments" in rule else "metric"
    return Problem((*at, key), "quality-rule", message, f"add `arguments: {{{example}}}`", "key")

"""Quality rules of an ODCS contract."""

from typing import Any, Literal, get_args

from pydantic import model_validator

from raymesh.spec.bitol import AuthoritativeDefinition, CustomProperty
from raymesh.spec.model import Many, Maybe, Model, Number, StableId

Dimension = Literal[
    "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"
]
Metric = Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
METRICS: tuple[str, ...] = get_args(Metric)
RuleType = Literal["library", "sql", "custom", "text"]

OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)


class QualityRule(Model):
    """One rule of a property or of the object. `kind` and `threshold` say what it means."""

    id: Maybe[StableId] = None
    name: Maybe[str] = None
    description: Maybe[str] = None
    type: Maybe[RuleType] = None
    dimension: Maybe[Dimension] = None
    method: Maybe[str] = None
    severity: Maybe[str] = None
    business_impact: Maybe[str] = None
    unit: Maybe[str] = None
    scheduler: Maybe[str] = None
    schedule: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    metric: Maybe[Metric] = None
    rule: Maybe[str] = None
    arguments: Maybe[dict[str, Any]] = None
    query: Maybe[str] = None
    engine: Maybe[str] = None
    implementation: Any = None
    must_be: Any = None
    must_not_be: Any = None
    must_be_greater_than: Maybe[Number] = None
    must_be_greater_or_equal_to: Maybe[Number] = None
    must_be_less_than: Maybe[Number] = None
    must_be_less_or_equal_to: Maybe[Number] = None
    must_be_between: Maybe[Many[Number]] = None
    must_not_be_between: Maybe[Many[Number]] = None

    @model_validator(mode="before")
    @classmethod
    def _read_rule_as_metric(cls, value: Any) -> Any:
        if isinstance(value, dict) and "metric" not in value and value.get("rule") in METRICS:
            return {**value, "metric": value["rule"]}
        return value

    def kind(self) -> RuleType:
        """What the rule is: its `type`, otherwise `library` with a metric and `text` without."""
        return self.type or ("library" if self.metric or self.rule else "text")

    def threshold(self) -> tuple[str, Any] | None:
        """The operator in the standard's spelling and its operand (`("mustBeBetween", (1, 5))`), or None."""
        for operator, field in _OPERATOR_FIELDS:
            if field in self.model_fields_set:
                return operator, getattr(self, field)
        return None


_OPERATOR_FIELDS = tuple(
    (operator, "".join("_" + c.lower() if c.isupper() else c for c in operator)) for operator in OPERATORS
)

"""raymesh's own settings: custom properties with `vendor: raymesh`, parsed. Other vendors' are left alone."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from raymesh.spec import model as parts
from raymesh.spec.bitol import CustomProperty
from raymesh.spec.contract_quality import QualityRule
from raymesh.spec.contract_schema import Item
from raymesh.spec.diagnostics import problems_of
from raymesh.spec.domain import Resources
from raymesh.spec.mesh import EngineName, SnapshotPolicy
from raymesh.spec.model import Bytes, Many, Maybe, Model, Seconds, parse_duration
from raymesh.spec.problems import Problem
from raymesh.spec.yaml import Loc

M = TypeVar("M", bound=Model)

VENDOR = parts.VENDOR
DEFAULT_FILE_SIZE = 128 * 1024 * 1024


def _lookback(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = parse_duration(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("wrong-value", "a duration such as 3d, or a number for columns of numbers")
    return found


def _refresh(value: str) -> str:
    if parse_duration(value) is None and not _CRON.fullmatch(value.strip()):
        raise PydanticCustomError("wrong-value", "a duration such as 6h, or a cron schedule of five fields")
    return value


_CRON = re.compile(r"[\d*,/A-Za-z#?-]+(\s+[\d*,/A-Za-z#?-]+){4}")
Refresh = Annotated[str, AfterValidator(_refresh)]
Lookback = Annotated[int, BeforeValidator(_lookback, json_schema_input_type=str | int)]
OnViolation = Literal["fail", "quarantine", "warn"]


class Settings(Model):
    """How a product (or one of its ports) is built. None means: not said, the mesh decides.

    `target_file_size` in bytes, `timeout` in seconds, `minimum_quality` 0–1. `quarantine_limit` is the share
    (0–1) of a build's rows that may be set aside; beyond it the build is blocked. `lookback` is in seconds
    for columns of dates and times and a plain difference for columns of numbers.

    Of contracts only: `purposes` data may be used for (None: any) and `consent`, which maps a purpose to the
    boolean column in which a subject consented to it. `legal_hold` is the reason why no version may expire.
    """

    engine: Maybe[EngineName] = None
    mode: Literal["full", "append"] = "full"
    incremental_column: Maybe[str] = None
    lookback: Maybe[Lookback] = None
    on_violation: OnViolation = "fail"
    quarantine_limit: Annotated[float, Field(ge=0, le=1)] = 0.1
    partition_by: Many[str] = ()
    sort_by: Many[str] = ()
    target_file_size: Bytes = DEFAULT_FILE_SIZE
    source: Maybe[str] = None
    resources: Maybe[Resources] = None
    timeout: Maybe[Seconds] = None
    minimum_quality: Maybe[Annotated[float, Field(ge=0, le=1)]] = None
    snapshots: Maybe[SnapshotPolicy] = None
    refresh: Maybe[Refresh] = None
    purposes: Maybe[Many[str]] = None
    consent: dict[str, str] = Field(default_factory=dict)
    legal_hold: Maybe[str] = None


class PropertySettings(Model):
    """Settings on one property of a contract: the name it had in the version before."""

    renamed_from: Maybe[str] = None


class RuleSettings(Model):
    """Settings on one quality rule: what happens to rows that break it."""

    on_violation: Maybe[OnViolation] = None


class NoSettings(Model):
    """Where raymesh has no settings."""


NO_SETTINGS = Settings()


def settings_in(properties: Any, model: type[M], loc: Loc = ()) -> tuple[M | None, tuple[Problem, ...]]:
    """Our settings among custom properties (as read from YAML, standing at `loc`), and what is wrong with them.

    None without problems when there are none of ours.
    """
    values, places, problems = _ours(properties, loc)
    if not values:
        return None, tuple(problems)
    try:
        return model.model_validate(values), tuple(problems)
    except ValidationError as error:
        found = problems_of(error, model, values)
        return None, (*problems, *(_moved(problem, places) for problem in found))


def setting_values(properties: Any) -> dict[str, Any]:
    """Names and values of our settings as written."""
    return _ours(properties, ())[0]


def renamed_from(item: Item) -> str | None:
    """The name a property had in the version before, if the contract says so."""
    return setting_values(item.custom_properties).get("renamedFrom")


def rule_on_violation(rule: QualityRule) -> OnViolation | None:
    """What happens to rows that break the rule, when the rule itself says so."""
    return setting_values(rule.custom_properties).get("onViolation")


def _ours(properties: Any, loc: Loc) -> tuple[dict[str, Any], dict[str, Loc], list[Problem]]:
    values: dict[str, Any] = {}
    places: dict[str, Loc] = {}
    problems = []
    for index, item in enumerate(properties if isinstance(properties, list | tuple) else ()):
        name, value, vendor = _parts(item)
        if vendor != VENDOR or not isinstance(name, str):
            continue
        if name in values:
            message = f"the setting `{name}` is here a second time"
            problems.append(Problem((*loc, index, "property"), "duplicate-key", message))
        values[name] = value
        places[name] = (*loc, index)
    return values, places, problems


def _parts(item: Any) -> tuple[Any, Any, Any]:
    if isinstance(item, CustomProperty):
        return item.property, item.value, item.vendor
    return (
        (item.get("property"), item.get("value"), item.get("vendor"))
        if isinstance(item, dict)
        else (None,) * 3
    )


def _moved(problem: Problem, places: dict[str, Loc]) -> Problem:
    name, *rest = problem.loc
    place = places[str(name)]
    if problem.code == "unknown-key" and not rest:
        message = f"raymesh has no setting `{name}` here"
        return problem._replace(loc=(*place, "property"), code="unknown-setting", message=message, at="value")
    return problem._replace(loc=(*place, "value", *rest), at="value" if not rest else problem.at)

"""Problems found in the content of a document, and how rules add theirs to those of the models.

A rule looks at plain values, because it must also speak when other parts of the document are wrong.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from raymesh.errors import Severity
from raymesh.spec.yaml import Loc

RULE = "rule:"
"""Prefix of the error types by which rules are told from the models' own errors."""


class Problem(NamedTuple):
    """One thing wrong at `loc`; `at` says whether the key or the value is to be pointed at."""

    loc: Loc
    code: str
    message: str
    help: str | None = None
    at: Literal["key", "value"] = "value"
    severity: Severity = "error"


def mapping(value: Any) -> dict[str, Any]:
    """`value` if it is a mapping, otherwise an empty one: the models report wrong shapes."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Position and content of every mapping in a list; nothing when it is no list."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield index, item


def validated(
    value: Any, handler: Callable[[Any], Any], rules: Callable[[dict[str, Any]], Iterable[Problem]], info: Any
) -> Any:
    """The model `handler` makes of `value`, unless it or `rules` object; then all objections at once.

    Warnings are added to the list that is the validation's context, when there is one.
    """
    problems = list(rules(value)) if isinstance(value, dict) else []
    if info.context is not None:
        info.context.extend(p for p in problems if p.severity != "error")
    objections = [problem for problem in problems if problem.severity == "error"]
    details = [_detail(problem) for problem in objections]
    try:
        model = handler(value)
    except ValidationError as error:
        explained = {
            problem.loc for problem in objections
        }  # a rule says more than the model at the same place
        lines = error.errors(include_url=False)
        details = [_again(line) for line in lines if line["loc"] not in explained] + details
    if details:
        raise ValidationError.from_exception_data("document", details, hide_input=True)
    return model


def _detail(problem: Problem) -> InitErrorDetails:
    context = {"text": problem.message, "help": problem.help, "at": problem.at}
    return InitErrorDetails(
        type=PydanticCustomError(f"{RULE}{problem.code}", "{text}", context), loc=problem.loc, input=None
    )


def _again(line: Any) -> InitErrorDetails:
    kind, context = line["type"], line.get("ctx")
    if kind.startswith(_CUSTOM):
        return InitErrorDetails(
            type=PydanticCustomError(kind, line["msg"], context), loc=line["loc"], input=None
        )
    return InitErrorDetails(type=kind, loc=line["loc"], input=line["input"], ctx=context or {})


_CUSTOM = ("wrong-", "plain-", RULE)

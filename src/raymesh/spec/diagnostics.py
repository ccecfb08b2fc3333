"""From what models and rules object to, to sentences with a place and a way out."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from raymesh.errors import Diagnostic
from raymesh.spec.model import name_like
from raymesh.spec.problems import RULE, Problem
from raymesh.spec.wording import described, did_you_mean, listed, noun, suggestion
from raymesh.spec.yaml import Loc, Positions

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_YES_NO = {
    "yes": True,
    "on": True,
    "y": True,
    "true": True,
    "no": False,
    "off": False,
    "n": False,
    "false": False,
}


def diagnose(
    error: ValidationError, model: type[BaseModel], raw: Any, positions: Positions
) -> tuple[Diagnostic, ...]:
    """Every problem of `raw` (as written, variables unresolved) that `error` reports, in document order.

    `model` is the class that was asked to read it; one place and cause gives one diagnostic.
    """
    return placed(problems_of(error, model, raw), positions)


def placed(problems: Iterable[Problem], positions: Positions) -> tuple[Diagnostic, ...]:
    """Problems as diagnostics with places, each once, in document order."""
    found = {}
    for loc, code, message, help_, at, severity in problems:
        span = positions.key(loc) if at == "key" else positions.value(loc)
        found[span, message] = Diagnostic(code, message, span, severity, help_)
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[0].line, key[0].column)))


def problems_of(error: ValidationError, model: type[BaseModel], raw: Any) -> list[Problem]:
    """The lines of a validation error as problems; locations are those of `raw`."""
    lines = error.errors(include_url=False, include_input=False)
    meant = set(_meant_keys(lines, model))
    return [
        _problem(line, model, raw)
        for line in lines
        if line["loc"] not in meant or line["type"] not in ("missing", f"{RULE}missing-key")
    ]


def _problem(line: Any, model: type[BaseModel], raw: Any) -> Problem:
    kind, context = line["type"], line.get("ctx", {})
    loc = raw_loc(line["loc"], raw)
    value = value_at(raw, loc)
    if kind.startswith(RULE):
        return Problem(loc, kind.removeprefix(RULE), context["text"], context["help"], context["at"])
    if kind == "extra_forbidden":
        return _unknown_key(loc, model_at(model, line["loc"][:-1]), model)
    if kind == "missing":
        owner = model_at(model, line["loc"][:-1])
        subject = f"{noun(owner)} needs" if owner and loc[:-1] else "the document needs"
        return Problem(loc, "missing-key", f"{subject} `{loc[-1]}`", None, "key")
    return _wrong(line, loc, value, choices_at(model, line["loc"]))


def _wrong(line: Any, loc: Loc, value: Any, choices: tuple[str, ...]) -> Problem:
    kind = line["type"]
    if value is None and loc:
        way = "write a value, or remove the key" if isinstance(loc[-1], str) else "remove the empty item"
        return Problem(loc, "wrong-type", f"{_named(loc)} has no value", way, "key")
    if kind in ("wrong-type", "wrong-value", "wrong-name", "plain-secret"):
        return _custom(kind, line["msg"], loc, value)
    if kind in _WANTED:
        return Problem(loc, "wrong-type", _must_be(loc, _WANTED[kind], value), _conversion(kind, loc, value))
    return _wrong_value(line, loc, value, choices)


def _custom(code: str, wanted: str, loc: Loc, value: Any) -> Problem:
    if code == "plain-secret":
        message = f"{_named(loc)} must not hold a secret in plain text"
        return Problem(loc, code, message, f"write {wanted}")
    if code == "wrong-name" and isinstance(value, str):
        close = name_like(value)
        return Problem(loc, code, _must_be(loc, wanted, value), f"did you mean `{close}`?" if close else None)
    way = "put a number there without quotes" if wanted == "a number" and isinstance(value, str) else None
    return Problem(loc, code, _must_be(loc, wanted, value), way)


def _wrong_value(line: Any, loc: Loc, value: Any, choices: tuple[str, ...]) -> Problem:
    kind, context = line["type"], line.get("ctx", {})
    if kind == "literal_error":
        shown = listed(choices) if choices else context["expected"].replace("'", "")
        way = did_you_mean(value, choices) if isinstance(value, str) else None
        return Problem(loc, "wrong-value", _must_be(loc, shown, value), way)
    if kind == "string_pattern_mismatch":
        way = f"it must match `{context['pattern']}`"
        return Problem(loc, "wrong-value", f"{_named(loc)} cannot be {described(value)}", way)
    limits = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in limits:
        key, words = limits[kind]
        return Problem(loc, "wrong-value", _must_be(loc, f"{words} {context[key]}", value))
    return Problem(loc, "wrong-value", f"{_named(loc)} cannot be {described(value)}")


def _unknown_key(loc: Loc, owner: type[BaseModel] | None, model: type[BaseModel]) -> Problem:
    name = str(loc[-1])
    subject = noun(owner) if owner and owner is not model else "the document"
    known = keys_of(owner) if owner else ()
    way = did_you_mean(name, known)
    if way is None and 0 < len(known) <= 12:
        way = f"{subject} has {listed(f'`{key}`' for key in known)}"
    return Problem(loc, "unknown-key", f"{subject} has no key `{name}`", way, "key")


def _meant_keys(lines: list[Any], model: type[BaseModel]) -> Iterator[Loc]:
    """Missing keys that are there under a misspelt name: one mistake is reported once."""
    for line in lines:
        if line["type"] == "extra_forbidden":
            *parents, name = line["loc"]
            owner = model_at(model, tuple(parents))
            meant = suggestion(str(name), keys_of(owner)) if owner else None
            if meant:
                yield (*parents, meant)


def _must_be(loc: Loc, wanted: str, value: Any) -> str:
    return f"{_named(loc)} must be {wanted}, not {described(value)}"


def _named(loc: Loc) -> str:
    if not loc:
        return "the document"
    if isinstance(loc[-1], str):
        return f"`{loc[-1]}`"
    owner = next((part for part in reversed(loc) if isinstance(part, str)), None)
    return f"item {loc[-1] + 1} of `{owner}`" if owner else f"item {loc[-1] + 1}"


def _conversion(kind: str, loc: Loc, value: Any) -> str | None:
    key = loc[-1] if loc and isinstance(loc[-1], str) else None
    prefix = f"{key}: " if key else ""
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _YES_NO:
        return f"write `{prefix}{'true' if _YES_NO[value.lower()] else 'false'}`"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    if kind in ("tuple_type", "list_type") and isinstance(value, str | int | float):
        return f"write `{prefix}[{value}]`"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        return "put a number there without quotes"
    return None


def raw_loc(loc: Loc, raw: Any) -> Loc:
    """`loc` without the steps that exist only in the models (a bare list read as a team's members)."""
    out: list[str | int] = []
    for index, part in enumerate(loc):
        if isinstance(raw, dict) and (part in raw or index == len(loc) - 1):
            out.append(part)
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            out.append(part)
            raw = raw[part]
    return tuple(out)


def value_at(raw: Any, loc: Loc) -> Any:
    """The value at `loc`, None when there is none."""
    for part in loc:
        if isinstance(raw, dict):
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            return None
    return raw


def keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys a model has in a document."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def model_at(model: type[BaseModel] | None, loc: Loc) -> type[BaseModel] | None:
    """The model that reads the value at `loc`, if one does."""
    for part in loc:
        if isinstance(part, str) and model is not None:
            model = _model_in(_annotation(model, part))
    return model


def choices_at(model: type[BaseModel], loc: Loc) -> tuple[str, ...]:
    """The words allowed at `loc`, if it takes words from a list."""
    names = [index for index, part in enumerate(loc) if isinstance(part, str)]
    owner = model_at(model, loc[: names[-1]]) if names else None
    return _literals(_annotation(owner, str(loc[names[-1]]))) if owner else ()


def _annotation(model: type[BaseModel], key: str) -> Any:
    model.model_rebuild()
    for name, field in model.model_fields.items():
        if key in (field.alias, name):
            return field.annotation
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)


def _literals(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(str(word) for word in get_args(annotation))
    return next((found for arg in get_args(annotation) if (found := _literals(arg))), ())

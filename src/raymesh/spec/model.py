"""What every document model is made of: strict, frozen, camelCase keys, no silent coercion.

`Maybe[T]` is a key that may be absent (then None in Python) but not empty; `Many[T]` is a list that
becomes a tuple. Sizes and durations are written with a unit and held as bytes and seconds.
"""

import re
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")

VENDOR = "raymesh"
"""The vendor of our own custom properties."""


class Model(BaseModel):
    """An immutable part of a document; keys are camelCase in YAML and snake_case in Python."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        serialize_by_alias=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


class _NotNull:
    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


class _AnyNumber:
    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.union_schema(
            [core_schema.int_schema(strict=True), core_schema.float_schema(strict=True, allow_inf_nan=False)],
            custom_error_type="wrong-type",
            custom_error_message="a number",
        )


class _AnyScalar:
    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.union_schema(
            [
                core_schema.str_schema(strict=True),
                core_schema.bool_schema(strict=True),
                core_schema.int_schema(strict=True),
                core_schema.float_schema(strict=True),
                core_schema.none_schema(),
            ],
            custom_error_type="wrong-type",
            custom_error_message="text, a number, a boolean or null",
        )


class _TextOrInteger:
    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.union_schema(
            [core_schema.str_schema(strict=True), core_schema.int_schema(strict=True)],
            custom_error_type="wrong-type",
            custom_error_message="an integer or text",
        )


Maybe = Annotated[T | None, _NotNull]
Many = Annotated[tuple[T, ...], Strict(strict=False)]
Number = Annotated[int | float, _AnyNumber]
Scalar = Annotated[str | bool | int | float | None, _AnyScalar]
PortNumber = Annotated[int | str, _TextOrInteger]
STABLE_ID = r"^[^\s.#/\\@!%&^]+$"
StableId = Annotated[str, Field(pattern=STABLE_ID)]

NAME_PATTERN = r"^[a-z](_?[a-z0-9])*$"
_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B|B)")
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(\d+)\s*(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def is_name(text: str) -> bool:
    """Whether `text` can name a domain, product, port or source: `a-z`, `0-9`, single `_`, at most 63.

    It begins with a letter and does not end with `_`, because `__` joins a product and its port.
    """
    return len(text) <= 63 and _NAME.fullmatch(text) is not None


def name_like(text: str) -> str | None:
    """The name nearest to `text`, None when nothing of it can stay."""
    close = "_".join(re.findall(r"[a-z0-9]+", text.lower())).lstrip("0123456789_")[:63]
    return close if is_name(close) else None


def parse_size(text: str) -> int | None:
    """Bytes of `128MB` (decimal units) or `128MiB` (binary units); None when it is not a size."""
    match = _SIZE.fullmatch(text.strip())
    return round(float(match[1]) * _BYTES[match[2]]) if match else None


def parse_duration(text: str) -> int | None:
    """Seconds of `90s`, `10m`, `2h`, `30d`, `1w`; None when it is not a duration."""
    match = _DURATION.fullmatch(text.strip())
    return int(match[1]) * _SECONDS[match[2]] if match else None


def _size(value: Any) -> int:
    found = parse_size(value) if isinstance(value, str) else None
    if not found:
        raise PydanticCustomError("wrong-value", "a size with a unit, such as 128MB or 4GiB")
    return found


def _duration(value: Any) -> int:
    found = parse_duration(value) if isinstance(value, str) else None
    if not found:
        raise PydanticCustomError("wrong-value", "a duration with a unit, such as 90s, 10m, 2h, 30d or 1w")
    return found


def _name(value: str) -> str:
    if not is_name(value):
        raise PydanticCustomError("wrong-name", NAME_WORDS)
    return value


NAME_WORDS = "a name of lower-case letters, digits and single `_`, a letter first, at most 63 characters"
Name = Annotated[
    str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": 63})
]
Bytes = Annotated[int, BeforeValidator(_size, json_schema_input_type=str)]
Seconds = Annotated[int, BeforeValidator(_duration, json_schema_input_type=str)]

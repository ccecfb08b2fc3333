"""sources/<name>.yaml: outside data that transforms of the domain name as `source.<name>`."""

from collections.abc import Iterator
from typing import Any, Literal, Self, get_args

from pydantic import ModelWrapValidatorHandler, ValidationInfo, model_validator

from raymesh.spec.mesh import S3Storage
from raymesh.spec.model import Many, Maybe, Model, Name, PortNumber
from raymesh.spec.physical import TYPE_WORDS, parse_physical
from raymesh.spec.problems import Problem, entries, validated
from raymesh.spec.secrets import Address, Secret, SecretText
from raymesh.spec.wording import did_you_mean, shortened

SourceType = Literal["parquet", "csv", "json", "iceberg", "delta", "postgres"]


class SourceOptions(Model):
    """How text files are read."""

    delimiter: Maybe[str] = None
    quote: Maybe[str] = None
    escape: Maybe[str] = None
    header: Maybe[bool] = None
    encoding: Maybe[str] = None
    null_values: Maybe[Many[str]] = None
    timestamp_format: Maybe[str] = None
    date_format: Maybe[str] = None
    record_format: Maybe[Literal["lines", "array"]] = None


class SourceColumn(Model):
    """A column the source must have; `type` is a DuckDB type name (spec.physical)."""

    name: str
    type: str
    description: Maybe[str] = None


class Source(Model):
    """`location` is a file, glob, folder, `s3://…` address or `postgresql://host:port/database`.

    An Iceberg source with a `table` has its catalog's address there (`https://…`, `sqlite:///…`);
    `catalog` holds the catalog's other properties (`name`, `type`, `warehouse`, `token` …).
    """

    api_version: Literal["raymesh/v1"]
    kind: Literal["Source"]
    name: Name
    description: Maybe[str] = None
    type: SourceType
    location: Address
    table: Maybe[str] = None
    query: Maybe[str] = None
    catalog: Maybe[dict[str, SecretText]] = None
    version: Maybe[PortNumber] = None
    user: Maybe[SecretText] = None
    password: Maybe[Secret] = None
    storage: Maybe[S3Storage] = None
    options: SourceOptions = SourceOptions.model_construct()
    columns: Many[SourceColumn] = ()
    tags: Many[str] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, source_problems, info)
        return model


def source_problems(source: dict[str, Any]) -> Iterator[Problem]:
    """What the type of a source demands of the keys beside it."""
    kind = source.get("type")
    if kind not in get_args(SourceType):
        return
    for key, owners in KEY_OWNERS.items():
        if key in source and kind not in owners:
            yield Problem((key,), "source-key", f"a source of type {kind} has no `{key}`", None, "key")
    is_address = str(source.get("location", "")).startswith(("postgresql://", "postgres://", "${"))
    if kind == "postgres":
        if ("table" in source) is ("query" in source):
            message = "a source of type postgres needs either a `table` or a `query`"
            yield Problem(("query",) if "query" in source else ("table",), "source-key", message, None, "key")
        if not is_address and isinstance(source.get("location"), str):
            message = "the location of a PostgreSQL source is `postgresql://host:port/database`"
            yield Problem(("location",), "wrong-value", message)
    yield from _column_problems(source.get("columns"))


KEY_OWNERS = {
    "query": ("postgres",),
    "user": ("postgres",),
    "password": ("postgres",),
    "table": ("postgres", "iceberg"),
    "catalog": ("iceberg",),
    "version": ("delta", "iceberg"),
    "options": ("csv", "json"),
    "storage": ("parquet", "csv", "json", "iceberg", "delta"),
}


def _column_problems(columns: Any) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, column in entries(columns):
        name, physical = column.get("name"), column.get("type")
        if isinstance(name, str) and name.lower() in seen:
            yield Problem(("columns", index, "name"), "duplicate-column", f"`{name}` is here a second time")
        seen.add(str(name).lower())
        if isinstance(physical, str) and parse_physical(physical) is None:
            message = f"`{shortened(physical)}` is not a type"
            yield Problem(
                ("columns", index, "type"), "physical-type", message, did_you_mean(physical, TYPE_WORDS)
            )

"""The schema of an ODCS contract: objects (tables) and their properties (columns)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from raymesh.spec.bitol import AuthoritativeDefinition, Context, CustomProperty, Synonym
from raymesh.spec.contract_quality import QualityRule
from raymesh.spec.model import Many, Maybe, Model, Scalar, StableId

LogicalType = Literal[
    "string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean", "map", "vector"
]


def _context_object(value: Any) -> Any:
    return {"instructions": value} if isinstance(value, str) else value


ContractContext = Annotated[Context, BeforeValidator(_context_object, json_schema_input_type=str | Context)]
"""A plain string stands for its `instructions`."""


def _references(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


References = Annotated[Many[str], BeforeValidator(_references, json_schema_input_type=str | list[str])]
"""One reference or a list of them; always a tuple."""


class Relationship(Model):
    """A foreign key. `from_` is empty on a property, whose own column it then is."""

    id: Maybe[str] = None
    type: Literal["foreignKey"] = "foreignKey"
    from_: References = Field((), alias="from")
    to: References
    custom_properties: Many[CustomProperty] = ()


class EnumValue(Model):
    id: Maybe[StableId] = None
    value: Scalar
    label: Maybe[str] = None
    description: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class Item(Model):
    """A value: a column, a struct member, the items of a list, the key or value of a map.

    `logical_type_options` is checked against `logical_type` (spec.contract_options) and kept as written.
    """

    id: Maybe[StableId] = None
    name: Maybe[str] = None
    physical_name: Maybe[str] = None
    physical_type: Maybe[str] = None
    business_name: Maybe[str] = None
    description: Maybe[str] = None
    logical_type: Maybe[LogicalType] = None
    logical_type_options: Maybe[dict[str, Any]] = None
    semantic_type: Literal["column", "measure", "dimension"] = "column"
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    primary_key_position: int = -1
    partitioned: bool = False
    partition_key_position: int = -1
    classification: Maybe[str] = None
    encrypted_name: Maybe[str] = None
    critical_data_element: bool = False
    transform_source_objects: Many[str] = ()
    transform_logic: Maybe[str] = None
    transform_description: Maybe[str] = None
    examples: Many[Any] = ()
    enum: Many[EnumValue] = ()
    relationships: Many[Relationship] = ()
    quality: Many[QualityRule] = ()
    deprecated: bool = False
    synonyms: Many[Synonym] = ()
    tags: Many[str] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()
    properties: Many["Property"] = ()
    items: Maybe["Item"] = None
    map: Maybe["MapType"] = None


class Property(Item):
    """A named value: a column of the table or a member of a struct."""

    name: str


class MapType(Model):
    key: Item
    value: Item


class SchemaObject(Model):
    """A table."""

    id: Maybe[StableId] = None
    name: str
    physical_name: Maybe[str] = None
    physical_type: Maybe[str] = None
    logical_type: Maybe[Literal["object", "blob"]] = None
    business_name: Maybe[str] = None
    description: Maybe[str] = None
    deprecated: bool = False
    synonyms: Many[Synonym] = ()
    data_granularity_description: Maybe[str] = None
    tags: Many[str] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()
    context: Maybe[ContractContext] = None
    relationships: Many[Relationship] = ()
    quality: Many[QualityRule] = ()
    properties: Many["Property"] = ()

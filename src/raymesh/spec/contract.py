"""An ODCS data contract (Bitol, 3.0 – 3.2)."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    model_validator,
)

from raymesh.spec.bitol import AuthoritativeDefinition, CustomProperty, TeamMember
from raymesh.spec.contract_rules import contract_problems
from raymesh.spec.contract_schema import ContractContext, SchemaObject
from raymesh.spec.contract_servers import Role, Server
from raymesh.spec.model import Many, Maybe, Model, Number, Scalar, StableId
from raymesh.spec.problems import validated


class ContractDescription(Model):
    """Open in the standard: other keys are kept (`model_extra`)."""

    model_config = ConfigDict(extra="allow")

    purpose: Maybe[str] = None
    limitations: Maybe[str] = None
    usage: Maybe[str] = None
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()


class ContractSupport(Model):
    id: Maybe[StableId] = None
    channel: str
    url: Maybe[str] = None
    description: Maybe[str] = None
    tool: Maybe[str] = None
    scope: Maybe[str] = None
    invitation_url: Maybe[str] = None
    custom_properties: Many[CustomProperty] = ()


class Price(Model):
    id: Maybe[StableId] = None
    price_amount: Maybe[Number] = None
    price_currency: Maybe[str] = None
    price_unit: Maybe[str] = None


class ContractTeam(Model):
    id: Maybe[StableId] = None
    name: Maybe[str] = None
    description: Maybe[str] = None
    members: Many[TeamMember] = ()
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class SlaProperty(Model):
    """A promise about time or service; `element` names `object.property`, several separated by commas."""

    id: Maybe[StableId] = None
    property: str
    value: Scalar
    value_ext: Scalar = None
    unit: Maybe[str] = None
    element: Maybe[str] = None
    driver: Maybe[str] = None
    description: Maybe[str] = None
    scheduler: Maybe[str] = None
    schedule: Maybe[str] = None
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


def _team_object(value: Any) -> Any:
    return {"members": value} if isinstance(value, list) else value


Team = Annotated[
    ContractTeam, BeforeValidator(_team_object, json_schema_input_type=ContractTeam | list[TeamMember])
]
"""A bare list of members is the deprecated form."""


class Contract(Model):
    """What a port promises. `objects` is the document's `schema`."""

    api_version: Literal["v3.2.0", "v3.1.0", "v3.0.2", "v3.0.1", "v3.0.0"]
    kind: Literal["DataContract"]
    id: str
    version: str
    name: Maybe[str] = None
    status: Maybe[str] = None
    tenant: Maybe[str] = None
    domain: Maybe[str] = None
    data_product: Maybe[str] = None
    tags: Many[str] = ()
    description: Maybe[ContractDescription] = None
    context: Maybe[ContractContext] = None
    servers: Many[Server] = ()
    objects: Many[SchemaObject] = Field((), alias="schema")
    support: Many[ContractSupport] = ()
    price: Maybe[Price] = None
    team: Maybe[Team] = None
    roles: Many[Role] = ()
    sla_properties: Many[SlaProperty] = ()
    sla_default_element: Maybe[str] = None
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()
    contract_created_ts: Maybe[str] = None

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, contract_problems, info)
        return model

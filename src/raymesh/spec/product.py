"""An ODPS data product (Bitol, 0.9 – 1.1)."""

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import ModelWrapValidatorHandler, ValidationInfo, model_validator

from raymesh.spec.bitol import AuthoritativeDefinition, Context, CustomProperty, Synonym, TeamMember
from raymesh.spec.model import Many, Maybe, Model
from raymesh.spec.problems import Problem, entries, validated


class ProductDescription(Model):
    purpose: Maybe[str] = None
    limitations: Maybe[str] = None
    usage: Maybe[str] = None
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()


class InputPort(Model):
    """What the product expects from elsewhere."""

    id: Maybe[str] = None
    name: str
    version: Maybe[str] = None
    contract_id: Maybe[str] = None
    deprecated: bool = False
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class Sbom(Model):
    id: Maybe[str] = None
    type: str = "external"
    url: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class InputContract(Model):
    id: str
    version: str


class OutputPort(Model):
    """One promised table; `contract_id` and `version` name the contract behind it."""

    id: Maybe[str] = None
    name: str
    version: Maybe[str] = None
    contract_id: Maybe[str] = None
    type: Maybe[str] = None
    description: Maybe[str] = None
    sbom: Many[Sbom] = ()
    input_contracts: Many[InputContract] = ()
    deprecated: bool = False
    synonyms: Many[Synonym] = ()
    context: Maybe[Context] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class ManagementPort(Model):
    """How the product is found, observed and controlled."""

    id: Maybe[str] = None
    name: str
    content: str
    type: str = "rest"
    url: Maybe[str] = None
    channel: Maybe[str] = None
    description: Maybe[str] = None
    deprecated: bool = False
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class ProductSupport(Model):
    id: Maybe[str] = None
    channel: str
    url: str
    description: Maybe[str] = None
    tool: Maybe[str] = None
    scope: Maybe[str] = None
    invitation_url: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class ProductTeam(Model):
    name: Maybe[str] = None
    description: Maybe[str] = None
    members: Many[TeamMember] = ()
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class DataProduct(Model):
    """A product and its ports."""

    api_version: Literal["v1.1.0", "v1.0.0", "v0.9.0"]
    kind: Literal["DataProduct"]
    id: str
    name: Maybe[str] = None
    version: Maybe[str] = None
    status: Maybe[str] = None
    type: Maybe[str] = None
    domain: Maybe[str] = None
    tenant: Maybe[str] = None
    deprecated: bool = False
    synonyms: Many[Synonym] = ()
    context: Maybe[Context] = None
    description: Maybe[ProductDescription] = None
    tags: Many[str] = ()
    input_ports: Many[InputPort] = ()
    output_ports: Many[OutputPort] = ()
    management_ports: Many[ManagementPort] = ()
    support: Many[ProductSupport] = ()
    team: Maybe[ProductTeam] = None
    authoritative_definitions: Many[AuthoritativeDefinition] = ()
    custom_properties: Many[CustomProperty] = ()
    product_created_ts: Maybe[str] = None

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, product_problems, info)
        return model


def product_problems(product: dict[str, Any]) -> Iterator[Problem]:
    """What the text of the standard demands and the types of keys cannot say."""
    seen: set[tuple[Any, Any]] = set()
    for index, port in entries(product.get("outputPorts")):
        key = (str(port.get("name")), str(port.get("version")))
        if key in seen:
            message = f"the output port `{key[0]}` is here a second time in the same version"
            yield Problem(("outputPorts", index, "name"), "duplicate-port", message)
        seen.add(key)

"""domain.yaml: who owns a domain and what its builds may use."""

from typing import Annotated, Literal

from pydantic import Field

from raymesh.spec.model import Bytes, Many, Maybe, Model, Name, Number, Seconds

Amount = Annotated[Number, Field(ge=0)]


class Contact(Model):
    name: str
    email: Maybe[str] = None
    role: Maybe[str] = None


class Owner(Model):
    team: str
    email: Maybe[str] = None
    contacts: Many[Contact] = ()


class Resources(Model):
    """What one build may use: processors, bytes of memory, graphics processors.

    On a cluster also `custom`, amounts of resources that its nodes name, and `labels` that a node must have
    (a value, `!value`, `in(a, b)` or `!in(a, b)`).
    """

    cpus: Maybe[Amount] = None
    memory: Maybe[Bytes] = None
    gpus: Maybe[Amount] = None
    custom: dict[str, Amount] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


class Quota(Model):
    """What all builds of a domain may use of a cluster at one time, together."""

    cpus: Maybe[Amount] = None
    memory: Maybe[Bytes] = None
    gpus: Maybe[Amount] = None
    custom: dict[str, Amount] = Field(default_factory=dict)


class Budget(Model):
    """Money per month."""

    monthly: Number
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Approvers(Model):
    """Who decides about access to the domain's products: members of the groups, and the named people."""

    groups: Many[Annotated[str, Field(min_length=1)]] = ()
    principals: Many[Annotated[str, Field(min_length=1)]] = ()


class AutoApprove(Model):
    """Requests that need no look; what is given must fit. Never for columns with a sensitive tag.

    `products` names products or `<domain>.*`; `max_duration` is in seconds.
    """

    purposes: Many[Annotated[str, Field(min_length=1)]] = ()
    groups: Many[Annotated[str, Field(min_length=1)]] = ()
    products: Many[Annotated[str, Field(min_length=1)]] = ()
    max_duration: Maybe[Seconds] = None


class Access(Model):
    """How the domain decides about requests; without `approvers` the group called like the owning team does."""

    approvers: Maybe[Approvers] = None
    max_duration: Maybe[Seconds] = None
    auto_approve: Many[AutoApprove] = ()


class DomainSpec(Model):
    api_version: Literal["raymesh/v1"]
    kind: Literal["Domain"]
    name: Name
    description: Maybe[str] = None
    owner: Owner
    resources: Maybe[Resources] = None
    quota: Maybe[Quota] = None
    budget: Maybe[Budget] = None
    access: Maybe[Access] = None
    tags: Many[str] = ()

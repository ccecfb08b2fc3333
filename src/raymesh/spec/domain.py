"""domain.yaml: who owns a domain and what its builds may use."""

from typing import Annotated, Literal

from pydantic import Field

from raymesh.spec.model import Bytes, Many, Maybe, Model, Name, Number


class Contact(Model):
    name: str
    email: Maybe[str] = None
    role: Maybe[str] = None


class Owner(Model):
    team: str
    email: Maybe[str] = None
    contacts: Many[Contact] = ()


class Resources(Model):
    """What one build may use: processors, bytes of memory, graphics processors."""

    cpus: Maybe[Number] = None
    memory: Maybe[Bytes] = None
    gpus: Maybe[Number] = None


class Budget(Model):
    """Money per month."""

    monthly: Number
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class DomainSpec(Model):
    api_version: Literal["raymesh/v1"]
    kind: Literal["Domain"]
    name: Name
    description: Maybe[str] = None
    owner: Owner
    resources: Maybe[Resources] = None
    budget: Maybe[Budget] = None
    tags: Many[str] = ()

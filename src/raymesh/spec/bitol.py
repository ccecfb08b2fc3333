"""Objects that the two Bitol standards, ODCS and ODPS, have in common."""

from typing import Any

from raymesh.spec.model import Many, Maybe, Model


class CustomProperty(Model):
    """A property the standard does not know; `vendor` says whose it is, `value` is any YAML value."""

    id: Maybe[str] = None
    property: str
    value: Any
    description: Maybe[str] = None
    vendor: Maybe[str] = None


class AuthoritativeDefinition(Model):
    id: Maybe[str] = None
    type: str
    url: str
    description: Maybe[str] = None


class Synonym(Model):
    id: Maybe[str] = None
    synonym: str
    description: Maybe[str] = None
    locale: Maybe[str] = None
    source: Maybe[str] = None
    status: Maybe[str] = None
    custom_properties: Many[CustomProperty] = ()


class VerifiedStatement(Model):
    """A question with an answer the owner stands behind. Untrusted text for whoever shows it."""

    id: Maybe[str] = None
    question: str
    answer: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class ContextConstraint(Model):
    id: Maybe[str] = None
    constraint: str
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()


class Context(Model):
    """Guidance for people and machines that use the data."""

    instructions: Maybe[str] = None
    verified_statements: Many[VerifiedStatement] = ()
    constraints: Many[ContextConstraint] = ()


class TeamMember(Model):
    """`date_in` and `date_out` are ISO dates as text."""

    id: Maybe[str] = None
    username: str
    name: Maybe[str] = None
    description: Maybe[str] = None
    role: Maybe[str] = None
    date_in: Maybe[str] = None
    date_out: Maybe[str] = None
    replaced_by_username: Maybe[str] = None
    tags: Many[str] = ()
    custom_properties: Many[CustomProperty] = ()
    authoritative_definitions: Many[AuthoritativeDefinition] = ()

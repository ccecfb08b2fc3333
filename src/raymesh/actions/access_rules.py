"""What decisions about access need to know: the domain's own rules, and the product as it is published now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.errors import DocumentsInvalidError, NotFoundError
from raymesh.governance.access import MAX_SECONDS, AccessRules, AutoApproval, Subject
from raymesh.governance.model import Who

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.actions.workspace import Storage
    from raymesh.spec.domain import AutoApprove, DomainSpec


def domain_document(storage: Storage, domain: str) -> DomainSpec:
    """domain.yaml of one domain alone. Raises NotFoundError, DocumentsInvalidError."""
    from raymesh.actions.workspace import environment
    from raymesh.spec.domain import DomainSpec
    from raymesh.spec.model import is_name
    from raymesh.spec.reading import Reader

    path = f"domains/{domain}/domain.yaml"
    if not is_name(domain) or not (storage.root / path).is_file():
        raise NotFoundError(f"there is no domain {domain}", hint="raymesh ls lists domains and products")
    reader = Reader(storage.root, environment(storage.root))
    document = reader.document(path, DomainSpec)
    errors = tuple(d for d in reader.diagnostics if d.severity == "error")
    if document is None or errors:
        raise DocumentsInvalidError(errors)
    return document.model


def rules_of(storage: Storage, product: str) -> AccessRules:
    """How the domain that owns `product` decides; when it says nothing, the group called like its team does."""
    spec = domain_document(storage, product.partition(".")[0])
    access = spec.access
    said = access.approvers if access else None
    if said is None:
        approvers = Who(groups=frozenset({spec.owner.team}))
    else:
        approvers = Who(groups=frozenset(said.groups), principals=frozenset(said.principals))
    longest = access.max_duration if access and access.max_duration else MAX_SECONDS
    return AccessRules(
        approvers, longest, tuple(_automatic(a, longest) for a in (access.auto_approve if access else ()))
    )


def _automatic(said: AutoApprove, longest: int) -> AutoApproval:
    return AutoApproval(
        purposes=frozenset(said.purposes),
        groups=frozenset(said.groups),
        products=frozenset(said.products),
        max_seconds=said.max_duration or longest,
    )


def subject_of(storage: Storage, product: str, now: datetime) -> Subject:
    """The product as published now, with its columns' effective tags and the tags the mesh holds sensitive.

    Raises NotFoundError for what was never published.
    """
    from raymesh.actions.bundle import bundle_in_force
    from raymesh.actions.targets import targets
    from raymesh.spec.classifications import taxonomy
    from raymesh.spec.types import Field

    target = targets(storage, [product])[product]
    bundle = bundle_in_force(storage, now)
    sensitive = bundle.sensitive if bundle is not None else taxonomy(None).sensitive
    fields = tuple(Field(c.name, c.type, c.id) for c in target.columns)
    return Subject(target.table, target.major, {c.name: c.tags for c in target.columns}, sensitive, fields)

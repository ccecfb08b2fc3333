"""Policies for those who write them: what they decide and why, whether they do what their tests say, what a
change of them means. Nothing here reads data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.actions.workspace import find_root, load_documents
from raymesh.errors import DocumentsInvalidError, NotFoundError, UsageError
from raymesh.governance.classification import contract_tags
from raymesh.governance.comparing import Difference, Side, differences
from raymesh.governance.compile import bundle_of
from raymesh.governance.decide import Explanation, explain, not_in_force
from raymesh.governance.model import LOCAL_ISSUER, Asked, GovernedColumn, Principal, Target
from raymesh.spec.contract_version import major_of
from raymesh.spec.physical import declared_type
from raymesh.spec.types import Primitive, Type
from raymesh.spec.wording import did_you_mean

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.governance.model import Bundle, Grant, Policy
    from raymesh.mesh.model import Port
    from raymesh.spec.contract_schema import Property
    from raymesh.spec.documents import MeshDocuments

_LOGICAL = {"integer": "long", "number": "double", "string": "string"}


@dataclass(frozen=True, slots=True)
class Ground:
    """Documents as decisions see them: the policies, every port by its table's name, the people there are."""

    documents: MeshDocuments
    bundle: Bundle
    targets: Mapping[str, Target]
    people: Mapping[str, Principal]

    def principal(self, name: str) -> Principal:
        """A user of users.yaml. Raises NotFoundError."""
        if name not in self.people:
            way = did_you_mean(name, self.people) or "governance/users.yaml lists the users of this mesh"
            raise NotFoundError(f"there is no user `{name}`", hint=way)
        return self.people[name]

    def target(self, name: str) -> Target:
        """A table by its name. Raises NotFoundError."""
        if name not in self.targets:
            way = did_you_mean(name, self.targets) or "raymesh ls shows the products"
            raise NotFoundError(f"there is no product `{name}`", hint=way)
        return self.targets[name]


def require_policies(workspace: Workspace, products: Iterable[str]) -> None:
    """Raises DocumentsInvalidError, with each error as `validate` tells it, when policies do not compile, or one that
    is about some of `products` names columns they do not have."""
    if workspace.documents.governance is None:
        return
    from raymesh.governance.check import unfit_policies

    problems = unfit_policies(workspace.documents, workspace.graph, frozenset(products))
    if errors := tuple(d for d in problems if d.severity == "error"):
        raise DocumentsInvalidError(errors)


def ground(folder: Path | None) -> Ground:
    """The documents of the mesh in `folder`, or around here. Raises DocumentsInvalidError, UsageError for a mesh
    without governance documents."""
    root = find_root(folder)
    documents, graph = load_documents(root)
    governance = documents.governance
    if governance is None:
        raise UsageError(
            f"the mesh in {root} has no policies",
            hint="write governance/policies/NAME.yaml (raymesh schema Policies)",
        )
    bundle = bundle_of(governance, documents.document.model.governance)
    targets = {port.table: documented(port) for product in graph.products.values() for port in product.ports}
    users = governance.users.model.users if governance.users else ()
    people = {
        u.name: Principal(
            issuer=LOCAL_ISSUER,
            subject=u.name,
            groups=frozenset(u.groups),
            attributes=dict(u.attributes),
            purposes=frozenset(u.purposes),
            kind=u.kind,
        )
        for u in users
    }
    return Ground(documents, bundle, targets, people)


def documented(port: Port) -> Target:
    """A port as its contract describes it: tags are those of the contract, inherited ones are not among them."""
    tags = contract_tags(port.documents.contract.raw)
    settings = port.settings
    columns = []
    for number, item in enumerate(port.properties, start=1):
        own = tags.get(item.name.casefold(), frozenset())
        columns.append(GovernedColumn(number, item.name, _type(item), own, classified=bool(own)))
    return Target(
        product=port.product,
        port=port.name,
        table=port.table,
        domain=port.product.partition(".")[0],
        owner=port.product.partition(".")[0],
        major=major_of(port.contract.version),
        version=0,
        snapshot_id=0,
        columns=tuple(columns),
        purposes=None if settings.purposes is None else frozenset(settings.purposes),
        consent=dict(settings.consent),
    )


def _type(item: Property) -> Type:
    declared = declared_type(item)
    if declared is not None:
        return declared
    return Primitive(_LOGICAL.get(item.logical_type or "", item.logical_type or "string"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with its reasons; `published` says that the table is as published, not as documented;
    `idle` are policies about reader and table that are over or have not begun."""

    principal: Principal
    asked: Asked
    target: Target
    explanation: Explanation
    bundle: Bundle
    published: bool
    idle: tuple[Policy, ...] = ()

    def policy(self, name: str) -> Policy | None:
        """The policy of that name, for its place in a file."""
        return next((p for p in self.bundle.policies if p.name == name), None)


def explained(folder: Path | None, name: str, reader: str, asked: Asked, now: datetime) -> Explained:
    """Why `reader` may or may not see what of a table, under the policies as they are here.

    A published table is looked at as it is published, with inherited tags and the reader's agreements; others
    as their contracts say. Raises NotFoundError for unknown names.
    """
    here = ground(folder)
    who = here.principal(reader)
    target, grants, published = _standing(here, name, who, now)
    found = explain(who, target, asked, here.bundle, grants, now)
    idle = not_in_force(who, target, asked, here.bundle, now)
    return Explained(who, asked, target, found, here.bundle, published, idle)


def _standing(
    here: Ground, name: str, who: Principal, now: datetime
) -> tuple[Target, tuple[Grant, ...], bool]:
    from raymesh.actions.access import grants_for
    from raymesh.actions.targets import targets
    from raymesh.actions.workspace import open_storage

    documented_ = here.target(name)
    storage = open_storage(here.documents.root, here.documents.document.model)
    try:
        if (documented_.product, documented_.port) not in storage.state.current([documented_.product]):
            return documented_, (), False
        return targets(storage, [name])[name], grants_for(storage.state, who, name, now), True
    finally:
        storage.close()


def compared(old: Path, new: Path | None, now: datetime) -> list[Difference]:
    """What changes for whom between the policies of two mesh folders; `new` is by default the mesh around here.

    Contracts, users and standards count as they are in each folder.
    """
    return list(differences(_side(ground(old)), _side(ground(new)), now))


def _side(found: Ground) -> Side:
    return Side(found.bundle, found.targets, tuple(found.people.values()))


def for_asking(asked: Asked, columns: tuple[str, ...]) -> Asked:
    """The same question about some columns only; all when none are named."""
    return replace(asked, columns=columns or None)

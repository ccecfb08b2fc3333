"""People, groups and purposes that documents name, against those the mesh knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raymesh.spec.classifications import taxonomy
from raymesh.spec.problems import Problem
from raymesh.spec.wording import did_you_mean

if TYPE_CHECKING:
    from raymesh.spec.documents import Document, DomainDocuments
    from raymesh.spec.domain import Access
    from raymesh.spec.governance_files import GovernanceDocuments
    from raymesh.spec.mesh import MeshSpec
    from raymesh.spec.reading import Reader
    from raymesh.spec.users import Users
    from raymesh.spec.yaml import Loc


@dataclass(frozen=True, slots=True)
class _Known:
    """Who and what may be named. `elsewhere` says that a provider knows people and groups we do not."""

    users: frozenset[str]
    groups: frozenset[str]
    purposes: frozenset[str]
    elsewhere: bool


def check_people(
    reader: Reader,
    mesh: Document[MeshSpec] | None,
    domains: Iterable[DomainDocuments],
    governance: GovernanceDocuments | None,
) -> None:
    """`identity.default` is a user; users, and the access rules of domains, name registered purposes; approvers are
    there, unless an OpenID Connect provider knows them."""
    if mesh is None or governance is None:
        return
    known = _known(mesh.model, governance)
    reader.place(mesh, list(_default_problems(mesh.model, known)))
    if governance.users is not None:
        reader.place(governance.users, list(_user_problems(governance.users.model, known)))
    for domain in domains:
        if domain.document.model.access is not None:
            reader.place(domain.document, list(_access_problems(domain.document.model.access, known)))


def _known(mesh: MeshSpec, governance: GovernanceDocuments) -> _Known:
    users = governance.users.model.users if governance.users else ()
    tags = taxonomy(governance.classifications.model if governance.classifications else None)
    return _Known(
        users=frozenset(u.name for u in users),
        groups=frozenset(g for u in users for g in u.groups),
        purposes=tags.purposes,
        elsewhere=mesh.identity.oidc is not None or governance.users is None,
    )


def _default_problems(mesh: MeshSpec, known: _Known) -> Iterator[Problem]:
    name = mesh.identity.default
    if name is not None and name not in known.users:
        way = did_you_mean(name, known.users) or "governance/users.yaml lists the users"
        yield Problem(("identity", "default"), "unknown-user", f"there is no user `{name}`", way)


def _user_problems(users: Users, known: _Known) -> Iterator[Problem]:
    for index, user in enumerate(users.users):
        yield from _purpose_problems(user.purposes, ("users", index, "purposes"), known)


def _access_problems(access: Access, known: _Known) -> Iterator[Problem]:
    if access.approvers is not None and not known.elsewhere:
        for key, word, names in (("groups", "group", known.groups), ("principals", "user", known.users)):
            for index, name in enumerate(getattr(access.approvers, key)):
                if name not in names:
                    message = f"there is no {word} `{name}`, so it decides nothing"
                    loc: Loc = ("access", "approvers", key, index)
                    hint = did_you_mean(name, names)
                    yield Problem(loc, f"unknown-{word}", message, hint, severity="warning")
    for index, rule in enumerate(access.auto_approve):
        yield from _purpose_problems(rule.purposes, ("access", "autoApprove", index, "purposes"), known)


def _purpose_problems(purposes: Iterable[str], loc: Loc, known: _Known) -> Iterator[Problem]:
    """Nothing while the mesh has registered no purposes: then they are free words."""
    for index, purpose in enumerate(purposes):
        if known.purposes and purpose not in known.purposes:
            way = did_you_mean(purpose, known.purposes) or "register it in governance/classifications.yaml"
            yield Problem((*loc, index), "unknown-purpose", f"there is no purpose `{purpose}`", way)

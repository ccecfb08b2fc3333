"""The users file of one machine: people by name, and by token where they have one."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from raymesh.errors import AccessDeniedError
from raymesh.governance.model import LOCAL_ISSUER, Principal
from raymesh.spec.users import token_digest

if TYPE_CHECKING:
    from datetime import datetime

    from raymesh.spec.users import Users, UserSpec
    from raymesh.spi.identity import Credential


class LocalIdentity:
    """The principals of `governance/users.yaml`."""

    def __init__(self, users: Users | None) -> None:
        self._users = {u.name: u for u in users.users} if users else {}

    def principal(self, credential: Credential, now: datetime) -> Principal:  # noqa: ARG002  # tokens here do not expire
        """The user whose token it is, or who is named and has no token.

        Raises AccessDeniedError; a name and a token must be the same user's.
        """
        user = self._by_token(credential.token) if credential.token else self._by_name(credential.name)
        if credential.name is not None and user.name != credential.name:
            raise AccessDeniedError(
                f"the token is not {credential.name}'s", hint="leave --as out, or take the token away"
            )
        return _principal(user)

    def _by_token(self, token: str) -> UserSpec:
        shown = token_digest(token)
        found = [u for u in self._users.values() if u.token and hmac.compare_digest(u.token, shown)]
        if len(found) != 1:
            raise AccessDeniedError("nobody has this token", hint="raymesh token new NAME makes one")
        return found[0]

    def _by_name(self, name: str | None) -> UserSpec:
        user = self._users.get(name or "")
        if user is None:
            raise AccessDeniedError(
                f"there is no user {name!r}", hint="governance/users.yaml lists the users of this mesh"
            )
        if user.token:
            raise AccessDeniedError(
                f"{user.name} is known by a token", hint="export RAYMESH_TOKEN=… with the token"
            )
        return user


def _principal(user: UserSpec) -> Principal:
    return Principal(
        issuer=LOCAL_ISSUER,
        subject=user.name,
        groups=frozenset(user.groups),
        attributes=dict(user.attributes),
        purposes=frozenset(user.purposes),
        kind=user.kind,
    )

"""Who reads: the principal behind a name, a token, or the environment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from raymesh.errors import AccessDeniedError, MeshError, NotFoundError
from raymesh.governance.model import LOCAL_ISSUER, Principal
from raymesh.spi import registry
from raymesh.spi.identity import Credential, Identity

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.spec.mesh import OidcSpec
    from raymesh.spec.users import Users

NAME_VARIABLE = "RAYMESH_AS"
TOKEN_VARIABLE = "RAYMESH_TOKEN"  # noqa: S105  # the name of a variable
TOKEN_PREFIX = "rmt_"  # noqa: S105  # how tokens of ours begin, so that they are recognised where they leak
SERVICE_PREFIX = "raymesh:"


def principal_of(
    storage: Storage,
    name: str | None = None,
    token: str | None = None,
    env: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Principal:
    """Who acts: `name` or `token` as given, else `RAYMESH_TOKEN` and `RAYMESH_AS` of `env` (default: the
    process's environment with the mesh's `.env`), else `identity.default` of mesh.yaml.

    A user of `governance/users.yaml` without a token is believed by name; a token counts more than a name, and
    when both are there they must be the same principal's. Raises AccessDeniedError when nobody is named, or
    what is shown proves nothing.
    """
    if env is None:
        from raymesh.actions.workspace import environment

        env = environment(storage.root)
    credential = _credential(storage, name, token, env)
    moment = now or datetime.now(UTC)
    try:
        return _provider(storage, credential).principal(credential, moment)
    except AccessDeniedError as refused:
        _record_refused(storage, credential, refused)
        raise


def _provider(storage: Storage, credential: Credential) -> Identity:
    oidc = storage.spec.identity.oidc
    if credential.token and oidc is not None and credential.token.count(".") == 2:
        return _oidc(oidc)
    return _local(storage)


def _record_refused(storage: Storage, credential: Credential, refused: AccessDeniedError) -> None:
    """Record a sign-in that failed. A token is never kept. A name that is nobody's may be a token or a password in
    the wrong place: it is kept apart, encrypted, and only its beginning."""
    from raymesh.actions import audit
    from raymesh.actions.ids import actor
    from raymesh.governance.audit import AuditRecord

    users = _users(storage)
    name = credential.name or ""
    someone = name if users is not None and name in {u.name for u in users.users} else ""
    said = {"by": "token" if credential.token else "name", "actor": actor()}
    if someone or not name:
        said["reason"] = refused.message
    private = {"name": name[:_NAME_KEPT]} if name and not someone and not _secret(name) else None
    made = AuditRecord("sign-in", datetime.now(UTC), someone, "", "refused", said, private, actor())
    with suppress(MeshError):  # refused it stays, written down or not
        audit.record(storage, [made])


def _secret(name: str) -> bool:
    return name.startswith(TOKEN_PREFIX) or name.count(".") == 2


_NAME_KEPT = 64


def service_principal(product: str) -> Principal:
    """The principal a build of `product` runs as. Nobody can sign in as it: user names hold no colon."""
    return Principal(LOCAL_ISSUER, SERVICE_PREFIX + product, kind="service")


def _credential(storage: Storage, name: str | None, token: str | None, env: Mapping[str, str]) -> Credential:
    if name is None and token is None:
        name, token = env.get(NAME_VARIABLE) or None, env.get(TOKEN_VARIABLE) or None
    elif name is not None and token is None:
        token = env.get(TOKEN_VARIABLE) or None
    if name is None and token is None:
        name = storage.spec.identity.default
    if name is None and token is None:
        raise AccessDeniedError(
            "this mesh is governed, and nobody is named who reads",
            hint=f"--as NAME, {NAME_VARIABLE}, {TOKEN_VARIABLE}, or identity.default in mesh.yaml",
        )
    return Credential(name, token)


def _local(storage: Storage) -> Identity:
    """The users file as it is now."""
    identity: Identity = registry.load("identities", "local")(_users(storage))
    return identity


def _users(storage: Storage) -> Users | None:
    """governance/users.yaml alone: problems of other documents do not matter here."""
    from raymesh.errors import DocumentsInvalidError
    from raymesh.spec.reading import Reader
    from raymesh.spec.users import Users

    path = "governance/users.yaml"
    if not (storage.root / path).is_file():
        return None
    reader = Reader(storage.root, {})
    document = reader.document(path, Users)
    errors = tuple(d for d in reader.diagnostics if d.severity == "error")
    if document is None or errors:
        raise DocumentsInvalidError(errors)
    return document.model


def new_token(storage: Storage, name: str) -> tuple[str, str]:
    """A new token for a user of `governance/users.yaml`, and the digest to write there; recorded.

    Raises NotFoundError for a user who is not there.
    """
    import secrets

    from raymesh.actions import audit
    from raymesh.actions.ids import actor
    from raymesh.governance.audit import AuditRecord
    from raymesh.spec.users import token_digest

    users = _users(storage)
    if users is None or name not in {u.name for u in users.users}:
        raise NotFoundError(f"there is no user {name}", hint="write them into governance/users.yaml first")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    digest = token_digest(token)
    said = {"user": name, "digest": digest}
    audit.record(storage, [AuditRecord("identity", datetime.now(UTC), actor(), "", "token", said)])
    return token, digest


_PROVIDERS: dict[str, Identity] = {}


def _oidc(spec: OidcSpec) -> Identity:
    """One object per provider and process, so that its keys are asked for once."""
    text = spec.model_dump_json()
    if text not in _PROVIDERS:
        _PROVIDERS[text] = registry.load("identities", "oidc")(spec)
    return _PROVIDERS[text]

"""OpenID Connect: tokens of one provider, verified against the keys it publishes.

Only the provider named in mesh.yaml is believed, only by keys found through its own discovery document, only
with the algorithms listed there. Claims mean nothing unless they are mapped.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raymesh.adapters.identity.provider import Provider
from raymesh.errors import AccessDeniedError, MissingExtraError
from raymesh.governance.model import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raymesh.spec.mesh import OidcSpec
    from raymesh.spi.identity import Credential

_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
_MOST_CHARACTERS = 16_384
_MOST_SUBJECT = 255
_HINT = "sign in again for a new token"


class OidcIdentity:
    """The principals of one provider. One object serves many tokens: it keeps the provider's keys."""

    def __init__(self, spec: OidcSpec) -> None:
        try:
            import jwt  # noqa: F401  (a missing one is told here, not at the first token)
        except ImportError:
            raise MissingExtraError("signing in with OpenID Connect", "oidc") from None
        self._spec = spec
        self._provider = Provider(spec.issuer)

    def principal(self, credential: Credential, now: datetime) -> Principal:
        """Whoever the token was issued to.

        Raises AccessDeniedError for a token that is not proof, StorageError when the provider cannot be asked.
        """
        if not credential.token:
            raise AccessDeniedError("a token is needed to sign in here", hint="export RAYMESH_TOKEN=…")
        claims = self._claims(credential.token, now)
        principal = Principal(
            issuer=self._spec.issuer,
            subject=_subject(claims["sub"]),
            groups=self._groups(claims),
            attributes=self._attributes(claims),
            purposes=self._purposes(claims),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
        if credential.name not in (None, principal.subject, principal.id):
            raise AccessDeniedError(
                f"the token is not {credential.name}'s", hint="leave --as out: the token says who you are"
            )
        return principal

    def _claims(self, token: str, now: datetime) -> dict[str, Any]:
        import jwt

        if len(token) > _MOST_CHARACTERS:
            raise AccessDeniedError("the token is too long to be one", hint=_HINT)
        try:
            header = jwt.get_unverified_header(token)
            key = self._provider.key(_key_id(header), header.get("alg"), self._spec.algorithms)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(self._spec.algorithms),
                audience=self._spec.audience,
                issuer=self._spec.issuer,
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,  # times are judged below, by the moment the caller gives
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise AccessDeniedError(f"the token is refused: {_words(error)}", hint=_HINT) from None
        self._judge_times(claims, now)
        return claims

    def _judge_times(self, claims: Mapping[str, Any], now: datetime) -> None:
        moment, leeway = now.timestamp(), self._spec.leeway
        times = {name: claims.get(name, moment) for name in ("exp", "iat", "nbf")}
        if any(isinstance(t, bool) or not isinstance(t, int | float) for t in times.values()):
            raise AccessDeniedError("the token is refused: a time in it is not a number", hint=_HINT)
        if times["exp"] <= moment - leeway:
            raise AccessDeniedError("the token has expired", hint=_HINT)
        if max(times["iat"], times["nbf"]) > moment + leeway:
            raise AccessDeniedError("the token is not valid yet", hint="is the clock of this machine right?")
        if times["exp"] - times["iat"] > self._spec.max_lifetime:
            raise AccessDeniedError(
                f"the token was issued for longer than {self._spec.max_lifetime} seconds",
                hint="make the provider issue shorter tokens, or raise identity.oidc.maxLifetime",
            )

    def _groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        """Groups of the mapped claim. A provider that left them out (too many, or none asked for) is no proof of
        having none: rules for a group would not hold."""
        name = self._spec.groups_claim
        if name is None:
            return frozenset()
        elsewhere = claims.get("_claim_names")
        overage = claims.get("hasgroups") or (isinstance(elsewhere, dict) and name in elsewhere)
        found = claims.get(name)
        if overage or not _is_texts(found):
            raise AccessDeniedError(
                f"the token does not say which groups it is for: its claim {name} is missing or incomplete",
                hint="make the provider put the groups into the token",
            )
        return frozenset(found or ())

    def _attributes(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for attribute, claim in self._spec.attributes.items():
            if claim not in claims:
                continue
            value = claims[claim]
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(v, str | int | float) for v in values):
                raise AccessDeniedError(
                    f"the token is refused: its claim {claim} is no plain value", hint=_HINT
                )
            found[attribute] = tuple(values) if isinstance(value, list) else value
        return found

    def _purposes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        name = self._spec.purposes_claim
        found = claims.get(name, []) if name else []
        if not _is_texts(found):
            raise AccessDeniedError(f"the token is refused: its claim {name} is no list", hint=_HINT)
        return frozenset(found)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _key_id(header: Mapping[str, Any]) -> str | None:
    """The name of the key; headers that bring or point to keys of their own are never followed."""
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None


def _subject(value: Any) -> str:
    """The subject as the one form it has. Raises AccessDeniedError for one that could pass for another."""
    plain = (
        isinstance(value, str)
        and 0 < len(value) <= _MOST_SUBJECT
        and value.isprintable()
        and value == value.strip()
        and value == unicodedata.normalize("NFC", value)
    )
    if not plain:
        raise AccessDeniedError("the token is refused: its subject is no plain name", hint=_HINT)
    return str(value)


def _words(error: Exception) -> str:
    """What is wrong, in words that hold nothing of the token."""
    kind = type(error).__name__.removesuffix("Error")
    return {
        "InvalidSignature": "its signature is not the provider's",
        "InvalidAudience": "it was issued for another audience",
        "InvalidIssuer": "it was issued by another provider",
        "InvalidAlgorithm": "its algorithm is not among those of mesh.yaml",
        "MissingRequiredClaim": "a claim is missing that every token must have",
    }.get(kind, "it is no signed token of the provider")

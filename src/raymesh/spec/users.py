"""governance/users.yaml: who there is, for a mesh on one machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

from raymesh.spec.model import Many, Maybe, Model, Scalar
from raymesh.spec.problems import Problem, entries, validated

USER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$"
"""No colon: names such as `raymesh:orders.lines` are those of services. ASCII: no two names look alike."""

_DIGEST = "sha256:"


def token_digest(token: str) -> str:
    """What the users file holds of a token. A token is 256 random bits, so a plain hash of it cannot be guessed."""
    return _DIGEST + hashlib.sha256(token.encode()).hexdigest()


class UserSpec(Model):
    """Somebody by name. `token` is the digest of the token they are known by; without one the name is enough."""

    name: Annotated[str, Field(pattern=USER_PATTERN, max_length=128)]
    groups: Many[str] = ()
    attributes: dict[str, Scalar | Many[Scalar]] = Field(default_factory=dict)
    purposes: Many[str] = ()
    kind: Literal["person", "service"] = "person"
    token: Maybe[Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]] = None


class Users(Model):
    """All users. Names differ by more than their case, tokens altogether."""

    api_version: Literal["raymesh/v1"]
    kind: Literal["Users"]
    users: Many[UserSpec]

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, _problems, info)
        return model


def _problems(document: dict[str, Any]) -> Iterable[Problem]:
    seen: set[tuple[str, str]] = set()
    for index, user in entries(document.get("users")):
        for key in ("name", "token"):
            word = user.get(key)
            if not isinstance(word, str):
                continue
            if (key, word.casefold()) in seen:
                said = f"`{word}` is here a second time" if key == "name" else "somebody else has this token"
                yield Problem(("users", index, key), "duplicate-key", said)
            seen.add((key, word.casefold()))

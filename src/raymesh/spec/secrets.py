"""References to secrets: `${env:NAME}` and `${file:PATH}` inside a text, looked up only at use."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from raymesh.errors import NotFoundError

REFERENCE = re.compile(r"\$\{(env|file):([^{}]*)\}")
_URL_PASSWORD = re.compile(
    r"^[a-zA-Z][\w+.-]*://[^/?#]*?:([^/?#]*)@|[?&;](?:password|passwd|pwd|secret|token)=([^&;]*)",
    re.IGNORECASE,
)
_HIDDEN = "\0"


class SecretRef:
    """A text that names secrets but does not hold them; `text` is what the document says, verbatim.

    No dataclass: pydantic would take that apart into a mapping when a document's content is handed on.
    """

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "text", text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a reference to a secret does not change: {name}")

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.text,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and other.text == self.text

    def __hash__(self) -> int:
        return hash((SecretRef, self.text))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.plain_serializer_function_ser_schema(
            lambda ref: ref and ref.text, when_used="json"
        )
        return core_schema.is_instance_schema(cls, serialization=text)

    def __repr__(self) -> str:
        names = ", ".join(match[0] for match in REFERENCE.finditer(self.text))
        return f"SecretRef({names or '…'})"

    __str__ = __repr__

    @property
    def is_reference(self) -> bool:
        """Whether the text names a secret at all; otherwise it stands for itself."""
        return REFERENCE.search(self.text) is not None

    def anchored(self, root: Path) -> "SecretRef":
        """The same reference with files relative to `root` named in full, to be resolved anywhere."""

        def full(match: re.Match[str]) -> str:
            return f"${{file:{root / match[2]}}}" if match[1] == "file" else match[0]

        return SecretRef(REFERENCE.sub(full, self.text))

    def resolve(self, env: Mapping[str, str], root: Path | None = None) -> str:
        """The text with its secrets in place. Never log or store what this returns.

        Files are read relative to `root` (the mesh folder) and lose one trailing line end.
        Raises NotFoundError naming the variable or file that is missing.
        """
        return REFERENCE.sub(lambda match: _look_up(match[1], match[2], env, root), self.text)


def _look_up(kind: str, name: str, env: Mapping[str, str], root: Path | None) -> str:
    if kind == "env":
        if name not in env:
            raise NotFoundError(
                f"the environment variable {name} is not set", hint=f"export {name}=… before running raymesh"
            )
        return env[name]
    path = (root or Path()) / name
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise NotFoundError(
            f"the secret file {name} cannot be read: {reason}", hint=f"write the secret into {path}"
        ) from None


def variables_of(value: Any) -> frozenset[str]:
    """Names of the environment variables that texts and SecretRefs inside `value` (mappings, lists, tuples) refer to
    as secrets."""
    if isinstance(value, str | SecretRef):
        text = value if isinstance(value, str) else value.text
        return frozenset(match[2] for match in REFERENCE.finditer(text) if match[1] == "env")
    if isinstance(value, Mapping):
        value = list(value.values())
    inside = map(variables_of, value if isinstance(value, list | tuple) else ())
    return frozenset[str]().union(*inside)


def reveal(value: Any, env: Mapping[str, str], root: Path | None = None) -> Any:
    """`value` with every SecretRef inside it (mappings, lists, tuples) replaced by its secret text."""
    if isinstance(value, SecretRef):
        return value.resolve(env, root)
    if isinstance(value, Mapping):
        return {key: reveal(item, env, root) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(reveal(item, env, root) for item in value)
    return value


def holds_password(text: str) -> bool:
    """Whether an address carries a password in plain text (`scheme://user:password@host`)."""
    match = _URL_PASSWORD.search(REFERENCE.sub(_HIDDEN, text))  # a reference has a colon of its own
    found = match and (match[1] or match[2])
    return bool(found) and found != _HIDDEN


def _reference(value: Any) -> SecretRef:
    ref = _text(value)
    rest = REFERENCE.sub("", ref.text)
    if rest or not ref.is_reference:
        raise PydanticCustomError("plain-secret", "a reference such as ${env:NAME} or ${file:PATH}")
    return ref


def _address(value: Any) -> SecretRef:
    ref = _text(value)
    if holds_password(ref.text):
        raise PydanticCustomError("plain-secret", "a reference such as ${env:NAME} in place of the password")
    return ref


def _text(value: Any) -> SecretRef:
    if isinstance(value, SecretRef):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("wrong-type", "text")
    return SecretRef(value)


def _plain_address(value: Any) -> Any:
    if isinstance(value, str) and holds_password(value):
        raise PydanticCustomError("plain-secret", "an address without a password")
    return value


_AS_TEXT = WithJsonSchema({"type": "string"})

Secret = Annotated[SecretRef, BeforeValidator(_reference), _AS_TEXT]
"""A field that must be a reference: plain text in it is an error."""
SecretText = Annotated[SecretRef, BeforeValidator(_text), _AS_TEXT]
"""A field that may hold a reference or plain text."""
SecretAddress = Annotated[SecretRef, BeforeValidator(_address), _AS_TEXT]
"""An address whose password must be a reference."""
Address = Annotated[str, BeforeValidator(_plain_address)]
"""An address that never holds a password."""

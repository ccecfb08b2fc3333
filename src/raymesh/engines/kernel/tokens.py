"""Tokens: pseudonyms that keep equality within one context and nothing else.

A token is the first half of HMAC-SHA256, as 32 hexadecimal digits, of a value's text under a key of its own:
HKDF-SHA256 of the mesh's secret, with the context as info. The key is made here, where tokens are computed;
it never enters SQL, plans, logs or the text of an error.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raymesh.errors import GovernanceError, NotFoundError
from raymesh.spi.secrets import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from raymesh.spec.secrets import SecretRef

DIGITS = 32
"""Hexadecimal digits of a token: 128 bits."""
_SALT = b"raymesh tokens 1"
_SHORTEST = 16
_SAMPLE = 2048
_MANY = 0.9
"""From this share of different values on, looking for equal ones costs more than hashing them again."""


class TokenKey:
    """The key of one context. It shows nothing of itself and cannot be pickled."""

    __slots__ = ("_hex",)

    def __init__(self, secret: str, context: str) -> None:
        master = secret.strip().encode()
        if len(master) < _SHORTEST:
            raise GovernanceError(
                "the secret of tokens is too short to protect anything",
                hint=f"it needs at least {_SHORTEST} characters that nobody can guess; see keys.tokens in mesh.yaml",
            )
        self._hex = _derived(master, context.encode()).hex()

    def __repr__(self) -> str:
        return "TokenKey(…)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("the key of tokens stays in its process")


def token_key(reference: SecretRef | None, context: str) -> TokenKey:
    """The key of `context`, its secret looked up now. Raises GovernanceError when there is none."""
    hint = "keys.tokens in mesh.yaml says where the secret is; it must be the one other processes use"
    if reference is None:
        raise GovernanceError("no secret for tokens is known", hint=hint)
    try:
        return TokenKey(reference.resolve(variables()), context)
    except NotFoundError:
        raise GovernanceError("the secret of tokens cannot be read", hint=hint) from None


def _derived(master: bytes, info: bytes) -> bytes:
    """32 bytes of HKDF-SHA256 (RFC 5869)."""
    extracted = hmac.digest(_SALT, master, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def tokens(column: pa.Array, key: TokenKey) -> pa.Array:
    """A token for each text of `column`; NULL stays NULL. Equal texts have equal tokens on every path."""
    if len(column) == column.null_count:
        return pa.nulls(len(column), pa.string())
    if _share_of_different(column.slice(0, _SAMPLE)) >= _MANY:
        return _all(column, key)
    coded = column.dictionary_encode()
    return _all(coded.dictionary, key).take(coded.indices)


def _share_of_different(column: pa.Array) -> float:
    return float(pc.count_distinct(column, mode="all").as_py() / len(column))


def _all(column: pa.Array, key: TokenKey) -> pa.Array:
    hashed = _polars() if len(column) > 1 else None
    if hashed is not None:
        return _first_half(hashed(column, key._hex), column)
    digest = _digests(key)
    return pa.array([None if v is None else digest(v) for v in column.to_pylist()], pa.string())


def _digests(key: TokenKey) -> Callable[[str], str]:
    """HMAC-SHA256 of one text after another, the key's two blocks hashed once."""
    block = key._hex.encode()
    inner, outer = hashlib.sha256(_xor(block, 0x36)), hashlib.sha256(_xor(block, 0x5C))

    def digest(text: str) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(text.encode())
        second.update(first.digest())
        return second.hexdigest()[:DIGITS]

    return digest


def _xor(block: bytes, pad: int) -> bytes:
    return bytes(byte ^ pad for byte in block)


@cache
def _polars() -> Callable[[pa.Array, str], pa.Array] | None:
    """HMAC-SHA256 of a whole column as 64 digits each, where the extra `fasthash` is installed."""
    if find_spec("polars_hash") is None or find_spec("polars") is None:
        return None
    import polars as pl
    import polars_hash as plh

    def hashed(column: pa.Array, key: str) -> pa.Array:
        frame = pl.DataFrame({"t": pl.Series(column)})
        expression: Any = plh.col("t").chash.hmac_sha256(key=key)
        return frame.select(expression)["t"].to_arrow(compat_level=pl.CompatLevel.oldest())

    return hashed


def _first_half(digests: pa.Array, column: pa.Array) -> pa.Array:
    """The first digits of texts that all have 64, NULL where `column` is."""
    count = len(column)
    if column.null_count:
        places = np.cumsum(column.is_valid().to_numpy(zero_copy_only=False)) - 1
        halves = _first_half(digests.drop_null(), digests.drop_null())
        return halves.take(pa.array(places, mask=column.is_null().to_numpy(zero_copy_only=False)))
    start = int(np.frombuffer(digests.buffers()[1], np.int64)[digests.offset])
    digits = np.frombuffer(digests.buffers()[2], np.uint8, count * 2 * DIGITS, start)
    halves = np.ascontiguousarray(digits.reshape(count, 2 * DIGITS)[:, :DIGITS])
    ends = np.arange(count + 1, dtype=np.int32) * DIGITS
    return pa.Array.from_buffers(pa.string(), count, [None, pa.py_buffer(ends), pa.py_buffer(halves)], 0)


def contexts(masks: Iterable[Any], reference: SecretRef | None) -> dict[str, TokenKey]:
    """The keys of all token masks among `masks`, by context."""
    from raymesh.spec.mask import Token

    return {m.context: token_key(reference, m.context) for m in masks if isinstance(m, Token)}

"""Ed25519 signatures and sealed texts. Keys come from the caller; nothing here reads a file or a clock."""

from __future__ import annotations

import hashlib
import hmac

SEED_BYTES = 32


def public_key(seed: bytes) -> bytes:
    """The 32 bytes that verify what `seed` signs."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """The signature of `message`, 64 bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of `public` signed exactly `message`; false for malformed keys and signatures."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def derived(secret: bytes, purpose: str) -> bytes:
    """A key of its own for `purpose`, 32 bytes; nothing of `secret` can be learnt from it."""
    return hmac.new(secret, b"raymesh/" + purpose.encode(), hashlib.sha256).digest()


def encrypt(secret: bytes, nonce: bytes, text: bytes, bound_to: bytes) -> bytes:
    """`text` under AES-256-GCM; only together with `bound_to` can it be read again."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(derived(secret, "payload")).encrypt(nonce, text, bound_to)


def decrypt(secret: bytes, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes | None:
    """What `encrypt` was given, None when anything was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(derived(secret, "payload")).decrypt(nonce, sealed, bound_to)
    except InvalidTag:
        return None

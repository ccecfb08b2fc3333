"""Signs the policies of a mesh, and says whether they may come into force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raymesh.actions.bundle import SIGNATURE_FILE, bundle_in_force, documented, signature_text
from raymesh.actions.keys import read_key
from raymesh.errors import GovernanceError
from raymesh.governance import signing
from raymesh.spi.bundles import BundleRecord

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from raymesh.actions.workspace import Storage


def public_key(file: Path) -> str:
    """The public key, hexadecimal, of the signing key in `file`, which is made when it is not there."""
    return signing.public_key(read_key(file, make=True)).hex()


def sign(storage: Storage, file: Path, version: int | None) -> BundleRecord:
    """Sign the policies as they are with the key in `file`; the number is the one after the newest bundle's.

    Raises GovernanceError without policies, or for a version that would be refused; NotFoundError without the key.
    """
    from datetime import UTC, datetime

    seed = read_key(file)
    newest = storage.state.bundles.newest()
    number = version or (newest.version + 1 if newest else 1)
    if newest is not None and number < newest.version:
        raise GovernanceError(f"bundle {newest.version} is in force already", hint="leave --version out")
    bundle = documented(storage.root, storage.spec)
    if bundle is None:
        raise GovernanceError(
            "there are no governance documents to sign", hint="governance/policies holds them"
        )
    if version is None and newest is not None and newest.signer and newest.digest == bundle.digest:
        number = newest.version  # nothing changed since it was signed
    text = signature_text(storage.root, storage.spec, seed, number)
    path = storage.root / SIGNATURE_FILE
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
    return BundleRecord(number, bundle.digest, datetime.now(UTC), signing.public_key(seed).hex())


def verify(storage: Storage, now: datetime) -> tuple[str | None, int | None, str | None]:
    """What keeps the policies here from coming into force (None: nothing), and their number and digest."""
    try:
        bundle = bundle_in_force(storage, now)
    except GovernanceError as error:
        return error.message, None, None
    if bundle is None:
        return "this mesh has no policies", None, None
    return None, bundle.version, bundle.digest

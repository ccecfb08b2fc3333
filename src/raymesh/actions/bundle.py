"""The bundle in force: the policies as their documents say them now, never older than what was in force before."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.clock import check_clock
from raymesh.errors import BundleRollbackError, GovernanceError, SourceSpan
from raymesh.governance.bundle import FORMAT, signed_text, signer_of
from raymesh.governance.model import Bundle
from raymesh.spi.bundles import BundleRecord

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.governance.model import Policy
    from raymesh.spec.mesh import MeshSpec

SIGNATURE_FILE = "governance/bundle.json"
_EVERY = 1_000_000


def bundle_in_force(storage: Storage, now: datetime) -> Bundle | None:
    """The bundle that decides at `now`; None for a mesh that is not governed and never was.

    A mesh that was governed and has lost its governance documents has an empty bundle, which allows nothing.
    Changed documents come into force here and are recorded. Raises DocumentsInvalidError for documents with
    errors, AccessDeniedError for a clock that was set back, GovernanceError when the mesh asks for a signature that is not there, BundleRollbackError for
    policies that were in force and have been replaced since.
    """
    bundle = documented(storage.root, storage.spec)
    newest = storage.state.bundles.newest()
    if bundle is None:
        return None if newest is None else _nothing(newest)
    if newest is not None:
        check_clock(storage.state, now)
    if newest is not None and newest.digest == bundle.digest and not storage.spec.governance.bundle_keys:
        return _numbered(bundle, newest.version)
    record = _record(storage, bundle, newest, now)
    if newest is None or (newest.version, newest.digest) != (record.version, record.digest):
        _remember(storage, bundle, record)
    return _numbered(bundle, record.version)


def documented(root: Path, spec: MeshSpec) -> Bundle | None:
    """The documents at `root` as a bundle without a number; None when there are none.

    Documents that are, byte for byte, those of the last time are not read again.
    """
    from raymesh.actions.workspace import environment
    from raymesh.governance.compile import bundle_of
    from raymesh.spec.governance_files import load_governance

    mark = _mark(root, spec)
    if mark in _READ:
        return _READ[mark]
    documents = load_governance(root, environment(root))
    if documents is None:
        return None
    bundle = bundle_of(documents, spec.governance)
    if mark:
        _keep(_READ, mark, bundle)
    return bundle


_READ: dict[str, Bundle] = {}
_NUMBERED: dict[tuple[str, int, int], Bundle] = {}
_KEPT = 8


def _mark(root: Path, spec: MeshSpec) -> str:
    """What all governance documents say, as a hash; empty when it also depends on variables."""
    files = [
        *(root / "governance").rglob("*"),
        *root.glob("domains/*/policies/*"),
        *root.glob("domains/*/standards.yaml"),
    ]
    found = hashlib.sha256(repr(spec.governance).encode())
    for path in sorted(p for p in files if p.is_file()):
        content = path.read_bytes()
        if b"${" in content:
            return ""
        name = str(path.relative_to(root)).encode()
        found.update(b"%d %d " % (len(name), len(content)) + name + content)
    return f"{root}|{found.hexdigest()}"


def _keep(known: dict[Any, Bundle], key: Any, bundle: Bundle) -> None:
    """Remember one more of a few: a process that reads often decides with what it has filed already."""
    while len(known) >= _KEPT:
        known.pop(next(iter(known)), None)
    known[key] = bundle


def signature_text(root: Path, spec: MeshSpec, seed: bytes, version: int) -> str:
    """The content of `SIGNATURE_FILE` for the policies as they are, signed with the Ed25519 key of `seed`.

    Raises GovernanceError for a mesh without governance documents.
    """
    from raymesh.governance import signing

    bundle = documented(root, spec)
    if bundle is None:
        raise GovernanceError("there are no governance documents to sign")
    signature = signing.sign(seed, signed_text(version, bundle.digest)).hex()
    signatures = {signing.public_key(seed).hex(): signature}
    content = {"format": FORMAT, "version": version, "digest": bundle.digest, "signatures": signatures}
    return json.dumps(content, indent=2) + "\n"


def _nothing(newest: BundleRecord) -> Bundle:
    none: frozenset[str] = frozenset()
    return Bundle(policies=(), taxonomy=none, sensitive=none, version=newest.version, digest=newest.digest)


def _numbered(bundle: Bundle, version: int) -> Bundle:
    key = (bundle.digest, bundle.ttl, version)
    if key not in _NUMBERED:
        _keep(_NUMBERED, key, replace(bundle, version=version))
    return _NUMBERED[key]


def _record(storage: Storage, bundle: Bundle, newest: BundleRecord | None, now: datetime) -> BundleRecord:
    keys = storage.spec.governance.bundle_keys
    if keys:
        version, signer = _signed(storage.root, bundle, tuple(keys))
        return BundleRecord(version, bundle.digest, now, signer)
    if newest is not None and any(r.digest == bundle.digest for r in storage.state.bundles.history(_EVERY)):
        raise BundleRollbackError(
            f"these policies were in force before bundle {newest.version} and are no longer",
            hint="bring the newest policies here; to return to older ones, raise governance.release in mesh.yaml",
        )
    return BundleRecord(newest.version + 1 if newest else 1, bundle.digest, now)


def _signed(root: Path, bundle: Bundle, keys: tuple[str, ...]) -> tuple[int, str]:
    """Version and signing key of the documents. Raises GovernanceError when they are not signed as they are."""
    found = _signature(root)
    version = found.get("version")
    if type(version) is not int or found.get("digest") != bundle.digest or found.get("format") != FORMAT:
        raise _unsigned("it signs other policies than those that are here")
    signatures = found.get("signatures")
    signer = signer_of(version, bundle.digest, signatures if isinstance(signatures, dict) else {}, keys)
    if signer is None:
        raise _unsigned("none of the keys in governance.bundleKeys signed it")
    return version, signer


def _signature(root: Path) -> dict[str, Any]:
    try:
        found = json.loads((root / SIGNATURE_FILE).read_text(encoding="utf-8"))
    except OSError:
        raise _unsigned("there is none") from None
    except ValueError:
        raise _unsigned("it cannot be read") from None
    return found if isinstance(found, dict) else {}


def _unsigned(why: str) -> GovernanceError:
    return GovernanceError(
        f"this mesh takes signed policies only; the signature in {SIGNATURE_FILE}: {why}",
        hint="somebody with one of the keys signs the policies: raymesh bundle sign --key FILE",
        spans=(SourceSpan(SIGNATURE_FILE),),
    )


def _remember(storage: Storage, bundle: Bundle, record: BundleRecord) -> None:
    """The new bundle and its audit record, in one transaction."""
    from raymesh.actions import audit
    from raymesh.actions.ids import actor
    from raymesh.governance.audit import AuditRecord

    said = {"version": record.version, "digest": record.digest, "signer": record.signer}
    said["policies"] = {p.name: _told(p) for p in bundle.policies}
    with storage.state.write() as tx:
        if storage.state.bundles.remember(record, within=tx):
            made = AuditRecord("policy", record.at, actor(), "", "in force", said)
            audit.record(storage, [made], within=tx)
    audit.witness(storage)


def _told(policy: Policy) -> str:
    return f"{policy.effect} by {policy.origin}"

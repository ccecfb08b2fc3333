"""A bundle's hash: one value for one meaning, whatever the order, the spelling or the files it stands in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from raymesh.governance import signing

if TYPE_CHECKING:
    from raymesh.governance.model import Policy
    from raymesh.spec.classifications import Taxonomy
    from raymesh.spec.governance_files import GovernanceDocuments

FORMAT = "raymesh-bundle/1"


def digest_of(
    documents: GovernanceDocuments, policies: tuple[Policy, ...], known: Taxonomy, release: int
) -> str:
    """The SHA-256 of all that decides, 64 hexadecimal digits: policies, tags, purposes, standards.

    `release` is counted in, so that returning to older policies on purpose makes a new bundle.
    """
    standards = documents.standards.model.model_dump(mode="json") if documents.standards else None
    content = {
        "format": FORMAT,
        "release": release,
        "policies": sorted((plain(p) for p in policies), key=lambda p: str(p["name"])),
        "tags": {name: tag.sensitive for name, tag in sorted(known.tags.items())},
        "purposes": sorted(known.purposes),
        "standards": standards,
        "domain standards": sorted(
            [d, s.model.model_dump(mode="json")] for d, s in documents.domain_standards
        ),
        "queries": sorted([path, text] for path, text in documents.standard_queries),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def plain(value: Any) -> Any:
    """A value of governance as JSON, sets sorted, places in files left out. Raises TypeError for others."""
    found = _scalar(value)
    if found is not _NONE:
        return found
    if is_dataclass(value) and not isinstance(value, type):
        kept = {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.name != "span"}
        return {"": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in sorted(value.items())}
    if not isinstance(value, frozenset | set | list | tuple):
        raise TypeError(f"a {type(value).__name__} cannot be part of a bundle")
    items = [plain(v) for v in value]
    return (
        items
        if isinstance(value, list | tuple)
        else sorted(items, key=lambda v: json.dumps(v, sort_keys=True))
    )


_NONE = object()


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | Decimal | Fraction):
        return {"number": str(value)}
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    return _NONE


def signed_text(version: int, digest: str) -> bytes:
    """What a signature over a bundle signs."""
    return f"{FORMAT}\n{version}\n{digest}\n".encode()


def signer_of(
    version: int, digest: str, signatures: Mapping[str, str], trusted: tuple[str, ...]
) -> str | None:
    """The first of the `trusted` public keys (hexadecimal) that signed this bundle, None when none did.

    `signatures` maps public keys to signatures, both hexadecimal.
    """
    for key in trusted:
        try:
            public, signature = bytes.fromhex(key), bytes.fromhex(signatures.get(key, ""))
        except ValueError:
            continue
        if signing.signed_by(public, signature, signed_text(version, digest)):
            return key
    return None

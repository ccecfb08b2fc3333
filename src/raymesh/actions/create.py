"""Writes the first files of a mesh, a domain, a source, a product, so that nobody starts from a blank page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raymesh.errors import NotFoundError, UsageError
from raymesh.mesh.reading import did_you_mean
from raymesh.spec.folders import domain_names
from raymesh.spec.model import is_name
from raymesh.spec.write import to_yaml


@dataclass(frozen=True, slots=True)
class Written:
    """Files that were written, relative to the mesh folder, and what to type next."""

    files: tuple[str, ...]
    following: str


def init(root: Path, name: str) -> Written:
    """A new, empty mesh in `root`. Raises UsageError when there is one already or `name` cannot be a name."""
    _name("mesh", name)
    if (root / "mesh.yaml").exists():
        raise UsageError(
            f"{root / 'mesh.yaml'} exists already", hint="raymesh new domain NAME goes on from there"
        )
    mesh = {
        "apiVersion": "raymesh/v1",
        "kind": "Mesh",
        "name": name,
        "description": f"The data mesh of {name}.",
        "warehouse": ".raymesh/warehouse",
        "state": "sqlite:///.raymesh/mesh.db",
        "engines": {"default": "local"},
        "snapshots": {"keep": 10, "maxAge": "30d"},
    }
    files = {"mesh.yaml": to_yaml(mesh), ".gitignore": ".raymesh/\n.env\n"}
    return Written(_write(root, files), "raymesh new domain NAME")


def new_domain(root: Path, name: str, team: str | None = None) -> Written:
    """A domain with its owner. Raises UsageError when it exists."""
    _name("domain", name)
    domain = {
        "apiVersion": "raymesh/v1",
        "kind": "Domain",
        "name": name,
        "description": f"The {name} domain.",
        "owner": {"team": team or f"{name}-team", "email": f"{name}-team@example.com"},
    }
    written = _write(root, {f"domains/{name}/domain.yaml": to_yaml(domain)})
    return Written(written, f"raymesh new source {name}.NAME --location FILE")


def new_source(root: Path, name: str, kind: str, location: str, table: str | None = None) -> Written:
    """A source of a domain. Raises UsageError when it exists, NotFoundError without its domain."""
    domain, short = _split(root, "source", name)
    source: dict[str, Any] = {
        "apiVersion": "raymesh/v1",
        "kind": "Source",
        "name": short,
        "description": f"{short} as it comes from outside.",
        "type": kind,
        "location": location,
    }
    if table:
        source["table"] = table
    written = _write(root, {f"domains/{domain}/sources/{short}.yaml": to_yaml(source)})
    return Written(written, f"raymesh new product {domain}.{short} --source {short}")


def new_product(
    root: Path,
    name: str,
    *,
    contract: Mapping[str, Any] | None = None,
    source: str | None = None,
    sql: str | None = None,
) -> Written:
    """A product: documents, and a transform unless it only ingests `source`.

    `contract` is what `infer` proposed; without one the contract holds one column as an example.
    Raises UsageError when it exists, NotFoundError without its domain.
    """
    domain, short = _split(root, "product", name)
    folder = f"domains/{domain}/products/{short}"
    files = {
        f"{folder}/product.yaml": to_yaml(_product(domain, short, source)),
        f"{folder}/contract.yaml": to_yaml(dict(contract) if contract else _contract(domain, short)),
    }
    if source is None:
        files[f"{folder}/transform.sql"] = (
            sql or "-- one SELECT; name other products as domain.product\nSELECT 1 AS id\n"
        )
    return Written(_write(root, files), f"raymesh validate && raymesh run {name}")


def _product(domain: str, short: str, source: str | None) -> dict[str, Any]:
    product: dict[str, Any] = {
        "apiVersion": "v1.1.0",
        "kind": "DataProduct",
        "id": f"{domain}.{short}",
        "name": short,
        "version": "1.0.0",
        "status": "draft",
        "domain": domain,
        "description": {"purpose": f"What {short} is for.", "usage": "Who should use it, and how."},
        "outputPorts": [
            {"name": short, "version": "1.0.0", "contractId": f"{domain}.{short}", "type": "tables"}
        ],
        "team": {"name": f"{domain}-team"},
    }
    if source is not None:
        product["type"] = "sourceAligned"
        product["customProperties"] = [{"property": "source", "value": source, "vendor": "raymesh"}]
    return product


def _contract(domain: str, short: str) -> dict[str, Any]:
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": f"{domain}.{short}",
        "version": "1.0.0",
        "status": "draft",
        "domain": domain,
        "schema": [
            {
                "name": short,
                "physicalType": "table",
                "description": f"One row per …; the grain of {short}.",
                "properties": [
                    {
                        "name": "id",
                        "logicalType": "integer",
                        "physicalType": "integer",
                        "description": "Key.",
                        "primaryKey": True,
                        "primaryKeyPosition": 1,
                        "required": True,
                    }
                ],
                "quality": [{"metric": "rowCount", "mustBeGreaterThan": 0, "dimension": "completeness"}],
            }
        ],
        "slaProperties": [{"property": "frequency", "value": 1, "unit": "d"}],
    }


def _split(root: Path, what: str, name: str) -> tuple[str, str]:
    domain, dot, short = name.partition(".")
    if not dot:
        known = domain_names(root)
        such = f"{known[0] if known else 'domain'}.{name}"
        raise UsageError(f"`{name}` lacks its domain", hint=f"write domain.{what}, such as {such}")
    _name("domain", domain)
    _name(what, short)
    if domain not in (known := domain_names(root)):
        otherwise = f"raymesh new domain {domain}"
        hint = did_you_mean(domain, known, otherwise=otherwise) or otherwise
        raise NotFoundError(f"there is no domain {domain}", hint=hint)
    return domain, short


def _name(what: str, name: str) -> None:
    if not is_name(name):
        raise UsageError(
            f"`{name}` cannot name a {what}",
            hint="names are lower case: a letter, then letters, digits and single underscores",
        )


def _write(root: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Write all or nothing; an existing file is never overwritten."""
    there = [f for f in files if (root / f).exists() and not f.endswith(".gitignore")]
    if there:
        raise UsageError(
            f"{' and '.join(there)} exist{'s' if len(there) == 1 else ''} already", hint="nothing was written"
        )
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
    return tuple(files)

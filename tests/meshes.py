"""Small meshes for tests, written as the files a user would write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Columns = Mapping[str, str | Mapping[str, Any]]
"""Column name -> physical type, or the contract property's keys."""

LOGICAL = {
    "boolean": "boolean",
    "date": "date",
    "double": "number",
    "float": "number",
    "int": "integer",
    "integer": "integer",
    "bigint": "integer",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "varchar": "string",
}


def write_mesh(root: Path, *, state: str | None = None, **extra: Any) -> Path:
    """An empty mesh with one domain, `shop`."""
    mesh: dict[str, Any] = {"apiVersion": "raymesh/v1", "kind": "Mesh", "name": "test", **extra}
    if state is not None:
        mesh["state"] = state
    _write(root / "mesh.yaml", mesh)
    write_domain(root, "shop")
    return root


def write_domain(root: Path, name: str) -> None:
    domain = {"apiVersion": "raymesh/v1", "kind": "Domain", "name": name, "owner": {"team": f"{name}-team"}}
    _write(root / "domains" / name / "domain.yaml", domain)


def write_source(root: Path, name: str, location: Path | str, kind: str = "parquet", **extra: Any) -> None:
    """Source `domain.name` over a file."""
    domain, short = name.split(".")
    source = {
        "apiVersion": "raymesh/v1",
        "kind": "Source",
        "name": short,
        "type": kind,
        "location": str(location),
        **extra,
    }
    _write(root / "domains" / domain / "sources" / f"{short}.yaml", source)


def write_product(
    root: Path,
    name: str,
    columns: Columns,
    *,
    sql: str | None = None,
    python: str | None = None,
    version: str = "1.0.0",
    quality: Sequence[Mapping[str, Any]] = (),
    relationships: Sequence[Mapping[str, Any]] = (),
    **settings: Any,
) -> Path:
    """Product `domain.name` with a contract over `columns`; returns its folder. `settings` are raymesh's own."""
    domain, short = name.split(".")
    folder = root / "domains" / domain / "products" / short
    product = {
        "apiVersion": "v1.1.0",
        "kind": "DataProduct",
        "id": name,
        "name": short,
        "version": version,
        "domain": domain,
        "outputPorts": [{"name": short, "version": version, "contractId": name}],
        "customProperties": [{"property": k, "value": v, "vendor": "raymesh"} for k, v in settings.items()],
    }
    _write(folder / "product.yaml", product)
    table: dict[str, Any] = {"name": short, "properties": [_property(n, c) for n, c in columns.items()]}
    if quality:
        table["quality"] = list(quality)
    if relationships:
        table["relationships"] = list(relationships)
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": name,
        "version": version,
        "schema": [table],
    }
    _write(folder / "contract.yaml", contract)
    for file, text in (("transform.sql", sql), ("transform.py", python)):
        if text is not None:
            (folder / file).write_text(text, encoding="utf-8")
        else:
            (folder / file).unlink(missing_ok=True)
    return folder


def _property(name: str, column: str | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(column, str):
        return {"name": name, **column}
    logical = LOGICAL.get(column) or ("number" if column.startswith("decimal") else None)
    return {"name": name, "physicalType": column, **({"logicalType": logical} if logical else {})}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")  # JSON is YAML

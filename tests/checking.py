"""Contracts with data beside them, as a team that has no mesh keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_contract(
    file: Path, *tables: dict[str, Any], servers: list[dict[str, Any]] | None = None, **more: Any
) -> Path:
    """A contract over `tables`, one key or entry per line."""
    contract: dict[str, Any] = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "orders",
        "version": "1.0.0",
        "schema": list(tables),
        **more,
    }
    if servers:
        contract["servers"] = servers
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(contract, indent=1, ensure_ascii=False), encoding="utf-8")
    return file


def table(name: str, *properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "properties": list(properties), **more}


def write_parquet(file: Path, **columns: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


def results(answer: Any, name: str | None = None) -> dict[str, dict[str, Any]]:
    """Results of `raymesh check --output json` by promise, of one table."""
    found = answer.json["reports"]
    report = next(r for r in found if name is None or r["table"] == name)
    return {r["id"]: r for r in report["results"]}


def statuses(answer: Any, name: str | None = None) -> dict[str, str]:
    return {promise: r["status"] for promise, r in results(answer, name).items()}

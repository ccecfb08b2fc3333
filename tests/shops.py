"""A shop of three products, and the command line called in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshes import write_mesh, write_product, write_source

ROWS = "id,amount,email,day\n1,2.5,a@b.de,2024-01-01\n2,3.5,c@d.de,2024-01-02\n3,4.5,,2024-01-03\n"
ORDERS = {
    "id": {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "required": True},
    "amount": {"physicalType": "double", "logicalType": "number", "description": "Euro."},
    "email": {"physicalType": "varchar", "logicalType": "string", "tags": ["pii.direct.email"]},
    "day": "date",
}


def write_shop(root: Path) -> Path:
    """shop.orders from a CSV file → shop.large → shop.totals; nothing is built."""
    write_mesh(root)
    (root / "orders.csv").write_text(ROWS, encoding="utf-8")
    write_source(root, "shop.raw_orders", "orders.csv", "csv")
    write_product(root, "shop.orders", ORDERS, source="raw_orders")
    write_product(
        root,
        "shop.large",
        {"id": "bigint", "amount": "double"},
        sql="SELECT id, amount FROM shop.orders WHERE amount > 3",
    )
    write_product(
        root,
        "shop.totals",
        {"orders": "bigint", "amount": "double"},
        sql="SELECT count(*) AS orders, sum(amount) AS amount FROM shop.large",
    )
    return root


def promise(root: Path, **column: Any) -> None:
    """Promise something more of `amount` in shop.large."""
    properties = {"id": "bigint", "amount": {"physicalType": "double", "logicalType": "number", **column}}
    write_product(root, "shop.large", properties, sql="SELECT id, amount FROM shop.orders WHERE amount > 3")


@dataclass(frozen=True)
class Answer:
    """What a command did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Cli:
    """`cli("ls", "--output", "json")` as a user types it, in the folder of a mesh."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        from raymesh.cli.app import run

        self._capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run([str(a) for a in arguments])
        out, err = self._capsys.readouterr()
        return Answer(int(stop.value.code or 0), out, err)


def process(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -m raymesh …` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "raymesh", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

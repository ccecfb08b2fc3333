"""Ctrl-C while DuckDB computes."""

from __future__ import annotations

from typing import Any

import click
import pytest

from raymesh.cli import app


def test_an_interrupted_statement_is_no_fault_of_raymesh(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> None:
        raise RuntimeError("Query interrupted")  # what DuckDB's client raises

    monkeypatch.setattr(click.Group, "invoke", interrupted)
    assert app._code(["ls"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"

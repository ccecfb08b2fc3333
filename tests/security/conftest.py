"""Fixtures of the attack tests."""

from __future__ import annotations

import pytest

from shops import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)

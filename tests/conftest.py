"""Fixtures and options every test may use."""

from __future__ import annotations

import pytest

pytest_plugins = ["clusters", "postgres", "s3"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="run complete matrices instead of samples")

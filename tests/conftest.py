"""Fixtures and options every test may use."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["clusters", "postgres", "s3"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="run complete matrices instead of samples")


def pytest_configure() -> None:
    """Ctrl-C is heard: a shell that starts the suite in the background lets it, and all it starts, ignore that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

"""Secrets of this process: variables that references find and user code does not."""

from __future__ import annotations

import os
from collections import ChainMap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_apart: dict[str, str] = {}


def variables() -> Mapping[str, str]:
    """Where references to secrets are looked up: what is held apart, then the environment."""
    return ChainMap(_apart, os.environ)


def hold(values: Mapping[str, str]) -> None:
    """Let references find `values`, in place of all that was held before, without the environment showing them."""
    _apart.clear()
    _apart.update(values)


def withhold(names: Iterable[str]) -> None:
    """Take variables out of the environment before user code runs here; references still find them.

    What the process was started with stays readable in `/proc/self/environ`.
    """
    _apart.update({name: os.environ.pop(name) for name in names if name in os.environ})

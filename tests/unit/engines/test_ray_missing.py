"""Without Ray the rest works, and what needs it says how to get it."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

import raymesh.engines.ray as package
from raymesh.errors import MissingExtraError


def test_the_engine_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without_ray(name: str, *rest: Any) -> Any:
        return None if name == "ray" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_ray)
    with pytest.raises(MissingExtraError, match=r"raymesh\[ray\]") as caught:
        package.__getattr__("RayEngine")
    assert caught.value.hint == "pip install 'raymesh[ray]'"

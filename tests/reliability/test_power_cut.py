"""A power cut loses what was never synced: an acknowledged version survives it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import raymesh
from reliability.harness import assert_recovers, assert_sound, two_products


def test_an_acknowledged_version_survives_losing_every_unsynced_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = two_products(tmp_path / "mesh", 1)
    synced: set[str] = set()
    real = os.fsync

    def recording(fd: int) -> None:
        synced.add(os.path.realpath(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", recording)
    with raymesh.Mesh.load(root) as mesh:
        assert {r.status for r in mesh.run().reports} == {"published"}
    monkeypatch.undo()
    warehouse = root / ".raymesh" / "warehouse"
    files = [f for f in warehouse.rglob("*") if f.is_file()]
    assert files
    lost = [f for f in files if os.path.realpath(f) not in synced]
    for file in lost:
        os.truncate(file, 0)
    folders = {os.path.realpath(f.parent) for f in files}
    assert folders <= synced, "a new file's folder was not synced"
    assert_sound(root, {(1, 1000)})
    assert_recovers(root, (1, 1000))

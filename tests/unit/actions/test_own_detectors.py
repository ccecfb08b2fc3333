"""Detectors of others: found by entry point, asked beside raymesh's own, believed as far as a proposal goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lives import publish
from meshes import write_mesh, write_product
from raymesh.actions.classify import Proposals, propose
from raymesh.actions.read import open_engine
from raymesh.actions.workspace import open_storage_only
from raymesh.errors import UsageError
from raymesh.spi import registry

MODULE = """
import re
from raymesh.spi.detector import Finding

def staff(sample):
    assert len(set(sample.values.to_pylist())) == len(sample.values) and "" not in sample.values.to_pylist()
    found = sum(re.fullmatch("S-[0-9]{4}", v) is not None for v in sample.values.to_pylist())
    if found:
        share = found / len(sample.values)
        yield Finding("PII.direct.identifier", "staff numbers", share, 0.9 * share)
        yield Finding("pii.direct.staff", "of a tag that this mesh does not have", 1, 1)

def broken(sample):
    raise ValueError(f"cannot read {sample.values[0]}")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that brings no detector yet: its `entry_points.txt` is to be written."""
    info = tmp_path / "site" / "staff-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: staff\nVersion: 1.0\n")
    (info.parent / "staff_detectors.py").write_text(MODULE)
    monkeypatch.syspath_prepend(info.parent)
    registry.names.cache_clear()
    registry.load.cache_clear()
    yield info / "entry_points.txt"
    registry.names.cache_clear()
    registry.load.cache_clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_mesh(tmp_path / "mesh")
    sql = "SELECT ' S-' || (1000 + range % 50) AS code, 'x' || range AS other, range AS n FROM range(100)"
    write_product(root, "shop.people", {"code": "varchar", "other": "varchar", "n": "bigint"}, sql=sql)
    publish(root)
    return root


def proposals(root: Path) -> Proposals:
    with open_storage_only(root) as storage:
        engine = open_engine(storage)
        try:
            return propose(storage, engine, "shop.people")
        finally:
            engine.close()


def test_a_detector_of_others_proposes_tags_with_evidence(package: Path, root: Path) -> None:
    package.write_text("[raymesh.detectors]\nstaff = staff_detectors:staff\n")
    found = proposals(root)
    (suggested,) = found.column("code").suggestions
    assert (suggested.tag, suggested.confidence) == ("pii.direct.identifier", 0.9)
    assert suggested.evidence == "100% of 50 different values are staff numbers"
    assert found.column("other").suggestions == found.column("n").suggestions == ()


def test_a_detector_that_fails_is_named_and_quotes_no_value(package: Path, root: Path) -> None:
    package.write_text("[raymesh.detectors]\nbroken = staff_detectors:broken\n")
    with pytest.raises(UsageError) as caught:
        proposals(root)
    assert caught.value.message == "the detector broken fails on the column code: ValueError"
    assert "raymesh.detectors" in (caught.value.hint or "")


def test_without_one_there_are_raymeshs_own_alone(root: Path) -> None:
    registry.names.cache_clear()
    assert all(c.suggestions == () for c in proposals(root).columns)

"""How quarantine tables are called."""

from __future__ import annotations

import pytest

from raymesh.actions.ids import began, new_id
from raymesh.actions.read import split_name
from raymesh.mesh.fingerprint import changed, fingerprint, with_part
from raymesh.mesh.quarantine import guarded_port, quarantine_port, quarantine_table, with_quarantines


@pytest.mark.parametrize(("port", "table"), [("default", "d.p"), ("daily", "d.p__daily")])
def test_a_quarantine_is_a_port_named_after_the_one_it_guards(port: str, table: str) -> None:
    name = quarantine_port(port)
    assert guarded_port(name) == port
    assert split_name(quarantine_table(table)) == ("d.p", name)
    assert guarded_port(port) is None


def test_every_table_has_one() -> None:
    assert with_quarantines(["d.p", "d.p__x"]) == ["d.p", "d.p__quarantine", "d.p__x", "d.p__x__quarantine"]


def test_the_time_of_a_run_is_in_its_id() -> None:
    first, second = began(new_id()), began(new_id())
    assert first <= second
    assert first.tzinfo is not None
    assert began("018cc251f400" + "0" * 20).isoformat() == "2024-01-01T00:00:00+00:00"


def test_one_part_of_a_fingerprint_is_taken_from_another() -> None:
    old = fingerprint({"contract": 1, "inputs": 1, "transform": 1})
    new = fingerprint({"contract": 2, "inputs": 2, "transform": 1})
    assert changed(with_part(old, "contract", new), new) == ("inputs",)
    assert changed(with_part(old, "contract", new), old) == ("contract",)

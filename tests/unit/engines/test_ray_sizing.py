"""How large the pieces of a build are, from memory and from what the last build needed."""

from __future__ import annotations

import pytest

from raymesh.engines.ray.sizing import LARGEST, MIB, SMALLEST, piece

WORKER = 250 * MIB


def past(piece_bytes: int, peak: int, **more: int) -> dict[str, int]:
    return {"piece_bytes": piece_bytes, "peak_memory_bytes": peak + WORKER, **more}


@pytest.mark.parametrize(
    ("memory", "expected"), [(16 * MIB, SMALLEST), (800 * MIB, 100 * MIB), (64_000 * MIB, LARGEST)]
)
def test_the_first_build_takes_an_eighth_of_the_memory_within_bounds(memory: int, expected: int) -> None:
    assert piece(memory).bytes == expected
    assert "1/8 of" in piece(memory).why


def test_a_build_that_came_close_to_its_memory_takes_half() -> None:
    found = piece(800 * MIB, past(100 * MIB, 700 * MIB))
    assert found.bytes == 50 * MIB
    assert found.why.startswith("half of the last build's 105 MB")


def test_a_build_that_spilled_takes_half_but_never_less_than_the_least() -> None:
    assert piece(800 * MIB, past(100 * MIB, 10 * MIB, bytes_spilled=1)).bytes == 50 * MIB
    assert piece(800 * MIB, past(SMALLEST, 10 * MIB, bytes_spilled=1)).bytes == SMALLEST


def test_a_build_that_stayed_small_goes_back_up_step_by_step() -> None:
    assert piece(800 * MIB, past(25 * MIB, 100 * MIB)).bytes == 50 * MIB
    assert piece(800 * MIB, past(80 * MIB, 100 * MIB)).bytes == 100 * MIB
    assert piece(800 * MIB, past(100 * MIB, 100 * MIB)).bytes == 100 * MIB


def test_a_build_that_fitted_keeps_its_pieces() -> None:
    found = piece(800 * MIB, past(50 * MIB, 500 * MIB))
    assert found.bytes == 50 * MIB
    assert found.why.startswith("as in the last build")

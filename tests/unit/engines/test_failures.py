"""DuckDB's errors as ours: places counted in characters, damaged files named, full disks recognised."""

from __future__ import annotations

import json
import random
from pathlib import Path

import duckdb
import pytest

from raymesh.engines.kernel import fieldids
from raymesh.engines.kernel.failures import Origin, explain
from raymesh.engines.local import LocalEngine
from raymesh.errors import (
    CancelledError,
    ConformError,
    CorruptFileError,
    DiskFullError,
    SourceSpan,
    StorageError,
    TransformError,
    TransformMemoryError,
)
from raymesh.mesh.plan import Limits, Scan
from raymesh.spi.conformance.engine_opened import Bench


def said(kind: str, message: str, position: int | None = None) -> duckdb.Error:
    place = {"position": str(position)} if position is not None else {}
    text = json.dumps({"exception_type": kind, "exception_message": message, **place})
    return duckdb.Error(f"{kind} Error: {text}")


LIMITS = Limits(2 << 30, 2, "scratch", scratch_bytes=5 << 20)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (said("INTERRUPT", "Interrupted!"), CancelledError, "request"),
        (said("Out of Memory", "could not allocate"), TransformMemoryError, "2.0 GiB"),
        (said("Out of Memory", "exceeds max_temp_directory_size"), TransformMemoryError, "5 MiB"),
        (duckdb.OutOfMemoryException("Out of Memory Error: x"), TransformMemoryError, "memory"),
        (said("IO", 'Could not write file "/x/y": No space left on device'), DiskFullError, "/x/y"),
        (said("IO", 'Could not write file "/x/y": File too large'), DiskFullError, "/x/y"),
        (said("IO", 'No files found that match the pattern "/x/y"'), StorageError, "/x/y"),
        (said("Invalid Input", "No magic bytes found at end of file '/x/y'"), CorruptFileError, "/x/y is damaged"),
        (said("Invalid", "TProtocolException: Invalid data"), CorruptFileError, "damaged"),
        (said("Invalid", "Traceback (most recent call last):\n  File x\nOSError: denied"), StorageError, "OSError: denied"),
        (said("Invalid Input", "the corrupt metadata"), TransformError, "the corrupt metadata"),
    ],
)  # fmt: skip
def test_an_error_becomes_the_one_that_says_what_to_do(error, kind, words) -> None:
    found = explain(error, limits=LIMITS)
    assert type(found) is kind
    assert words in found.message


def test_what_nothing_explains_is_the_files_fault_when_no_user_text_ran() -> None:
    assert type(explain(said("Internal", "odd"), user=False)) is StorageError


def test_places_are_counted_in_characters_and_lines() -> None:
    sql = "select 'äöü🐙',\n  x\nfrom t"
    origin = Origin(sql, "t.sql", offset=10)
    position = 10 + len("select 'äöü🐙',\n  ".encode())
    found = explain(said("Binder", "no x", position), origin=origin)
    assert found.spans == (SourceSpan("t.sql", 2, 3),)


def test_a_place_outside_the_users_text_is_the_file() -> None:
    found = explain(said("Binder", "no x", 3), origin=Origin("select 1", "t.sql", offset=10))
    assert found.spans == (SourceSpan("t.sql"),)


def test_a_place_in_a_cast_of_ours_is_the_column() -> None:
    origin = Origin("select 1", "t.sql", 50, casts=((5, 20, "a"), (22, 40, "b")))
    found = explain(said("Conversion", "too large", 25), origin=origin)
    assert isinstance(found, ConformError)
    assert "'b'" in found.message


def test_a_value_that_does_not_fit_is_quoted_unless_its_column_is_sensitive() -> None:
    casts = ((0, 20, "age"), (20, 40, "mail"))
    origin = Origin("select 1", "t.sql", 50, casts, masked=frozenset({"mail"}))
    shown = explain(said("Conversion", "no number: 'forty'", 5), origin=origin)
    hidden = explain(said("Conversion", "no number: 'anna@x.org'", 25), origin=origin)
    assert "'forty'" in shown.message
    assert hidden.message == "a value of column 'mail' does not fit its promised type: ***"


@pytest.fixture
def bench(tmp_path: Path):
    engine = LocalEngine(Limits(1 << 30, 2, str(tmp_path / "scratch")))
    yield Bench(engine, tmp_path)
    engine.close()


def test_damage_anywhere_in_a_file_is_told_as_damage_of_that_file(bench: Bench) -> None:
    staged = bench.sql("select range as id, 'n' || range % 50 as name, [range] as l from range(5000)")
    whole, dice = Path(staged.files[0].path).read_bytes(), random.Random(7)
    damaged = 0
    for i in range(60):
        at = dice.choice([dice.randrange(len(whole)), len(whole) - dice.randrange(1, 500)])
        torn = bytearray(whole)
        torn[at : at + 4] = dice.randbytes(len(torn[at : at + 4]))
        path = bench.root / f"torn{i}.parquet"
        path.write_bytes(torn)
        if i % 2:
            fieldids.remember([str(path)])
        error = problem(bench, Scan(staged.schema, (str(path),)))
        damaged += error is not None
        assert error is None or (isinstance(error, CorruptFileError) and path.name in error.message)
    assert damaged > 5


def problem(bench: Bench, damaged: Scan) -> StorageError | None:
    try:
        bench.engine.read(damaged).read_all()
    except StorageError as error:
        return error
    return None

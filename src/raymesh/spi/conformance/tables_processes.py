"""Several processes on the same tables: one winner per round, nothing lost, nothing torn."""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.errors import CommitConflictError
from raymesh.spi.conformance.tables_opened import OpenedTables, OpenTables
from raymesh.spi.conformance.tables_samples import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 3
ROUNDS = 6
LEFT, RIGHT = "race.left", "race.right"
SPAWN = multiprocessing.get_context("spawn")


def together(
    open_tables: OpenTables, shelf: Any, work: Callable[[Bench, int, Any], None]
) -> list[int | None]:
    """Do `work(bench, index, barrier)` in several processes; their exit codes."""
    barrier = SPAWN.Barrier(PROCESSES)
    started = [
        SPAWN.Process(target=_worker, args=(open_tables, shelf, work, barrier, i)) for i in range(PROCESSES)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def _worker(open_tables: OpenTables, shelf: Any, work: Callable[..., None], barrier: Any, index: int) -> None:
    state, tables = open_tables()
    with tempfile.TemporaryDirectory() as folder:
        work(Bench(tables, state, shelf, Path(folder)), index, barrier)
    tables.close()
    state.close()


def from_one_base(bench: Bench, index: int, barrier: Any) -> None:
    """In every round all stage from the same base, then all commit; the winner says so in the outbox."""
    for number in range(ROUNDS):
        row = {"id": number, "name": str(index)}
        change = bench.change(LEFT, "append", [row], run=f"{number}-{index}")
        barrier.wait(60)
        staged = bench.tables.stage(change)
        barrier.wait(60)
        try:
            with bench.state.write() as tx:
                bench.state.enqueue(tx, "won", {"round": number, "by": index})
                bench.tables.commit([staged], tx)
        except CommitConflictError:
            bench.tables.discard([staged])
        barrier.wait(60)


def pairs(bench: Bench, index: int, barrier: Any) -> None:
    """Publish both tables with the same rows until ROUNDS of them are in; look at both all the time."""
    barrier.wait(60)
    for number in range(ROUNDS):
        row = {"id": index * 100 + number, "name": "x"}
        while not _published(bench, row):
            _same_on_both(bench)


def _published(bench: Bench, row: dict[str, Any]) -> bool:
    heads = bench.tables.heads([LEFT, RIGHT])
    staged = [bench.tables.stage(bench.change(t, "append", [row], base=heads.get(t))) for t in (RIGHT, LEFT)]
    try:
        with bench.state.write() as tx:
            bench.tables.commit(staged, tx)
            bench.state.enqueue(tx, "published", row)
    except CommitConflictError:
        bench.tables.discard(staged)
        return False
    return True


def _same_on_both(bench: Bench) -> None:
    """One look at both tables never sees one of them ahead of the other."""
    heads = bench.tables.heads([LEFT, RIGHT])
    assert len(heads) in {0, 2}


class ProcessConformance(OpenedTables):
    """Races between processes."""

    def test_of_all_changes_from_one_base_exactly_one_wins(
        self, bench: Bench, open_tables: OpenTables, shelf: Any
    ) -> None:
        assert together(open_tables, shelf, from_one_base) == [0] * PROCESSES
        won = [e.payload for e in bench.state.pending()]
        assert [w["round"] for w in won] == list(range(ROUNDS))
        assert sorted((r["id"], int(r["name"])) for r in bench.rows(LEFT)) == [
            (w["round"], w["by"]) for w in won
        ]
        assert len(bench.tables.snapshots(LEFT)) == ROUNDS
        for w in won:
            assert bench.tables.find_run(LEFT, f"{w['round']}-{w['by']}") is not None

    def test_two_tables_and_evidence_never_come_apart(
        self, bench: Bench, open_tables: OpenTables, shelf: Any
    ) -> None:
        assert together(open_tables, shelf, pairs) == [0] * PROCESSES
        expected = sorted(i * 100 + n for i in range(PROCESSES) for n in range(ROUNDS))
        assert bench.ids(LEFT) == expected
        assert bench.ids(RIGHT) == expected
        assert sorted(e.payload["id"] for e in bench.state.pending()) == expected

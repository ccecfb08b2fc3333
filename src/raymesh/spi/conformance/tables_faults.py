"""When storage or the process fails: the old version or the new one, never something else."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import CommitUnknownError, CorruptFileError, DiskFullError
from raymesh.spi import faults
from raymesh.spi.conformance.tables_opened import OpenedTables, OpenTables
from raymesh.spi.conformance.tables_samples import PLAIN, Bench, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T, OTHER = "sales.orders", "sales.orders__quarantine"
STAGE_POINTS = ("manifest_written", "metadata_written")
CRASHED = 9
SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def observed(observer: Callable[[str], None]) -> Iterator[None]:
    """Fault points call `observer` inside the block."""
    faults.observer = observer
    try:
        yield
    finally:
        faults.observer = None


@contextmanager
def failing_at(point: str, error: BaseException) -> Iterator[None]:
    def fail(reached: str) -> None:
        if reached == point:
            raise error

    with observed(fail):
        yield


def crash_while_staging(open_tables: OpenTables, shelf: Any, point: str) -> None:
    """In a process of its own: die at the point, without any clean-up."""
    state, tables = open_tables()
    bench = Bench(tables, state, shelf, Path(tempfile.mkdtemp()))
    change = bench.change(T, "append", numbers(4, 6))
    faults.observer = lambda reached: os._exit(CRASHED) if reached == point else None
    tables.stage(change)


class FaultConformance(OpenedTables):
    """Faults any store can meet."""

    @pytest.mark.parametrize("point", STAGE_POINTS)
    @pytest.mark.parametrize(
        "fault", [RuntimeError("boom"), KeyboardInterrupt(), OSError(errno.EIO, "bad disk")]
    )
    def test_a_stage_that_fails_leaves_nothing_behind(
        self, bench: Bench, point: str, fault: BaseException
    ) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        change = bench.change(T, "append", numbers(4, 6))
        before = dict(bench.tables.list_files(T))
        with pytest.raises(BaseException), failing_at(point, fault):  # noqa: B017  (each its own)
            bench.tables.stage(change)
        assert dict(bench.tables.list_files(T)) == before
        assert bench.ids(T) == [1, 2, 3]
        bench.commit(bench.tables.stage(change))
        assert bench.ids(T) == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("point", STAGE_POINTS)
    def test_a_full_disk_is_called_by_its_name(self, bench: Bench, point: str) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        change = bench.change(T, "replace", numbers(4, 6))
        full = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(DiskFullError, match=T) as caught, failing_at(point, full):
            bench.tables.stage(change)
        assert caught.value.hint
        assert bench.ids(T) == [1, 2, 3]

    @pytest.mark.parametrize("point", STAGE_POINTS)
    def test_a_process_that_dies_while_staging_harms_nobody(
        self, bench: Bench, open_tables: OpenTables, shelf: Any, point: str
    ) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        process = SPAWN.Process(target=crash_while_staging, args=(open_tables, shelf, point))
        process.start()
        process.join(120)
        assert process.exitcode == CRASHED
        assert bench.ids(T) == [1, 2, 3]
        orphans = bench.orphans(T)
        assert orphans
        bench.publish(T, "append", numbers(7, 7))
        bench.tables.delete_files(sorted(orphans))
        assert bench.orphans(T) == set()
        assert bench.ids(T) == [1, 2, 3, 7]

    @pytest.mark.parametrize("took_effect", [True, False])
    def test_a_lost_answer_to_a_commit_is_settled_by_looking_for_the_run(
        self, bench: Bench, took_effect: bool
    ) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        staged = bench.tables.stage(bench.change(T, "append", numbers(4, 4), run="r7"))
        with pytest.raises(CommitUnknownError):
            if took_effect:
                bench.commit(staged)
                raise CommitUnknownError("the answer was lost")
            with bench.state.write() as tx:
                bench.tables.commit([staged], tx)
                raise CommitUnknownError("the answer was lost")
        found = bench.tables.find_run(T, "r7")
        assert (found is not None) == took_effect
        bench.tables.discard([staged])  # whoever is wrong about it must not be able to break the table
        assert bench.ids(T) == ([1, 2, 3, 4] if took_effect else [1, 2, 3])

    def test_changes_of_different_tables_are_staged_by_threads_at_once(self, bench: Bench) -> None:
        from concurrent.futures import ThreadPoolExecutor

        tables = [f"sales.t{n}" for n in range(6)]
        changes = [bench.change(t, "replace", numbers(n, n)) for n, t in enumerate(tables)]
        with ThreadPoolExecutor(4) as pool:
            staged = list(pool.map(bench.tables.stage, changes))
        bench.commit(*staged)
        assert [bench.ids(t) for t in tables] == [[n] for n in range(6)]


class LocalFaultConformance(OpenedTables):
    """Faults of a local disk: power cuts, torn files, no space."""

    def test_an_acknowledged_publish_survives_a_power_cut(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk = Disk(_warehouse(bench))
        monkeypatch.setattr(os, "fsync", disk.fsync)
        for t in (T, OTHER):
            bench.publish(t, "replace", files=[_unsynced(bench, t, 1, 3)])
        last = [
            bench.tables.stage(bench.change(t, "append", files=[_unsynced(bench, t, 4, 4)]))
            for t in (T, OTHER)
        ]
        bench.commit(*last)
        _unsynced(bench, T, 9, 9)
        disk.lose_power()
        assert bench.ids(T) == [1, 2, 3, 4]
        assert bench.ids(OTHER) == [1, 2, 3, 4]
        assert [len(bench.ids(T, s.snapshot_id)) for s in bench.tables.snapshots(T)] == [3, 4]
        assert bench.orphans(T) == set(), "the file nobody synced should be gone"

    def test_a_power_cut_while_staging_leaves_the_old_version(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        disk = Disk(_warehouse(bench))
        monkeypatch.setattr(os, "fsync", disk.fsync)
        bench.publish(T, "replace", files=[_unsynced(bench, T, 1, 3)])
        change = bench.change(T, "append", files=[_unsynced(bench, T, 4, 4)])
        with pytest.raises(RuntimeError), failing_at("manifest_written", RuntimeError()):
            bench.tables.stage(change)
        disk.lose_power()
        assert bench.ids(T) == [1, 2, 3]
        bench.publish(T, "append", numbers(5, 5))
        assert bench.ids(T) == [1, 2, 3, 5]

    def test_space_that_runs_out_at_any_byte_leaves_the_table_as_it_was(self, bench: Bench) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        change = bench.change(T, "append", numbers(4, 4))
        before = dict(bench.tables.list_files(T))
        limit, refused = 0, 0
        while True:
            try:
                with _files_no_longer_than(limit):
                    staged = bench.tables.stage(change)
                break
            except DiskFullError as error:
                assert T in str(error)
                refused += 1
            assert dict(bench.tables.list_files(T)) == before
            assert bench.ids(T) == [1, 2, 3]
            limit += 900
        assert refused >= 3
        bench.commit(staged)
        assert bench.ids(T) == [1, 2, 3, 4]

    @pytest.mark.parametrize("lost", [1, 100, 4096])
    @pytest.mark.parametrize("point", STAGE_POINTS)
    def test_metadata_torn_before_the_commit_is_noticed(self, bench: Bench, point: str, lost: int) -> None:
        bench.publish(T, "replace", numbers(1, 3))
        change = bench.change(T, "append", numbers(4, 6))

        def tear(reached: str) -> None:
            if reached == point:
                _cut(_newest(bench), lost)

        with pytest.raises(CorruptFileError, match="torn"), observed(tear):
            bench.tables.stage(change)
        assert bench.ids(T) == [1, 2, 3]

    @pytest.mark.parametrize("lost", [1, 17, 300, 100_000])
    def test_a_torn_metadata_file_is_named_and_never_read_as_fewer_rows(
        self, bench: Bench, lost: int
    ) -> None:
        for n in range(1, 5):
            bench.publish(T, "append", numbers(n, n))
        whole_scan = bench.tables.scan(T)
        data = set(whole_scan.files)
        needed = [Path(p) for p in sorted(bench.tables.live_files(T)) if p not in data]
        read = _files_read_by(bench, needed)
        assert len(read) >= 6, "a metadata file, a manifest list and four manifests"
        for path in read:
            whole = path.read_bytes()
            _cut(path, lost)
            assert _scan_or_name(bench) in {path.name, whole_scan}
            path.write_bytes(whole)
        assert bench.ids(T) == [1, 2, 3, 4]


def _scan_or_name(bench: Bench) -> Any:
    """What the table reads as, or the name of the file that is said to be torn."""
    try:
        return bench.tables.scan(T)
    except CorruptFileError as error:
        return next(word.rpartition("/")[2] for word in str(error).split() if "/" in word)


def _files_read_by(bench: Bench, candidates: list[Path]) -> list[Path]:
    """Those without which the current version cannot be scanned."""
    needed = []
    for path in candidates:
        hidden = path.rename(path.with_suffix(".hidden"))
        if _scan_or_name(bench) == path.name:
            needed.append(path)
        hidden.rename(path)
    return needed


def _warehouse(bench: Bench) -> Path:
    return Path(bench.tables.location(T)).parents[2]


def _unsynced(bench: Bench, table: str, first: int, last: int) -> Any:
    return bench.write(table, PLAIN, numbers(first, last), sync=False)


def _newest(bench: Bench) -> Path:
    """The metadata file written last; folders name them, so ask the disk."""
    return max((Path(p) for p, _ in bench.tables.list_files(T)), key=lambda p: p.stat().st_mtime_ns)


def _cut(path: Path, lost: int) -> None:
    os.truncate(path, max(0, path.stat().st_size - lost))


@contextmanager
def _files_no_longer_than(size: int) -> Iterator[None]:
    """Writing further fails with EFBIG, as a full disk does with ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Disk:
    """A disk that keeps only what was synced: the bytes of files, and the names in folders, at that moment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bytes: dict[str, int] = {}
        self._names: set[str] = set()
        self._fsync = os.fsync

    def fsync(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_dir():
            self._names |= {str(entry) for entry in path.iterdir()}
        else:
            self._bytes[str(path)] = path.stat().st_size
        self._fsync(handle)

    def lose_power(self) -> None:
        """Everything else is gone."""
        for path in [self.folder, *sorted(self.folder.rglob("*"))]:
            if not path.exists():
                continue
            if str(path) not in self._names:
                _remove(path)
            elif path.is_file():
                os.truncate(path, self._bytes.get(str(path), 0))


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()

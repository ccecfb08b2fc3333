"""What the local engine promises beyond the suite: its limits, its workers, its traces on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from raymesh.engines.kernel import duck, inputs
from raymesh.engines.local import LocalEngine
from raymesh.engines.local import workers as workers_module
from raymesh.errors import (
    CancelledError,
    ConformError,
    CorruptFileError,
    MissingExtraError,
    SourceError,
    TransformError,
    TransformMemoryError,
)
from raymesh.mesh.plan import Input, Limits, SourceScan, Transform
from raymesh.spi.conformance.engine_opened import Bench, columns, scan
from raymesh.spi.engine import Control


@pytest.fixture
def engine(tmp_path: Path):
    engine = LocalEngine(Limits(1 << 30, 2, str(tmp_path / "scratch")))
    yield engine
    engine.close()


@pytest.fixture
def bench(engine: LocalEngine, tmp_path: Path) -> Bench:
    return Bench(engine, tmp_path)


def running(engine: LocalEngine) -> list[int]:
    return [w._process.pid for w in engine._workers._idle]


# workers

WHO = "import os\ndef transform(batch): return {'pid': [os.getpid()]}"


def test_a_healthy_worker_builds_again(bench: Bench, engine: LocalEngine) -> None:
    pids = {bench.rows(bench.python(WHO, sql="select 1 as a"))[0]["pid"] for _ in range(3)}
    assert len(pids) == 1
    assert running(engine) == list(pids)


def test_a_column_without_a_value_in_very_many_first_rows_says_how_many(bench: Bench) -> None:
    bench.memory = 256 << 20
    code = """
        import pyarrow as pa
        def transform(batch):
            yield pa.table({"pad": ["x" * 20_000_000] * 2, "late": pa.nulls(2)})
            yield pa.table({"pad": ["y"], "late": [1]})
        """
    with pytest.raises(
        ConformError, match=r"'late': .*every value in the first 2 rows is NULL; say the type"
    ) as caught:
        bench.python(code, sql="select 1 as a")
    assert "cast it" not in caught.value.message


def test_a_worker_whose_build_failed_politely_builds_again(bench: Bench) -> None:
    first = bench.rows(bench.python(WHO, sql="select 1 as a"))
    with pytest.raises(TransformError):
        bench.python("def transform(batch): return None", sql="select 1 as a")
    assert bench.rows(bench.python(WHO, sql="select 1 as a")) == first


def test_a_worker_that_was_left_with_a_thread_is_not_used_again(bench: Bench, engine: LocalEngine) -> None:
    code = "import threading, time\ndef transform(batch):\n threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n return batch"
    bench.python(code, sql="select 1 as a")
    assert running(engine) == []


def test_environment_folder_and_path_do_not_leak_into_the_next_build(bench: Bench) -> None:
    code = "import os, sys\ndef transform(batch):\n os.environ['LEAK'] = 'x'; os.chdir('/'); sys.path.append('/leak')\n return batch"
    look = "import os, sys\ndef transform(batch): return {'leaked': ['LEAK' in os.environ or os.getcwd() == '/' or '/leak' in sys.path]}"
    bench.python(code, sql="select 1 as a")
    assert bench.rows(bench.python(look, sql="select 1 as a")) == [{"leaked": False}]


def test_a_worker_that_knows_more_than_a_build_may_see_is_not_used_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "import os\ndef transform(batch): return {'seen': ['HIDDEN' in os.environ], 'pid': [os.getpid()]}"
    monkeypatch.setenv("HIDDEN", "x")
    plan = bench.python_plan(look, sql="select 1 as a")
    with_it, without, again = (
        bench.rows(bench.run(replace(plan, run_id=f"r{n}", withheld=withheld)).outputs[0])[0]
        for n, withheld in enumerate([(), ("HIDDEN",), ("HIDDEN",)])
    )
    assert (with_it["seen"], without["seen"], again["seen"]) == (True, False, False)
    assert with_it["pid"] != without["pid"] == again["pid"]


def test_closing_the_engine_ends_its_workers(bench: Bench, engine: LocalEngine) -> None:
    bench.python(WHO, sql="select 1 as a")
    (pid,) = running(engine)
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_user_code_started_dies_with_it(bench: Bench) -> None:
    bench.timeout = 3.0
    code = """
        import subprocess, pathlib
        def transform(batch):
            child = subprocess.Popen(["sleep", "600"])
            pathlib.Path("{}").write_text(str(child.pid))
            child.wait()
    """.format(bench.root / "pid")
    with pytest.raises(TransformError):
        bench.python(code, sql="select 1 as a")
    child = int((bench.root / "pid").read_text())
    deadline = time.monotonic() + 5
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_worker_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import pathlib
        from raymesh.engines.local import LocalEngine
        from raymesh.spi.conformance.engine_opened import Bench
        bench = Bench(LocalEngine(), pathlib.Path({str(tmp_path)!r}))
        code = "import os, time, pathlib\\ndef transform(batch):\\n pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))\\n time.sleep(600)"
        bench.python(code, sql="select 1 as a")
    """)
    parent = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.02)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child = int((tmp_path / "pid").read_text())
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _alive(child)


def test_a_worker_that_cannot_start_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        workers_module,
        "_environment",
        lambda _: os.environ | {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"},
    )
    with pytest.raises(TransformError, match="did not start") as caught:
        bench.python(WHO, sql="select 1 as a")
    assert "encodings" in caught.value.traceback_text


def test_a_sudden_huge_allocation_is_an_error_with_its_place(bench: Bench) -> None:
    bench.memory = 256 << 20
    with pytest.raises(TransformMemoryError) as caught:
        bench.python("def transform(batch):\n    return bytearray(20 << 30)", sql="select 1 as a")
    assert caught.value.spans[0].line == 2


def test_a_missing_library_names_its_extra(bench: Bench) -> None:
    code = "import sys\nsys.modules['polars'] = None\ndef transform(batch: 'pl.DataFrame'): return batch"
    with pytest.raises(MissingExtraError, match=r"raymesh\[polars\]"):
        bench.python(code, sql="select 1 as a")


def test_memory_stays_bounded_while_batches_stream(bench: Bench) -> None:
    bench.memory = 384 << 20
    sql = "select range as id, repeat(md5(range::varchar), 10) as text from range(1500000)"
    outcome = bench.run(bench.python_plan("def transform(batch): return batch", sql=sql))
    assert sum(f.rows for f in outcome.outputs[0].files) == 1_500_000  # 480 MB of text went through


# limits and traces

FULL = """
    import pathlib, resource, sys
    from raymesh.engines.local import LocalEngine
    from raymesh.errors import DiskFullError
    from raymesh.spi.conformance.engine_opened import Bench
    engine = LocalEngine()
    bench = Bench(engine, pathlib.Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    try:
        if sys.argv[2] == "sql":
            bench.sql("select md5(range::varchar) as a from range(300000)")
        elif sys.argv[2] == "python":
            bench.python("def transform(batch): return batch", sql="select md5(range::varchar) as a from range(300000)")
        else:
            bench.memory = 70 << 20
            bench.sql("select md5(range::varchar) as a, md5((range+1)::varchar) as b from range(2000000) order by a")
    except DiskFullError as error:
        print("full", bench.staged_files(), error.hint)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(bench.rows(bench.sql("select 1 as a")))
    engine.close()
"""


@pytest.mark.parametrize("where", ["sql", "python", "spill"])
def test_a_full_disk_is_told_cleaned_up_and_got_over(tmp_path: Path, where: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path), where]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.splitlines() == [
        "full [] free space in the warehouse and scratch folders and run again; nothing was published",
        "[{'a': 1}]",
    ], found.stderr


def test_spilling_beyond_its_limit_is_an_error_that_names_the_setting(bench: Bench) -> None:
    sql = "select md5(range::varchar) as a, md5((range + 1)::varchar) as b from range(1200000) order by a"
    plan = bench.plan(Transform("sql", sql=sql))
    plan = replace(plan, limits=replace(plan.limits, memory_bytes=100 << 20, scratch_bytes=8 << 20))
    with pytest.raises(TransformMemoryError, match="scratch space") as caught:
        bench.run(plan)
    assert "scratchSize" in (caught.value.hint or "")


def test_what_spilled_is_told_and_gone(bench: Bench) -> None:
    bench.memory = 100 << 20
    sql = "select md5(range::varchar) as a, md5((range + 1)::varchar) as b from range(1200000) order by a"
    outcome = bench.run(bench.plan(Transform("sql", sql=sql)))
    assert outcome.resources.bytes_spilled > 0
    assert list(Path(bench.limits.scratch).iterdir()) == []


def test_scratch_of_dead_processes_is_swept_and_that_of_living_ones_kept(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, living = tmp_path / f"spill-{child.pid}-abc", tmp_path / f"spill-{os.getpid()}-abc"
    for folder in (dead, living):
        folder.mkdir()
        (folder / "x.tmp").touch()
    (tmp_path / "spill-notes.txt").touch()
    duck.sweep(str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["spill-notes.txt", living.name])


def test_two_connections_never_share_a_spill_folder(tmp_path: Path) -> None:
    limits = Limits(1 << 28, 1, str(tmp_path))
    with duck.session(limits) as a, duck.session(limits) as b:
        folders = {c.execute("select current_setting('temp_directory')").fetchall()[0][0] for c in (a, b)}
    assert len(folders) == 2


def test_threads_build_side_by_side_and_one_stop_stops_one(bench: Bench) -> None:
    stop = threading.Event()
    ended: list[BaseException] = []

    def endless() -> None:
        sql = "select count(*) as n from range(10000000) a, range(10000000) b where hash(a.range) = hash(b.range + 1) % 7"
        try:
            bench.run(
                bench.plan(Transform("sql", sql=sql), location=str(bench.root / "other")),
                Control(cancelled=stop.is_set),
            )
        except CancelledError as error:
            ended.append(error)

    thread = threading.Thread(target=endless)
    thread.start()
    assert bench.rows(bench.sql("select 1 as a")) == [{"a": 1}]
    assert thread.is_alive()
    stop.set()
    thread.join(timeout=30)
    assert len(ended) == 1


def test_importing_the_engines_package_loads_nothing_heavy() -> None:
    code = "import sys, raymesh.engines.local; print(*(m for m in ('duckdb', 'pyarrow') if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


# sources


class FileSource:
    """A source adapter over one Parquet file; `faults` are told on `verify`."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.verified: list[object] = []

    def relation(self, con, scan, root):
        return con.sql(f"select * from read_parquet(['{scan.spec['location']}'])")

    def verify(self, scan, root, error=None) -> None:
        self.verified.append(error)
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> FileSource:
    adapter = FileSource()
    monkeypatch.setattr(inputs.registry, "load", lambda group, name: lambda: adapter)
    return adapter


def with_source(bench: Bench, sql: str):
    file = bench.sql("select range as id from range(4)").files[0].path
    plan = bench.plan(Transform("sql", sql=sql, sql_file="t.sql"))
    return replace(plan, inputs=(Input("source.things", SourceScan("things", "file", {"location": file})),))


def test_a_source_is_read_under_its_name_and_verified_after(bench: Bench, source: FileSource) -> None:
    outcome = bench.run(with_source(bench, "select sum(id)::bigint as s from source.things"))
    assert bench.rows(outcome.outputs[0]) == [{"s": 6}]
    assert source.verified == [None]


def test_a_source_that_changed_meanwhile_fails_the_build(bench: Bench, source: FileSource) -> None:
    source.fault = SourceError("it changed")
    plan = with_source(bench, "select * from source.things")
    before = bench.staged_files()
    with pytest.raises(SourceError, match="changed"):
        bench.run(plan)
    assert bench.staged_files() == before


def test_a_failing_build_asks_the_source_first(bench: Bench, source: FileSource) -> None:
    with pytest.raises(TransformError, match="row"):
        bench.run(with_source(bench, "select error('row')::varchar as x from source.things"))
    assert len(source.verified) == 1
    source.fault = CorruptFileError("the source is torn")
    with pytest.raises(CorruptFileError, match="torn"):
        bench.run(with_source(bench, "select error('row')::varchar as x from source.things"))


def test_sql_over_a_source_reaches_no_file_beside_it(bench: Bench, source: FileSource) -> None:
    (bench.root / "secret.csv").write_text("a\n1\n")
    with pytest.raises(TransformError, match="Cannot access"):
        bench.run(with_source(bench, f"select * from source.things, '{bench.root}/secret.csv'"))


def test_python_is_told_when_nothing_says_what_its_columns_are(bench: Bench) -> None:
    staged = bench.python("def transform(batch):\n yield from ()", columns(a="bigint"), sql="select 1 as a")
    assert staged.files == ()
    assert scan(staged).schema.names == ("a",)


def test_memory_that_grows_slowly_is_watched_from_outside(bench: Bench) -> None:
    bench.memory = 128 << 20
    code = """
        import time
        def transform(batch):
            kept = []
            while True:
                kept.append(bytearray(1 << 20))
                time.sleep(0.001)
    """
    with pytest.raises(
        TransformMemoryError, match=r"used 1\d\d MiB, more than its limit of 128 MiB"
    ) as caught:
        bench.python(code, sql="select 1 as a")
    assert caught.value.spans[0].line in (5, 6, 7)

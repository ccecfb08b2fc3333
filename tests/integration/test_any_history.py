"""Any sequence of builds, failures, rollbacks, schema changes and maintenance against a model of what is served."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import raymesh
from lives import KEY, NEEDED, look_after, roll_back, rows_of, run
from meshes import write_mesh, write_product
from raymesh.actions.read import pin
from raymesh.errors import NotFoundError

Rows = tuple[tuple[str, ...], list[tuple[int, ...]]]
"""Columns and rows of a version."""
KEEP = 3


class History(RuleBasedStateMachine):
    """One product. `published` is the model: what each version holds, None once it has expired."""

    def __init__(self) -> None:
        super().__init__()
        self.root = write_mesh(Path(tempfile.mkdtemp(prefix="history-")) / "mesh")
        self.published: dict[int, Rows | None] = {}
        self.snapshots: dict[int, int] = {}
        self.columns: tuple[str, ...] = ("id", "value")
        self.minor = 0
        self.broken = False
        self.built: tuple[Any, ...] | None = None

    def teardown(self) -> None:
        shutil.rmtree(self.root.parent, ignore_errors=True)

    @property
    def newest(self) -> int:
        return max(self.published, default=0)

    def write(self, value: int, count: int, *, good: bool = True) -> Rows:
        """The documents of a version with `count` rows; the rows it makes."""
        others = self.columns[2:]
        made = "".join(f", {n} * id AS {c}" for n, c in enumerate(others))
        failing = f"CASE WHEN id = {count - 1} THEN NULL ELSE {value} END"
        sql = (
            f"SELECT id, {value if good else failing}::bigint AS value{made}\n"
            f"FROM (SELECT range AS id FROM range({count}))"
        )
        promised: dict[str, Any] = {"id": KEY, "value": NEEDED} | dict.fromkeys(others, "bigint")
        version = f"1.{self.minor}.0"
        write_product(
            self.root,
            "shop.it",
            promised,
            sql=sql,
            version=version,
            targetFileSize="1MB",
            snapshots={"keep": KEEP},
        )
        self.documents = (sql, version)
        return self.columns, [(i, value, *(n * i for n in range(len(others)))) for i in range(count)]

    @initialize()
    def first(self) -> None:
        self.build(value=0, count=1)

    @rule(value=st.integers(-3, 3), count=st.integers(1, 4))
    def build(self, value: int, count: int) -> None:
        made = self.write(value, count)
        self.publish(made)

    def publish(self, made: Rows) -> None:
        report = run(self.root)["shop.it"]
        if self.built == self.documents:
            assert (report.status, report.version) == ("unchanged", self.newest), report
            return
        assert (report.status, report.version) == ("published", self.newest + 1), report
        self.record(made)
        self.built = self.documents

    def record(self, made: Rows) -> None:
        """The model gets one more version, in the snapshot that now is current."""
        self.published[self.newest + 1] = made
        with raymesh.Mesh.load(self.root) as mesh:
            self.snapshots[self.newest] = mesh._workspace.state.current()["shop.it", "default"].snapshot_id

    @rule(value=st.integers(-3, 3), count=st.integers(1, 4))
    def fail_a_check(self, value: int, count: int) -> None:
        self.write(value, count, good=False)
        assert run(self.root)["shop.it"].status == "blocked"

    @rule()
    def fail_a_transform(self) -> None:
        write_product(
            self.root, "shop.it", {"id": KEY, "value": NEEDED}, sql="SELECT error('no') AS id, 1 AS value"
        )
        assert run(self.root)["shop.it"].status == "failed"

    @precondition(lambda self: len(self.columns) < 5)
    @rule(value=st.integers(-3, 3))
    def add_a_column(self, value: int) -> None:
        self.columns = (*self.columns, f"c{len(self.columns)}")
        self.minor += 1
        self.publish(self.write(value, 2))

    @precondition(lambda self: len(self.columns) > 2)
    @rule(value=st.integers(-3, 3))
    def drop_a_column_without_a_new_major_version(self, value: int) -> None:
        served = self.published[self.newest]
        assert served is not None
        whole = self.columns
        self.columns = self.columns[:-1]
        self.write(value, 2)
        report = run(self.root)["shop.it"]
        if len(served[0]) > len(self.columns):
            assert report.error is not None, report
            assert report.error.code == "breaking-change"
            self.columns = whole
        else:  # a rollback had taken the column away already
            assert report.status == "published", report
            self.record(
                (self.columns, [(i, value, *(n * i for n in range(len(self.columns) - 2))) for i in range(2)])
            )
            self.built = self.documents

    @rule(choice=st.randoms(use_true_random=False))
    def roll_back_to_a_kept_version(self, choice: Any) -> None:
        to = choice.choice([n for n, kept in self.published.items() if kept is not None])
        assert roll_back(self.root, "shop.it", to).number == self.newest + 1
        kept = self.published[to]
        assert kept is not None
        self.record(kept)
        self.built = None

    @rule()
    def maintain(self) -> None:
        (done,) = look_after(self.root, "shop.it")
        assert done.compacted_from == 0
        kept = sorted(self.published)[-KEEP:]
        needed = {self.snapshots[n] for n in kept}
        gone = {
            n
            for n, v in self.published.items()
            if v is not None and n not in kept and self.snapshots[n] not in needed
        }
        assert set(done.expired_versions) == gone
        for number in gone:
            self.published[number] = None
        (again,) = look_after(self.root, "shop.it")
        assert again == type(again)("shop.it")

    @invariant()
    def every_version_reads_as_it_was_published(self) -> None:
        with raymesh.Mesh.load(self.root) as mesh:
            for number, rows in self.published.items():
                if rows is None:
                    with pytest.raises(NotFoundError):
                        mesh.read("shop.it", version=number)
                    continue
                table = mesh.read("shop.it", version=number).to_arrow()
                assert (tuple(table.column_names), sorted(rows_of(table))) == rows
            if self.published:
                self.assert_one_truth(mesh)

    def assert_one_truth(self, mesh: raymesh.Mesh) -> None:
        """Index, table and evidence say the same, and nothing is left lying around."""
        pinned = pin(mesh._workspace.storage, "shop.it")
        state, tables = mesh._workspace.state, mesh._workspace.tables
        assert (pinned.version.number, pinned.foreign) == (self.newest, False)
        assert tables.scan("shop.it").files == pinned.scan.files
        assert not state.runs(status="running")
        runs = {r.run_id for r in state.runs(product="shop.it", status="published", limit=1000)}
        assert runs == {v.run_id for v in state.versions("shop.it")}
        data = {path for path, _ in tables.list_files("shop.it") if path.endswith(".parquet")}
        assert data <= set(tables.live_files("shop.it"))


def test_any_history_serves_what_the_model_serves(request: pytest.FixtureRequest) -> None:
    complete = request.config.getoption("--complete")
    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=100 if complete else 4,
            stateful_step_count=25 if complete else 12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

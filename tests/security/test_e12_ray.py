"""E12, I11, F2: a dataset of Ray goes on only while its reader may read; revoked, expired or undecided, it ends."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import raymesh
from governed_shops import NAME, build, write_governed_shop
from raymesh.actions import access, governed
from raymesh.actions.identity import principal_of
from raymesh.errors import AccessDeniedError, StorageError
from raymesh.governance.agreements import Terms

if TYPE_CHECKING:
    from raymesh.engines.ray.cluster import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]

ROWS = 6 * 65_536
VALID = timedelta(seconds=1)


@pytest.fixture(scope="module")
def root(ray_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows for six reading tasks, of which two run at a time."""
    root = write_governed_shop(tmp_path_factory.mktemp("shop"))
    one = pq.read_table(root / "customers.parquet").slice(0, 1)
    many = pa.concat_tables([one] * 64).combine_chunks().take(pa.array([0] * ROWS))
    ids = pc.cast(pa.array(range(ROWS)), pa.int64())
    pq.write_table(many.set_column(0, "id", ids), root / "customers.parquet", compression="zstd")
    build(root)
    return root


@pytest.fixture
def mesh(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[raymesh.Mesh]:
    from raymesh.engines.ray import datasets

    monkeypatch.setattr(governed, "RECHECK", VALID)
    monkeypatch.setattr(datasets, "piece", lambda _: SimpleNamespace(bytes=1))  # as many tasks as can be
    with raymesh.Mesh.load(root) as mesh:
        yield mesh


@pytest.fixture
def agreement(mesh: raymesh.Mesh) -> Iterator[str]:
    """By which guest reads two columns."""
    identifier = granted(mesh)
    yield identifier
    if access.show(mesh._workspace.storage, identifier).ended_at is None:
        revoke(mesh, identifier)


def revoke(mesh: raymesh.Mesh, agreement: str) -> None:
    access.revoke(mesh._workspace.storage, agreement, person(mesh, "olga"), "left", datetime.now(UTC))


def granted(mesh: raymesh.Mesh, **terms: Any) -> str:
    storage = mesh._workspace.storage
    asked = Terms("service", "tickets", 86_400, ("guest",), columns=("id", "region"), **terms)
    found = access.request(storage, NAME, person(mesh, "guest"), asked, datetime.now(UTC))
    access.approve(storage, found.id, person(mesh, "olga"), "fine", datetime.now(UTC))
    return found.id


def person(mesh: raymesh.Mesh, name: str) -> Any:
    return principal_of(mesh._workspace.storage, name, env={})


def dataset(mesh: raymesh.Mesh) -> Any:
    return mesh.read(NAME, columns=["id"], as_="guest", purpose="service").to_ray()


def slow(found: Any) -> Any:
    """With a step that becomes part of the reading tasks, and takes its time with every block."""

    def slowly(table: pa.Table) -> pa.Table:
        time.sleep(0.8)
        return table

    return found.map_batches(slowly, batch_format="pyarrow", batch_size=None)


def test_e12_a_dataset_that_is_read_longer_than_a_decision_holds_is_renewed(
    mesh: raymesh.Mesh, agreement: str
) -> None:
    began = time.monotonic()
    read = list(slow(dataset(mesh)).iter_batches(batch_format="pyarrow", batch_size=None))
    assert time.monotonic() - began > 2 * VALID.total_seconds()
    assert sum(b.num_rows for b in read) == ROWS


def test_e12_revoked_in_mid_stream_the_dataset_ends(mesh: raymesh.Mesh, agreement: str) -> None:
    rows = 0
    with pytest.raises(AccessDeniedError):
        for block in slow(dataset(mesh)).iter_batches(batch_format="pyarrow", batch_size=None):
            if not rows:
                revoke(mesh, agreement)
            rows += block.num_rows
    assert 0 < rows < ROWS


def test_f2_what_was_opened_before_is_not_read_after(mesh: raymesh.Mesh, agreement: str) -> None:
    found = dataset(mesh)
    revoke(mesh, agreement)
    time.sleep(2 * VALID.total_seconds())
    with pytest.raises(AccessDeniedError):
        found.take(1)


@pytest.mark.slow
def test_f2_when_nobody_decides_any_more_the_time_passes(
    mesh: raymesh.Mesh, agreement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> None:
        raise StorageError("the state cannot be reached")

    found = dataset(mesh)
    monkeypatch.setattr(governed._Guard, "decide", down)
    time.sleep(2 * VALID.total_seconds())
    with pytest.raises(AccessDeniedError, match="not decided in time"):
        found.take(1)


def test_a_permit_ends_with_the_desk_that_says_until_when(ray_cluster: Cluster) -> None:
    import ray

    from raymesh.engines.ray.permits import Desk, Permit

    desk: Any = ray.remote(Desk).options(num_cpus=0).remote()
    permit = Permit(desk, "p")
    desk.renew.remote("p", time.time() + 60)
    assert list(permit.guarding(lambda: [1, 2])) == [1, 2]
    desk.end.remote("p", "no more", "ask again")
    desk.renew.remote("p", time.time() + 60)
    with pytest.raises(AccessDeniedError, match="no more"):
        list(permit.guarding(lambda: [1]))
    ray.kill(desk)
    with pytest.raises(ray.exceptions.RayActorError):
        while True:
            ray.get(desk.look.remote("q"))
    with pytest.raises(AccessDeniedError, match="not decided in time"):
        list(permit.guarding(lambda: [1]))


def test_a_permit_speaks_to_no_other_cluster_and_starts_none(
    ray_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call of an actor without a connection would make Ray start a cluster, or join one."""
    import ray

    from raymesh.engines.ray import permits

    said: list[Any] = []
    method = SimpleNamespace(remote=lambda *told: said.append(told))
    line = permits._Line(permits._place())
    assert line.tell(method, 1)
    assert not permits._Line(("another node", "another job")).tell(method, 2)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert not line.tell(method, 3)
    assert said == [(1,)]


def test_a_permit_lives_as_long_as_any_dataset_made_from_it(
    mesh: raymesh.Mesh, agreement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raymesh.engines.ray import datasets

    made_here: list[Any] = []

    class Noted(datasets.Renewal):
        def __init__(self, again: Any) -> None:
            super().__init__(again)
            made_here.append(weakref.ref(self))

    monkeypatch.setattr(datasets, "Renewal", Noted)
    found = dataset(mesh)
    (renewal,) = made_here
    made = found.limit(5)
    del found
    gc.collect()
    assert renewal() is not None
    assert len(made.take_all()) == 5
    del made
    gc.collect()
    assert renewal() is None


def test_rows_that_are_counted_are_not_read_where_nobody_counts(mesh: raymesh.Mesh) -> None:
    agreement = granted(mesh, max_rows=10)
    try:
        with pytest.raises(AccessDeniedError, match="number of rows"):
            dataset(mesh)
    finally:
        revoke(mesh, agreement)

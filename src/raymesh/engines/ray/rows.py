"""Rows of pinned files and of queries as Ray Datasets: read lazily, in tasks, by the kernel.

What the kernel gives is plain Arrow (no views of strings, no extension types), so every operation of Ray Data works
on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel import storage as stores
from raymesh.engines.kernel.build import rows_of
from raymesh.engines.kernel.inputs import bind, reading
from raymesh.engines.kernel.reading import read_scan
from raymesh.engines.kernel.sqltext import qualified, texts
from raymesh.engines.kernel.stream import BATCH_ROWS, incoming
from raymesh.engines.ray.quiet import disarm, hush_data
from raymesh.engines.ray.shares import divided, is_divisible, source_size
from raymesh.engines.ray.travel import here
from raymesh.mesh.plan import Input, Scan

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ray.data
    from ray.data.block import BlockMetadata

    from raymesh.engines.ray.permits import Permit, Renewal
    from raymesh.mesh.plan import BuildPlan, Limits, Output, SourceScan
    from raymesh.spec.expression import Expression
    from raymesh.spi.source import Division

_SPLIT_FILES = 256
"""Up to so many files are looked into for their rows; more are many enough to be dealt out whole."""
_LEAST_ROWS = 65_536
_UNPACKED = 4
"""How much larger rows are in memory than in a file, roughly: only the size of tasks depends on it."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one reading task reads: bytes in memory, estimated, and the function that gives its tables."""

    bytes: int
    read: Callable[[], Iterator[pa.Table]]


def dataset(
    shares: Sequence[Share], schema: pa.Schema | None, renewal: Renewal | None = None, **options: Any
) -> ray.data.Dataset:
    """A dataset whose blocks are read by one task per share; `options` are keywords of `ray.remote`. `renewal` lives
    as long as the dataset, and datasets made from it."""
    hush_data()
    import ray.data

    source = _source_class()(shares, schema, renewal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there is no other way yet to say how often a task is tried
        found: ray.data.Dataset = ray.data.read_datasource(
            source, override_num_blocks=max(len(shares), 1), ray_remote_args=options or None
        )
    return found


def shares(
    scan: Scan, limits: Limits, storage: Mapping[str, Any], *, bytes_each: int, least: int
) -> list[Scan]:
    """`scan` in pieces of about `bytes_each` bytes of memory, at least `least` of them when there are rows enough."""
    if not scan.files:
        return []
    wanted = _wanted(unpacked(scan), scan.rows, bytes_each, least)
    if wanted <= 1:
        return [scan]
    if len(scan.files) >= 4 * wanted or len(scan.files) > _SPLIT_FILES:
        step = -(-len(scan.files) // wanted)
        groups = [scan.files[at : at + step] for at in range(0, len(scan.files), step)]
        return [_some(scan, group, len(group) / len(scan.files)) for group in groups]
    return _cut(scan, _rows_by_file(scan, limits, storage), wanted)


def _wanted(size: int, rows: int, bytes_each: int, least: int) -> int:
    return max(-(-size // bytes_each), min(least, -(-rows // _LEAST_ROWS)), 1)


def unpacked(scan: Scan) -> int:
    """Bytes that the rows of a scan take in memory, roughly."""
    return scan.bytes * _UNPACKED


def _some(scan: Scan, files: tuple[str, ...], share: float) -> Scan:
    return replace(scan, files=files, rows=round(scan.rows * share), bytes=round(scan.bytes * share))


def _cut(scan: Scan, counts: Mapping[str, int], wanted: int) -> list[Scan]:
    """Every file in pieces of equal rows, so that there are about `wanted` in all."""
    rows = max(sum(counts.values()), 1)
    each = max(-(-rows // wanted), _LEAST_ROWS)
    found: list[Scan] = []
    for file in scan.files:
        pieces = max(round(counts.get(file, 0) / each), 1)
        step = -(-counts.get(file, 0) // pieces)
        for n in range(pieces):
            piece = _some(scan, (file,), step / rows)
            found.append(replace(piece, between=(n * step, (n + 1) * step)) if pieces > 1 else piece)
    return found


def _rows_by_file(scan: Scan, limits: Limits, storage: Mapping[str, Any]) -> dict[str, int]:
    with duck.session(limits) as con:
        stores.attach(con, storage, scan.files)
        sql = f"SELECT file_name, num_rows FROM parquet_file_metadata({texts(scan.files)})"
        return {str(name): int(rows) for name, rows in con.execute(sql).fetchall()}


# inputs of transforms


def incoming_shares(plan: BuildPlan, output: Output, bytes_each: int, least: int) -> list[Share]:
    """The rows that a batch transform is called on. A query is read by one task. Raises SourceError."""
    plain = one_input(plan, output)
    if plain is None:
        scans = [i.content for i in plan.inputs if isinstance(i.content, Scan)]
        return [Share(sum(map(unpacked, scans)), Reader(plan, output, bytes_each))]
    return [
        Share(size, Reader(replace(plan, inputs=(replace(plain, content=piece),)), output, bytes_each))
        for piece, size in pieces(plain, plan, bytes_each=bytes_each, least=least)
    ]


def one_input(plan: BuildPlan, output: Output) -> Input | None:
    """The input that is read as it is, None when there is a query."""
    if output.transform.sql is not None:
        return None
    names = tuple(output.transform.bindings.values()) or tuple(i.name for i in plan.inputs)
    found = [i for i in plan.inputs if i.name in names]
    return found[0] if len(found) == 1 else None


def pieces(
    item: Input, plan: BuildPlan, *, bytes_each: int, least: int
) -> list[tuple[Scan | SourceScan, int]]:
    """An input in pieces, each with the bytes that its rows take in memory, roughly. Raises SourceError."""
    if isinstance(item.content, Scan):
        scans = shares(item.content, plan.limits, plan.storage, bytes_each=bytes_each, least=least)
        return [(scan, unpacked(scan)) for scan in scans]
    division, size = source_pieces(item.content, plan.root, bytes_each=bytes_each, least=least)
    return [(piece, size // len(division.pieces)) for piece in division.pieces]


def source_pieces(source: SourceScan, root: str, *, bytes_each: int, least: int) -> tuple[Division, int]:
    """A source divided as `shares` does a version, and the bytes that all its rows take in memory, roughly (0 when
    nobody can say). Raises SourceError."""
    if not is_divisible(source):
        return divided(source, 1, root), 0
    size, rows = source_size(source, root)
    return divided(source, _wanted(size * _UNPACKED, rows, bytes_each, least), root), size * _UNPACKED


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what a batch transform is called on, in tables of about `bytes_each`."""

    plan: BuildPlan
    output: Output
    bytes_each: int

    def __call__(self) -> Iterator[pa.Table]:
        disarm()
        plan = replace(self.plan, root=here(self.plan.root))
        with (
            duck.session(plan.limits, ordered=True) as con,
            reading(plan.inputs, plan.root),
        ):
            files = bind(con, plan.inputs, plan.root, plan.storage)
            rows = rows_of(con, plan, self.output, files)
            with incoming(con, plan, self.output, rows) as taken:
                yield from tables(taken, self.bytes_each)


@dataclass(frozen=True, slots=True)
class ScanReader:
    """Reads (a piece of) a version as a reader may see it."""

    scan: Scan
    limits: Limits
    storage: Mapping[str, Any]
    bytes_each: int
    columns: tuple[str, ...] | None = None
    where: Expression | None = None
    limit: int | None = None
    permit: Permit | None = None

    def __call__(self) -> Iterator[pa.Table]:
        disarm()
        return self._tables() if self.permit is None else self.permit.guarding(self._tables)

    def _tables(self) -> Iterator[pa.Table]:
        reader = read_scan(
            self.scan, self.limits, self.storage, columns=self.columns, where=self.where, limit=self.limit
        )
        yield from tables(reader, self.bytes_each, reader.schema)


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Reads a source, or a piece of one."""

    item: Input
    root: str
    limits: Limits
    storage: Mapping[str, Any]
    bytes_each: int

    def __call__(self) -> Iterator[pa.Table]:
        disarm()
        root = here(self.root)
        with duck.session(self.limits, ordered=True) as con, reading((self.item,), root):
            bind(con, (self.item,), root, self.storage)
            reader = con.sql(f"SELECT * FROM {qualified(self.item.name)}").to_arrow_reader(BATCH_ROWS)
            yield from tables(reader, self.bytes_each, reader.schema)


def tables(
    batches: Iterator[pa.RecordBatch] | pa.RecordBatchReader, bytes_each: int, schema: pa.Schema | None = None
) -> Iterator[pa.Table]:
    """Batches gathered to tables of about `bytes_each`, nothing copied; an empty one when `schema` is known and
    there is no batch."""
    waiting: list[pa.RecordBatch] = []
    size, some = 0, False
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= bytes_each:
            yield pa.Table.from_batches(waiting)
            waiting, size, some = [], 0, True
    if waiting:
        yield pa.Table.from_batches(waiting)
    elif not some and schema is not None:
        yield schema.empty_table()


def _source_class() -> type[Any]:
    """The Datasource: made when it is needed, because Ray Data takes a second to import."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class PinnedRows(Datasource):
        """Rows that never change."""

        def __init__(
            self, shares: Sequence[Share], schema: pa.Schema | None, renewal: Renewal | None
        ) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._renewal = renewal
            self._shares = shares
            self._schema = schema

        def estimate_inmemory_data_size(self) -> int:
            return sum(s.bytes for s in self._shares)

        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
            return [ReadTask(s.read, _metadata(s), schema=self._schema) for s in self._shares]

    def _metadata(share: Share) -> BlockMetadata:
        return BlockMetadata(num_rows=None, size_bytes=share.bytes, input_files=None, exec_stats=None)

    return PinnedRows

"""What an engine does: build a plan, measure checks, answer reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from raymesh.errors import MeshError
    from raymesh.mesh.plan import BuildPlan, DataFile, Resources, Scan, SourceScan
    from raymesh.quality.model import Check, Measurements
    from raymesh.spec.expression import Expression
    from raymesh.spec.types import Field, TableSchema


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """What a build left in one table's location, not yet visible.

    `files` are the new files only. `measurements` cover new and kept files together.
    `watermark` is the largest value of the incremental column over all rows, those set aside too, None
    without one. `quarantine` are the rows set aside, in a table of their own, None when there are none.
    `over_limit` is how many rows would have been set aside when that were too many; then none are.
    """

    port: str
    schema: TableSchema
    files: tuple[DataFile, ...]
    measurements: Measurements
    watermark: Any = None
    quarantine: StagedOutput | None = None
    over_limit: int = 0


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    outputs: tuple[StagedOutput, ...]
    resources: Resources


@dataclass(frozen=True, slots=True)
class Subject:
    """Outside data to judge where it lies. `names` maps a column of the data to what the contract calls it,
    where the two differ."""

    content: SourceScan
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found out about a subject. `rows` were looked at; `limited` says that there are more."""

    measurements: Measurements
    rows: int
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: `fraction` 0–1 or None when unknown, `rows` and `bytes` written so far; on a cluster also
    `tasks` that ended and bytes that are `spilled` now."""

    product: str
    phase: str
    fraction: float | None = None
    rows: int | None = None
    bytes: int | None = None
    tasks: int | None = None
    spilled: int | None = None


@dataclass(frozen=True, slots=True)
class PlannedRead:
    """What a stage reads: an input of the product or an earlier stage, and how a task gets it: a share of its
    `files`, all of it (`whole`), or by `exchange` the rows that share a value of `key`. Rows and bytes in memory
    are estimates."""

    source: str
    how: str
    key: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """One step of making an output: `runs` is `files`, `partitions` or `one` task, `why` says the reason."""

    output: str
    name: str
    runs: str
    why: str
    reads: tuple[PlannedRead, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    sql: str | None = None


class Explains(Protocol):
    """An engine that can tell how it would build, without starting anything."""

    def explain(self, plan: BuildPlan) -> tuple[PlannedStage, ...]:
        """The stages of every output in the order they run. Raises SourceError."""
        ...


@dataclass(slots=True)
class Control:
    """The caller's hand on a running build: report progress to `progress`, stop when `cancelled` says so."""

    progress: Callable[[Progress], None] = field(default=lambda _: None)
    cancelled: Callable[[], bool] = field(default=lambda: False)


class Engine(Protocol):
    """Computes. Never publishes, never decides.

    `build` stages files under the plan's locations and removes what it staged when it raises. It raises
    TransformError (user code), ConformError (rows do not fit the promised types), SourceError, StorageError,
    CancelledError. `measure` judges already published rows with the same checks.
    """

    name: str

    def describe(self, sql: str, inputs: Mapping[str, TableSchema]) -> tuple[Field, ...]:
        """Columns a query would return over empty inputs; raises TransformError with line and column."""
        ...

    def build(self, plan: BuildPlan, control: Control) -> BuildOutcome: ...

    def measure(
        self, scan: Scan, checks: Sequence[Check], *, inputs: Mapping[str, Scan] = ...
    ) -> Measurements: ...

    def inspect(
        self,
        subject: Subject,
        checks: Sequence[Check],
        *,
        root: str,
        others: Mapping[str, Subject] = ...,
        sample: int | None = None,
    ) -> Inspection:
        """Judge a source where it lies, its types as they are; `others` are the tables references point to.

        `root` is where relative locations start. `sample` rows are looked at, all without it. Raises
        SourceError; for a value that its file's declared type cannot hold it names the column.
        """
        ...

    def read(
        self,
        scan: Scan,
        *,
        columns: Sequence[str] | None = None,
        where: Expression | None = None,
        limit: int | None = None,
    ) -> pa.RecordBatchReader: ...

    def query(self, sql: str, inputs: Mapping[str, Scan]) -> pa.RecordBatchReader:
        """Answer one SELECT over named scans in a sandbox that can see nothing else."""
        ...

    def close(self) -> None: ...


class TableQueries(Protocol):
    """Queries over tables in memory, in a locked database that holds nothing else. Keys are the files queries
    stand in; an answer is the error in place of the rows when a query is wrong."""

    def named_tables(
        self, queries: Mapping[str, str], known: Collection[str]
    ) -> dict[str, frozenset[str] | MeshError]:
        """The tables each query names, in lower case; nothing is run. `known` are those there are."""
        ...

    def answers(
        self, queries: Mapping[str, str], tables: Mapping[str, pa.Table]
    ) -> dict[str, pa.Table | MeshError]: ...

    def close(self) -> None: ...

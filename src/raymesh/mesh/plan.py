"""What an engine is asked to do, as data.

A `BuildPlan` names everything a build may touch: pinned inputs, the transform, the promised
columns, the checks, the limits, where to stage. It is picklable, holds no secrets (sources
carry references, resolved where they are used) and is the same for every engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from raymesh.spec.expression import Constant, Expression
from raymesh.spec.mask import Absent, Mask, masked_type
from raymesh.spec.secrets import SecretRef, variables_of
from raymesh.spec.types import Field, TableSchema

EVERY_ROW = Constant(True)


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column as a reader sees it: masked, and NULL in the rows for which `visible` is not true."""

    name: str
    mask: Mask
    visible: Expression = EVERY_ROW


@dataclass(frozen=True, slots=True)
class View:
    """What a reader may see of a scan: rows for which `rows` is true, and `columns`; nothing else exists.

    Both are about raw values; masks come after. `key` is where the secret of token masks is found, by
    whoever computes them.
    """

    rows: Expression
    columns: tuple[ViewColumn, ...]
    key: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Data files of one version, with the schema to read them under, by field id.

    `files` are plain local paths or object-store addresses; `rows` and `bytes` come from metadata. With a
    `view` engines give what it shows and nothing else; only reads and queries may have one. `between` are the
    positions (first, and the one behind the last) of the rows meant in its only file, None for all.
    """

    schema: TableSchema
    files: tuple[str, ...]
    rows: int = 0
    bytes: int = 0
    view: View | None = None
    between: tuple[int, int] | None = None

    @property
    def shown(self) -> TableSchema:
        """The columns a reader gets."""
        if self.view is None:
            return self.schema
        types = {f.name: f for f in self.schema}
        return TableSchema(
            tuple(
                Field(c.name, masked_type(types[c.name].type, c.mask), types[c.name].id)
                for c in self.view.columns
                if c.name in types and not isinstance(c.mask, Absent)
            )
        )


@dataclass(frozen=True, slots=True)
class SourceScan:
    """A source, described and pinned: `spec` is the source document's content, `pin` its version
    (paths with sizes and times, a table snapshot; empty when the source has no versions). A piece of a source that
    its adapter divided has a narrower pin, which only the adapter reads."""

    name: str
    type: str
    spec: Mapping[str, Any]
    pin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Input:
    """One input under the name the transform uses (`orders.order_lines`, `source.transactions`)."""

    name: str
    content: Scan | SourceScan
    version: int | None = None
    snapshot_id: int | None = None


TransformKind = Literal["ingest", "sql", "batch", "dataset"]


@dataclass(frozen=True, slots=True)
class Transform:
    """How rows are made.

    ingest   the one input as it is
    sql      `sql`, one DuckDB SELECT
    batch    `python` called on Arrow batches of `sql` (when present) or of the one input
    dataset  `python` called once with whole inputs
    `sql_file` and `python_file` are for error messages and imports; `bindings` maps parameters to inputs.
    """

    kind: TransformKind
    sql: str | None = None
    sql_file: str | None = None
    python_file: str | None = None
    bindings: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """How files are written: target size in bytes, sort and partition columns."""

    target_bytes: int = 128 * 1024 * 1024
    sort_by: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Promise:
    """What the contract says of one column: exact `type` when it fixes one, otherwise the logical
    type and the engine keeps the data's own (normalised) type."""

    name: str
    logical: str | None = None
    type: Field | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Promise, ...] = ()
    doc: str | None = None
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The table for rows that break a promise with `onViolation: quarantine`, published as `port`.

    `limit` is the largest share (0-1) of the rows of this build that may be set aside, `at` the time noted
    with them. `previous` are the table's columns now, `kept` its rows when this build adds to them.
    `again` are rows set aside earlier that shall be judged again: they take the place of a transform, those
    that pass become rows of the output and the others stay, with the run and the time that they have.
    """

    port: str
    table: str
    location: str
    limit: float
    at: datetime
    previous: TableSchema | None = None
    kept: Scan | None = None
    again: Scan | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One port to build: its table, transform, promises, checks and where its files go.

    In append mode rows above `watermark` are new, and so are late ones at most `lookback` (seconds, or a
    difference of numbers) below it that are not among the `kept` rows yet: none of those has the same values in
    `key`, or in all columns when there is no key.
    """

    port: str
    table: str
    location: str
    transform: Transform
    promises: tuple[Promise, ...]
    checks: tuple[Any, ...] = ()
    layout: Layout = field(default_factory=Layout)
    mode: Literal["full", "append"] = "full"
    incremental_column: str | None = None
    watermark: Any = None
    lookback: int = 0
    key: tuple[str, ...] = ()
    previous: TableSchema | None = None
    kept: Scan | None = None
    kept_states: Mapping[str, Any] = field(default_factory=dict)
    allow_breaking: bool = False
    quarantine: Quarantine | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What a build asks of a cluster; None and 0: nothing was said, the engine decides.

    `memory` in bytes. `custom` are amounts of resources that a platform has names for, `labels` are what a node
    must have. `shared` are the limits of the domain for all its builds together.
    """

    cpus: float | None = None
    memory: int | None = None
    gpus: float = 0.0
    custom: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one build may use. Bytes and seconds; `timeout` None means no limit. `demand` is for clusters."""

    memory_bytes: int
    threads: int
    scratch: str
    scratch_bytes: int | None = None
    timeout: float | None = None
    demand: Demand = field(default_factory=Demand)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """All that an engine needs to build one product. `references` are tables that no transform reads but
    that checks compare with, pinned like inputs. `past` is what its last build on a cluster used, as evidence says;
    sizes of pieces are chosen from it, rows never depend on it. `withheld` are names of environment variables that
    hold secrets: user code runs without them."""

    product: str
    run_id: str
    root: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    limits: Limits
    fingerprint: str = ""
    storage: Mapping[str, Any] = field(default_factory=dict)
    references: tuple[Input, ...] = ()
    past: Mapping[str, Any] = field(default_factory=dict)
    withheld: tuple[str, ...] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the variables that reading inputs and writing files takes."""
        sources = [i.content.spec for i in self.inputs if isinstance(i.content, SourceScan)]
        return variables_of([self.storage, *sources])


@dataclass(frozen=True, slots=True)
class DataFile:
    """One staged or published Parquet file. `partition` pairs are (column, text of its value)."""

    path: str
    rows: int
    bytes: int
    partition: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """What a build used, measured: seconds, bytes.

    On a cluster also tasks, `retries` of tasks that were lost, the nodes they ran on, nodes that came while the
    build ran, `piece_bytes` of input that one task worked on at a time, `choices`: what was chosen because
    nobody said, each with its reason, and `notes`: warnings about how it ran, such as rows that one task had to
    take alone.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_spilled: int = 0
    tasks: int = 0
    retries: int = 0
    nodes: tuple[str, ...] = ()
    nodes_added: int = 0
    piece_bytes: int = 0
    choices: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

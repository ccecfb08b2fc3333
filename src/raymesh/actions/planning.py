"""Decides whether a product must be built, and with which pinned inputs: the plan as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

from raymesh.actions.engines import CLUSTER, choose, past
from raymesh.actions.identity import TOKEN_VARIABLE
from raymesh.actions.ids import began, new_id
from raymesh.actions.limits import limits_for
from raymesh.actions.pinning import Standing, input_of, pin_of, standing
from raymesh.actions.read import scan_of, split_name
from raymesh.actions.references import referenced
from raymesh.errors import SourceSpan
from raymesh.mesh.build_plan import layout, promises, transform
from raymesh.mesh.fingerprint import changed, fingerprint, why
from raymesh.mesh.lineage import port_lineage
from raymesh.mesh.plan import BuildPlan, Output, Quarantine
from raymesh.mesh.quarantine import quarantine_port, quarantine_table
from raymesh.quality.compile import compile_checks
from raymesh.quality.quarantine import quarantining
from raymesh.quality.state import file_state_from_json
from raymesh.spec.contract_version import major_of
from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.secrets import SecretRef
from raymesh.spec.types import TableSchema
from raymesh.spi import registry

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.actions.invocation import Invocation, RunOptions
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.lineage import ColumnEdge
    from raymesh.mesh.model import Port, Product
    from raymesh.quality.model import FileState
    from raymesh.spec.mesh import MeshSpec
    from raymesh.spi.state import FileRecord, InputPin, Version

_NOT_ABOUT_ROWS = {
    "timeout",
    "resources",
    "snapshots",
    "quarantine_limit",
    "purposes",
    "consent",
    "legal_hold",
}

KERNEL = "1"
"""Raised when the same plan would write other rows or files than before; rebuilds every product."""


@dataclass(frozen=True, slots=True)
class PublishedContract:
    """The contract as it goes into evidence: its version and its content as written."""

    version: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with one product, and everything a publish needs to know.

    `plan` is None when the product is unchanged. `current` maps ports to their current versions, `heads`
    tables to the metadata they have now, `served` is the default port's current version. `engine_reason` is why
    that engine, empty when somebody named it.
    """

    product: str
    run_id: str
    engine: str
    reason: str
    plan: BuildPlan | None
    current: Mapping[str, Version] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    contracts: Mapping[str, PublishedContract] = field(default_factory=dict)
    pins: tuple[InputPin, ...] = ()
    lineage: tuple[ColumnEdge, ...] = ()
    minimum_quality: float | None = None
    engine_reason: str = ""

    @property
    def served(self) -> Version | None:
        return self.current.get(DEFAULT_PORT)


@dataclass(frozen=True, slots=True)
class _Now:
    """What the state store said about a product and its inputs, in one consistent read."""

    known: Standing
    pins: tuple[InputPin, ...]
    current: Mapping[str, Version]
    heads: Mapping[str, str]
    rows: Mapping[str, int]

    def untouched(self, port: str) -> bool:
        """Whether the table of a published port is as raymesh left it."""
        version = self.current[port]
        return self.heads.get(version.table) == version.metadata_location

    def untouched_quarantine(self, ports: Iterable[str]) -> bool:
        """The same of the rows set aside from `ports`, as far as there are any."""
        found = (quarantine_port(port) for port in ports)
        return all(self.untouched(q) for q in found if q in self.current)


def decide(invocation: Invocation, name: str, run_id: str, known: Standing | None = None) -> Decision:
    """The decision about one product as the mesh stands now, or stood when `known` was taken.

    Raises NotFoundError when an input was never published, SourceError when a source cannot be pinned,
    BreakingChangeError when a contract breaks readers of the published version and does not say so.
    """
    workspace, options = invocation.workspace, invocation.options
    product = workspace.graph.product(name)
    now = _look(workspace, product, known or standing(workspace, [name]))
    parts = _parts(product, now)
    mark = fingerprint(parts)
    published = {p.name: now.current[p.name] for p in product.ports if p.name in now.current}
    untouched = all(now.untouched(port) for port in published) and now.untouched_quarantine(published)
    complete = len(published) == len(product.ports)
    stale = next((v for v in published.values() if v.fingerprint != mark), None)
    choice = choose(workspace, product, options, now.pins, now.known)
    if complete and stale is None and untouched and not options.refresh:
        return Decision(
            name, run_id, choice.engine, "nothing it is made from has changed", None, now.current, now.heads
        )
    if now.current:
        from raymesh.actions.contracts import refuse_breaking  # a first build has nothing to compare

        refuse_breaking(product, now.current)
    return Decision(
        product=name,
        run_id=run_id,
        engine=choice.engine,
        engine_reason=choice.why,
        reason=_reason(now, stale, mark, options) if untouched else "another program changed the table",
        plan=_plan(workspace, product, now, _Frame(run_id, mark, options, choice.engine)),
        current=now.current,
        heads=now.heads,
        contracts={p.name: _contract(p) for p in product.ports},
        pins=now.pins,
        lineage=tuple(e for p in product.ports for e in port_lineage(workspace.graph, p)),
        minimum_quality=product.settings.minimum_quality,
    )


def _reason(now: _Now, stale: Version | None, mark: str, options: RunOptions) -> str:
    if DEFAULT_PORT not in now.current:
        return "first build"
    if options.refresh:
        return "refresh asked for"
    if stale is not None and not stale.fingerprint:
        return f"the current version {stale.number} is a rollback"
    return why(changed(stale.fingerprint, mark)) if stale else "a port was added"


def _look(workspace: Workspace, product: Product, known: Standing) -> _Now:
    """The product and the pins of its inputs; no file is looked up."""
    edges = {e.name: e for e in product.inputs}.values()
    pins = tuple(pin_of(workspace, edge, known) for edge in edges)
    rows = {
        p.input: _rows_since(workspace, known.versions[split_name(p.input)])
        for p in pins
        if p.version is not None
    }
    current = {port: v for (name, port), v in known.versions.items() if name == product.name}
    return _Now(known, pins, current, known.heads, rows)


def _rows_since(workspace: Workspace, version: Version) -> int:
    """The snapshot that brought the rows of a version: maintenance writes the same rows in other files."""
    origin = version
    if version.kind == "maintain" and version.of_version is not None:
        origin = workspace.state.version(version.product, version.port, version.of_version) or version
    return origin.snapshot_id


def _parts(product: Product, now: _Now) -> dict[str, Any]:
    """All that decides about a product's rows, by the word a person would use for it.

    A source without a pin has no version to compare, so a product that reads one is built by every run.
    """
    texts = {p.name: p.transform for p in product.ports}
    return {
        "transform": {n: [t.sql, t.python] if t else None for n, t in texts.items()},
        "contract": {p.name: p.documents.contract.raw for p in product.ports},
        "settings": product.settings.model_dump(mode="json", exclude=_NOT_ABOUT_ROWS),
        "inputs": {p.input: now.rows.get(p.input) or dict(p.pin) or new_id() for p in now.pins},
        "raymesh": _software(),
    }


@cache
def _software() -> str:
    return f"kernel {KERNEL}, duckdb {installed('duckdb')}"


def _contract(port: Port) -> PublishedContract:
    return PublishedContract(port.contract.version, port.documents.contract.raw)


@dataclass(frozen=True, slots=True)
class _Frame:
    run_id: str
    fingerprint: str
    options: RunOptions
    engine: str = "local"


def _plan(workspace: Workspace, product: Product, now: _Now, frame: _Frame) -> BuildPlan:
    inputs = tuple(input_of(workspace, product, pin, now.known) for pin in now.pins)
    outputs = tuple(_output(workspace, port, now, frame) for port in product.ports)
    return BuildPlan(
        product=product.name,
        run_id=frame.run_id,
        root=str(workspace.root),
        inputs=inputs,
        outputs=outputs,
        limits=limits_for(workspace, product.name, frame.options.jobs),
        fingerprint=frame.fingerprint,
        storage=access(workspace),
        references=referenced(workspace, outputs, {i.name for i in inputs}),
        past=past(workspace, product.name) if frame.engine == CLUSTER else {},
        withheld=tuple(sorted(workspace.documents.secrets | {TOKEN_VARIABLE})),
    )


def access(workspace: Workspace) -> Mapping[str, Any]:
    """How a build reaches the mesh's object store: references to keys, never keys."""
    return reach(workspace.spec, workspace.root)


def reach(spec: MeshSpec, root: Path) -> Mapping[str, Any]:
    """The same for the mesh that `spec` describes, whose folder is `root`."""
    s3 = spec.storage.s3
    said = s3.model_dump(by_alias=True, exclude_none=True) if s3 else {}
    return (
        {"s3": {k: v.anchored(root) if isinstance(v, SecretRef) else v for k, v in said.items()}}
        if said
        else {}
    )


def _output(workspace: Workspace, port: Port, now: _Now, frame: _Frame) -> Output:
    version = now.current.get(port.name)
    previous = version.contract if version else None
    settings = port.settings
    major = version is not None and major_of(port.contract.version) > major_of(version.contract_version)
    appends = (
        _appends(port, version, frame) and now.untouched(port.name) and now.untouched_quarantine([port.name])
    )
    files = workspace.state.files(version) if appends and version else ()
    checks = compile_checks(
        port.contract,
        port=port.name,
        table=port.table,
        settings_on_violation=settings.on_violation,
        spans=_spans(port),
        adapters=registry.names("checks"),
    )
    return Output(
        port=port.name,
        table=port.table,
        location=workspace.tables.location(port.table),
        transform=transform(port),
        promises=promises(port.contract, previous),
        checks=checks,
        layout=layout(settings),
        mode=settings.mode,
        incremental_column=settings.incremental_column,
        watermark=version.watermark if appends and version else None,
        lookback=settings.lookback or 0,
        key=tuple(p.name for p in port.properties if p.primary_key),
        previous=TableSchema.from_json(dict(version.schema)) if version else None,
        kept=scan_of(workspace.storage, version) if appends and version else None,
        kept_states={f.path: _state_of(f) for f in files},
        allow_breaking=major,
        quarantine=_quarantine(workspace, port, now, frame, adds=appends) if quarantining(checks) else None,
    )


def _state_of(file: FileRecord) -> FileState | None:
    """What evidence says of a kept file; None when that cannot be about this file: it is then measured again."""
    state = file_state_from_json(file.state)
    return state if state is not None and state.rows == file.rows else None


def _quarantine(workspace: Workspace, port: Port, now: _Now, frame: _Frame, *, adds: bool) -> Quarantine:
    """Where the rows of `port` go that break a promise; with `adds` they join those that are there."""
    name, table = quarantine_port(port.name), quarantine_table(port.table)
    version = now.current.get(name)
    return Quarantine(
        port=name,
        table=table,
        location=workspace.tables.location(table),
        limit=port.settings.quarantine_limit,
        at=began(frame.run_id),
        previous=TableSchema.from_json(dict(version.schema)) if version else None,
        kept=scan_of(workspace.storage, version) if adds and version else None,
    )


def _appends(port: Port, version: Version | None, frame: _Frame) -> bool:
    """Whether new rows join the old ones; a changed transform, contract or setting builds the whole table."""
    if port.settings.mode != "append" or version is None or frame.options.refresh or not version.fingerprint:
        return False
    return set(changed(version.fingerprint, frame.fingerprint)) <= {"inputs"}


def _spans(port: Port) -> Any:
    document = port.documents.contract

    def span(loc: tuple[str | int, ...]) -> SourceSpan | None:
        return document.span(*loc)

    return span

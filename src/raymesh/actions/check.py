"""Judges without building: a published version, or any data against any contract. Nothing is published."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.actions.check_outside import Outside, pointed_at
from raymesh.actions.check_places import places
from raymesh.actions.check_types import (
    TEXT,
    column_names,
    declared_columns,
    next_type,
    spoken_columns,
)
from raymesh.actions.read import open_engine, pin, pin_published
from raymesh.errors import AccessDeniedError, DocumentsInvalidError, SourceError, SourceSpan, UsageError
from raymesh.mesh.plan import SourceScan
from raymesh.quality.compile import compile_checks
from raymesh.quality.judge import judge
from raymesh.quality.report import CheckReport, on_sample, without_columns
from raymesh.spec.contract import Contract
from raymesh.spec.documents import Document
from raymesh.spi import registry
from raymesh.spi.engine import Inspection, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from raymesh.actions.governed import Claim
    from raymesh.actions.read import Pinned
    from raymesh.actions.workspace import Storage, Workspace
    from raymesh.quality.model import Check, Verdict
    from raymesh.spec.contract_schema import Property, SchemaObject
    from raymesh.spi.engine import Engine
    from raymesh.spi.source import SourceDescription

_WRITTEN = ("csv", "json")


def check(
    workspace: Workspace, name: str, *, recorded: bool = False, claim: Claim | None = None
) -> CheckReport:
    """Judge the current version of `domain.product` (`domain.product__port`) anew, all of its files.

    The contract is the one in the documents now, or with `recorded` the one the version was published
    under. A check tells of all rows, so in a governed mesh `claim` must be somebody who may see them all; sample
    rows hold what that reader sees. Raises NotFoundError for a product without a published version,
    AccessDeniedError.
    """
    pinned = pin(workspace.storage, name)
    shown = _shown_columns(workspace.storage, name, pinned, claim)
    port = workspace.graph.port(name)
    version = pinned.version
    contract = _recorded(workspace, pinned) if recorded else port.contract
    document = port.documents.contract
    checks = compile_checks(
        contract,
        port=port.name,
        table=port.table,
        settings_on_violation=port.settings.on_violation,
        spans=(lambda _: None) if recorded else (lambda loc: document.span(*loc)),
        adapters=registry.names("checks"),
    )
    engine = open_engine(workspace.storage)
    try:
        measured = engine.measure(pinned.scan, checks, inputs=_referenced(workspace, checks, pinned))
    finally:
        engine.close()
    columns = set(pinned.scan.schema.names)
    promised = {p.name for p in contract.objects[0].properties} if contract.objects else set()
    under = "published" if recorded else "present"
    return CheckReport(
        table=name,
        contract_id=contract.id,
        contract_version=contract.version,
        verdict=_sampling(without_columns(judge(checks, measured), promised - columns), shown),
        rows=pinned.scan.rows,
        data=f"version {version.number}, by the {under} contract"
        + (", changed since" if pinned.foreign else ""),
        at=datetime.now(UTC),
        extra=tuple((f.name, str(f.type)) for f in pinned.scan.schema if f.name not in promised),
        minimum=port.settings.minimum_quality,
    )


def _shown_columns(storage: Storage, name: str, pinned: Pinned, claim: Claim | None) -> frozenset[str] | None:
    """The columns that sample rows may hold; None means all."""
    from raymesh.actions.governed import NOBODY, enter

    access = enter(storage, {name: pinned}, claim or NOBODY, surface="check")
    if not access.whole(name):
        raise AccessDeniedError(f"a check tells of all rows of {name}, and some of them may not be seen")
    return access.raw(name)


def _sampling(verdict: Verdict, shown: frozenset[str] | None) -> Verdict:
    """The verdict with sample rows of the columns in `shown` only."""
    if shown is None:
        return verdict
    results = tuple(
        replace(r, sample=tuple(row for s in r.sample if (row := {k: v for k, v in s.items() if k in shown})))
        for r in verdict.results
    )
    return replace(verdict, results=results)


def _recorded(workspace: Workspace, pinned: Pinned) -> Contract:
    """The contract as it was written when the version was published; raises UsageError when it needs variables
    that are no longer set."""
    from raymesh.actions.workspace import environment
    from raymesh.spec.variables import resolve_variables

    resolved, problems = resolve_variables(dict(pinned.version.contract), environment(workspace.root))
    if problems:
        raise UsageError(
            f"the recorded contract cannot be read: {problems[0].message}", hint=problems[0].help
        )
    return Contract.model_validate(resolved)


def _referenced(workspace: Workspace, checks: Sequence[Check], pinned: Pinned) -> Mapping[str, Any]:
    wanted = sorted({c.target[0] for c in checks if c.kind == "reference" and c.target and c.target[0]})
    found = pin_published(workspace.storage, [w for w in wanted if w != pinned.version.table])
    own = {pinned.version.table: pinned.scan} if pinned.version.table in wanted else {}
    return own | {name: p.scan for name, p in found.items()}


def check_contract(
    path: str | Path, *, server: str | None = None, data: str | None = None, sample: int | None = None
) -> tuple[CheckReport, ...]:
    """Judge the data of a contract where it lies: one report per schema object. No mesh is needed.

    `server` names an entry of the contract's `servers` (the only one by default), `data` a path in its place;
    `sample` limits the rows looked at. Raises DocumentsInvalidError for an invalid contract, UsageError when
    it does not say where the data is, SourceError when the data cannot be read.
    """
    document = load_contract(Path(path))
    found = places(document, server, data)
    engine: Engine = registry.load("engines", "local")()
    try:
        outside = Outside(Path(document.path).parent, load_contract)
        case = _Case(document, engine, str(Path.cwd()), sample, found, outside)
        if not document.model.objects:
            return (case.empty(),)
        return tuple(case.report(n) for n in range(len(document.model.objects)))
    finally:
        engine.close()


def load_contract(path: Path) -> Document[Contract]:
    """A contract wherever it lies, its places named as the caller names the file. Raises DocumentsInvalidError."""
    from raymesh.spec import load

    try:
        document = load.load_contract(path, os.environ)
    except DocumentsInvalidError as error:
        raise DocumentsInvalidError(
            tuple(replace(d, span=_renamed(d.span, path)) for d in error.diagnostics)
        ) from None
    document.positions.file = str(path)
    return replace(document, path=str(path))


def _renamed(span: SourceSpan | None, path: Path) -> SourceSpan | None:
    return replace(span, file=str(path)) if span else None


@dataclass(slots=True)
class _Case:
    """One contract with the places of its data. What was learnt of a place is kept for references to it."""

    document: Document[Contract]
    engine: Engine
    root: str
    sample: int | None
    places: Mapping[str, dict[str, Any]]
    outside: Outside
    described: dict[str, SourceDescription] = field(default_factory=dict)

    @property
    def contract(self) -> Contract:
        return self.document.model

    def report(self, n: int) -> CheckReport:
        """The report on schema object number `n`."""
        table = self.contract.objects[n]
        checks = self._checks(n)
        checks, others = self._others(checks)
        inspection, misread = self._inspect(table, checks, others)
        measured = inspection.measurements
        broken = {c.id: misread[c.columns[0]] for c in checks if _of_misread(c, misread)}
        verdict = judge(checks, replace(measured, types={**measured.types, **broken}))
        seen = self._fields(table)
        verdict = without_columns(verdict, {p.name for p in table.properties} - seen.keys())
        if inspection.limited:
            verdict = on_sample(verdict, inspection.rows)
        return CheckReport(
            table=table.name,
            contract_id=self.contract.id,
            contract_version=self.contract.version,
            verdict=verdict,
            rows=inspection.rows,
            data=_shown(self.places[table.name], self.root),
            at=datetime.now(UTC),
            extra=tuple((n, t) for n, t in seen.items() if n not in {p.name for p in table.properties}),
            sampled=inspection.rows if inspection.limited else None,
        )

    def empty(self) -> CheckReport:
        """A contract that describes nothing is judged too: it promises nothing, which is no pass."""
        from raymesh.quality.model import Measurements

        checks = compile_checks(self.contract, table="", spans=lambda loc: self.document.span(*loc))
        verdict = judge(checks, Measurements())
        c = self.contract
        return CheckReport(c.name or c.id, c.id, c.version, verdict, 0, "nothing", datetime.now(UTC))

    def _checks(self, n: int) -> tuple[Check, ...]:
        table = self.contract.objects[n]
        once = self.contract.sla_properties if n == 0 else ()
        alone = self.contract.model_copy(update={"objects": (table,), "sla_properties": once})
        return compile_checks(
            alone,
            port=table.name,
            table=table.name,
            spans=_spans(self.document, n),
            adapters=registry.names("checks"),
            resolve=lambda references: (
                pointed_at(self.contract, references) or self.outside.target(references)
            ),
        )

    def _inspect(
        self, table: SchemaObject, checks: Sequence[Check], others: Mapping[str, Subject]
    ) -> tuple[Inspection, dict[str, str]]:
        """Text is read as what is promised; a column with a value that is something else is read as text."""
        misread: dict[str, str] = {}
        read_as: dict[str, str] = {}
        promised = {p.name: p for p in table.properties}
        hidden = {m for c in checks for m in c.masked}
        while True:
            subject = self._subject(table, misread, read_as)
            try:
                found = self.engine.inspect(
                    subject, checks, root=self.root, others=others, sample=self.sample
                )
            except SourceError as error:
                names = subject.names
                name = names.get(error.column or "", error.column or "")
                if subject.content.type not in _WRITTEN or not name or name in misread:
                    raise
                tried = {names.get(c["name"], c["name"]): c["type"] for c in subject.content.spec["columns"]}
                read_as[name] = next_type(promised.get(name), tried[name])
                if read_as[name] == TEXT:
                    misread[name] = _misread(error, promised.get(name), name in hidden)
            else:
                return found, misread

    def _others(self, checks: Sequence[Check]) -> tuple[tuple[Check, ...], dict[str, Subject]]:
        """The tables that are referred to; references to tables of other contracts that cannot be reached are not
        executed and say why."""
        others: dict[str, Subject] = {}
        refused: dict[str, str] = {}
        own = {o.name: o for o in self.contract.objects}
        for name in sorted({c.target[0] for c in checks if c.target and c.target[0]}):
            try:
                others[name] = self._subject(own[name], {}, {}) if name in own else self._beside(name)
            except (UsageError, SourceError) as problem:
                if name in own:
                    raise
                refused[name] = f"{name} cannot be read: {problem.message}"
        known = (
            replace(c, unsupported=refused[c.target[0]]) if c.target and c.target[0] in refused else c
            for c in checks
        )
        return tuple(known), others

    def _beside(self, name: str) -> Subject:
        """A table of another contract, on that contract's own server."""
        document, table = self.outside.named(name)
        found = places(document, None, None)
        case = _Case(document, self.engine, self.root, None, found, self.outside)
        return case._subject(table, {}, {})

    def _subject(
        self, table: SchemaObject, misread: Mapping[str, str], read_as: Mapping[str, str]
    ) -> Subject:
        spec = self.places[table.name]
        seen = self._describe(table)
        names = column_names(seen.fields, table.properties)
        if spec["type"] in _WRITTEN:
            columns = declared_columns(spec["type"], seen.fields, table.properties, names)
            columns |= {c: read_as[n] for c in columns if (n := names.get(c, c)) in read_as}
            spec = {**spec, "columns": [{"name": n, "type": t} for n, t in columns.items()]}
            if spec["type"] == "json":
                kept = {c: t for c, t in columns.items() if names.get(c, c) not in misread}
                spoken = spoken_columns(kept, table.properties, names)
                spec["options"] = {**spec.get("options", {}), "spokenColumns": spoken}
        return Subject(SourceScan(table.name, spec["type"], spec, seen.pin), names)

    def _describe(self, table: SchemaObject) -> SourceDescription:
        if table.name not in self.described:
            spec = self.places[table.name]
            adapter = registry.load("sources", spec["type"])()
            self.described[table.name] = adapter.describe(spec, self.root)
        return self.described[table.name]

    def _fields(self, table: SchemaObject) -> dict[str, str]:
        """Columns of the data under the contract's names, with their types."""
        fields = self._describe(table).fields
        names = column_names(fields, table.properties)
        return {names.get(f.name, f.name): str(f.type) for f in fields}


def _spans(document: Document[Contract], n: int) -> Callable[[tuple[str | int, ...]], SourceSpan | None]:
    """Places of schema object `n`, which its checks know as the first one."""

    def span(loc: tuple[str | int, ...]) -> SourceSpan | None:
        return document.span("schema", n, *loc[2:]) if loc[:2] == ("schema", 0) else document.span(*loc)

    return span


def _of_misread(check: Check, misread: Mapping[str, str]) -> bool:
    """Whether the check promises a type to a column that could not be read as such."""
    promises = "logical" in check.arguments or "physical" in check.arguments
    return check.kind == "type" and promises and check.columns[0] in misread


def _misread(error: SourceError, column: Property | None, hidden: bool) -> str:
    """Why a value is not what is promised; of a column that must not be shown only the place."""
    where = ", ".join(f"{s.file}, line {s.line}" for s in error.spans)
    if hidden:
        return f"a value is not of the promised type ({where or 'somewhere in the data'})"
    said = error.message.partition(": ")[2] or error.message
    if column is None or column.physical_type or not column.logical_type:
        return said
    value, found, _ = said.rpartition(" is not exactly a ")
    return f"{value} is not exactly a value of logicalType {column.logical_type}" if found else said


def _shown(spec: Mapping[str, Any], root: str) -> str:
    location = str(spec["location"])
    near = os.path.relpath(location, root) if location.startswith("/") else location
    place = near if not near.startswith("..") else location
    return f"{place} {spec['table']}" if spec.get("table") else place

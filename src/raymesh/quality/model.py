"""Checks, what is measured for them, and results: the values the gate works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from raymesh.errors import SourceSpan
from raymesh.spec.expression import Column, Expression

Status = Literal["pass", "fail", "warn", "error", "skip", "not_executed"]
Unit = Literal["rows", "percent"]
OnViolation = Literal["fail", "quarantine", "warn"]

CheckKind = Literal["type", "row", "key", "count", "sql", "reference", "custom", "text", "sla"]
"""type       the column has the promised type; decided when rows are conformed
row        rows for which `violates` is true are counted
key        rows in excess of one per value of `columns` are counted (NULLs never equal each other)
count      the rows of the table
sql        `query` returns one number or boolean
reference  rows whose `columns` are not NULL and have no partner in `target` are counted
custom     another engine's rule;  text  words for people;  sla  decided from evidence over time"""


@dataclass(frozen=True, slots=True)
class Threshold:
    """An operator of the standard with its operand; `mustBeBetween` is inclusive on both ends."""

    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of a contract, ready to be measured.

    `id` is stable across versions of the contract as long as the rule keeps its name or place.
    `keys` are the operands of a key or reference check when they are not simply `columns` (struct members).
    `shown` are the columns worth showing in a sample of violating rows, `masked` those whose values must
    never appear in samples or profiles.
    `blocking` says whether anything but a pass keeps the version from being published.
    `where` is the place in the document that promises it. `unsupported` holds the reason when the rule cannot be executed; it then ends `not_executed`.
    """

    id: str
    kind: CheckKind
    rule: str
    port: str = ""
    columns: tuple[str, ...] = ()
    violates: Expression | None = None
    query: str | None = None
    target: tuple[str, tuple[str, ...]] | None = None
    threshold: Threshold = field(default_factory=lambda: Threshold("mustBe", 0))
    unit: Unit = "rows"
    dimension: str | None = None
    severity: str = "error"
    blocking: bool = True
    on_violation: OnViolation = "fail"
    description: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    span: SourceSpan | None = None
    unsupported: str | None = None
    keys: tuple[Column, ...] = ()
    shown: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    where: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a measurement could not be taken: the sentence a person reads."""

    reason: str


@dataclass(frozen=True, slots=True)
class FileState:
    """What one data file says: rows, and per row check the rows that violate it.

    `columns` maps a column to its profile: `nulls`, `min`, `max` (JSON values). Merging adds counts,
    so a table's state is the sum over its files and a deleted file takes its share with it.
    `basis` says by check id what exactly was counted (a digest of predicate and field ids), so that a
    count is never reused for a rule that has changed under the same id. `whole` notes, by check id, what
    was true of the whole table when the file was added: a digest of the key and all files, and the rows
    in excess. It is about that set of files only and does not merge. `seen` says by check id which files
    of the other table a count of a reference was taken against. `profile` is a sketch of the values (see
    `quality.sketch`), kept apart from the rest.
    """

    rows: int = 0
    violations: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    basis: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measurements:
    """All an engine found out about one output.

    `files` maps each file's path to its state (kept files included, from evidence); `values` holds what
    only the whole table can say, by check id (for a type check the type that was found); `types` holds
    what is wrong with a type, by check id or by column; `failures` the checks that could not be measured; `samples` a few
    violating rows by check id.
    """

    files: Mapping[str, FileState] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)
    samples: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict on one check, with what was measured and what was promised."""

    check: Check
    status: Status
    value: Any = None
    message: str = ""
    sample: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """All results of one output. `score` is 0–1, None when nothing was judged."""

    results: tuple[CheckResult, ...]
    score: float | None

    @property
    def blocked(self) -> tuple[CheckResult, ...]:
        """The results that keep the version from being published."""
        return tuple(
            r for r in self.results if r.check.blocking and r.status in ("fail", "error", "not_executed")
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many results have each status, all six named."""
        names: tuple[Status, ...] = ("pass", "fail", "warn", "error", "skip", "not_executed")
        return {name: sum(r.status == name for r in self.results) for name in names}

"""From the columns a transform makes to the columns a contract promises, without changing a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.types import UNTYPED, UnstorableTypeError, from_duckdb, misfit
from raymesh.errors import BreakingChangeError, ConformError
from raymesh.spec.types import Field, TableSchema, Type
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.engines.kernel.query import Shape
    from raymesh.mesh.evolution import Change
    from raymesh.mesh.plan import Output, Promise


@dataclass(frozen=True, slots=True)
class Conformed:
    """The table's columns with field ids, and per column of it the column of the data it is cast from.

    `changes` say how the table differs from its previous version.
    """

    schema: TableSchema
    sources: tuple[str, ...]
    changes: tuple[Change, ...] = ()

    def casts(self) -> tuple[tuple[str, str, str], ...]:
        """(column of the data, SQL type, column of the table) in table order."""
        return tuple(
            (source, type_text(f.type), f.name) for source, f in zip(self.sources, self.schema, strict=True)
        )


def conform(shape: Shape, output: Output) -> Conformed:
    """Decide the exact columns of `output`.

    Names match without regard to case and leave as the contract writes them, in its order. Without promises
    every column is kept. Raises ConformError that lists every problem, BreakingChangeError when readers of
    the previous version would lose something and `output.allow_breaking` is not set.
    """
    problems = _duplicates(shape.columns)
    found = {name.casefold(): (name, kind) for name, kind in zip(shape.columns, shape.types, strict=True)}
    promises = {p.name.casefold(): p for p in output.promises}
    fields: list[Field] = []
    sources: list[str] = []
    for key, promise in promises.items():
        if key not in found:
            problems.append(_missing(promise, shape.columns))
            continue
        _collect(_promised, (*found[key], promise), fields, sources, problems)
    extra = [pair for key, pair in found.items() if key not in promises]
    for name, kind in extra:
        if promises:
            problems.append(f"column {name!r} is not in the contract; promise it there or leave it out of the transform")
        else:
            _collect(_unpromised, (name, kind), fields, sources, problems)
    problems += _layout(output, fields) if not problems else []
    if problems:
        raise _refusal(output.table, problems)
    return _evolved(output, fields, tuple(sources))


def _collect(make: Any, args: tuple[Any, ...], fields: list[Field], sources: list[str], problems: list[str]) -> None:
    try:
        fields.append(make(*args))
        sources.append(args[0])
    except UnstorableTypeError as problem:
        problems.append(f"column {args[0]!r}: {problem}")


def _promised(_: str, kind: Any, promise: Promise) -> Field:
    if promise.type is None:
        return Field(promise.name, _logical(from_duckdb(kind), promise), doc=promise.doc)
    want = promise.type.type
    if kind.id != UNTYPED and (problem := misfit(from_duckdb(kind, want), want)):
        raise UnstorableTypeError(problem)
    return Field(promise.name, want, doc=promise.doc or promise.type.doc)


def _logical(have: Type, promise: Promise) -> Type:
    """The data's own type when the contract says only what kind of value it is."""
    from raymesh.spec import physical

    if promise.logical is not None and not physical.logical_accepts(promise.logical, have, promise.options):
        raise UnstorableTypeError(f"it is {have}, which is no {promise.logical}; cast it in the transform")
    return have


def _unpromised(name: str, kind: Any) -> Field:
    return Field(name, from_duckdb(kind))


def _duplicates(columns: Sequence[str]) -> list[str]:
    counts = Counter(name.casefold() for name in columns)
    return [
        f"{count} columns are called {next(c for c in columns if c.casefold() == key)!r} (case does not count); "
        "name them apart with AS"
        for key, count in counts.items()
        if count > 1
    ]


def _missing(promise: Promise, columns: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(promise.name, columns, 1)
    advice = f"; is it {close[0]!r}?" if close else ""
    return f"column {promise.name!r} is promised but the transform does not make it{advice}"


def _layout(output: Output, fields: Sequence[Field]) -> list[str]:
    names = {f.name for f in fields}
    return [
        f"{setting} names the column {column!r}, which the table does not have"
        for setting, columns in (("partitionBy", output.layout.partition_by), ("sortBy", output.layout.sort_by))
        for column in columns
        if column not in names
    ]


def _refusal(table: str, problems: Sequence[str]) -> ConformError:
    if len(problems) == 1:
        return ConformError(f"{table}: {problems[0]}")
    listed = "".join(f"\n  - {p}" for p in problems)
    return ConformError(f"{table}: {len(problems)} columns do not fit the contract:{listed}")


def _evolved(output: Output, fields: Sequence[Field], sources: tuple[str, ...]) -> Conformed:
    from raymesh.mesh.evolution import evolve

    renames = {p.name: p.renamed_from for p in output.promises if p.renamed_from}
    evolution = evolve(output.previous, fields, renames)
    if evolution.breaking and not output.allow_breaking:
        said = "; ".join(change.message for change in evolution.breaking)
        raise BreakingChangeError(
            f"{output.table}: readers of the published version would break: {said}",
            hint="publish it as a new major version beside this one, or keep the old columns",
        )
    return Conformed(evolution.schema, sources, evolution.changes)

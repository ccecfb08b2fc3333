"""From the columns a transform makes to the columns a contract promises, without changing a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raymesh.engines.kernel.types import (
    TYPE_IT,
    UNKNOWN,
    UnstorableTypeError,
    completed,
    from_duckdb,
    misfit,
    unknown,
)
from raymesh.errors import BreakingChangeError, ConformError, SourceSpan
from raymesh.spec.physical import logical_accepts
from raymesh.spec.types import Field, List, Map, Primitive, Struct, TableSchema, Type
from raymesh.spi.scan_sql import type_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raymesh.engines.kernel.query import Shape
    from raymesh.mesh.evolution import Change
    from raymesh.mesh.plan import Output, Promise


@dataclass(frozen=True, slots=True)
class Conformed:
    """The table's columns with field ids, and per column of it the column of the data it is cast from.

    `changes` say how the table differs from its previous version. `untyped` are columns that hold only NULL,
    or whose members or elements do, with UNKNOWN there: in `schema` a type stands in for the one that other parts of
    the table have.
    """

    schema: TableSchema
    sources: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    untyped: tuple[Field, ...] = ()

    def casts(self) -> tuple[tuple[str, str, str], ...]:
        """(column of the data, SQL type, column of the table) in table order."""
        return tuple(
            (source, type_text(f.type), f.name) for source, f in zip(self.sources, self.schema, strict=True)
        )


def conform(shape: Shape, output: Output, *, stand_in: bool = False, rows: int | None = None) -> Conformed:
    """Decide the exact columns of `output`. With `stand_in` what holds only NULL, and whose type nothing promises,
    is not refused but gets some type: `shape` is a part of the table, and another part may know better. `rows` is
    how many first rows the types were taken from, when there may be more.

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
            problems.append(_missing(promise, shape.columns, _maker(output)))
            continue
        _collect(_promised, (*found[key], promise), fields, sources, problems)
    extra = [pair for key, pair in found.items() if key not in promises]
    for name, kind in extra:
        if promises:
            problems.append(_unasked(name, _maker(output)))
        else:
            _collect(_unpromised, (name, kind), fields, sources, problems)
    untyped = tuple(f for f in fields if unknown(f.type))
    problems += _untyped(untyped, output, rows) if not stand_in else []
    problems += _layout(output, fields) if not problems else []
    if problems:
        raise _refusal(output, problems)
    standing = [_standing_in(f, output) for f in fields]
    return replace(_evolved(output, standing, tuple(sources)), untyped=untyped)


def conform_parts(parts: Sequence[Conformed], output: Output) -> Conformed:
    """The columns of a table of which `parts` were conformed apart: what is untyped in one has the type that the
    first part that knows it says. Raises ConformError for what is untyped in all of them."""
    told = [{f.name: f for f in (*p.schema, *p.untyped)} for p in parts]
    fields = []
    for name in parts[0].schema.names:
        made = told[0][name]
        for other in told[1:]:
            made = replace(made, type=completed(made.type, other[name].type))
        fields.append(made)
    if problems := _untyped(fields, output):
        raise _refusal(output, problems)
    return _evolved(output, fields, tuple(f.name for f in fields))


def _standing_in(column: Field, output: Output) -> Field:
    """A column with types for what is untyped: of the previous version, so that no reader seems to lose anything."""
    before = {f.name.casefold(): f.type for f in output.previous} if output.previous else {}
    known = before.get(column.name.casefold())
    return replace(column, type=completed(column.type, known, Primitive("string")))


def _untyped(fields: Sequence[Field], output: Output, rows: int | None = None) -> list[str]:
    """Why columns of which something holds only NULL cannot be stored."""
    python = output.transform.kind in ("batch", "dataset")
    way_out = (
        TYPE_IT if python else "cast it, such as NULL::varchar, or promise it a physicalType in the contract"
    )
    where = f"in the first {rows:,} rows" if rows else "here"
    said = f"it has no type because every value {where} is NULL; {way_out}"
    return [f"column {path!r}: {said}" for f in fields for path in unknown(f.type, f.name)]


def _collect(
    make: Any, args: tuple[Any, ...], fields: list[Field], sources: list[str], problems: list[str]
) -> None:
    try:
        fields.append(make(*args))
        sources.append(args[0])
    except UnstorableTypeError as problem:
        problems.append(f"column {args[0]!r}: {problem}")


def _promised(_: str, kind: Any, promise: Promise) -> Field:
    doc = promise.doc or (promise.type.doc if promise.type else None)
    have = from_duckdb(kind, promise.type.type if promise.type else UNKNOWN)
    return Field(promise.name, settle(have, promise), doc=doc)


def settle(have: Type, promise: Promise, path: str = "") -> Type:
    """The type a value of type `have` is stored in: the promised one, or its own when the contract only says
    what kind of value it is. Raises UnstorableTypeError when it is another kind, or a cast could change it."""
    if have == UNKNOWN and promise.type is None:
        return have
    if promise.type is not None:
        have = completed(have, promise.type.type)
        if problem := misfit(have, promise.type.type, path):
            raise UnstorableTypeError(problem)
        return promise.type.type
    if promise.logical is not None and not logical_accepts(promise.logical, have):
        where = f"{path} is" if path else "it is"
        raise UnstorableTypeError(
            f"{where} {type_text(have)}, which is no {promise.logical}; cast it in the transform"
        )
    parts = {p.name.casefold(): p for p in promise.children}
    match have:
        case Struct(fields) if parts:
            return _settled_struct(fields, parts, path)
        case List(element) if "element" in parts:
            return List(settle(element, parts["element"], f"{path}[]"))
        case Map(key, value) if "key" in parts:
            return Map(
                settle(key, parts["key"], f"{path}[key]"), settle(value, parts["value"], f"{path}[value]")
            )
    return have


def _settled_struct(fields: tuple[Field, ...], parts: dict[str, Promise], path: str) -> Struct:
    mine = {f.name.casefold(): f for f in fields}
    where = path or "the struct"
    for key in parts.keys() - mine.keys():
        raise UnstorableTypeError(f"{where} has no member {parts[key].name!r}; add it in the transform")
    for key in mine.keys() - parts.keys():
        raise UnstorableTypeError(
            f"{where} has the unexpected member {mine[key].name!r}; leave it out in the transform"
        )
    return Struct(
        tuple(
            Field(p.name, settle(mine[key].type, p, f"{path}.{p.name}".lstrip(".")), doc=p.doc)
            for key, p in parts.items()
        )
    )


def _unpromised(name: str, kind: Any) -> Field:
    return Field(name, from_duckdb(kind, UNKNOWN))


def _duplicates(columns: Sequence[str]) -> list[str]:
    counts = Counter(name.casefold() for name in columns)
    return [
        f"{count} columns are called {next(c for c in columns if c.casefold() == key)!r} (case does not count); "
        "name them apart with AS"
        for key, count in counts.items()
        if count > 1
    ]


def _maker(output: Output) -> str:
    """Who makes the columns."""
    return "source" if output.transform.kind == "ingest" else "transform"


def _unasked(name: str, maker: str) -> str:
    if maker == "source":
        return f"column {name!r} of the source is not in the contract; promise it there"
    return f"column {name!r} is not in the contract; promise it there or leave it out of the transform"


def _missing(promise: Promise, columns: Sequence[str], maker: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(promise.name, columns, 1)
    advice = f"; is it {close[0]!r}?" if close else ""
    if maker == "source":
        return f"column {promise.name!r} is promised but the source does not have it{advice}"
    return f"column {promise.name!r} is promised but the transform does not make it{advice}"


def _layout(output: Output, fields: Sequence[Field]) -> list[str]:
    names = {f.name for f in fields}
    return [
        f"{setting} names the column {column!r}, which the table does not have"
        for setting, columns in (
            ("partitionBy", output.layout.partition_by),
            ("sortBy", output.layout.sort_by),
        )
        for column in columns
        if column not in names
    ]


def _refusal(output: Output, problems: Sequence[str]) -> ConformError:
    file = output.transform.python_file or output.transform.sql_file
    listed = "".join(f"\n  - {p}" for p in problems)
    return ConformError(
        f"{output.table}: {problems[0]}"
        if len(problems) == 1
        else f"{output.table}: {len(problems)} columns do not fit the contract:{listed}",
        hint=_way_out(output),
        spans=(SourceSpan(file),) if file else (),
    )


def _way_out(output: Output) -> str:
    if _maker(output) == "source":
        return f"raymesh infer --update {output.table} proposes the next contract; nothing was published"
    return "change the transform or the contract until both say the same; nothing was published"


def _evolved(output: Output, fields: Sequence[Field], sources: tuple[str, ...]) -> Conformed:
    from raymesh.mesh.evolution import evolve

    renames = dict(_renames(output.promises, ""))
    evolution = evolve(output.previous, fields, renames)
    if evolution.breaking and not output.allow_breaking:
        said = "; ".join(change.message for change in evolution.breaking)
        raise BreakingChangeError(
            f"{output.table}: readers of the published version would break: {said}",
            hint="publish it as a new major version beside this one, or keep the old columns",
        )
    return Conformed(evolution.schema, sources, evolution.changes)


def _renames(promises: Sequence[Promise], path: str) -> Iterator[tuple[str, str]]:
    """(new path, old name) of everything renamed, at every depth."""
    for promise in promises:
        mine = f"{path}.{promise.name}".lstrip(".")
        if promise.renamed_from:
            yield mine, promise.renamed_from
        yield from _renames(promise.children, mine)

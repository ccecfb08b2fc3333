"""Random tables and random queries over them, and the same query answered twice: whole, and in stages here."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as Number
from pathlib import Path
from typing import Any

import pyarrow as pa

from raymesh.engines.kernel import duck
from raymesh.engines.kernel.fieldids import field_ids
from raymesh.engines.kernel.inputs import bind
from raymesh.engines.ray import exchange
from raymesh.engines.ray.analyse import Chances, analyse
from raymesh.engines.ray.exchange import Unit
from raymesh.engines.ray.staged import Hands, Outcome, Terrain, run_staged
from raymesh.engines.ray.stages import StagedQuery
from raymesh.mesh.plan import Input, Limits, Scan
from raymesh.spec.types import Decimal, Field, Primitive, TableSchema, Type
from raymesh.spi.scan_sql import identifier, type_text

INT, LONG, STRING, DOUBLE = Primitive("int"), Primitive("long"), Primitive("string"), Primitive("double")
DATE, TIMESTAMP, BOOLEAN = Primitive("date"), Primitive("timestamp"), Primitive("boolean")
TIMESTAMPTZ = Primitive("timestamptz")
NARROW, WIDE = Decimal(6, 2), Decimal(20, 4)
EAGER = Chances(parallel=3, whole_bytes=0, small=0)
"""Chances under which nothing is ever given whole to all: as much as possible is exchanged."""
GENEROUS = Chances(parallel=2, whole_bytes=1e18, small=0)
"""Chances under which any table may be given whole."""

_GROWN = 10_000
"""So many times larger the planner takes the tables for, so that a stage more or less does not count."""


@dataclass(slots=True)
class Here:
    """Hands that run every unit in this process, one after the other."""

    def start(
        self, function: Callable[..., Any], unit: Unit, tables: Sequence[Any], returns: int, *, alone: bool
    ) -> list[Any]:
        found = function(unit, *tables)
        results = [found] if returns == 1 else list(found)
        assert len(results) == returns
        return results

    def values(self, refs: Sequence[Any], phase: str) -> list[Any]:
        return list(refs)


def table(**columns: Type) -> TableSchema:
    return TableSchema(tuple(Field(n, t, at) for at, (n, t) in enumerate(columns.items(), 1)))


def written(
    folder: Path, name: str, schema: TableSchema, rows: Sequence[tuple[Any, ...]], files: int
) -> Scan:
    """Rows as Parquet files with field ids, dealt out in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    kinds = [_arrow(f.type) for f in schema]
    with duck.session(limits(folder)) as con:
        for at in range(files):
            mine = rows[at::files]
            arrays = [pa.array([r[i] for r in mine], k) for i, k in enumerate(kinds)]
            con.register("mine", pa.table(arrays, names=list(schema.names)))
            path = folder / f"{name}-{at}.parquet"
            chosen = ", ".join(
                f"CAST({identifier(f.name)} AS {type_text(f.type)}) AS {identifier(f.name)}" for f in schema
            )
            con.execute(
                f"COPY (SELECT {chosen} FROM mine) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048, FIELD_IDS {field_ids(schema)})"
            )
            paths.append(str(path))
    return Scan(schema, tuple(paths), len(rows), sum(os.path.getsize(p) for p in paths))


def _arrow(kind: Type) -> pa.DataType:
    match kind:
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Primitive("timestamptz"):
            return pa.timestamp("us", "UTC")
        case Primitive("timestamp"):
            return pa.timestamp("us")
    names = {"int": pa.int32(), "long": pa.int64(), "string": pa.string(), "double": pa.float64()}
    return {**names, "date": pa.date32(), "boolean": pa.bool_()}[kind.name]


def limits(folder: Path) -> Limits:
    return Limits(memory_bytes=256 << 20, threads=1, scratch=str(folder / "scratch"))


def terrain(inputs: Mapping[str, Scan], folder: Path, **settings: Any) -> Terrain:
    alone = limits(folder)
    said = {"parallel": 3, "unit_bytes": 2000.0 * _GROWN, "skew_rows": 40, **settings}
    return Terrain(inputs, inputs, str(folder), {}, alone, alone, **said)


def in_stages(
    sql: str,
    inputs: Mapping[str, Scan],
    folder: Path,
    *,
    chances: Chances = EAGER,
    hands: Hands | None = None,
    **settings: Any,
) -> tuple[StagedQuery, pa.Table | None, Outcome | None]:
    """The plan of a query, and its rows when it has stages."""
    grown = {name: replace(scan, rows=scan.rows * _GROWN + _GROWN) for name, scan in inputs.items()}
    staged = analyse(sql, grown, chances)
    if not staged.stages:
        return staged, None, None
    outcome = run_staged(
        staged,
        terrain(inputs, folder, **settings),
        hands or Here(),
        lambda unit, _: (exchange.collect, unit),
    )
    return staged, pa.concat_tables(outcome.results), outcome


def whole(sql: str, inputs: Mapping[str, Scan], folder: Path) -> pa.Table:
    """The rows of a query as one DuckDB makes them."""
    with duck.session(limits(folder)) as con:
        bind(con, [Input(n, s) for n, s in inputs.items()], str(folder), {})
        return con.sql(sql).to_arrow_table()


def ordered(rows: pa.Table) -> list[str]:
    """Rows as texts in an order of their own, exact to the last digit; -0.0 is 0.0, as for GROUP BY."""
    return sorted(repr(tuple(_exact(v) for v in row.values())) for row in rows.to_pylist())


def _exact(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else (value + 0.0).hex()
    return value


# random tables

_WORDS = ["", "a", "A", "ä", "a\u0308", "ß", "日本", "it's", '"q"', "a b", "\U0001f600", "aa", "null"]


def _values(kind: Type, chance: random.Random, spread: int) -> Any:
    at = chance.randrange(spread) if chance.random() > 0.3 else 1
    match kind:
        case Decimal(_, scale):
            return Number(at - 3) / (10 if chance.random() < 0.3 and scale else 1)
        case Primitive("string"):
            return _WORDS[at % len(_WORDS)]
        case Primitive("double"):
            return chance.choice([float("nan"), -0.0, 0.0, at / 4, -at / 4])
        case Primitive("date"):
            return date(2024, 2, 27) + timedelta(days=at)
        case Primitive("timestamp"):
            return datetime(2024, 2, 28, 23, 59, 59, 999_999) + timedelta(seconds=at)
        case Primitive("timestamptz"):
            return datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC) + timedelta(hours=at)
        case Primitive("boolean"):
            return bool(at % 2)
    return at - 3


def random_table(name: str, chance: random.Random) -> tuple[TableSchema, list[tuple[Any, ...]]]:
    """A table with columns of all kinds and many equal, missing and odd values."""
    schema = table(
        i=chance.choice([INT, LONG]),
        n=chance.choice([INT, LONG, NARROW, WIDE]),
        s=STRING,
        d=DOUBLE,
        t=chance.choice([DATE, TIMESTAMP, TIMESTAMPTZ]),
        b=BOOLEAN,
        m=chance.choice([NARROW, WIDE]),
        **{f"own_{name}": LONG},
    )
    spread = chance.choice([2, 8, 30])
    rows = []
    for at in range(chance.choice([0, 1, 20, 60, 120])):
        row = [None if chance.random() < 0.1 else _values(f.type, chance, spread) for f in schema]
        rows.append((*row[:-1], at))
    return schema, rows


# random queries


@dataclass(slots=True)
class Made:
    """A query's text and its columns."""

    sql: str
    columns: dict[str, Type]


@dataclass(slots=True)
class Queries:
    """Makes random queries over tables; every name it makes is unique in a query."""

    tables: Mapping[str, TableSchema]
    chance: random.Random
    last: int = field(default=0)
    ctes: list[tuple[str, Made]] = field(default_factory=list)

    def statement(self) -> str:
        self.ctes = []
        for _ in range(self.chance.choice([0, 0, 1, 2])):
            made = self.query(self.chance.choice([1, 2]))
            self.ctes.append((self.name("w"), made))
        made = self.query(3)
        heads = ", ".join(f"{n} AS ({m.sql})" for n, m in self.ctes)
        return (f"WITH {heads} " if heads else "") + made.sql

    def name(self, prefix: str) -> str:
        self.last += 1
        return f"{prefix}{self.last}"

    def query(self, depth: int) -> Made:
        kinds: list[Callable[[int], Made]] = [self.plain, self.grouped, self.windowed, self.distinct]
        if self.chance.random() < 0.15:
            return self.limited(depth)
        if depth > 0:
            kinds += [self.plain, self.joined, self.joined, self.joined, self.grouped, self.combined]
        return self.chance.choice(kinds)(depth)

    def source(self, depth: int) -> tuple[str, str, dict[str, Type]]:
        """(text after FROM, alias, columns)"""
        alias = self.name("q")
        roll = self.chance.random()
        if self.ctes and roll < 0.3:
            name, made = self.chance.choice(self.ctes)
            return f"{name} AS {alias}", alias, made.columns
        if depth > 0 and roll < 0.6:
            made = self.query(depth - 1)
            return f"({made.sql}) AS {alias}", alias, made.columns
        name = self.chance.choice(list(self.tables))
        return f"{name} AS {alias}", alias, {f.name: f.type for f in self.tables[name]}

    def chosen(self, refs: dict[str, Type], some: int = 4) -> tuple[str, dict[str, Type]]:
        """A select list of some columns and expressions over `refs` (reference: type)."""
        parts, columns = [], {}
        for ref in self.chance.sample(list(refs), min(len(refs), self.chance.randint(1, some))):
            name, (text, kind) = self.name("c"), self.value(ref, refs[ref])
            parts.append(f"{text} AS {name}")
            columns[name] = kind
        return ", ".join(parts), columns

    def value(self, ref: str, kind: Type) -> tuple[str, Type]:
        if self.chance.random() < 0.75:
            return ref, kind
        match kind:
            case Primitive("string"):
                return self.chance.choice(
                    [f"upper({ref})", f"coalesce({ref}, 'none')", f"{ref} || '!'"]
                ), STRING
            case Primitive("int" | "long"):
                return f"CAST({ref} + 1 AS BIGINT)", LONG
            case Primitive("boolean"):
                return f"CASE WHEN {ref} THEN 'yes' ELSE 'no' END", STRING
        return f"{ref} IS NULL", BOOLEAN

    def condition(self, refs: dict[str, Type]) -> str:
        ref = self.chance.choice(list(refs))
        match refs[ref]:
            case Primitive("string"):
                return self.chance.choice([f"{ref} >= 'a'", f"{ref} IS NOT NULL", f"{ref} LIKE '%a%'"])
            case Primitive("int" | "long") | Decimal():
                return self.chance.choice([f"{ref} > 0", f"{ref} BETWEEN -1 AND 9", f"{ref} IN (1, 2, 5)"])
            case Primitive("double"):
                return f"{ref} < 3"
            case Primitive("boolean"):
                return f"{ref} IS NOT TRUE"
        return f"{ref} IS NOT NULL"

    def where(self, refs: dict[str, Type]) -> str:
        terms = [self.condition(refs) for _ in range(self.chance.choice([0, 0, 1, 2]))]
        numbers = [r for r, k in refs.items() if k in (INT, LONG)]
        if numbers and self.chance.random() < 0.12:
            name = self.chance.choice(list(self.tables))
            inner = self.name("q")
            ref = self.chance.choice(numbers)
            terms.append(
                self.chance.choice(
                    [
                        f"{ref} IN (SELECT {inner}.i FROM {name} AS {inner} WHERE {inner}.b)",
                        f"{ref} NOT IN (SELECT {inner}.i FROM {name} AS {inner} WHERE {inner}.i > 2)",
                        f"{ref} <= (SELECT max({inner}.i) FROM {name} AS {inner})",
                        f"EXISTS (SELECT 1 FROM {name} AS {inner} WHERE {inner}.i > 25)",
                    ]
                )
            )
        if self.chance.random() < 0.15:
            terms += self.related(refs)
        return f" WHERE {' AND '.join(terms)}" if terms else ""

    def related(self, refs: dict[str, Type], depth: int = 1) -> list[str]:
        """A condition that looks into another table for what it shares with the row around."""
        found = self.shared(refs, depth)
        if found is None:
            return []
        text, inner, pairs = found
        mine, theirs = self.chance.choice(pairs)
        numbers = [(a, b) for a, b in pairs if _exact_kind(refs[a]) and _exact_kind(inner[b])]
        conditions = [
            f"EXISTS (SELECT * FROM {text})",
            f"EXISTS (SELECT {theirs} FROM {text})",
            f"NOT EXISTS (SELECT 1 FROM {text})",
            f"{mine} IN (SELECT {theirs} FROM {text})",
            f"{mine} NOT IN (SELECT DISTINCT {theirs} FROM {text})",
        ]
        for a, b in numbers[:1]:
            conditions += [
                f"{a} <= (SELECT max({b}) FROM {text})",
                f"coalesce({a}, 0) < (SELECT count({b}) FROM {text})",
            ]
        return [self.chance.choice(conditions)]

    def shared(
        self, refs: dict[str, Type], depth: int
    ) -> tuple[str, dict[str, Type], list[tuple[str, str]]] | None:
        """(what stands after FROM, its columns, pairs of columns that can be compared) of a table inside."""
        other, alias, columns = self.source(0)
        inner = {f"{alias}.{n}": k for n, k in columns.items()}
        pairs = [(a, b) for a, ka in refs.items() for b, kb in inner.items() if _comparable(ka, kb)]
        if not pairs:
            return None
        terms = [
            f"{b} = {a}" for a, b in self.chance.sample(pairs, min(len(pairs), self.chance.choice([1, 1, 2])))
        ]
        roll = self.chance.random()
        if roll < 0.3:
            terms.append(self.condition(inner))
        elif roll < 0.4:
            terms += self.related(inner, depth - 1) if depth else []
        return f"{other} WHERE {' AND '.join(terms)}", inner, pairs

    def looked_up(self, refs: dict[str, Type]) -> tuple[str, Type] | None:
        """A value of the rows of another table that share something with the row around."""
        found = self.shared(refs, 1)
        if found is None:
            return None
        text, inner, pairs = found
        mine, theirs = self.chance.choice(pairs)
        choices: list[tuple[str, Type]] = [
            ("count(*)", LONG),
            (f"count(DISTINCT {theirs})", LONG),
            (f"max({theirs})", inner[theirs]),
            (f"count({theirs}) FILTER (WHERE {theirs} IS NOT NULL) + 1", LONG),
            (f"bool_or({theirs} = {theirs})", BOOLEAN),
        ]
        if refs[mine] == inner[theirs]:
            choices.append((f"coalesce(min({theirs}), {mine})", refs[mine]))
        if inner[theirs] in (INT, LONG):
            choices.append((f"avg({theirs})", DOUBLE))
        value, kind = self.chance.choice(choices)
        return f"(SELECT {value} FROM {text})", kind

    def plain(self, depth: int) -> Made:
        text, alias, columns = self.source(depth - 1)
        refs = {f"{alias}.{n}": k for n, k in columns.items()}
        if self.chance.random() < 0.15:
            return Made(f"SELECT * FROM {text}{self.where(refs)}", columns)
        chosen, made = self.chosen(refs, 6)
        if self.chance.random() < 0.15 and (found := self.looked_up(refs)) is not None:
            name = self.name("v")
            chosen, made = f"{chosen}, {found[0]} AS {name}", {**made, name: found[1]}
        return Made(f"SELECT {chosen} FROM {text}{self.where(refs)}", made)

    def joined(self, depth: int) -> Made:
        text, alias, columns = self.source(depth - 1)
        refs = {f"{alias}.{n}": k for n, k in columns.items()}
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            other, name, more = self.source(depth - 1)
            mine = {f"{name}.{n}": k for n, k in more.items()}
            kind = self.chance.choice(
                ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"]
            )
            pairs = [(a, b) for a, ka in refs.items() for b, kb in mine.items() if _comparable(ka, kb)]
            if not pairs:
                continue
            keys = self.chance.sample(pairs, min(len(pairs), self.chance.choice([1, 1, 2])))
            terms = [f"{a} = {b}" for a, b in keys]
            if self.chance.random() < 0.2:
                terms.append(self.condition({**refs, **mine}))
            using = [n for n in columns if n in more and _comparable(columns[n], more[n])]
            if using and len(refs) == len(columns) and self.chance.random() < 0.2:
                text += f" {kind} {other} USING ({using[0]})"
            elif kind == "JOIN" and self.chance.random() < 0.15:
                text, refs = f"{text}, {other}", {**refs, **mine}
                return self.finished(text, refs, terms)
            else:
                text += f" {kind} {other} ON {' AND '.join(terms)}"
            if kind not in ("SEMI JOIN", "ANTI JOIN"):
                refs |= mine
        return self.finished(text, refs, [])

    def finished(self, text: str, refs: dict[str, Type], terms: list[str]) -> Made:
        where = self.where(refs)
        if terms:
            where = f" WHERE {' AND '.join(terms)}" + where.replace(" WHERE ", " AND ", 1)
        if self.chance.random() < 0.3:
            return self.aggregated(text, refs, where)
        chosen, made = self.chosen(refs, 6)
        return Made(f"SELECT {chosen} FROM {text}{where}", made)

    def grouped(self, depth: int) -> Made:
        text, alias, columns = self.source(depth - 1)
        refs = {f"{alias}.{n}": k for n, k in columns.items()}
        return self.aggregated(text, refs, self.where(refs))

    def aggregated(self, text: str, refs: dict[str, Type], where: str) -> Made:
        keys = self.chance.sample(list(refs), min(len(refs), self.chance.choice([0, 1, 1, 2, 3])))
        parts, groups, columns = [], [], {}
        for key in keys:
            name, (value, kind) = self.name("k"), self.value(key, refs[key])
            parts.append(f"{value} AS {name}")
            groups.append(value)
            columns[name] = kind
        for ref in self.chance.sample(list(refs), min(len(refs), self.chance.randint(1, 4))):
            name, (value, kind) = self.name("a"), self.aggregate(ref, refs[ref])
            parts.append(f"{value} AS {name}")
            columns[name] = kind
        having = " HAVING count(*) > 1" if keys and self.chance.random() < 0.2 else ""
        group = f" GROUP BY {', '.join(groups)}" if groups else ""
        roll = self.chance.random()
        if groups and roll < 0.3:
            group = f" GROUP BY {self.sets(groups)}"
            if self.chance.random() < 0.5:
                name = self.name("g")
                parts.append(f"CAST(GROUPING({', '.join(groups)}) AS BIGINT) AS {name}")
                columns[name] = LONG
        elif groups and not having and roll < 0.5:
            group = " GROUP BY ALL"
        return Made(f"SELECT {', '.join(parts)} FROM {text}{where}{group}{having}", columns)

    def sets(self, groups: list[str]) -> str:
        """Several sets of keys to group by."""
        roll = self.chance.random()
        if roll < 0.35:
            return f"ROLLUP ({', '.join(groups)})"
        if roll < 0.6:
            return f"CUBE ({', '.join(groups)})"
        if roll < 0.75 and len(groups) > 1:
            return f"{groups[0]}, ROLLUP ({', '.join(groups[1:])})"
        sets = [
            self.chance.sample(groups, self.chance.randint(0, len(groups)))
            for _ in range(self.chance.randint(1, 4))
        ]
        sets += [[g] for g in groups if not any(g in one for one in sets)]
        told = ", ".join(f"({', '.join(one)})" for one in sets)
        return f"GROUPING SETS ({told})"

    def aggregate(self, ref: str, kind: Type) -> tuple[str, Type]:
        choices: list[tuple[str, Type]] = [
            ("count(*)", LONG),
            (f"count({ref})", LONG),
            (f"min({ref})", kind),
            (f"max({ref})", kind),
            (f"count(DISTINCT {ref})", LONG),
            (f"count(*) FILTER (WHERE {ref} IS NOT NULL)", LONG),
        ]
        if kind in (INT, LONG):
            choices += [(f"CAST(sum({ref}) AS BIGINT)", LONG), (f"avg({ref})", DOUBLE)] * 2
        if isinstance(kind, Decimal):
            choices += [(f"CAST(sum({ref}) AS DECIMAL(20, 4))", WIDE), (f"avg({ref})", DOUBLE)] * 2
        if kind == BOOLEAN:
            choices += [(f"bool_or({ref})", BOOLEAN), (f"bool_and({ref})", BOOLEAN)]
        return self.chance.choice(choices)

    def windowed(self, depth: int) -> Made:
        text, alias, columns = self.source(depth - 1)
        refs = {f"{alias}.{n}": k for n, k in columns.items()}
        parts = self.chance.sample(list(refs), min(len(refs), self.chance.choice([0, 1, 1, 2])))
        over = f"PARTITION BY {', '.join(parts)} " if parts else ""
        total = f"ORDER BY {', '.join(f'{r} NULLS LAST' for r in refs)}"
        ref = self.chance.choice(list(refs))
        name = self.name("r")
        function, kind = self.chance.choice(
            [
                (f"row_number() OVER ({over}{total})", LONG),
                (f"rank() OVER ({over}ORDER BY {ref})", LONG),
                (f"count(*) OVER ({over})", LONG),
                (f"max({ref}) OVER ({over})", refs[ref]),
                (f"lag({ref}) OVER ({over}{total})", refs[ref]),
            ]
        )
        chosen, made = self.chosen(refs, 5)
        made = {**made, name: kind}
        inner = f"SELECT {chosen}, {function} AS {name} FROM {text}{self.where(refs)}"
        if kind == LONG and self.chance.random() < 0.3:
            if self.chance.random() < 0.5:
                return Made(f"{inner} QUALIFY {function} <= 2", made)
            outer = self.name("q")
            return Made(f"SELECT * FROM ({inner}) AS {outer} WHERE {outer}.{name} = 1", made)
        return Made(inner, made)

    def distinct(self, depth: int) -> Made:
        text, alias, columns = self.source(depth - 1)
        refs = {f"{alias}.{n}": k for n, k in columns.items()}
        chosen, made = self.chosen(refs, 3)
        return Made(f"SELECT DISTINCT {chosen} FROM {text}{self.where(refs)}", made)

    def limited(self, depth: int) -> Made:
        """The first rows in an order that leaves no choice."""
        kind = self.chance.choice([self.plain, self.grouped, self.distinct])
        made = kind(depth)
        places = list(range(1, len(made.columns) + 1))
        self.chance.shuffle(places)
        names = list(made.columns)
        orders = [
            f"{self.chance.choice([str(at), names[at - 1]])}{self.chance.choice(['', ' DESC', ' NULLS FIRST'])}"
            for at in places
        ]
        offset = self.chance.choice(["", "", " OFFSET 2"])
        limit = f"LIMIT {self.chance.choice([0, 1, 3, 20, 500])}{offset}"
        return Made(f"{made.sql} ORDER BY {', '.join(orders)} {limit}", made.columns)

    def combined(self, depth: int) -> Made:
        """A set operation of members with columns of kinds that go together."""
        members = []
        wanted = [self.chance.choice([LONG, STRING, NARROW, DATE]) for _ in range(self.chance.choice([1, 2]))]
        names = [self.name("u") for _ in wanted]
        for _ in range(self.chance.choice([2, 2, 3])):
            text, alias, columns = self.source(depth - 1)
            parts = []
            for kind, name in zip(wanted, names, strict=True):
                fits = [n for n, k in columns.items() if _comparable(k, kind)]
                value = f"{alias}.{self.chance.choice(fits)}" if fits else f"CAST(NULL AS {type_text(kind)})"
                parts.append(f"{value} AS {name}")
            refs = {f"{alias}.{n}": k for n, k in columns.items()}
            members.append(f"SELECT {', '.join(parts)} FROM {text}{self.where(refs)}")
        kind = self.chance.choice(
            [" UNION ALL ", " UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT ", " EXCEPT ALL "]
        )
        exact = [WIDE if _exact_kind(k) else k for k in wanted]
        outer = self.name("q")
        chosen = ", ".join(
            f"CAST({outer}.{n} AS {type_text(k)}) AS {n}" for n, k in zip(names, exact, strict=True)
        )
        joined = kind.join(f"({m})" for m in members)
        return Made(f"SELECT {chosen} FROM ({joined}) AS {outer}", dict(zip(names, exact, strict=True)))


def _exact_kind(kind: Type) -> bool:
    return kind in (INT, LONG) or isinstance(kind, Decimal)


def _comparable(first: Type, second: Type) -> bool:
    return first == second or (_exact_kind(first) and _exact_kind(second))


def world(seed: int, folder: Path) -> tuple[dict[str, Scan], Queries]:
    """Three tables in files, and queries over them."""
    chance = random.Random(seed)
    inputs, schemas = {}, {}
    for name in ("x", "y", "z"):
        schema, rows = random_table(name, chance)
        inputs[f"shop.{name}"] = written(folder, name, schema, rows, chance.choice([1, 2, 3]))
        schemas[f"shop.{name}"] = schema
    return inputs, Queries(schemas, chance)

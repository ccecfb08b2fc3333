"""A mesh folder, an engine, and short ways to say what shall be built."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from raymesh.mesh.plan import BuildPlan, Input, Limits, Output, Promise, Scan, Transform, TransformKind
from raymesh.spec.physical import parse_physical
from raymesh.spec.types import Field, TableSchema
from raymesh.spi.engine import Control

if TYPE_CHECKING:
    from raymesh.spi.engine import BuildOutcome, Engine, StagedOutput

SQL_FILE = "domains/d/products/p/transform.sql"
PYTHON_FILE = "domains/d/products/p/transform.py"


def column(name: str, physical: str | None = None, **more: Any) -> Promise:
    """A promised column; `physical` as contracts write it (`bigint`, `struct(a integer)`)."""
    if physical is None:
        return Promise(name, **more)
    found = parse_physical(physical)
    assert found is not None, physical
    return Promise(name, type=Field(name, found.type), **more)


def columns(**physical: str) -> tuple[Promise, ...]:
    return tuple(column(name, kind) for name, kind in physical.items())


def scan(staged: StagedOutput, *more: StagedOutput) -> Scan:
    """What was staged, as another build's input; the schema is that of the last."""
    files = [f for s in (staged, *more) for f in s.files]
    return Scan((more or (staged,))[-1].schema, tuple(f.path for f in files), sum(f.rows for f in files))


def schema(**physical: str) -> TableSchema:
    return TableSchema(tuple(p.type for p in columns(**physical) if p.type))


@dataclass
class Bench:
    """One mesh folder and the engine under test."""

    engine: Engine
    root: Path
    inputs: dict[str, Scan] = field(default_factory=dict)
    memory: int = 1 << 30
    timeout: float | None = None

    @property
    def limits(self) -> Limits:
        return Limits(self.memory, 2, str(self.root / ".raymesh/scratch"), timeout=self.timeout)

    def plan(self, transform: Transform, promises: tuple[Promise, ...] = (), **output: Any) -> BuildPlan:
        location = str(self.root / "warehouse/d/p/data")
        made = replace(Output("default", "d.p", location, transform, promises), **output)
        inputs = tuple(Input(name, content) for name, content in self.inputs.items())
        return BuildPlan("d.p", uuid4().hex, str(self.root), inputs, (made,), self.limits)

    def run(self, plan: BuildPlan, control: Control | None = None) -> BuildOutcome:
        return self.engine.build(plan, control or Control())

    def sql(self, sql: str, promises: tuple[Promise, ...] = (), **output: Any) -> StagedOutput:
        """Build one SELECT."""
        transform = Transform("sql", sql=sql, sql_file=SQL_FILE)
        return self.run(self.plan(transform, promises, **output)).outputs[0]

    def python(self, code: str, promises: tuple[Promise, ...] = (), **more: Any) -> StagedOutput:
        """Build with the Python `code`; `sql` makes the rows of a batch transform, `bindings` names inputs."""
        return self.run(self.python_plan(code, promises, **more)).outputs[0]

    def python_plan(
        self,
        code: str,
        promises: tuple[Promise, ...] = (),
        *,
        sql: str | None = None,
        bindings: dict[str, str] | None = None,
        **output: Any,
    ) -> BuildPlan:
        file = self.root / PYTHON_FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(code), encoding="utf-8")
        kind: TransformKind = "batch" if sql is not None or bindings is None else "dataset"
        given = bindings or (
            dict.fromkeys(["batch"], next(iter(self.inputs))) if self.inputs and not sql else {}
        )
        transform = Transform(kind, sql=sql, sql_file=SQL_FILE, python_file=PYTHON_FILE, bindings=given)
        return self.plan(transform, promises, **output)

    def rows(self, *staged: StagedOutput, **asked: Any) -> list[dict[str, Any]]:
        """Everything staged, as Python values."""
        found: list[dict[str, Any]] = self.engine.read(scan(*staged), **asked).read_all().to_pylist()
        return found

    def staged_files(self) -> list[str]:
        return sorted(str(p) for p in (self.root / "warehouse").rglob("*.parquet"))


def short(value: object) -> str | None:
    """A test id of a long text."""
    return re.sub(r"\W+", "-", value)[:40].strip("-") if isinstance(value, str) else None


def stopping_after(looks: int) -> Control:
    """A caller who asks for a stop when the engine has looked that often."""
    counter = itertools.count(1)
    return Control(cancelled=lambda: next(counter) > looks)


class OpenedEngine:
    """What all parts of the suite start from."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Engine:
        raise TypeError("the suite does not know how to open your engine: override the fixture `engine`")

    @pytest.fixture
    def bench(self, engine: Engine, tmp_path: Path) -> Bench:
        return Bench(engine, tmp_path)

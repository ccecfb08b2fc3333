"""Whatever part of the gate is taken away, rows that break a promise are never published.

For every kind of check there is a product whose second version breaks exactly one promise of that kind. Every
function on the way from the contract to the verdict that has a part in it is taken away in turn: it does nothing,
answers with nothing, or raises. A new kind of check, or a new method of the measurement, without a product here
fails the suite. Every function is taken away for every kind; in one way drawn by SEED, with `--complete` in each.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest

import raymesh
from meshes import write_mesh, write_product, write_source
from raymesh.actions import build as gate
from raymesh.actions import planning
from raymesh.engines.kernel import measure as measuring
from raymesh.engines.kernel.tally import Tally
from raymesh.quality import columns as describing
from raymesh.quality import compile as compiling
from raymesh.quality.model import CheckKind, FileState, Measurements, Verdict
from raymesh.spi import registry
from raymesh.spi.faults import POINTS
from reliability.harness import build

KEY = {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 1}
NOT_ABOUT_ROWS = {"text", "sla"}
"""Words for people and promises over time: no row breaks them, and they do not block."""


SEED = 20_261_123


@dataclass(frozen=True)
class Broken:
    """A product whose promise `check` is kept by the rows of `good`, which are published first (when there are any),
    and broken by those of `bad`."""

    check: str
    good: str
    bad: str
    columns: dict[str, Any] = field(default_factory=dict)
    quality: tuple[dict[str, Any], ...] = ()

    @property
    def served(self) -> int | None:
        return 1 if self.good else None

    def write(self, root: Path, sql: str) -> None:
        write_product(root, "shop.gated", {"id": KEY, **self.columns}, sql=sql, quality=self.quality)


def _adapter(_implementation: Any, rows: Any) -> int:
    return int(rows.filter("id > 2").aggregate("count(*)").fetchall()[0][0])


KINDS: dict[str, Broken] = {
    "type": Broken(  # rows of a type that cannot be kept do not even come to the gate
        "v.elementType",
        "",
        "SELECT range AS id, [1.5, 2.5]::double[] AS v FROM range(3)",
        {"v": {"logicalType": "vector", "logicalTypeOptions": {"dimensions": 2, "elementType": "int8"}}},
    ),
    "row": Broken(
        "v.required",
        "SELECT range AS id, range AS v FROM range(3)",
        "SELECT range AS id, nullif(range, 1) AS v FROM range(3)",
        {"v": {"physicalType": "bigint", "logicalType": "integer", "required": True}},
    ),
    "key": Broken(
        "primaryKey",
        "SELECT range AS id FROM range(3)",
        "SELECT range // 2 AS id FROM range(3)",
    ),
    "count": Broken(
        "quality.rowCount",
        "SELECT range AS id FROM range(3)",
        "SELECT range AS id FROM range(2)",
        quality=({"metric": "rowCount", "mustBe": 3},),
    ),
    "sql": Broken(
        "quality.sql",
        "SELECT range AS id FROM range(3)",
        "SELECT range AS id FROM range(4)",
        quality=({"type": "sql", "query": "SELECT count(*) FROM {table} WHERE id > 2", "mustBe": 0},),
    ),
    "reference": Broken(
        "parent.reference",
        "SELECT range AS id, 0::bigint AS parent FROM range(3)",
        "SELECT range AS id, 9::bigint AS parent FROM range(3)",
        {
            "parent": {
                "physicalType": "bigint",
                "logicalType": "integer",
                "relationships": [{"to": "shop.gated.id"}],
            }
        },
    ),
    "custom": Broken(
        "quality.custom",
        "SELECT range AS id FROM range(3)",
        "SELECT range AS id FROM range(4)",
        quality=({"type": "custom", "engine": "mine", "implementation": "none above 2"},),
    ),
}


@dataclass(frozen=True)
class Part:
    """A function in the place where it is looked up, and what it would answer if it found nothing."""

    owner: Any
    name: str
    nothing: Any = None

    def __str__(self) -> str:
        return f"{getattr(self.owner, '__name__', self.owner)}.{self.name}"


def _functions(owner: Any, prefix: str = "") -> list[str]:
    """What `owner` calls by its own name: functions of this project."""
    return [
        name
        for name, value in vars(owner).items()
        if inspect.isfunction(value)
        and value.__module__.startswith("raymesh.")
        and name.startswith(prefix)
        and not name.startswith("__")
    ]


EMPTY: dict[str, Any] = {
    "measure": Measurements(),
    "judge": Verdict((), None),
    "_judged": Verdict((), None),
    "tally": Tally(),
    "_blocking": "",
    "unjudged": (),
    "compile_checks": (),
}
METHODS = [
    name for name, value in vars(measuring.Work).items() if inspect.isfunction(value) and name != "__init__"
]
UNSEEN = {"__eq__", "__repr__", "__getstate__", "__setstate__", "__hash__", "__replace__"}
PARTS = [
    *(Part(compiling, n, EMPTY.get(n, ())) for n in _functions(compiling)),
    *(Part(describing, n, ()) for n in _functions(describing)),
    *(Part(measuring, n, EMPTY.get(n, {})) for n in _functions(measuring)),
    *(Part(measuring.Work, n, {}) for n in METHODS if n not in UNSEEN),
    Part(planning, "compile_checks", ()),
    *(Part(gate, n, EMPTY.get(n)) for n in ("judge", "_judged", "_blocking", "unjudged", "_require_passed")),
]
HARMLESS = {"_pickle", "_unlike", "sample", "failure"}
"""Taken away, they take nothing from the verdict on these rows."""


def _away(part: Part) -> dict[str, Callable[..., Any]]:
    def raising(*_: Any, **__: Any) -> Any:
        raise RuntimeError("taken away")

    def failing(*_: Any, **__: Any) -> Any:
        raise duckdb.InvalidInputException("taken away")

    ways = {"finds nothing": lambda *_, **__: part.nothing, "does nothing": lambda *_, **__: None}
    if part.nothing is None:
        ways.pop("finds nothing")
    if part.owner in (measuring, measuring.Work):
        ways["fails in the database"] = failing
    if part.owner is gate:
        ways["raises"] = raising
    return ways


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter for custom rules, as if it were installed."""
    names, load = registry.names, registry.load
    monkeypatch.setattr(registry, "names", lambda group: ("mine",) if group == "checks" else names(group))
    monkeypatch.setattr(
        registry, "load", lambda group, name: _adapter if group == "checks" else load(group, name)
    )


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(kind: str, tmp_path: Path) -> Path:
    """A mesh that serves good rows and whose documents now make bad ones."""
    root = write_mesh(tmp_path / "mesh")
    if KINDS[kind].good:
        KINDS[kind].write(root, KINDS[kind].good)
        assert _run(root) == ("published", 1)
    KINDS[kind].write(root, KINDS[kind].bad)
    return root


def _run(root: Path) -> tuple[str, Any]:
    """How a run of everything ends, and the version that is served then."""
    with raymesh.Mesh.load(root) as mesh:
        report = mesh.run().reports[-1]
        return report.status, mesh.product("shop.gated").version


def _used(root: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The parts that have a share in the verdict on these rows."""
    used: set[str] = set()

    def watched(part: Part, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            used.add(str(part))
            return original(*args, **more)

        return call

    with monkeypatch.context() as patch:
        for part in PARTS:
            patch.setattr(part.owner, part.name, watched(part, getattr(part.owner, part.name)))
        assert _run(root)[0] in ("blocked", "failed")
    return used


def test_every_kind_of_check_has_a_product_here() -> None:
    assert set(get_args(CheckKind)) == KINDS.keys() | NOT_ABOUT_ROWS


def test_the_bad_rows_break_that_promise_and_nothing_else(kind: str, root: Path) -> None:
    with raymesh.Mesh.load(root) as mesh:
        report = mesh.run().reports[-1]
        checks = {c.check_id: c for c in mesh._workspace.state.checks(report.run_id)}
    if kind == "type":
        assert (report.status, report.failing, checks) == ("failed", (), {})
        return
    assert (report.status, report.failing) == ("blocked", (KINDS[kind].check,))
    assert checks[KINDS[kind].check].kind == kind


def test_nothing_that_is_taken_away_lets_bad_rows_through(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    used = _used(root, monkeypatch)
    dice = None if request.config.getoption("--complete") else random.Random(f"{SEED} {kind}")
    published = []
    for part in PARTS:
        if str(part) not in used or part.name in HARMLESS:
            continue
        ways = list(_away(part).items())
        for how, instead in [dice.choice(ways)] if dice else ways:
            with monkeypatch.context() as patch:
                patch.setattr(part.owner, part.name, instead)
                status, served = _run(root)
            if status not in ("blocked", "failed") or served != KINDS[kind].served:
                published.append((str(part), how, status))
                break
        assert not published, published
    assert _run(root) == ("failed" if kind == "type" else "blocked", KINDS[kind].served)


def test_methods_of_the_measurement_all_have_a_share_in_some_verdict() -> None:
    """A method that no product here needs would be one that nobody proves."""
    source = inspect.getsource(measuring)
    for name in METHODS:
        if name not in UNSEEN:
            assert f".{name}(" in source or f"._{name}" in source or f"self.{name}" in source, name


def _states() -> Iterator[tuple[str, Callable[[FileState | None], FileState | None]]]:
    yield "gone", lambda _: None
    yield "empty", lambda _: FileState()
    for name in ("violations", "columns", "basis", "whole", "seen"):
        yield f"without {name}", lambda s, name=name: replace(s, **{name: {}}) if s else None  # type: ignore[misc]
    yield "without rows", lambda s: replace(s, rows=0) if s else None


TOLERATED: dict[str, dict[str, Any]] = {
    "row": {"columns": {"v": [{"metric": "nullValues", "mustBeLessThan": 2}]}},
    "key": {"columns": {"v": [{"metric": "duplicateValues", "mustBeLessThan": 3}]}},
    "count": {"quality": [{"metric": "rowCount", "mustBeLessThan": 5}]},
    "sql": {
        "quality": [
            {"type": "sql", "query": "SELECT count(*) FROM {table} WHERE v IS NULL", "mustBeLessThan": 2}
        ]
    },
    "sql over all": {
        "quality": [{"type": "sql", "query": "SELECT count(v) - 1 FROM {table}", "mustBeLessThan": 2}]
    },
}
"""Promises that the first rows just keep; what an append adds is too much only together with them."""


@pytest.mark.parametrize("promise", TOLERATED)
def test_no_state_that_is_emptied_lets_an_append_through(
    promise: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_mesh(tmp_path / "mesh")
    data = tmp_path / "rows"
    data.mkdir()
    said = TOLERATED[promise]
    columns = {
        "id": {"physicalType": "bigint", "logicalType": "integer"},
        "v": {
            "physicalType": "bigint",
            "logicalType": "integer",
            "quality": said.get("columns", {}).get("v", []),
        },
    }
    write_source(root, "shop.rows", f"{data}/*.parquet")
    write_product(
        root,
        "shop.gated",
        columns,
        sql="SELECT * FROM source.rows",
        quality=said.get("quality", ()),
        mode="append",
        incrementalColumn="id",
    )
    first = "SELECT range AS id, CASE WHEN range > 0 THEN 7 END::bigint AS v FROM range(3)"
    _write(data / "1.parquet", first)
    assert _run(root) == ("published", 1)
    _write(
        data / "2.parquet", "SELECT range AS id, CASE WHEN range > 3 THEN 7 END::bigint AS v FROM range(3, 6)"
    )
    original = planning.file_state_from_json
    for name, mutated in _states():
        with monkeypatch.context() as patch:
            patch.setattr(planning, "file_state_from_json", lambda v, mutated=mutated: mutated(original(v)))
            assert _run(root) == ("blocked", 1), f"{promise}, state {name}"
    assert _run(root) == ("blocked", 1)


def _write(file: Path, query: str) -> None:
    with duckdb.connect() as con:
        con.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")


@pytest.mark.parametrize("point", [p for p in POINTS if p not in ("during_maintain", "lease_claimed")])
def test_no_death_lets_bad_rows_through(point: str, tmp_path: Path) -> None:
    """Wherever the builder dies, and however often it is tried again, the good rows serve."""
    root = write_mesh(tmp_path / "mesh")
    broken = KINDS["row"]
    broken.write(root, broken.good)
    assert _run(root) == ("published", 1)
    broken.write(root, broken.bad)
    for _ in range(2):
        build(root, at=point, fault="kill")
    assert _run(root) == ("blocked", 1)


@pytest.mark.parametrize(
    "death", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit(0)", "raise SystemExit"]
)
def test_a_worker_that_dies_half_way_publishes_nothing(death: str, tmp_path: Path) -> None:
    root = write_mesh(tmp_path / "mesh")
    columns = {"id": KEY}
    write_product(root, "shop.gated", columns, sql="SELECT range AS id FROM range(3)")
    assert _run(root) == ("published", 1)
    python = (
        "import os, sys\nfrom raymesh import batch\n"
        "seen = []\n"
        "@batch(size=2)\n"
        "def transform(batch):\n"
        "    seen.append(batch)\n"
        f"    if len(seen) > 1:\n        {death}\n"
        "    return batch\n"
    )
    write_product(root, "shop.gated", columns, sql="SELECT range AS id FROM range(9)", python=python)
    status, version = _run(root)
    assert (status in ("failed", "interrupted"), version) == (True, 1), status

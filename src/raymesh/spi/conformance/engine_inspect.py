"""Judging outside data where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from raymesh.errors import SourceError
from raymesh.mesh.plan import SourceScan
from raymesh.quality.judge import judge
from raymesh.quality.model import Check, Threshold
from raymesh.spec.expression import Column, Compare, Value
from raymesh.spi.conformance.engine_opened import OpenedEngine
from raymesh.spi.engine import Subject

if TYPE_CHECKING:
    from pathlib import Path

    from raymesh.spi.conformance.engine_opened import Bench

CHECKS = (
    Check(
        "id.type", "type", "logicalType", columns=("id",), arguments={"logical": "integer", "steps": ["id"]}
    ),
    Check("small", "row", "maximum", columns=("id",), violates=Compare(">", Column(("id",)), Value(2))),
    Check("unique", "key", "unique", columns=("id",), keys=(Column(("id",)),)),
    Check("rows", "count", "rowCount", threshold=Threshold("mustBeGreaterThan", 0)),
    Check(
        "asked",
        "sql",
        "sql",
        query="SELECT count(*) FROM {table} WHERE id < 0",
        arguments={"tables": ["d.p"], "column": []},
    ),
    Check("parent", "reference", "foreignKey", columns=("id",), target=("others", ("id",))),
)


class InspectConformance(OpenedEngine):
    def test_every_kind_of_promise_is_measured_on_outside_data(self, bench: Bench) -> None:
        found = self._inspect(bench, "id\n1\n2\n3\n3\n", others="id\n1\n2\n")
        values = {r.check.id: (r.status, r.value) for r in judge(CHECKS, found.measurements).results}
        assert values == {
            "id.type": ("pass", "long"),
            "small": ("fail", 2),
            "unique": ("fail", 1),
            "rows": ("pass", 4),
            "asked": ("pass", 0),
            "parent": ("fail", 2),
        }
        assert (found.rows, found.limited) == (4, False)

    def test_a_sample_says_that_there_is_more(self, bench: Bench) -> None:
        found = self._inspect(bench, "id\n" + "1\n" * 10, sample=3)
        assert (found.rows, found.limited) == (3, True)
        found = self._inspect(bench, "id\n1\n2\n3\n", sample=3)
        assert (found.rows, found.limited) == (3, False)

    def test_data_without_rows_is_looked_at_too(self, bench: Bench) -> None:
        found = self._inspect(bench, "id\n")
        statuses = {r.check.id: r.status for r in judge(CHECKS, found.measurements).results}
        assert statuses["rows"] == "fail"
        assert statuses["small"] == "pass"

    def test_columns_are_judged_under_the_names_of_the_contract(self, bench: Bench) -> None:
        file = self._csv(bench.root / "odd.csv", "Id Number\n7\n")
        subject = Subject(self._source("p", file, {"Id Number": "bigint"}), {"Id Number": "id"})
        found = bench.engine.inspect(subject, CHECKS[:2], root=str(bench.root), others={})
        assert {r.check.id: r.value for r in judge(CHECKS[:2], found.measurements).results}["small"] == 1

    def test_a_value_that_is_no_such_type_names_its_column(self, bench: Bench) -> None:
        with pytest.raises(SourceError) as refused:
            self._inspect(bench, "id\n1\nx\n")
        assert refused.value.column == "id"

    def test_nothing_is_written_and_nothing_else_can_be_read(self, bench: Bench) -> None:
        self._csv(bench.root / "secret.csv", "id\n1\n")
        query = f"SELECT count(*) FROM read_csv('{bench.root / 'secret.csv'}')"
        checks = (Check("out", "sql", "sql", query=query, arguments={"tables": ["d.p"], "column": []}),)
        file = self._csv(bench.root / "p.csv", "id\n1\n")
        subject = Subject(self._source("p", file, {"id": "bigint"}))
        before = sorted(bench.root.rglob("*"))
        found = bench.engine.inspect(subject, checks, root=str(bench.root), others={})
        assert [r.status for r in judge(checks, found.measurements).results] == ["error"]
        assert sorted(bench.root.rglob("*")) == before

    def _inspect(self, bench: Bench, rows: str, *, others: str = "id\n1\n", sample: int | None = None) -> Any:
        types = {"id": "bigint"}
        subject = Subject(self._source("p", self._csv(bench.root / "p.csv", rows), types))
        other = Subject(self._source("others", self._csv(bench.root / "others.csv", others), types))
        return bench.engine.inspect(
            subject, CHECKS, root=str(bench.root), others={"others": other}, sample=sample
        )

    @staticmethod
    def _csv(file: Path, rows: str) -> Path:
        file.write_text(rows, encoding="utf-8")
        return file

    @staticmethod
    def _source(name: str, file: Path, types: dict[str, str]) -> SourceScan:
        columns = [{"name": n, "type": t} for n, t in types.items()]
        return SourceScan(name, "csv", {"type": "csv", "location": str(file), "columns": columns})

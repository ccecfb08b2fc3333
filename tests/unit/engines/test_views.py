"""What engines show through a view is what the row-by-row oracle shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oracle import truth
from oracle_view import shown
from raymesh.engines.kernel.scrub import clean_schema
from raymesh.engines.local import LocalEngine
from raymesh.errors import AccessDeniedError, GovernanceError, InternalError, NotFoundError
from raymesh.mesh.plan import Limits, Scan, ViewColumn
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from raymesh.spec.secrets import SecretRef
from raymesh.spec.types import TableSchema
from raymesh.spi.scan_sql import scan_sql
from views import KEY, SECRET, VARIABLE, WHOLE, conditions, rows_of, schemas, viewed, views, written

RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(Limits(1 << 28, 1, str(tmp_path_factory.mktemp("scratch"))))
    yield engine
    engine.close()


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [_plain(row) for row in found] == [_plain(row) for row in expected]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float) and value == 0:
        return 0.0
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@st.composite
def cases(draw: st.DrawFn) -> tuple[TableSchema, list[dict[str, Any]], Any]:
    schema = draw(schemas())
    return schema, draw(rows_of(schema)), draw(views(schema))


@RELAXED
@given(cases(), st.integers(1, 3))
def test_a_read_shows_what_the_oracle_shows(
    engine: LocalEngine, tmp_path: Path, case: tuple[Any, ...], files: int
) -> None:
    schema, rows, view = case
    scan = Scan(schema, written(tmp_path, schema, rows, files=files).files, len(rows), view=view)
    expected = shown(rows, schema, view, SECRET)
    if not scan.shown.fields:
        with pytest.raises(AccessDeniedError):
            engine.read(scan)
        return
    table = engine.read(scan).read_all()
    same(table.to_pylist(), expected)
    assert table.schema.names == [c.name for c in view.columns if not isinstance(c.mask, m.Absent)]
    assert table.schema == clean_schema(table.schema)


@RELAXED
@given(cases(), st.data())
def test_conditions_of_the_reader_see_masked_values(
    engine: LocalEngine, tmp_path: Path, case: tuple[Any, ...], data: st.DataObject
) -> None:
    schema, rows, view = case
    scan = Scan(schema, written(tmp_path, schema, rows).files, len(rows), view=view)
    if not scan.shown.fields:
        return
    where = data.draw(conditions(scan.shown, unknown=False))
    limit = data.draw(st.one_of(st.none(), st.integers(0, 4)))
    columns = data.draw(st.lists(st.sampled_from(scan.shown.names), min_size=1, max_size=3, unique=True))
    kept = [r for r in shown(rows, schema, view, SECRET) if truth(where, r, scan.shown) is True][:limit]
    found = engine.read(scan, columns=columns, where=where, limit=limit).read_all()
    same(found.to_pylist(), [{c: r[c] for c in columns} for r in kept])


@RELAXED
@given(cases())
def test_a_query_sees_what_a_read_shows(engine: LocalEngine, tmp_path: Path, case: tuple[Any, ...]) -> None:
    schema, rows, view = case
    scan = Scan(schema, written(tmp_path, schema, rows).files, len(rows), view=view)
    if not scan.shown.fields:
        return
    found = engine.query("select * from shop.t", {"shop.t": scan}).read_all()
    same(found.to_pylist(), shown(rows, schema, view, SECRET))
    counted = engine.query("select count(*) as n from shop.t", {"shop.t": scan}).read_all().to_pylist()
    assert counted == [{"n": found.num_rows}]


def test_pushed_conditions_give_the_same_rows(engine: LocalEngine, tmp_path: Path) -> None:
    schema = TableSchema(tuple(f for f in WHOLE if f.name in ("l", "s", "day")), WHOLE.last_id)
    rows = [{"l": n, "s": f"v{n % 7}", "day": None} for n in range(200)]
    scan = viewed(
        written(tmp_path, schema, rows, files=3),
        "l",
        ViewColumn("s", m.Partial(0, 1)),
        rows=x.Compare("<", x.Column(("l",)), x.Value(150)),
    )
    asked = "select l, s from t where l between 10 and 160 and s = '***3' and l <> 17 order by l"
    found = engine.query(asked, {"t": scan}).read_all().to_pylist()
    assert [r["l"] for r in found] == [n for n in range(10, 150) if n % 7 == 3 and n != 17]


def test_a_hidden_column_and_a_missing_one_are_refused_in_the_same_words(
    engine: LocalEngine, tmp_path: Path
) -> None:
    scan = viewed(written(tmp_path, WHOLE, []), "l", ViewColumn("s", m.Absent()))
    said = []
    for name in ("s", "zz"):
        with pytest.raises(NotFoundError) as caught:
            engine.read(scan, columns=[name])
        said.append((str(caught.value).replace(f"'{name}'", ""), caught.value.hint))
        with pytest.raises(Exception, match="there is no column") as where:
            engine.read(scan, where=x.IsNull(x.Column((name,))))
        said.append((str(where.value).replace(f"'{name}'", ""), getattr(where.value, "hint", None)))
    assert said[0] == said[2]
    assert said[1] == said[3]


def test_a_scan_with_a_view_has_no_sql_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InternalError):
        scan_sql(viewed(written(tmp_path, WHOLE, []), "l"))


def test_without_the_secret_no_token_is_shown(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = viewed(written(tmp_path, WHOLE, []), "l", ViewColumn("s", m.Token("c")))
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(GovernanceError, match="cannot be read"):
        engine.read(scan)
    for reference in (None, SecretRef("short")):
        with pytest.raises(GovernanceError):
            engine.read(viewed(scan, ViewColumn("s", m.Token("c")), key=reference))


@given(st.floats(allow_nan=True), st.sampled_from([Fraction(1, 10), Fraction(5), Fraction(1, 3)]))
@example(0.3, Fraction(1, 10))
@example(0.7, Fraction(1, 10))
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_buckets_of_floating_point_numbers_are_exact(value: float, width: Fraction) -> None:
    import duckdb

    from oracle_view import masked
    from raymesh.engines.kernel.masking import mask_sql
    from raymesh.spec.types import Primitive

    kind = Primitive("double")
    sql = mask_sql(ViewColumn("v", m.Bucket(width)), kind)
    with duckdb.connect(config={"threads": 1}) as con:
        found = con.execute(f"SELECT {sql} FROM (SELECT ?::DOUBLE AS v)", [value]).fetchall()[0][0]
    assert found == masked(value, m.Bucket(width), kind, SECRET)


def test_keys_are_for_one_context() -> None:
    from raymesh.engines.kernel.tokens import TokenKey, token_key

    one, other = token_key(KEY, "a"), TokenKey(SECRET, "b")
    assert one._hex != other._hex
    assert SECRET not in f"{one!r}{one}"
    assert one._hex not in f"{one!r}{one}"

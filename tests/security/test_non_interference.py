"""What is hidden from a reader has no influence on anything the reader can observe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governed_shops import NAME, build, customer, governed_shop, put_rows, read, sql
from observing import observed
from oracle_view import shown
from raymesh.engines.local import LocalEngine
from raymesh.mesh.plan import Limits, Scan, View
from raymesh.spec import expression as x
from raymesh.spec import mask as m
from raymesh.spec.types import TableSchema
from views import SECRET, VARIABLE, conditions, rows_of, schemas, views, written

Rows = list[dict[str, Any]]
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=15)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(Limits(1 << 28, 1, str(tmp_path_factory.mktemp("scratch"))))
    yield engine
    engine.close()


@st.composite
def worlds(draw: st.DrawFn) -> tuple[TableSchema, View, Rows, Rows]:
    """A view and two tables that differ in hidden cells and rows only."""
    schema = draw(schemas())
    view = draw(views(schema))
    if all(isinstance(c.mask, m.Absent) for c in view.columns):
        view = View(view.rows, (view.columns[0].__class__(view.columns[0].name, m.Raw()),), view.key)
    first = draw(rows_of(schema))
    second: Rows = []
    for row, other in zip(
        first, draw(st.lists(rows_of(schema, 1), min_size=len(first), max_size=len(first))), strict=True
    ):
        second += _changed(draw, row, other, schema, view)
    extra = draw(rows_of(schema, 6))
    second += [r for r in extra if not shown([r], schema, view, SECRET)]
    return schema, view, first, second


def _changed(draw: st.DrawFn, row: dict[str, Any], other: Rows, schema: TableSchema, view: View) -> Rows:
    """The row with as many cells of another one as nobody can tell, or none when it is hidden."""
    before = shown([row], schema, view, SECRET)
    if not before and draw(st.booleans()):
        return []
    changed = dict(row)
    for name, value in (other[0] if other else {}).items():
        tried = {**changed, name: value}
        if repr(shown([tried], schema, view, SECRET)) == repr(before):
            changed = tried
    return [changed]


@RELAXED
@given(worlds(), st.data())
def test_reads_and_queries_do_not_depend_on_hidden_cells(
    engine: LocalEngine, tmp_path: Path, world: tuple[TableSchema, View, Rows, Rows], data: st.DataObject
) -> None:
    schema, view, first, second = world
    scans = [
        Scan(schema, written(tmp_path, schema, rows).files, len(rows), view=view) for rows in (first, second)
    ]
    where = data.draw(conditions(scans[0].shown))
    limit = data.draw(st.one_of(st.none(), st.integers(0, 3)))
    column = '"' + data.draw(st.sampled_from(scans[0].shown.names)).replace('"', '""') + '"'
    questions = [
        "select * from t",
        "select count(*) from t",
        f"select {column} from t order by {column} limit 3",
        f"select min({column}), max({column}), count(distinct {column}) from t",
        f"select cast({column} as integer) as n from t",
        f"select * from t where cast({column} as varchar) like '%1%'",
        f"select {column}, count(*) from t group by all order by all",
        f"select row_number() over () as n, {column} from t qualify n > 1",
        f"select a.{column} from t a join t b on a.{column} = b.{column} order by all",
        "select t from t",
        "summarize t",
        "describe t",
        "select stats(t) from t",
        "select nothing from t",
    ]
    asked = data.draw(st.lists(st.sampled_from(questions), min_size=4, max_size=4, unique=True))
    one, two = [
        [
            observed(lambda s=scan: engine.read(s)),
            observed(lambda s=scan: engine.read(s, where=where, limit=limit)),
            *(observed(lambda s=scan, q=q: engine.query(q, {"t": s})) for q in asked),
        ]
        for scan in scans
    ]
    assert one == two


def differently(n: int, **changes: Any) -> dict[str, Any]:
    """A customer of whom everything hidden is different: the partial phone, the year and the bucket agree."""
    row = customer(n)
    hidden = {"secret": f"OTHER-{n}", "phone": f"+1 {n}5 {row['phone'][-2:]}"}
    return row | hidden | changes


LOOKS = [
    lambda root: read(root, "anna", "marketing"),
    lambda root: read(root, "anna"),
    lambda root: read(root, "sam", "service"),
    lambda root: read(root, "anna", "marketing", where="phone = '***02'"),
    lambda root: read(root, "anna", "marketing", columns=["secret"]),
    lambda root: read(root, "anna", "marketing", where="secret = 'SECRET-1'"),
    lambda root: sql(root, f"select count(*), sum(income), max(note) from {NAME}", "anna", "marketing"),
    lambda root: sql(root, f"select cast(note as int) from {NAME}", "anna", "marketing"),
    lambda root: sql(root, f"summarize select * from {NAME}", "anna", "marketing"),
    lambda root: sql(root, f"select secret from {NAME}", "anna", "marketing"),
]


def test_a_whole_mesh_shows_the_same_whatever_is_hidden(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    governed_shop(one, [customer(n) for n in range(1, 9)])
    hidden = [customer(n, note="4711", region="MARS") for n in range(100, 300)]
    governed_shop(two, [differently(n) for n in range(2, 9, 2)] + hidden)
    read(one, "anna", "marketing")
    key = one / ".raymesh" / "token.key"
    (two / ".raymesh" / "token.key").write_bytes(key.read_bytes())
    (two / ".raymesh" / "token.key").chmod(0o600)
    for n, look in enumerate(LOOKS):
        if n != 2:  # sam sees the rows of all regions
            assert observed(lambda r=one, f=look: f(r)) == observed(lambda r=two, f=look: f(r)), n


def test_counts_of_hidden_rows_are_not_told(
    tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = governed_shop(tmp_path / "shop")
    monkeypatch.chdir(root)
    said = []
    for rows in (range(1, 9), range(1, 400)):
        put_rows(root, [customer(n, **({} if n in (2, 4) else {"region": "US"})) for n in rows])
        build(root)
        words = [("ls",), ("show", NAME), ("history", NAME, "--limit", "1"), ("read", NAME)]
        answers = [cli(*w, "--as", "anna", "--output", "json").json for w in words]
        said.append([_without_run(a) for a in answers])
    assert said[0] == said[1]
    assert cli("diff", NAME, "--as", "anna").code == 6
    assert cli("check", NAME, "--as", "anna").code == 6
    assert cli("history", NAME, "--as", "otto", "--output", "json").json["versions"][0]["rows"] == 399


VOLATILE = {
    "run_id", "version", "snapshot_id", "published_at", "started_at", "finished_at", "seconds", "reason",
    "versions", "last_run", "host", "actor", "pin",
}  # fmt: skip


def _without_run(value: Any) -> Any:
    """Without what every publish changes: ids, numbers and times of runs."""
    if isinstance(value, dict):
        return {k: _without_run(v) for k, v in value.items() if k not in VOLATILE}
    return [_without_run(v) for v in value] if isinstance(value, list) else value


def test_the_oracle_of_hidden_cells_can_tell(tmp_path: Path, engine: LocalEngine) -> None:
    schema = TableSchema(tuple(f for f in written_schema() if f.name in ("l", "s")), 9999)
    view = View(x.Compare("<", x.Column(("l",)), x.Value(5)), (*_raw("l", "s"),))
    one = Scan(schema, written(tmp_path, schema, [{"l": 1, "s": "a"}]).files, 1, view=view)
    two = Scan(schema, written(tmp_path, schema, [{"l": 1, "s": "b"}]).files, 1, view=view)
    assert observed(lambda: engine.read(one)) != observed(lambda: engine.read(two))


def written_schema() -> TableSchema:
    from views import WHOLE

    return WHOLE


def _raw(*names: str) -> Iterator[Any]:
    from raymesh.mesh.plan import ViewColumn

    return (ViewColumn(n, m.Raw()) for n in names)

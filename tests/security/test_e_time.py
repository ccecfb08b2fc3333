"""E, F: schemas, versions and moments that change under a reader. H: hostile files and keys."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import raymesh
from contracts import schema_of
from governed_shops import (
    COLUMNS,
    NAME,
    POLICIES,
    build,
    customer,
    governed_shop,
    put_rows,
    read,
    sql,
    write_governed_shop,
    write_policies,
)
from meshes import write_product
from observing import Bench, observed
from raymesh.actions import governed
from raymesh.actions.governed import Claim
from raymesh.actions.read import read as read_rows
from raymesh.actions.workspace import open_storage_only
from raymesh.errors import (
    AccessDeniedError,
    GovernanceError,
    InternalError,
    MeshError,
    NotFoundError,
    StorageError,
)
from raymesh.mesh.plan import ViewColumn
from raymesh.spec import mask as m
from raymesh.spec.types import Field, List, Map, Primitive, Struct
from views import SECRET, VARIABLE, viewed, written


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop nobody changes."""
    return governed_shop(tmp_path_factory.mktemp("shop"))


def bench_of(tmp_path: Path, scan: Any) -> Bench:
    return Bench(tmp_path, {"t": scan})


# E: schema, time, lineage


def test_e3_a_column_with_a_dot_in_its_name_is_not_a_member(tmp_path: Path) -> None:
    schema = schema_of(**{"user.ssn": "string", "user": Struct((Field("ssn", Primitive("string")),))})
    rows = [{"user.ssn": "plain", "user": {"ssn": "inside"}}]
    scan = written(tmp_path, schema, rows)
    for shown, hidden in (("user.ssn", "inside"), ("user", "plain")):
        bench = bench_of(tmp_path, viewed(scan, shown))
        assert bench.read().schema.names == [shown]
        assert hidden not in str(bench.read().to_pylist())
        bench.close()


def test_e4_hiding_a_parent_hides_its_children(tmp_path: Path) -> None:
    person = Struct((Field("ssn", Primitive("string")),))
    schema = schema_of(id="long", s=person, l=List(person), m=Map(Primitive("string"), Primitive("string")))
    rows = [{"id": 1, "s": {"ssn": "h1dden"}, "l": [{"ssn": "h1dden"}], "m": [("h1dden", "h1dden")]}]
    masks = (m.Null(), m.Token("c"), m.Partial(1, 1), m.Literally("x"))
    for mask in masks:
        scan = viewed(
            written(tmp_path, schema, rows), "id", *(ViewColumn(c, mask) for c in ("s", "l", "m")), key=None
        )
        if isinstance(mask, m.Token):
            continue  # a token of a nested value has no text; decide never asks for one
        bench = bench_of(tmp_path, scan)
        for query in ("select s.ssn from t", "select l[1].ssn from t", "select map_keys(m) from t", "from t"):
            assert b"h1dden" not in repr(observed(lambda b=bench, q=query: b.sql(q))).encode()
        bench.close()


def test_e5_a_row_as_a_whole_is_masked_too(shop: Path) -> None:
    for query in (
        f"select t from {NAME} t",
        f"select to_json(t) as j from {NAME} t",
        f"select columns('.*') from {NAME}",
        f"select * replace (upper(email) as email) from {NAME}",
        f"select unnest(t) from {NAME} t",
        f"select row(t.*) from {NAME} t",
        f"select struct_pack(a := email, b := phone) from {NAME}",
        f"select list(email), string_agg(phone) from {NAME}",
    ):
        try:
            found = str(sql(shop, query, "anna", "marketing").to_pylist())
        except MeshError as error:
            found = str(error)
        assert "example.com" not in found
        assert "SECRET" not in found
        assert "+49" not in found


def test_e6_an_old_version_is_read_under_the_policies_of_today(tmp_path: Path) -> None:
    root = write_governed_shop(tmp_path, policies=[*POLICIES[:-1]])
    build(root)
    assert "secret" in read(root, "anna", "marketing").schema.names
    put_rows(root, [customer(1)])
    write_policies(root, POLICIES)
    build(root)
    old = read(root, "anna", "marketing", version=1)
    assert "secret" not in old.schema.names
    assert {r["region"] for r in old.to_pylist()} == {"EU"}
    with pytest.raises(NotFoundError):
        read(root, "anna", "marketing", version=1, columns=["secret"])


def test_e6_a_policy_follows_a_column_into_versions_where_it_was_called_otherwise(tmp_path: Path) -> None:
    fitting = [p for p in POLICIES if not p["name"].startswith("support")]  # the others name columns as now
    root = write_governed_shop(tmp_path, policies=fitting)
    old_names = {("area" if n == "region" else "mail" if n == "email" else n): c for n, c in COLUMNS.items()}
    query = "select id, region as area, email as mail, phone, born, income, note, secret from source.raw"
    write_product(root, NAME, old_names, sql=query)
    build(root)
    renamed = dict(COLUMNS)
    for name, old in (("region", "area"), ("email", "mail")):
        custom = [{"property": "renamedFrom", "value": old, "vendor": "raymesh"}]
        renamed[name] = {**COLUMNS[name], "customProperties": custom}
    write_product(root, NAME, renamed, sql="select * from source.raw", version="2.0.0")
    write_policies(root, POLICIES)
    with raymesh.Mesh.load(root) as mesh:
        report = mesh.run().reports[0]
    assert report.status == "published", report.reason
    now, before = read(root, "anna", "marketing"), read(root, "anna", "marketing", version=1)
    assert {r["region"] for r in now.to_pylist()} == {"EU"}
    assert {r["area"] for r in before.to_pylist()} == {"EU"}
    assert "example.com" not in str(before.to_pylist())
    assert before["mail"].to_pylist() == now["email"].to_pylist()
    by_cell = read(root, "sam", "service", version=1)
    assert [(r["phone"] is not None) == (r["area"] == "EU") for r in by_cell.to_pylist()] == [True] * 8
    assert {r["area"] for r in by_cell.to_pylist()} == {"EU", "US"}


def test_e6_a_column_that_lost_its_name_to_another_one_is_seen_by_nobody(tmp_path: Path) -> None:
    """What policies say of `note` is about the column that is called so now."""
    root = governed_shop(tmp_path)
    without = {n: c for n, c in COLUMNS.items() if n != "note"}
    write_product(root, NAME, without, sql="select * exclude (note) from source.raw", version="2.0.0")
    write_policies(root, [p for p in POLICIES if p["name"] != "support"])
    build(root)
    assert "note" in read(root, "otto", "audit", version=1).schema.names
    write_product(
        root, NAME, COLUMNS, sql="select * replace ('new' as note) from source.raw", version="3.0.0"
    )
    build(root)
    assert set(read(root, "otto", "audit")["note"].to_pylist()) == {"new"}
    old = read(root, "otto", "audit", version=1)
    assert old.num_rows == 8
    assert "note" not in old.schema.names


def test_e6_an_old_version_is_read_for_the_purposes_of_today(tmp_path: Path) -> None:
    root = governed_shop(tmp_path)
    contract = root / "domains/shop/products/customers/contract.yaml"
    purposes = {"property": "purposes", "value": ["audit"], "vendor": "raymesh"}
    contract.write_text(json.dumps({**json.loads(contract.read_text()), "customProperties": [purposes]}))
    put_rows(root, [customer(2)])
    build(root)
    assert read(root, "otto", "audit", version=1).num_rows == 8
    with pytest.raises(AccessDeniedError, match="for that purpose"):
        read(root, "anna", "marketing", version=1)


AGREED = {**COLUMNS, "agreed": {"physicalType": "boolean", "logicalType": "boolean", "tags": ["public"]}}
BY_CONSENT = {
    "name": "support-by-consent",
    "effect": "grant",
    "who": {"groups": ["support"]},
    "what": {"products": [NAME]},
    "rows": "agreed = true",
}


def publish_consents(root: Path, agreed: str) -> None:
    """Publish the customers with who agreed to marketing, as the SQL `agreed` says."""
    query = f"select *, {agreed} as agreed from source.raw"
    contract = write_product(root, NAME, AGREED, sql=query) / "contract.yaml"
    consent = {"property": "consent", "value": {"marketing": "agreed"}, "vendor": "raymesh"}
    contract.write_text(json.dumps({**json.loads(contract.read_text()), "customProperties": [consent]}))
    build(root)


def test_i11_who_withdrew_consent_is_shown_in_no_version(tmp_path: Path) -> None:
    root = write_governed_shop(tmp_path, policies=[*POLICIES[:2], BY_CONSENT, *POLICIES[4:]])
    publish_consents(root, "true")
    publish_consents(root, "id <> 4")
    assert read(root, "anna", "marketing")["id"].to_pylist() == [2, 6, 8]
    for who, purpose in (("anna", "marketing"), ("sam", "service")):
        assert 4 not in read(root, who, purpose)["id"].to_pylist()
        with pytest.raises(AccessDeniedError, match="does not say who still consents") as caught:
            read(root, who, purpose, version=1)
        assert caught.value.hint == "read the current version"
    assert read(root, "otto", "audit", version=1).num_rows == 8  # nothing of it follows from consent


def test_i11_a_stream_ends_when_a_later_version_may_say_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_governed_shop(tmp_path, [customer(2 * n) for n in range(150_000)])
    publish_consents(root, "true")
    monkeypatch.setattr(governed, "RECHECK", timedelta(0))
    with raymesh.Mesh.load(root) as mesh:
        by_consent = mesh.read(NAME, as_="anna", purpose="marketing").to_batches()
        otherwise = mesh.read(NAME, as_="otto", purpose="audit").to_batches()
        assert next(by_consent).num_rows
        assert next(otherwise).num_rows
        publish_consents(root, "id <> 4")
        with pytest.raises(AccessDeniedError, match="changed while"):
            list(by_consent)
        assert sum(batch.num_rows for batch in otherwise) > 0


def test_e7_what_is_exported_is_what_may_be_seen(
    shop: Path, tmp_path: Path, cli: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(shop)
    words = ("read", NAME, "--as", "anna", "--purpose", "marketing")
    for form in ("parquet", "arrow", "csv", "json"):
        target = tmp_path / f"out.{form}"
        assert cli(*words, "--format", form, "--to", str(target)).code == 0
        content = target.read_bytes()
        assert b"example.com" not in content
        assert b"SECRET" not in content


def test_e10_a_mask_that_does_not_fit_the_type_shows_nothing(tmp_path: Path) -> None:
    schema = schema_of(id="long", n="long", s="string", b="boolean")
    scan = viewed(
        written(tmp_path, schema, [{"id": 1, "n": 5, "s": "text", "b": True}]),
        "id",
        ViewColumn("n", m.Partial(1, 1)),
        ViewColumn("s", m.Truncate("year")),
        ViewColumn("b", m.Literally("text")),
    )
    bench = bench_of(tmp_path, scan)
    assert bench.read().to_pylist() == [{"id": 1, "n": None, "s": None, "b": None}]
    assert bench.rows("select n is null and s is null and b is null as hidden from t") == [{"hidden": True}]
    bench.close()


def test_e11_names_that_differ_in_case_only_are_never_published(tmp_path: Path) -> None:
    root = write_governed_shop(tmp_path)
    write_product(root, NAME, COLUMNS, sql='select *, email as "EMAIL" from source.raw')
    with raymesh.Mesh.load(root) as mesh:
        assert mesh.run().reports[0].status != "published"


def many(root: Path) -> Path:
    """Enough rows for several batches."""
    return governed_shop(root, [customer(2 * n) for n in range(150_000)])


def test_e12_a_stream_ends_when_a_policy_takes_the_right_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = many(tmp_path)
    monkeypatch.setattr(governed, "RECHECK", timedelta(0))
    with raymesh.Mesh.load(root) as mesh:
        stream = mesh.read(NAME, as_="anna", purpose="marketing").to_batches()
        assert next(stream).num_rows
        denied = {"name": "stop", "effect": "deny", "who": {"principals": ["anna"]}}
        write_policies(root, [*POLICIES, denied])
        with pytest.raises(AccessDeniedError, match="changed while"):
            list(stream)


def test_e12_a_stream_ends_when_a_policy_shows_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = many(tmp_path)
    monkeypatch.setattr(governed, "RECHECK", timedelta(0))
    with raymesh.Mesh.load(root) as mesh:
        stream = mesh.read(NAME, as_="anna", purpose="marketing").to_batches()
        assert next(stream).num_rows
        write_policies(
            root,
            [*POLICIES, {"name": "notes", "effect": "mask", "what": {"columns": ["note"]}, "mask": "hide"}],
        )
        with pytest.raises(AccessDeniedError, match="changed while"):
            list(stream)


def test_f7_the_time_of_a_stream_does_not_go_back_with_the_clock() -> None:
    guard = governed._Guard.__new__(governed._Guard)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    guard._began = ahead, time.monotonic() - 60
    assert guard.now() >= ahead + timedelta(seconds=60)


def test_e12_a_stream_ends_with_the_decision_it_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that runs past the end of a grant ends the stream, even when nobody looked in between."""
    grant = {**POLICIES[1], "expires": (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")}
    root = governed_shop(tmp_path, [customer(n) for n in range(150_000)], policies=[grant, *POLICIES[4:]])
    with raymesh.Mesh.load(root) as mesh:
        stream = mesh.read(NAME, as_="otto").to_batches()
        assert next(stream).num_rows
        monkeypatch.setattr(governed._Guard, "now", lambda _: datetime.now(UTC) + timedelta(hours=2))
        with pytest.raises(AccessDeniedError):
            list(stream)


def test_e12_budgets_are_taken_batch_by_batch(tmp_path: Path) -> None:
    from raymesh.actions import access
    from raymesh.actions.identity import principal_of
    from raymesh.governance.agreements import Terms

    root = many(tmp_path)
    with raymesh.Mesh.load(root) as mesh:
        storage, now = mesh._workspace.storage, datetime.now(UTC)
        guest, owner = principal_of(storage, "guest"), principal_of(storage, "olga")
        terms = Terms("service", "because", 3600, ("guest",), columns=("id", "note"), max_rows=70_000)
        asked = access.request(storage, NAME, guest, terms, now)
        access.approve(storage, asked.id, owner, "fine", now)
        stream = mesh.read(NAME, as_="guest", purpose="service").to_batches()
        got = 0
        with pytest.raises(AccessDeniedError, match="budget"):
            for batch in stream:
                got += batch.num_rows
        assert 0 < got <= 70_000


# F: between the decision and the read


def test_f3_no_row_comes_after_the_rules_have_changed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governed, "RECHECK", timedelta(0))
    monkeypatch.setattr(governed._Guard, "_again", lambda *_: (_ for _ in ()).throw(AccessDeniedError("no")))
    with pytest.raises(AccessDeniedError):
        read(shop, "anna", "marketing")
    with pytest.raises(AccessDeniedError):
        sql(shop, f"select * from {NAME}", "anna", "marketing")


def test_f4_a_table_that_was_replaced_is_read_as_it_was_pinned(tmp_path: Path) -> None:
    root = governed_shop(tmp_path)
    with raymesh.Mesh.load(root) as mesh:
        pinned = mesh.read(NAME, as_="anna", purpose="marketing")
        put_rows(root, [customer(n, region="EU", note="later") for n in range(50, 60)])
        build(root)
        assert "later" not in str(pinned.to_arrow().to_pylist())
        assert pinned.version == 1


def test_f5_a_file_that_is_swapped_shows_no_column_that_is_hidden(tmp_path: Path) -> None:
    """Whoever can write the warehouse can give rows another content, never another policy."""
    root = governed_shop(tmp_path)
    with raymesh.Mesh.load(root) as mesh, open_storage_only(root) as storage:
        reading = mesh.read(NAME, as_="anna", purpose="marketing")
        file = Path(reading._pinned.scan.files[0])
        other = tmp_path / "other.parquet"
        other.write_bytes(file.read_bytes())
        file.unlink()
        file.symlink_to(other)
        assert "SECRET" not in str(reading.to_arrow().to_pylist())
        assert storage.root == root


# H: files and keys


def test_h6_a_file_with_an_extension_type_runs_no_code(tmp_path: Path) -> None:
    """The storage is read, never the object: what a file says about Python types is not looked at."""
    import pyarrow.parquet as pq

    ran = tmp_path / "ran"

    class Evil(pa.ExtensionType):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pa.binary(), "raymesh.test.evil")

        def __arrow_ext_serialize__(self) -> bytes:
            return b"x"

        @classmethod
        def __arrow_ext_deserialize__(cls, _kind: Any, _said: bytes) -> Evil:
            ran.touch()
            return cls()

    schema = schema_of(id="long", b="binary")
    scan = written(tmp_path / "data", schema, [{"id": 1, "b": b"x"}])
    meta = [{b"PARQUET:field_id": str(f.id).encode()} for f in schema]
    table = pa.table(
        [pa.array([1]), pa.ExtensionArray.from_storage(Evil(), pa.array([b"x"], pa.binary()))],
        schema=pa.schema(
            [pa.field("id", pa.int64(), metadata=meta[0]), pa.field("b", Evil(), metadata=meta[1])]
        ),
    )
    pq.write_table(table, scan.files[0])
    pa.register_extension_type(Evil())
    ran.unlink(missing_ok=True)
    bench = bench_of(tmp_path, viewed(scan, "id", "b"))
    try:
        assert bench.read().schema.types == [pa.int64(), pa.binary()]
        assert bench.sql("select b from t").schema.types == [pa.binary()]
    finally:
        pa.unregister_extension_type("raymesh.test.evil")
        bench.close()
    assert not ran.exists()


def test_h12_one_secret_makes_another_key_for_each_context(monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.engines.kernel.tokens import token_key, tokens
    from views import KEY

    monkeypatch.setenv(VARIABLE, SECRET)
    made = [tokens(pa.array(["value"]), token_key(KEY, c))[0].as_py() for c in ("a|p|d", "b|p|d", "a|q|d")]
    assert len(set(made)) == 3


def test_h12_the_key_shows_up_nowhere(tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = governed_shop(tmp_path)
    read(root, "anna", "marketing")
    file = root / ".raymesh" / "token.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = file.read_text().strip()
    assert len(key) == 64
    with raymesh.Mesh.load(root) as mesh:
        reading = mesh.read(NAME, as_="anna", purpose="marketing")
        assert key not in repr(reading._pinned) + repr(reading._pinned.access) + str(reading)
    monkeypatch.chdir(root)
    answer = cli("read", NAME, "--as", "anna", "--purpose", "marketing", "--output", "json")
    assert key not in answer.out + answer.err
    assert key.encode() not in b"".join(p.read_bytes() for p in (root / ".raymesh").glob("mesh.db*"))


def test_h12_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    root = governed_shop(tmp_path)
    read(root, "anna", "marketing")
    (root / ".raymesh" / "token.key").chmod(0o644)
    with pytest.raises(MeshError, match="read the key"):
        read(root, "anna", "marketing")


# I1, and what a read leaves behind


def test_i1_without_a_record_there_are_no_rows(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raymesh.actions import audit

    def broken(*_: Any, **__: Any) -> Any:
        raise StorageError("the log cannot be written")

    monkeypatch.setattr(audit, "record", broken)
    for look in (
        lambda: read(shop, "anna", "marketing"),
        lambda: sql(shop, f"from {NAME}", "anna", "marketing"),
    ):
        with pytest.raises(StorageError):
            look()


def test_every_read_and_every_refusal_is_in_the_log_before_a_row_is_shown(tmp_path: Path) -> None:
    root = governed_shop(tmp_path)
    with open_storage_only(root) as storage:
        from raymesh.actions.read import open_engine

        engine = open_engine(storage)
        read_rows(storage, engine, NAME, claim=Claim("otto"))[1].close()
        before = storage.state.audit.head().size
        _, rows = read_rows(storage, engine, NAME, claim=Claim("anna", "marketing"), where="note = 'private'")
        assert storage.state.audit.head().size == before + 1
        with pytest.raises(AccessDeniedError):
            read_rows(storage, engine, NAME, claim=Claim("nobody"))
        allowed, denied = reversed(storage.state.audit.records(limit=2))
        assert (allowed.kind, allowed.principal, allowed.outcome) == ("read", "anna", "allowed")
        assert (denied.principal, denied.outcome) == ("nobody", "denied")
        assert "private'" not in allowed.text
        assert allowed.said["detail"]["columns"]["email"] == "token"
        rows.close()
        engine.close()


def test_a_mesh_that_lost_its_policies_shows_nothing(tmp_path: Path) -> None:
    import shutil

    root = governed_shop(tmp_path)
    read(root, "otto")
    shutil.rmtree(root / "governance")
    with pytest.raises((AccessDeniedError, GovernanceError)):
        read(root, "otto")


def test_a_reader_who_is_not_named_is_refused(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAYMESH_AS", raising=False)
    with pytest.raises(AccessDeniedError, match="nobody is named"):
        read(shop, None)
    monkeypatch.setenv("RAYMESH_AS", "otto")
    assert read(shop, None).num_rows == 8


def test_raw_rows_have_no_other_door(shop: Path) -> None:
    """A scan with a view cannot be measured, built from or bound to a name: all of that reads raw rows."""
    from raymesh.actions.read import open_engine

    with raymesh.Mesh.load(shop) as mesh:
        pinned = mesh.read(NAME, as_="anna", purpose="marketing")._pinned
        engine = open_engine(mesh._workspace.storage)
        with pytest.raises(InternalError):
            engine.measure(pinned.scan, ())
        engine.close()


def test_an_inferred_contract_says_nothing_of_what_is_hidden(shop: Path, cli: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(shop)
    answer = cli("infer", NAME, "--as", "anna", "--purpose", "marketing")
    assert answer.code == 0
    assert "example.com" not in answer.out
    assert "secret" not in answer.out
    assert cli("infer", NAME, "--as", "nobody").code == 6


def dates(rows: pa.Table) -> Iterator[date]:
    yield from rows["born"].to_pylist()


def test_masks_of_policies_reach_the_reader(shop: Path) -> None:
    rows = read(shop, "anna", "marketing")
    assert all(d.day == d.month == 1 for d in dates(rows))
    assert all(p.startswith("***") and len(p) == 5 for p in rows["phone"].to_pylist())
    assert {int(v) % 1000 for v in rows["income"].to_pylist()} == {0}

"""read and sql: every form, every option, and what is said about mistakes."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from shops import process


def test_a_table_is_the_default(cli, built):
    answer = cli("read", "shop.orders")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "id  amount  email   day",
        " 1     2.5  a@b.de  2024-01-01",
        " 2     3.5  c@d.de  2024-01-02",
        " 3     4.5  ∅       2024-01-03",
    ]
    assert answer.err == ""


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("--columns", "id,day", "--limit", "1"), ['"id","day"', "1,2024-01-01"]),
        (("--columns", "id", "--where", "amount > 3 and email is not null"), ['"id"', "2"]),
        (("--columns", "id", "--where", "day = '2024-01-03'", "--version", "1"), ['"id"', "3"]),
        (("--columns", "id", "--limit", "0"), ['"id"']),
    ],
)
def test_columns_conditions_limits_and_versions_choose_rows(cli, built, words, lines):
    assert cli("read", "shop.orders", *words, "--format", "csv").out.splitlines() == lines


def test_json_is_one_object_per_line(cli, built):
    answer = cli("read", "shop.orders", "--format", "json", "--limit", "1")
    assert json.loads(answer.out) == {"id": 1, "amount": 2.5, "email": "a@b.de", "day": "2024-01-01"}


def test_parquet_and_arrow_are_written_whole_to_files(cli, built, tmp_path):
    for form in ("parquet", "arrow", "csv", "json"):
        answer = cli("read", "shop.orders", "--format", form, "--to", str(tmp_path / form))
        assert (answer.code, answer.out) == (0, "")
        assert f"wrote {tmp_path / form}" in answer.err
    assert pq.read_table(tmp_path / "parquet").num_rows == 3
    assert pa.ipc.open_stream(tmp_path / "arrow").read_all().num_rows == 3
    assert {p.name for p in tmp_path.iterdir() if p.is_file()} == {"parquet", "arrow", "csv", "json"}


def test_arrow_goes_through_a_pipe(built):
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "raymesh", "read", "shop.orders", "--format", "arrow"],
        cwd=built,
        capture_output=True,
        check=True,
    )
    assert pa.ipc.open_stream(io.BytesIO(done.stdout)).read_all().num_rows == 3


def test_a_document_holds_version_columns_and_rows(cli, built):
    document = cli("read", "shop.orders", "--output", "json", "--columns", "id").json
    assert (document["schema"], document["version"]) == ("raymesh/read/1", 1)
    assert document["columns"] == [{"name": "id", "type": "int64"}]
    assert document["rows"] == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert cli("read", "shop.orders", "--output", "json", "--limit", "0").json["rows"] == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("read", "shop.ordrs"), 1, "did you mean `shop.orders`?"),
        (("read", "orders"), 1, "did you mean `shop.orders`?"),
        (("read", "no.such"), 1, "raymesh ls lists the products"),
        (("read", "shop.orders__b"), 1, "shop.orders has no published port b"),
        (("read", "shop.orders", "--version", "9"), 1, "readable: 1"),
        (("read", "shop.orders", "--columns", "amunt"), 1, "did you mean `amount`?"),
        (("read", "shop.orders", "--columns", "zzz"), 1, "columns: id, amount, email, day"),
        (("read", "shop.orders", "--where", "amunt > 1"), 1, "did you mean `amount`?"),
        (("read", "shop.orders", "--where", "amount >"), 2, "the condition cannot be read"),
        (("read", "shop.orders", "--where", "day = 'soon'"), 2, "ISO 8601"),
        (("read", "shop.orders", "--where", "length(email) > 3"), 2, "cannot be used in a condition"),
        (("read", "shop.orders", "--format", "xml"), 2, "xml"),
        (("read", "shop.orders", "--format", "csv", "--to", "no/x.csv"), 2, "no folder no"),
        (("read", "shop.orders", "--to", "x.txt"), 2, "add --format"),
        (("read",), 2, "PRODUCT"),
        (("sql", "select * from shop.ordrs"), 1, "did you mean `shop.orders`?"),
        (("sql", "select amunt from shop.orders"), 1, "query:1:8"),
        (("sql", "drop table shop.orders"), 2, "is not a SELECT"),
        (("sql", "select * from 'orders.csv'"), 2, "orders.csv"),
        (("sql", "selec 1"), 2, "query:1:"),
        (("history", "shop.ordrs"), 1, "did you mean `shop.orders`?"),
        (("show", "shop.ordrs"), 1, "did you mean `shop.orders`?"),
        (("show", "shop.orders", "--run", "zzz"), 1, "raymesh history shop.orders"),
        (("diff", "shop.orders", "--from", "4"), 1, "readable: 1"),
        (("lineage", "shop.ordrs"), 1, "did you mean `shop.orders`?"),
        (("lineage", "shop.orders", "--column", "amunt"), 1, "did you mean `amount`?"),
        (("lineage", "shop.orders", "--down"), 2, "--column"),
        (("ls", "shop.ordrs"), 1, "did you mean `shop.orders`?"),
    ],
)
def test_a_mistake_names_the_way_out_and_writes_nothing_to_stdout(cli, built, words, code, told):
    answer = cli(*words)
    assert answer.code == code, answer
    assert told in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err


def test_sql_joins_products_and_reads_from_standard_input(cli, built, monkeypatch):
    query = "select count(*) as n from shop.orders o join shop.large l using (id)"
    assert cli("sql", query, "--format", "csv").out.splitlines() == ['"n"', "2"]
    monkeypatch.setattr("sys.stdin", io.StringIO(query))
    document = cli("sql", "-", "--output", "json").json
    assert document["rows"] == [{"n": 2}]
    assert sorted(document["products"]) == ["shop.large", "shop.orders"]


def test_values_json_cannot_hold_become_ones_it_can(cli, built):
    query = (
        "select 'nan'::double as x, '\\xAA'::blob as b, 1.10::decimal(9,2) as d, {'a': date '2024-01-01'} as s,"
        " timestamp '2024-01-01 10:00:00' as t"
    )
    row = json.loads(cli("sql", query, "--format", "json").out)
    assert row == {"x": None, "b": "qg==", "d": "1.10", "s": {"a": "2024-01-01"}, "t": "2024-01-01T10:00:00"}
    assert cli("sql", query, "--output", "json").json["rows"] == [row]
    lines = cli("sql", query, "--format", "csv").out.splitlines()
    assert '"{""a"": ""2024-01-01""}"' in lines[1]


def test_a_table_shows_no_control_characters_and_cuts_long_values(cli, built):
    answer = cli("sql", "select chr(27) || '[31mred' as a, 'two\nlines' as b, repeat('x', 200) as c")
    assert "\x1b" not in answer.out
    assert "\\x1b[31mred  two\\nlines" in answer.out
    assert "x" * 59 + "…" in answer.out
    assert len(answer.out.splitlines()) == 2


def test_wide_characters_keep_columns_straight(cli, built):
    lines = cli("sql", "select * from (values ('日本', 1), ('ab', 22)) v(a, b)").out.splitlines()
    assert lines == ["a      b", "日本   1", "ab    22"]


def test_a_long_table_says_how_much_it_left_out(cli, shop):
    rows = "\n".join(f"{i},1.5,,2024-01-01" for i in range(40))
    (shop / "orders.csv").write_text(f"id,amount,email,day\n{rows}\n", encoding="utf-8")
    cli("run", "shop.orders", "--quiet")
    answer = cli("read", "shop.orders")
    assert len(answer.out.splitlines()) == 21
    assert "20 of 40 rows" in answer.err
    assert len(cli("read", "shop.orders", "--limit", "30").out.splitlines()) == 31
    assert "no rows" in cli("read", "shop.orders", "--where", "id < 0").err


def test_a_product_that_was_never_published_says_how_to_build_it(cli, shop):
    for verb in ("read", "history", "diff"):
        answer = cli(verb, "shop.large")
        assert answer.code == 1
        assert "raymesh run +shop.large builds it" in answer.err


def test_a_reader_in_another_process_sees_the_same(built):
    done = process("read", "shop.totals", "--format", "csv", cwd=built / "domains")
    assert (done.returncode, done.stdout, done.stderr) == (0, '"orders","amount"\n2,8\n', "")

from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal

import pytest

from raymesh.errors import CorruptFileError, SourceError, SourceSpan


def csv(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return {"type": "csv", "name": "given", "location": path.name}


def typed(spec, **columns):
    return {**spec, "columns": [{"name": n, "type": t} for n, t in columns.items()]}


def test_types_are_taken_from_the_records_and_text_that_only_looks_like_numbers_stays_text(reader, tmp_path):
    spec = csv(
        tmp_path / "a.csv",
        "id,zip,phone,price,day,at,instant,flag,note,long\n"
        "1,01234,+4930123,1.5,2024-02-29,2024-01-01 10:00:00,2024-01-01T10:00:00+02:00,true,,1234567890123456789012\n"
        "-2,99999,+4930124,1e3,2024-03-01,2024-01-01 10:00:00.25,2024-01-01T10:00:00Z,FALSE,,1\n",
    )
    relation = reader.relation(spec)
    assert dict(zip(relation.columns, map(str, relation.types), strict=True)) == {
        "id": "BIGINT",
        "zip": "VARCHAR",
        "phone": "VARCHAR",
        "price": "DOUBLE",
        "day": "DATE",
        "at": "TIMESTAMP",
        "instant": "TIMESTAMP WITH TIME ZONE",
        "flag": "BOOLEAN",
        "note": "VARCHAR",
        "long": "VARCHAR",
    }
    row = relation.order("id desc").to_arrow_table().to_pylist()[0]
    assert (row["zip"], row["phone"], row["price"]) == ("01234", "+4930123", 1.5)
    assert row["instant"].astimezone(dt.UTC).hour == 8
    assert [str(f.type) for f in reader.describe(spec).fields][:4] == ["long", "string", "string", "double"]


def test_missing_values_say_nothing_about_types(reader, tmp_path):
    spec = csv(
        tmp_path / "a.csv",
        "day,at,instant,n\n2024-02-29,2024-01-01 10:00:00,2024-01-01T10:00:00Z,1.5\n,,,\n",
    )
    relation = reader.relation(spec)
    assert [str(t) for t in relation.types] == ["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DOUBLE"]


def test_quotes_delimiters_line_ends_and_null_values_follow_the_options(reader, tmp_path):
    spec = csv(tmp_path / "a.csv", "\ufeffid;text;n\r\n1;'a;''b''\nc';-\r\n2;;NA\r\n")
    spec["options"] = {"delimiter": ";", "quote": "'", "nullValues": ["-", "NA"]}
    assert reader.rows(typed(spec, id="bigint", text="varchar", n="integer")) == [
        (1, "a;'b'\nc", None),
        (2, "", None),
    ]


def test_declared_columns_are_found_by_name_in_any_order_and_extra_ones_are_left_out(reader, tmp_path):
    csv(tmp_path / "in/a.csv", "id,extra,name\n1,x,a\n")
    csv(tmp_path / "in/b.csv", "name,id\nb,2\n")
    spec = {"type": "csv", "location": "in"}
    assert reader.rows(typed(spec, name="varchar", id="integer")) == [("a", 1), ("b", 2)]
    with pytest.raises(SourceError, match=r"in/b\.csv: column extra is missing"):
        reader.relation(spec)


def test_all_missing_columns_are_listed(reader, tmp_path):
    spec = typed(csv(tmp_path / "a.csv", "Id,name\n1,a\n"), id="bigint", nme="varchar", total="double")
    with pytest.raises(SourceError) as caught:
        reader.relation(spec)
    text = str(caught.value)
    assert "3 problems" in text
    assert "column id is missing; did you mean Id?" in text
    assert "column nme is missing; did you mean name?" in text
    assert "column total is missing" in text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("bigint", "1.7"),
        ("bigint", "1e-1"),
        ("bigint", "99999999999999999999"),
        ("tinyint", "200"),
        ("decimal(10,2)", "1.239"),
        ("decimal(4,2)", "100.5"),
        ("double", "1e999"),
        ("boolean", "maybe"),
        ("date", "2024-01-01 10:00:00"),
        ("date", "2023-02-29"),
        ("timestamp", "2024-01-01 10:00:00+02:00"),
        ("timestamp", "2024-01-01 10:00:00 Europe/Berlin"),
        ("timestamp", "2024-01-01 10:00:00.1234567"),
        ("time", "10:00:00+02:00"),
        ("uuid", "1234"),
        ("integer[]", "[1, 2.5]"),
        ("struct(a integer)", '{"a": "x"}'),
        ("json", "{"),
    ],
)
def test_a_value_that_does_not_convert_exactly_is_an_error_with_its_place(reader, tmp_path, kind, text):
    quoted = '"' + text.replace('"', '""') + '"'
    spec = typed(csv(tmp_path / "a.csv", f"id,v\n1,\n2,{quoted}\n3,\n"), id="bigint", v=kind)
    with pytest.raises(SourceError, match="in column v is not exactly a") as caught:
        reader.relation(spec)
    assert caught.value.spans == (SourceSpan("a.csv", 3, 3),)
    assert "a.csv, line 3, column 3" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bigint", " 12.0 ", 12),
        ("decimal(10,2)", "1.2300", Decimal("1.23")),
        (
            "decimal(38,10)",
            "1234567890123456789012345678.0123456789",
            Decimal("1234567890123456789012345678.0123456789"),
        ),
        ("date", "2024-02-29 00:00:00", dt.date(2024, 2, 29)),
        ("timestamp", "2024-01-01T10:00:00.1234560", dt.datetime(2024, 1, 1, 10, 0, 0, 123456)),
        ("timestamptz", "2024-01-01 10:00:00", dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)),
        ("timestamptz", "2024-01-01 10:00:00+02", dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)),
        ("varchar", " kept ", " kept "),
        ("integer[]", "[1, null, 3]", [1, None, 3]),
        ("struct(a integer, b varchar[])", '{"a": 1, "b": ["x"], "c": 0}', {"a": 1, "b": ["x"]}),
        ("map(varchar, double)", '{"x/y": 1.5}', [("x/y", 1.5)]),
    ],
)
def test_values_that_convert_exactly_do(reader, tmp_path, kind, text, value):
    quoted = '"' + text.replace('"', '""') + '"'
    relation = reader.relation(typed(csv(tmp_path / "a.csv", f"v,w\n{quoted},1\n"), v=kind))
    assert relation.to_arrow_table().column("v").to_pylist() == [value]


def test_formats_of_dates_and_times_can_be_given(reader, tmp_path):
    spec = csv(tmp_path / "a.csv", "d,t\n29.02.2024,01/02/2024 10:30\n")
    spec["options"] = {"dateFormat": "%d.%m.%Y", "timestampFormat": "%d/%m/%Y %H:%M"}
    assert reader.rows(typed(spec, d="date", t="timestamp")) == [
        (dt.date(2024, 2, 29), dt.datetime(2024, 2, 1, 10, 30))
    ]


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("id,name\n1,a\n2\n3,c\n", SourceSpan("a.csv", 3, 2), "2 values expected, 1 found"),
        ("id,name\n1,a\n2,b,c\n3,c\n", SourceSpan("a.csv", 3, 5), "2 values expected, 3 found"),
        ('id,name\n1,"a\n2,b\n3,c\n', SourceSpan("a.csv", 2, 1), "unterminated quote"),
    ],
)
def test_a_broken_record_is_never_dropped(reader, tmp_path, text, place, sentence):
    with pytest.raises(SourceError, match=sentence) as caught:
        reader.relation(typed(csv(tmp_path / "a.csv", text), id="bigint", name="varchar"))
    assert caught.value.spans[0].line == place.line
    assert caught.value.spans[0].column == place.column
    assert caught.value.hint


def test_the_offending_text_is_shortened(reader, tmp_path):
    spec = typed(csv(tmp_path / "a.csv", "id\n" + "x" * 5000 + "\n"), id="bigint")
    with pytest.raises(SourceError) as caught:
        reader.relation(spec)
    assert len(str(caught.value)) < 300


def test_a_value_beyond_the_first_records_that_needs_another_type_stops_the_read(reader, tmp_path):
    lines = "\n".join(str(i) for i in range(100_000))
    spec = csv(tmp_path / "a.csv", f"id\n{lines}\nlast\n")
    with pytest.raises(
        SourceError, match="line 100002, column 1: 'last' in column id is not exactly a BIGINT"
    ) as caught:
        reader.relation(spec)
    assert "declare `columns`" in (caught.value.hint or "")


def test_the_file_with_the_problem_is_named_among_many(reader, tmp_path):
    for i in range(5):
        csv(tmp_path / f"in/{i}.csv", "id\n1\n" + ("x\n" if i == 3 else ""))
    with pytest.raises(SourceError, match=r"in/3\.csv, line 3"):
        reader.relation(typed({"type": "csv", "location": "in"}, id="bigint"))


def test_doubled_names_and_empty_files_are_listed(reader, tmp_path):
    csv(tmp_path / "in/a.csv", "id,ID\n1,2\n")
    csv(tmp_path / "in/b.csv", "")
    with pytest.raises(SourceError) as caught:
        reader.relation({"type": "csv", "location": "in"})
    assert "in/a.csv: column name id and ID comes 2 times" in str(caught.value)
    assert "in/b.csv is empty: not even a header" in str(caught.value)


def test_a_header_alone_is_a_table_without_rows(reader, tmp_path):
    relation = reader.relation(csv(tmp_path / "a.csv", "id,name\n"))
    assert (relation.columns, relation.fetchall()) == (["id", "name"], [])


def test_without_a_header_declared_columns_are_taken_in_order(reader, tmp_path):
    spec = csv(tmp_path / "a.csv", "1,a\n2,b\n")
    spec["options"] = {"header": False}
    assert reader.rows(typed(spec, id="bigint", name="varchar")) == [(1, "a"), (2, "b")]
    assert reader.relation(spec).columns == ["column0", "column1"]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_read_when_they_are_named(reader, tmp_path, encoding):
    spec = csv(tmp_path / "a.csv", "id,näme\n1,Jürgen\n", encoding)
    with pytest.raises(SourceError, match="is not written in utf-8"):
        reader.relation(spec)
    spec["options"] = {"encoding": encoding}
    relation = reader.relation(spec)
    assert (relation.columns, relation.fetchall()) == (["id", "näme"], [(1, "Jürgen")])


def test_bytes_of_another_encoding_behind_the_header_are_an_error_with_the_line(reader, tmp_path):
    lines = "1,abcdefgh\n" * 2000
    spec = csv(tmp_path / "a.csv", f"id,name\n{lines}2,Jürgen\n", "latin-1")
    with pytest.raises(SourceError, match=r"a\.csv, line 2002.*nicode") as caught:
        reader.relation(typed(spec, id="bigint", name="varchar"))
    assert "encoding" in (caught.value.hint or "")


def test_places_in_recoded_files_name_the_users_file(reader, tmp_path):
    spec = typed(csv(tmp_path / "a.csv", "id,name\n1,ü\n2\n", "latin-1"), id="bigint", name="varchar")
    spec["options"] = {"encoding": "latin-1"}
    with pytest.raises(SourceError, match=r"a\.csv, line 3, column 2"):
        reader.relation(spec)


def test_compressed_files_are_read_and_a_cut_off_one_is_corrupt(reader, tmp_path):
    whole = gzip.compress(b"id,n\n" + b"".join(b"%d,%d\n" % (i, i * 7919 % 1013) for i in range(20_000)))
    (tmp_path / "a.csv.gz").write_bytes(whole)
    spec = {"type": "csv", "location": "a.csv.gz"}
    assert reader.relation(spec).aggregate("count(*)").fetchall() == [(20_000,)]
    (tmp_path / "a.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError, match=r"a\.csv\.gz"):
        reader.relation(spec)
    (tmp_path / "a.csv.gz").write_bytes(b"id\n1\n")
    with pytest.raises(SourceError, match=r"a\.csv\.gz"):
        reader.relation(spec)


def test_reserved_words_quotes_and_unicode_are_good_column_names(reader, tmp_path):
    spec = csv(tmp_path / "a.csv", 'select,"a""b",größe,"x y"\n1,2,3,4\n')
    relation = reader.relation(spec)
    assert (relation.columns, relation.fetchall()) == (["select", 'a"b', "größe", "x y"], [(1, 2, 3, 4)])
    assert reader.rows(typed(spec, **{'a"b': "integer", "select": "integer"})) == [(2, 1)]


@pytest.mark.s3
def test_objects_are_read_with_places_in_their_addresses(reader, s3_bucket):
    s3_bucket.put("in/a.csv", b"id,name\n1,a\n")
    bad = s3_bucket.put("in/b.csv", b"id,name\nx,b\n")
    spec = {"type": "csv", "location": f"{s3_bucket.address}/in/a.csv", "storage": s3_bucket.storage}
    assert reader.rows(spec) == [(1, "a")]
    with pytest.raises(SourceError, match=f"{bad}, line 2, column 1: 'x' in column id"):
        reader.relation(typed({**spec, "location": f"{s3_bucket.address}/in"}, id="bigint", name="varchar"))
    s3_bucket.put("in/b.csv", b"id,name\n2\n")
    with pytest.raises(SourceError, match=f"{bad}, line 2, column 2: 2 values expected, 1 found"):
        reader.relation(typed({**spec, "location": bad}, id="bigint", name="varchar"))

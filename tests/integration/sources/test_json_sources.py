from __future__ import annotations

import datetime as dt
import gzip
from decimal import Decimal

import pytest

from raymesh.errors import CorruptFileError, SourceError, SourceSpan


def given(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return {"type": "json", "name": "given", "location": path.name}


def typed(spec, **columns):
    return {**spec, "columns": [{"name": n, "type": t} for n, t in columns.items()]}


LINES = '{"id": 1, "who": {"name": "a", "tags": ["x"]}}\n{"id": 2, "who": null}\n\n'
ARRAY = '[{"id": 1, "who": {"name": "a", "tags": ["x"]}},\n {"id": 2}]'
LOOSE = '{\n  "id": 1,\n  "who": {"name": "a", "tags": ["x"]}\n}\n{\n  "id": 2\n}\n'
ROWS = [(1, {"name": "a", "tags": ["x"]}), (2, None)]


@pytest.mark.parametrize("text", [LINES, ARRAY, LOOSE], ids=["lines", "array", "loose"])
def test_the_usual_ways_to_write_records_are_recognised(reader, tmp_path, text):
    spec = given(tmp_path / "a.json", text)
    assert reader.rows(spec) == ROWS
    assert reader.rows(typed(spec, id="bigint", who="struct(name varchar, tags varchar[])")) == ROWS
    assert [f.name for f in reader.describe(spec).fields] == ["id", "who"]


def test_types_come_from_all_records_not_from_the_first(reader, tmp_path):
    text = '{"n": 1}\n' * 30_000 + '{"n": 1.5, "late": true}\n'
    relation = reader.relation(given(tmp_path / "a.jsonl", text))
    assert list(map(str, relation.types)) == ["DOUBLE", "BOOLEAN"]


def test_files_with_different_members_are_read_together(reader, tmp_path):
    given(tmp_path / "in/a.json", '[{"id": 1}]')
    given(tmp_path / "in/b.json", '[{"id": 2, "more": "x"}]')
    assert reader.rows({"type": "json", "location": "in"}) == [(1, None), (2, "x")]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("bigint", "1.7"),
        ("bigint", '"x"'),
        ("bigint", "[1]"),
        ("bigint", "12345678901234567890"),
        ("integer", "3000000000"),
        ("decimal(6,2)", "1.239"),
        ("date", '"2024-01-01T10:00:00"'),
        ("timestamp", '"2024-01-01T10:00:00Z"'),
        ("struct(a integer)", '{"a": 1.5}'),
        ("struct(a integer)", "[1]"),
        ("integer[]", "[1, 2.5]"),
        ("integer[]", '{"a": 1}'),
        ("map(varchar, integer)", '{"a": "x"}'),
        ("struct(a struct(b integer[]))", '{"a": {"b": [1, null, "x"]}}'),
    ],
)
def test_a_value_that_does_not_convert_exactly_is_an_error_with_its_line(reader, tmp_path, kind, text):
    spec = typed(given(tmp_path / "a.jsonl", f'{{"v": null}}\n{{"id": 1}}\n{{"v": {text}}}\n'), v=kind)
    with pytest.raises(SourceError, match=r"a\.jsonl, line 3: .* in column v is not exactly a") as caught:
        reader.relation(spec)
    assert caught.value.spans == (SourceSpan("a.jsonl", 3),)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("bigint", "7.0", 7),
        ("bigint", '"7"', 7),
        ("decimal(6,2)", "1.20", Decimal("1.20")),
        ("decimal(30,12)", '"123456789012345678.123456789012"', Decimal("123456789012345678.123456789012")),
        ("timestamptz", '"2024-01-01T10:00:00+02:00"', dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)),
        ("varchar", '{"a": 1}', '{"a":1}'),
        ("json", "[1]", "[1]"),
        ("map(varchar, integer)", '{"a~/b": 1}', [("a~/b", 1)]),
        ('struct("a/b" integer, c integer)', '{"a/b": 1}', {"a/b": 1, "c": None}),
        ("integer[][]", "[[1], null, []]", [[1], None, []]),
    ],
)
def test_values_that_convert_exactly_do(reader, tmp_path, kind, text, value):
    relation = reader.relation(typed(given(tmp_path / "a.jsonl", f'{{"v": {text}}}\n'), v=kind))
    assert relation.to_arrow_table().column("v").to_pylist() == [value]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"id": 1}\n{"id": 2,, "x": 1}\n', SourceSpan("a.json", 2, 10)),
        ('{"id": 1}\n{"id": 2\n{"id": 3}\n', SourceSpan("a.json", 2, 9)),
        ('[{"id": 1},\n {"id": 2,, "x": 1}]', SourceSpan("a.json", 2, 11)),
        ('[{"id": 1},\n {"id": 2}', SourceSpan("a.json", 2, 11)),
        ('[{"id": 1}, 5]', SourceSpan("a.json", 1, 1)),
    ],
    ids=["comma", "line end", "array comma", "array cut off", "no object"],
)
def test_broken_json_is_an_error_with_its_place(reader, tmp_path, text, place):
    for spec in (given(tmp_path / "a.json", text), typed(given(tmp_path / "a.json", text), id="bigint")):
        with pytest.raises(SourceError, match=r"a\.json, (line|record 2)") as caught:
            reader.relation(spec)
        assert caught.value.spans == (place,)


def test_a_declared_column_no_record_has_is_missing_and_one_that_is_always_null_is_not(reader, tmp_path):
    spec = given(tmp_path / "a.jsonl", '{"id": 1, "none": null}\n')
    with pytest.raises(SourceError, match="column Id is missing; did you mean id"):
        reader.relation(typed(spec, Id="bigint", none="varchar"))
    assert reader.rows(typed(spec, id="bigint", none="varchar")) == [(1, None)]


def test_a_member_written_twice_is_an_error(reader, tmp_path):
    with pytest.raises(SourceError, match="duplicate key"):
        reader.relation(given(tmp_path / "a.jsonl", '{"id": 1, "id": 2}\n'))


@pytest.mark.parametrize("text", ["", "[]", "\n\n"])
def test_no_records_are_rows_only_when_columns_are_declared(reader, tmp_path, text):
    spec = given(tmp_path / "a.json", text)
    assert reader.rows(typed(spec, id="bigint")) == []
    with pytest.raises(SourceError, match="no records to take columns from"):
        reader.relation(spec)


def test_the_record_format_can_be_given_and_must_be_right(reader, tmp_path):
    spec = {**given(tmp_path / "a.json", '{"id": 1}\n'), "options": {"recordFormat": "array"}}
    with pytest.raises(SourceError, match="top-level JSON array") as caught:
        reader.relation(spec)
    assert "recordFormat" in (caught.value.hint or "")


def test_a_cut_off_compressed_file_is_corrupt(reader, tmp_path):
    whole = gzip.compress(b"".join(b'{"id": %d}\n' % (i * 7919) for i in range(20_000)))
    (tmp_path / "a.jsonl.gz").write_bytes(whole)
    spec = {"type": "json", "location": "a.jsonl.gz"}
    assert reader.relation(spec).aggregate("count(*)").fetchall() == [(20_000,)]
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptFileError):
        reader.relation(spec)


@pytest.mark.s3
def test_objects_are_read_with_places_in_their_addresses(reader, s3_bucket):
    s3_bucket.put("in/a.jsonl", b'{"id": 1}\n')
    bad = s3_bucket.put("in/b.jsonl", b'{"id": 1\n')
    spec = {"type": "json", "location": f"{s3_bucket.address}/in/a.jsonl", "storage": s3_bucket.storage}
    assert reader.rows(spec) == [(1,)]
    with pytest.raises(SourceError, match=f"{bad}, line 1, column 9"):
        reader.relation(typed({**spec, "location": f"{s3_bucket.address}/in"}, id="bigint"))

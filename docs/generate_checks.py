"""The page of checks: every promise of the standard, how it is executed, which test proves it.

Each line is made by compiling the example of tests/promises.py, so it says what the code does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROOF = "tests/unit/quality/test_every_promise.py"

_KINDS = {
    "type": "the type of the data is compared; no value is read or cast",
    "row": "rows that violate it are counted, all such rules in one scan; counts of files add up",
    "key": "rows in excess of one per value are counted over the whole table",
    "count": "the rows of the table are counted",
    "sql": "the query is run in a sandbox that sees the judged tables only; it returns one number or truth",
    "reference": "rows without a partner are counted by an anti-join; NULL refers nowhere",
    "custom": "an adapter of the entry point `raymesh.checks` counts violations; without one it is not executed",
    "text": "nothing to execute: shown with its words",
    "sla": "decided by evidence over time, not by rows",
}
_MEASURE, _VERDICT = "tests/unit/engines/test_measure.py", "tests/unit/quality/test_verdict.py"
_EDGES = {
    "physicalType": (_MEASURE, "test_files_that_hold_another_type_than_the_schema_fail"),
    "logicalType: integer": (_MEASURE, "test_an_integer_beyond_32_bits_is_an_integer"),
    "logicalType: boolean": (_MEASURE, "test_a_double_declared_boolean_fails"),
    "required": (_MEASURE, "test_an_empty_text_is_not_null"),
    "unique": (_MEASURE, "test_every_way_of_counting_finds_the_same_excess"),
    "primaryKey of several columns": (_MEASURE, "test_rows_in_excess_are_counted_and_null_keys_are_not"),
    "relationships of a property": (_MEASURE, "test_rows_without_partner_are_counted_and_nulls_refer_nowhere"),
    "relationships of an object": (_MEASURE, "test_a_table_refers_to_itself_by_several_columns"),
    "logicalTypeOptions.minLength of string": (_MEASURE, "test_length_counts_code_points"),
    "logicalTypeOptions.pattern of string": (_MEASURE, "test_a_pattern_is_searched_and_anchors_decide"),
    "logicalTypeOptions.format of string": (_MEASURE, "test_formats_tell_good_from_bad"),
    "logicalTypeOptions.format of date": (_MEASURE, "test_bounds_are_read_by_the_format"),
    "logicalTypeOptions.minimum of timestamp": (_MEASURE, "test_instants_compare_across_zones_and_dst"),
    "logicalTypeOptions.timezone of timestamp": (_MEASURE, "test_a_timestamp_without_zone_breaks_the_promise_of_one"),
    "logicalTypeOptions.minimum of integer": (_MEASURE, "test_limits_beyond_2_to_the_53_keep_every_digit"),
    "logicalTypeOptions.minimum of number": (_MEASURE, "test_nan_and_infinity_break_limits_they_do_not_meet"),
    "logicalTypeOptions.multipleOf of number": (_MEASURE, "test_three_tenths_are_a_multiple_of_a_tenth"),
    "logicalTypeOptions.required of object": (_MEASURE, "test_members_are_counted_and_demanded"),
    "logicalTypeOptions.dimensions of vector": (_MEASURE, "test_vectors_have_dimensions_element_type_and_length_one"),
    "mustBeBetween": (_VERDICT, "test_the_eight_operators_with_inclusive_limits"),
    "unit: percent": (_VERDICT, "test_percent_is_exact_and_of_no_rows_zero"),
    "type: sql": (_MEASURE, "test_every_placeholder_style_and_the_names_work"),
    "type: custom": (_MEASURE, "test_an_adapter_counts_or_raises"),
    "a table without rows": (_MEASURE, "test_an_empty_table_is_never_silently_green"),
    "a contract without promises": (_MEASURE, "test_a_contract_without_any_promise_blocks"),
}  # fmt: skip
"""Tests of the edges of an element, beside its case in PROOF."""
_OUTCOMES = {
    ("pass", "fail"): "pass or fail",
    ("pass", "warn"): "pass or warn; never blocks",
    ("skip", "skip"): "skip; never blocks",
}
_PARTS = (
    ("Columns", ("property", "physicalType", "required", "unique", "enum", "primaryKey", "relationships", "logicalType:")),
    ("Options of logical types", ("logicalTypeOptions",)),
    ("Quality rules", ("metric", "mustBe", "mustNotBe", "unit", "type:")),
    ("Service levels", ("slaProperties",)),
    ("Never silently green", ("a ",)),
)  # fmt: skip


def checks_page() -> Iterator[str]:
    """The page, without the note on its first line."""
    sys.path.insert(0, str(ROOT / "tests"))
    from generate import table

    from promises import EXAMPLES

    yield "# Checks\n"
    yield "Every element of a contract (ODCS 3.2) that is a promise becomes a check, and every check gets one status: pass,"
    yield "fail, warn, error, skip or not_executed. A blocking promise that ended in anything but pass keeps the version from"
    yield "being published, and `raymesh check` from exit code 0.\n"
    yield "The lines below say what the code makes of the examples in `tests/promises.py`. Each is proved by the case of its name"
    yield f"in [test_every_promise](../../{PROOF}), with rows that keep the promise and rows that break it; the last column names"
    yield "a test of its edges.\n"
    yield from table(("kind", "how it is executed"), _KINDS.items())
    for title, starts in _PARTS:
        yield f"## {title}\n"
        found = {e: x for e, x in EXAMPLES.items() if e.startswith(starts)}
        yield from table(
            ("element", "check", "kind", "says", "ends as", "edges"), (_row(e, x) for e, x in found.items())
        )
    yield from _words(table)


def edges() -> dict[str, tuple[str, str]]:
    """Element → (file, function) of the test of its edges."""
    return dict(_EDGES)


def _row(element: str, example: Any) -> tuple[str, ...]:
    from raymesh.quality.model import Threshold
    from raymesh.quality.threshold import words

    check = _compiled(example)
    said = check.unsupported or check.description
    if check.threshold != Threshold("mustBe", 0) and not check.unsupported:
        said = f"{said} {words(check.threshold)}{' percent' * (check.unit == 'percent')}"
    blocks = "" if check.blocking else "; never blocks"
    outcome = _OUTCOMES.get((example.kept, example.broken), f"{example.kept.replace('_', ' ')}{blocks}")
    file, test = _EDGES.get(element, ("", ""))
    edge = f"[{test}](../../{file})" if test else ""
    return f"`{element}`", f"`{check.id}`", check.kind, said, outcome, edge


def _compiled(example: Any) -> Any:
    from contracts import contract
    from raymesh.quality.compile import compile_checks

    more = dict(example.more)
    others = more.pop("columns", [])
    columns = [] if others is None else [{"name": "c", **example.column}, *others]
    found = {c.id: c for c in compile_checks(contract(*columns, **more), table="orders")}
    return found[example.check]


def _words(table: Any) -> Iterator[str]:
    from raymesh.quality.formats import ADVISORY_FORMATS, STRING_FORMATS
    from raymesh.spec.type_rules import INTEGER_FORMATS, NUMBER_FORMATS

    yield "## Formats\n"
    yield "Another format of a string is not executed, which blocks: nobody says what it means.\n"
    rows = [("string", f"`{name}`", "executed as a pattern") for name in sorted(STRING_FORMATS)]
    rows += [("string", f"`{name}`", f"advice: it says {said}") for name, said in ADVISORY_FORMATS.items()]
    rows += [
        ("integer", f"`{name}`", "executed as a range, however it is stored") for name in INTEGER_FORMATS
    ]
    rows += [("number", f"`{name}`", "executed as a range, however it is stored") for name in NUMBER_FORMATS]
    yield from table(("logicalType", "format", "meaning"), rows)
    yield "## Standalone\n"
    yield "`raymesh check contract.yaml` judges data where it lies; no mesh is needed. The place is `--data PATH` or an entry of"
    yield "the contract's `servers`: types local, s3, postgres, postgresql and iceberg, formats parquet, csv, json and delta."
    yield "Paths of servers start at the folder of the contract, `--data` at the working directory. `{model}` stands for the"
    yield "name of the schema object; a folder holds one file or folder per object. Columns are found by `physicalName`, else by"
    yield "name, without regard to case.\n"
    yield from table(("variable", "used for"), _VARIABLES)
    yield "A relationship reaches tables of the same contract, and of contracts in files beside it"
    yield "(`customers.odcs.yaml#/schema/<id>/properties/<id>`), read from that contract's own, only server. Contracts at an"
    yield "address (`https://…`) are not fetched: the reference is not executed.\n"
    yield "CSV has no types of its own: each column is read as what is promised, exactly, and a value that cannot be read so"
    yield "fails the type with its line. Numbers are decimals where all values fit one, otherwise doubles; dates and times are"
    yield "ISO 8601. In JSON, a string is a string: a number among them fails the type.\n"
    yield "`--sample N` looks at N rows and says so in every result. What only all rows can tell is not executed: keys, numbers"
    yield "of rows, SQL, rules of other engines, lower limits. What a sample shows to be broken is broken."


_VARIABLES = (
    ("`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`", "S3; without them what the S3 client finds itself"),
    ("`AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL`", "S3; `endpointUrl` of the server comes first"),
    ("`PGUSER`, `PGPASSWORD`", "PostgreSQL"),
    ("`PYICEBERG_CATALOG__<NAME>__TOKEN`, `…__CREDENTIAL`", "the Iceberg catalog called `<name>`"),
)  # fmt: skip

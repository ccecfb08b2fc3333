"""check: contracts against their data without a mesh, and published products without a build."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from checking import results, statuses, table, write_contract, write_parquet
from meshes import write_product


def checked(cli, *arguments):
    return cli("check", *arguments, "--output", "json")


# the three wrong verdicts of the reference executor


def test_a_fraction_in_an_integer_column_fails_instead_of_being_rounded_first(cli, empty):
    write_parquet(empty / "data.parquet", amt=[0.6, 0.7])
    promised = {"name": "amt", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1}}
    write_contract(empty / "c.yaml", table("orders", promised))
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 4
    assert statuses(answer)["amt.logicalType"] == "fail"
    assert results(answer)["amt.minimum"]["status"] == "fail"
    assert results(answer)["amt.minimum"]["value"] == 2


def test_an_integer_beyond_32_and_53_bits_is_an_integer(cli, empty):
    write_parquet(empty / "data.parquet", id=pa.array([2**40, 2**53 + 1, 2**53], pa.int64()))
    options = {"minimum": 2**40, "maximum": 2**53 + 1}
    write_contract(
        empty / "c.yaml",
        table(
            "orders", {"name": "id", "logicalType": "integer", "unique": True, "logicalTypeOptions": options}
        ),
    )
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 0
    assert set(statuses(answer).values()) == {"pass"}


def test_a_double_declared_boolean_fails_instead_of_warning(cli, empty):
    write_parquet(empty / "data.parquet", flag=[1.0, 0.0])
    write_contract(empty / "c.yaml", table("orders", {"name": "flag", "logicalType": "boolean"}))
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 4
    found = results(answer)["flag.logicalType"]
    assert (found["status"], found["blocking"], found["value"]) == ("fail", True, "double")


# what a contract promises


def test_every_promise_has_a_status_even_one_that_nobody_can_execute(cli, empty):
    write_parquet(empty / "data.parquet", id=[1])
    rules = [
        {"type": "text", "description": "Ask finance."},
        {"type": "custom", "engine": "other", "implementation": "x"},
    ]
    service = [{"property": "latency", "value": 1, "unit": "d"}, {"property": "freshness", "value": 1}]
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}, quality=rules), slaProperties=service)
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 4
    found = statuses(answer)
    assert found["quality.text"] == "skip"
    assert found["quality.custom"] == "not_executed"
    assert found["sla.latency"] == "not_executed"
    assert found["sla.freshness"] == "not_executed"
    assert answer.json["reports"][0]["coverage"] == {"decided": 2, "declared": 6}


def test_a_service_level_alone_does_not_fail_the_check(cli, empty):
    write_parquet(empty / "data.parquet", id=[1])
    service = [{"property": "latency", "value": 1, "unit": "d"}]
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}), slaProperties=service)
    assert cli("check", "c.yaml", "--data", "data.parquet").code == 0


def test_a_contract_that_promises_nothing_does_not_pass(cli, empty):
    write_parquet(empty / "data.parquet", id=[1])
    write_contract(
        empty / "c.yaml",
        servers=[{"server": "s", "type": "local", "path": "data.parquet", "format": "parquet"}],
    )
    answer = checked(cli, "c.yaml")
    assert answer.code == 4
    assert statuses(answer) == {"contract.promises": "not_executed"}


def test_a_missing_column_breaks_its_promises_and_an_extra_one_is_told(cli, empty):
    write_parquet(empty / "data.parquet", id=[1], more=["x"])
    gone = {"name": "gone", "required": True, "unique": True, "logicalType": "string"}
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}, gone))
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 4
    broken = {k: s for k, s in statuses(answer).items() if k.startswith("gone")}
    assert broken == {"gone.logicalType": "fail", "gone.required": "fail", "gone.unique": "fail"}
    assert answer.json["reports"][0]["extra_columns"] == [{"name": "more", "type": "string"}]
    assert "not in the contract: more (string)" in cli("check", "c.yaml", "--data", "data.parquet").out


def test_a_column_is_found_by_its_physical_name_and_without_regard_to_case(cli, empty):
    write_parquet(empty / "data.parquet", c_id=[1, 1], Amount=[1.0, 2.0])
    write_contract(
        empty / "c.yaml",
        table(
            "orders",
            {"name": "id", "physicalName": "c_id", "unique": True},
            {"name": "amount", "logicalType": "number"},
        ),
    )
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert statuses(answer)["id.unique"] == "fail"
    assert statuses(answer)["amount.logicalType"] == "pass"
    assert answer.json["reports"][0]["extra_columns"] == []


def test_one_column_of_a_kind_nobody_can_judge_leaves_the_others_judged(cli, empty):
    import duckdb

    duckdb.sql("COPY (SELECT 1 AS id, INTERVAL 1 DAY AS span) TO 'data.parquet'")
    write_contract(
        empty / "c.yaml", table("orders", {"name": "id", "unique": True}, {"name": "span", "required": True})
    )
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == 4
    assert statuses(answer)["id.unique"] == "pass"
    assert results(answer)["span.required"]["message"] == "span is INTERVAL, which raymesh cannot judge"


def test_types_narrower_than_ours_are_widened_without_loss(cli, empty):
    columns = {
        "small": pa.array([1, 2], pa.int8()),
        "wide": pa.array([2**64 - 1, 1], pa.uint64()),
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "nothing": pa.nulls(2),
        "nanos": pa.array([1700000000123456789, 1700000000123456788], pa.timestamp("ns")),
    }
    write_parquet(empty / "data.parquet", **columns)
    promised = [
        {"name": "small", "physicalType": "tinyint", "logicalType": "integer"},
        {"name": "wide", "logicalType": "integer", "logicalTypeOptions": {"maximum": 2**64 - 1}},
        {"name": "word", "logicalType": "string", "logicalTypeOptions": {"maxLength": 1}},
        {"name": "nothing", "logicalType": "date", "logicalTypeOptions": {"minimum": "2024-01-01"}},
        {"name": "nanos", "logicalType": "timestamp", "unique": True},
    ]
    write_contract(empty / "c.yaml", table("orders", *promised))
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert set(statuses(answer).values()) == {"pass"}, answer.out
    assert results(answer)["nanos.logicalType"]["value"] == "timestamp (TIMESTAMP_NS)"


def test_sql_of_a_contract_sees_its_tables_and_no_file(cli, empty):
    write_parquet(empty / "data" / "orders.parquet", id=[1, 2])
    write_parquet(empty / "data" / "customers.parquet", id=[7])
    write_parquet(empty / "secret.parquet", id=[1])
    rules = [
        {"id": "own", "type": "sql", "query": "SELECT count(*) FROM {object}", "mustBe": 2},
        {"id": "file", "type": "sql", "query": f"SELECT count(*) FROM '{empty}/secret.parquet'", "mustBe": 1},
        {"id": "write", "type": "sql", "query": "DROP VIEW orders", "mustBe": 0},
    ]
    write_contract(
        empty / "c.yaml", table("orders", {"name": "id"}, quality=rules), table("customers", {"name": "id"})
    )
    answer = checked(cli, "c.yaml", "--data", "data")
    found = statuses(answer, "orders")
    assert (found["quality.own"], found["quality.file"], found["quality.write"]) == ("pass", "error", "error")


# several tables


def two_tables(folder):
    reference = {"relationships": [{"to": "customers.id"}]}
    return write_contract(
        folder / "c.yaml",
        table("orders", {"name": "id"}, {"name": "customer", **reference}),
        table("customers", {"name": "id", "id": "cid", "primaryKey": True}, id="cust"),
    )


def test_all_tables_of_a_contract_are_checked_and_references_between_them(cli, empty):
    two_tables(empty)
    write_parquet(empty / "data" / "orders.parquet", id=[1, 2, 3], customer=[7, 8, None])
    write_parquet(empty / "data" / "customers.parquet", id=[7])
    answer = checked(cli, "c.yaml", "--data", "data")
    assert answer.code == 4
    broken = results(answer, "orders")["customer.reference"]
    assert (broken["status"], broken["value"], broken["sample"]) == ("fail", 1, [{"customer": 8}])
    assert set(statuses(answer, "customers").values()) == {"pass"}


def test_places_of_the_second_table_are_its_own(cli, empty):
    two_tables(empty)
    write_parquet(empty / "orders.parquet", id=[1], customer=[7])
    write_parquet(empty / "customers.parquet", id=[7, 7])
    answer = checked(cli, "c.yaml", "--data", "{model}.parquet")
    found = results(answer, "customers")["primaryKey"]
    lines = (empty / "c.yaml").read_text().splitlines()
    assert found["status"] == "fail"
    assert "true" in lines[found["line"] - 1]
    assert "primaryKey" in lines[found["line"] - 1]


def test_a_folder_without_a_file_for_a_table_is_an_error_and_no_pass(cli, empty):
    two_tables(empty)
    write_parquet(empty / "data" / "orders.parquet", id=[1], customer=[7])
    answer = cli("check", "c.yaml", "--data", "data")
    assert answer.code == 2
    assert "holds nothing called customers" in answer.err


# servers


def test_the_only_server_is_taken_and_its_path_starts_at_the_contract(cli, empty):
    write_parquet(empty / "team" / "data" / "o.parquet", id=[1])
    server = {"server": "s", "type": "local", "path": "data/*.parquet", "format": "parquet"}
    write_contract(empty / "team" / "c.odcs.yaml", table("orders", {"name": "id"}), servers=[server])
    assert cli("check", "team/c.odcs.yaml").code == 0


def test_one_of_several_servers_must_be_named(cli, empty):
    write_parquet(empty / "good.parquet", id=[1])
    write_parquet(empty / "bad.parquet", id=pa.nulls(1, pa.int64()))
    servers = [
        {"server": s, "type": "local", "path": f"{s}.parquet", "format": "parquet"} for s in ("good", "bad")
    ]
    write_contract(empty / "c.yaml", table("orders", {"name": "id", "required": True}), servers=servers)
    unnamed = cli("check", "c.yaml")
    assert unnamed.code == 2
    assert "--server NAME says which: good, bad" in unnamed.err
    assert cli("check", "c.yaml", "--server", "good").code == 0
    assert cli("check", "c.yaml", "--server", "bad").code == 4
    assert cli("check", "c.yaml", "--server", "other").code == 2


def test_a_server_that_cannot_be_reached_from_here_is_no_pass(cli, empty):
    server = {"server": "s", "type": "snowflake", "account": "a", "database": "d", "schema": "s"}
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}), servers=[server])
    answer = cli("check", "c.yaml")
    assert answer.code == 2
    assert "types that can: iceberg, local, postgres, postgresql, s3" in answer.err


def test_a_contract_without_server_or_data_is_no_pass(cli, empty):
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}))
    assert "--data PATH names the data" in cli("check", "c.yaml").err


def test_an_invalid_contract_ends_with_3_and_its_place(cli, empty):
    write_contract(empty / "team" / "c.yaml", table("orders", {"name": "id", "logicalType": "strng"}))
    answer = cli("check", "team/c.yaml", "--data", "x.parquet")
    assert answer.code == 3
    assert "team/c.yaml:" in answer.err
    assert '"logicalType": "strng"' in answer.err
    assert checked(cli, "team/c.yaml").json["diagnostics"][0]["file"] == "team/c.yaml"


def test_data_that_is_not_there_is_an_error(cli, empty):
    write_contract(empty / "c.yaml", table("orders", {"name": "id"}))
    answer = cli("check", "c.yaml", "--data", "gone.parquet")
    assert answer.code == 1
    assert "no files at" in answer.err


# text files


CSV = {
    "columns": [
        {"name": "id", "logicalType": "integer"},
        {"name": "code", "logicalType": "string", "logicalTypeOptions": {"minLength": 3}},
        {"name": "price", "physicalType": "decimal(9,2)", "logicalType": "number"},
        {"name": "day", "logicalType": "date", "logicalTypeOptions": {"minimum": "2024-01-01"}},
    ]
}


def test_text_that_reads_as_promised_passes(cli, empty):
    (empty / "o.csv").write_text("id,code,price,day,more\n1,007,1.50,2024-01-02,x\n2,123,2.00,2024-01-03,\n")
    write_contract(empty / "c.yaml", table("orders", *CSV["columns"]))
    answer = checked(cli, "c.yaml", "--data", "o.csv")
    assert answer.code == 0, answer.out
    assert set(statuses(answer).values()) == {"pass"}


def test_text_that_is_something_else_fails_its_type_with_the_place_and_the_rest_is_judged(cli, empty):
    (empty / "o.csv").write_text("id,code,price,day\n1,007,1.50,2024-01-02\nx,1,2.005,2023-01-03\n")
    write_contract(empty / "c.yaml", table("orders", *CSV["columns"]))
    answer = checked(cli, "c.yaml", "--data", "o.csv")
    assert answer.code == 4
    found = results(answer)
    assert found["id.logicalType"]["status"] == "fail"
    assert "o.csv, line 3, column 1: 'x' in column id is not exactly" in found["id.logicalType"]["message"]
    assert found["price.physicalType"]["status"] == "fail"
    assert (found["code.minLength"]["status"], found["code.minLength"]["value"]) == ("fail", 1)
    assert (found["day.minimum"]["status"], found["day.minimum"]["sample"]) == (
        "fail",
        [{"day": "2023-01-03"}],
    )


def test_a_value_of_a_sensitive_column_is_not_told_when_it_does_not_read(cli, empty):
    (empty / "o.csv").write_text("phone\n12\nsecret-number\n")
    column = {"name": "phone", "logicalType": "integer", "tags": ["pii.direct.phone"]}
    write_contract(empty / "c.yaml", table("orders", column))
    for output in ("text", "json", "junit", "sarif", "github", "oors"):
        answer = cli("check", "c.yaml", "--data", "o.csv", "--output", output)
        assert answer.code == 4
        assert "secret-number" not in answer.out + answer.err, output
    assert "o.csv, line 3" in cli("check", "c.yaml", "--data", "o.csv").out


def test_json_keeps_the_types_it_has(cli, empty):
    lines = [
        {"id": 1, "day": "2024-01-02", "word": "2024-01-01"},
        {"id": 2, "day": "2024-01-03", "word": "x"},
    ]
    (empty / "o.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    columns = [
        {"name": "id", "logicalType": "integer"},
        {"name": "day", "logicalType": "date"},
        {"name": "word", "logicalType": "string"},
    ]
    write_contract(empty / "c.yaml", table("orders", *columns))
    assert set(statuses(checked(cli, "c.yaml", "--data", "o.jsonl")).values()) == {"pass"}
    wrong = [{**columns[0], "logicalType": "string"}, {**columns[2], "logicalType": "integer"}]
    write_contract(empty / "c.yaml", table("orders", *wrong))
    found = statuses(checked(cli, "c.yaml", "--data", "o.jsonl"))
    assert (found["id.logicalType"], found["word.logicalType"]) == ("fail", "fail")


# samples


def test_a_sample_says_so_everywhere_and_decides_nothing_that_needs_all_rows(cli, empty):
    write_parquet(empty / "data.parquet", id=list(range(100)), ok=[1] * 100)
    rules = [{"metric": "rowCount", "mustBeGreaterThan": 50}]
    columns = [{"name": "id", "primaryKey": True}, {"name": "ok", "required": True}]
    write_contract(empty / "c.yaml", table("orders", *columns, quality=rules))
    answer = checked(cli, "c.yaml", "--data", "data.parquet", "--sample", "10")
    assert answer.code == 4
    assert all("sample of 10 rows" in r["message"] for r in results(answer).values())
    found = statuses(answer)
    assert (found["primaryKey"], found["quality.rowCount"]) == ("not_executed", "not_executed")
    assert (found["ok.required"], found["id.primaryKey"]) == ("pass", "pass")
    assert answer.json["reports"][0]["sampled"] == 10


def test_a_sample_larger_than_the_data_is_no_sample(cli, empty):
    write_parquet(empty / "data.parquet", id=list(range(10)))
    write_contract(empty / "c.yaml", table("orders", {"name": "id", "primaryKey": True}))
    answer = checked(cli, "c.yaml", "--data", "data.parquet", "--sample", "10")
    assert answer.code == 0
    assert answer.json["reports"][0]["sampled"] is None


def test_what_a_sample_shows_to_be_broken_is_broken(cli, empty):
    write_parquet(empty / "data.parquet", id=[1] * 100)
    write_contract(empty / "c.yaml", table("orders", {"name": "id", "unique": True}))
    answer = checked(cli, "c.yaml", "--data", "data.parquet", "--sample", "10")
    assert (statuses(answer)["id.unique"], answer.code) == ("fail", 4)


# failing rows and outputs


def hidden(folder):
    write_parquet(
        folder / "data.parquet",
        id=list(range(7)),
        email=[f"person{n}@x.de" for n in range(7)],
        iban=[f"DE{n}" for n in range(7)],
        city=["Ulm"] * 7,
    )
    columns = [
        {"name": "id", "primaryKey": True},
        {"name": "email", "tags": ["pii.direct.email"], "enum": [{"value": "a"}]},
        {"name": "iban", "classification": "confidential", "enum": [{"value": "a"}]},
        {"name": "city", "enum": [{"value": "Köln"}]},
    ]
    return write_contract(folder / "c.yaml", table("orders", *columns))


def test_five_failing_rows_are_shown_and_sensitive_columns_masked(cli, empty):
    hidden(empty)
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    found = results(answer)
    assert len(found["city.enum"]["sample"]) == 5
    assert found["city.enum"]["sample"][0]["city"] == "Ulm"
    assert {row["email"] for row in found["email.enum"]["sample"]} == {"***"}
    assert {row["iban"] for row in found["iban.enum"]["sample"]} == {"***"}
    for output in ("text", "json", "junit", "sarif", "github", "oors"):
        told = cli("check", "c.yaml", "--data", "data.parquet", "--output", output).out
        assert "@x.de" not in told, output
        assert "DE1" not in told, output


def test_the_text_shows_what_was_measured_promised_and_where(cli, empty):
    hidden(empty)
    out = cli("check", "c.yaml", "--data", "data.parquet").out
    row = next(line for line in out.splitlines() if line.startswith("FAIL    city.enum"))
    for part in ("7", "must be 0", "rows", "conformity", "error", "c.yaml:"):
        assert part in row
    assert "id=" in out
    assert out.rstrip().endswith("orders not passed: 3 blocking promises did not pass")


def test_every_format_is_alone_on_stdout_and_ends_with_4(cli, empty):
    hidden(empty)
    answers = {
        o: cli("check", "c.yaml", "--data", "data.parquet", "--output", o)
        for o in ("json", "junit", "sarif", "github", "oors")
    }
    assert {a.code for a in answers.values()} == {4}
    assert ET.fromstring(answers["junit"].out).attrib["failures"] == "3"
    assert json.loads(answers["sarif"].out)["version"] == "2.1.0"
    assert json.loads(answers["oors"].out)["kind"] == "ObservabilityResults"
    assert all(line.startswith("::") for line in answers["github"].out.splitlines())
    assert "not passed: orders" in answers["github"].err


# published products


def test_a_published_product_is_judged_by_the_contract_as_it_is_now(cli, shop):
    assert cli("run", "shop.orders").code == 0
    answer = checked(cli, "shop.orders")
    assert answer.code == 0
    assert set(statuses(answer).values()) == {"pass"}
    orders = {
        "id": {"physicalType": "bigint", "logicalType": "integer", "primaryKey": True},
        "amount": {"physicalType": "double", "logicalType": "number", "logicalTypeOptions": {"minimum": 3}},
        "later": {"physicalType": "varchar", "logicalType": "string", "required": True},
    }
    write_product(shop, "shop.orders", orders, source="raw_orders")
    now = checked(cli, "shop.orders")
    assert now.code == 4
    assert results(now)["amount.minimum"]["value"] == 1
    assert statuses(now)["later.required"] == "fail"
    assert {c["name"] for c in now.json["reports"][0]["extra_columns"]} == {"email", "day"}
    then = checked(cli, "shop.orders", "--recorded")
    assert then.code == 0
    assert "amount.minimum" not in statuses(then)


def test_a_check_publishes_nothing(cli, built):
    before = cli("history", "shop.orders", "--output", "json").json
    assert cli("check", "shop.orders").code == 0
    assert cli("history", "shop.orders", "--output", "json").json == before


def test_annotations_of_a_product_name_files_from_the_working_directory(cli, shop, monkeypatch):
    assert cli("run", "shop.orders").code == 0
    orders = {"amount": {"logicalType": "number", "logicalTypeOptions": {"minimum": 3}}}
    write_product(shop, "shop.orders", orders, source="raw_orders")
    monkeypatch.chdir(shop.parent)
    out = cli("-C", "shop", "check", "shop.orders", "--output", "github").out
    assert "::error file=shop/domains/shop/products/orders/contract.yaml,line=" in out


def test_options_of_a_contract_are_refused_for_a_product(cli, built):
    assert cli("check", "shop.orders", "--sample", "5").code == 2
    assert cli("check", "shop.unknown").code == 1


@pytest.mark.parametrize("amount", [Decimal("0.10"), Decimal("12345678901234567.89")])
def test_decimals_are_compared_digit_by_digit(cli, empty, amount):
    write_parquet(empty / "data.parquet", a=pa.array([amount], pa.decimal128(38, 2)), d=[date(2024, 2, 29)])
    options = {"minimum": float(amount)} if amount < 1 else {"maximum": 12345678901234567}
    write_contract(
        empty / "c.yaml",
        table("orders", {"name": "a", "logicalType": "number", "logicalTypeOptions": options}),
    )
    answer = checked(cli, "c.yaml", "--data", "data.parquet")
    assert answer.code == (0 if amount < 1 else 4)


def test_problems_of_a_contract_alone_are_not_said_to_be_of_a_mesh(cli, empty):
    said = cli("check", "gone.yaml", "--data", "x.parquet")
    assert (said.code, "1 problem in the documents" in said.err) == (3, True)
    assert "mesh" not in said.err


# times as other tools write them


@pytest.mark.parametrize("zone", [None, "UTC"])
@pytest.mark.parametrize("unit", ["ns", "us", "ms"])
def test_times_are_compared_whatever_unit_and_zone_they_are_kept_in(cli, empty, unit, zone):
    at = pa.array([datetime(2024, 3, 31, 1, 30), datetime(2024, 3, 31, 1, 31)], pa.timestamp(unit, zone))
    write_parquet(empty / "data.parquet", at=at)
    options = {"minimum": "2024-03-31T03:30:00+02:00", "exclusiveMaximum": "2024-03-31T01:31:00Z"}
    options |= {"maximum": "9999-12-31"}  # further than nanoseconds reach
    column = {
        "name": "at",
        "logicalType": "timestamp",
        "logicalTypeOptions": options,
        "enum": [{"value": "2024-03-31T01:30:00"}, {"value": "1500-01-01T00:00:00+01:00"}],
    }
    write_contract(empty / "c.yaml", table("t", column))
    found = results(checked(cli, "c.yaml", "--data", "data.parquet"))
    values = {name: (r["status"], r["value"]) for name, r in found.items() if name.startswith("at.")}
    del values["at.logicalType"]
    assert values == {
        "at.minimum": ("pass", 0),
        "at.maximum": ("pass", 0),
        "at.exclusiveMaximum": ("fail", 1),
        "at.enum": ("fail", 1),
    }


def test_a_nanosecond_is_not_lost(cli, empty):
    at = pa.array([1_704_067_200_000_000_000, 1_704_067_200_000_000_001], pa.timestamp("ns", "UTC"))
    write_parquet(empty / "data.parquet", at=at, hour=pa.array([0, 1], pa.time64("ns")))
    columns = [
        {"name": "at", "logicalType": "timestamp", "logicalTypeOptions": {"maximum": "2024-01-01T00:00:00Z"}},
        {"name": "hour", "logicalType": "time", "logicalTypeOptions": {"maximum": "00:00:00"}},
    ]
    write_contract(empty / "c.yaml", table("t", *columns))
    found = results(checked(cli, "c.yaml", "--data", "data.parquet"))
    assert [found[name]["value"] for name in ("at.maximum", "hour.maximum")] == [1, 1]


def test_a_constant_without_a_zone_is_one_of_the_default_zone(cli, empty):
    """As bounds are: in a column of instants, and against the wall clock of a column without a zone."""
    for name, zone in (("zoned", "UTC"), ("plain", None)):
        moment = datetime(2024, 7, 1, 10) if zone else datetime(2024, 7, 1, 12)
        write_parquet(empty / f"{name}.parquet", at=pa.array([moment], pa.timestamp("us", zone)))
        column = {
            "name": "at",
            "logicalType": "timestamp",
            "logicalTypeOptions": {"defaultTimezone": "Europe/Berlin"},
            "enum": [{"value": "2024-07-01T12:00:00"}],
        }
        rule = {
            "metric": "invalidValues",
            "arguments": {"validValues": ["2024-07-01T10:00:00Z"]},
            "mustBe": 0,
        }
        write_contract(empty / "c.yaml", table("t", {**column, "quality": [rule]}))
        answer = checked(cli, "c.yaml", "--data", f"{name}.parquet")
        assert answer.code == 0, (name, statuses(answer))


# text holds what it says, wherever in the file it says it


def csv_check(cli, folder, column, lines):
    (folder / "data.csv").write_text("v,w\n" + "".join(f"{line},x\n" for line in lines), encoding="utf-8")
    write_contract(folder / "c.yaml", table("t", {"name": "v", **column}, {"name": "w"}))
    return results(checked(cli, "c.yaml", "--data", "data.csv"))["v.logicalType"]


@pytest.mark.parametrize(
    ("logical", "lines", "status", "value"),
    [
        ("number", ["0.5", "0.30000000000000004"], "pass", "double"),  # a double as Python writes it
        ("number", ["0.5", "123456789.1234567891"], "pass", "decimal(38, 10)"),  # no double holds it
        ("number", ["0.5", "x"], "fail", "string"),
        ("number", ["1", "1e999"], "fail", "string"),
        ("integer", ["1", str(2**63)], "pass", "decimal(38, 0)"),
        ("integer", ["1", "1.5"], "fail", "string"),
        ("timestamp", ["2024-01-01T10:00:00Z", ""], "pass", "timestamptz"),
        ("timestamp", ["2024-01-01T10:00:00", "2024-01-01T10:00:00+02:00"], "pass", "timestamptz"),
        ("timestamp", ["2024-01-01T10:00:00", "soon"], "fail", "string"),
    ],
)
def test_a_column_of_text_is_read_as_the_exactest_type_all_values_have(
    cli, empty, logical, lines, status, value
):
    found = csv_check(cli, empty, {"logicalType": logical}, lines)
    assert (found["status"], found["value"]) == (status, value)
    if status == "fail":
        assert f"is not exactly a value of logicalType {logical}" in found["message"]


def test_what_the_first_values_look_like_does_not_decide_about_the_last(cli, empty):
    lines = ["7"] * 100_000 + ["1.5"]
    assert csv_check(cli, empty, {"logicalType": "number"}, lines)["value"] == "decimal(38, 10)"


def test_a_time_without_zone_is_not_taken_for_utc_where_the_contract_has_another_zone(cli, empty):
    column = {"logicalType": "timestamp", "logicalTypeOptions": {"defaultTimezone": "Europe/Berlin"}}
    found = csv_check(cli, empty, column, ["2024-01-01T10:00:00", "2024-01-01T10:00:00Z"])
    assert found["status"] == "fail"


@pytest.mark.parametrize("other", ["5", "true", '{"a": 1}', "[1]"])
def test_json_that_is_no_string_is_no_string(cli, empty, other):
    (empty / "data.json").write_text(f'{{"v": "a"}}\n{{"v": {other}}}\n{{"v": null}}\n', encoding="utf-8")
    write_contract(empty / "c.yaml", table("t", {"name": "v", "logicalType": "string", "required": True}))
    found = results(checked(cli, "c.yaml", "--data", "data.json"))
    assert found["v.logicalType"]["status"] == "fail"
    assert "data.json, line 2" in found["v.logicalType"]["message"]
    assert found["v.required"]["value"] == 1


# tables of other contracts


def customers(folder, **more):
    key = {"name": "id", "id": "cid", "logicalType": "integer", "primaryKey": True}
    place = {"server": "here", "type": "local", "path": "customers.parquet", "format": "parquet"}
    told = {"servers": [place], **more}
    return write_contract(folder / "customers.odcs.yaml", table("customers", key, id="cst"), **told)


def orders_of(folder, to):
    write_parquet(folder / "orders.parquet", customer=[7, 8, None])
    column = {"name": "customer", "logicalType": "integer", "relationships": [{"to": to}]}
    return write_contract(folder / "orders.odcs.yaml", table("orders", column))


@pytest.mark.parametrize("to", ["/schema/cst/properties/cid", "schema/cst/properties/cid"])
def test_a_reference_reaches_the_table_of_a_contract_beside(cli, empty, to):
    folder = empty / "sales"
    customers(folder)
    write_parquet(folder / "customers.parquet", id=[7, 9])
    orders_of(folder, f"customers.odcs.yaml#{to}")
    answer = checked(cli, "sales/orders.odcs.yaml", "--data", "sales/orders.parquet")
    found = results(answer)["customer.reference"]
    assert (found["status"], found["value"], found["sample"]) == ("fail", 1, [{"customer": 8}])
    write_parquet(folder / "customers.parquet", id=[7, 8])
    assert checked(cli, "sales/orders.odcs.yaml", "--data", "sales/orders.parquet").code == 0


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("customers.odcs.yaml#/schema/cst/properties/cid", "no files at"),
        ("customers.odcs.yaml#/schema/cst/properties/name", "there is no table behind"),
        ("nowhere.odcs.yaml#/schema/cst/properties/cid", "there is no table behind"),
        ("https://example.com/customers.yaml#/schema/cst/properties/cid", "there is no table behind"),
    ],
)
def test_a_reference_that_leads_nowhere_blocks_and_the_rest_is_judged(cli, empty, to, reason):
    customers(empty)  # its data is not there
    orders_of(empty, to)
    answer = checked(cli, "orders.odcs.yaml", "--data", "orders.parquet")
    assert answer.code == 4
    found = results(answer)
    assert found["customer.reference"]["status"] == "not_executed"
    assert reason in found["customer.reference"]["message"]
    assert found["customer.logicalType"]["status"] == "pass"

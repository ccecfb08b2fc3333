from __future__ import annotations

import duckdb
import pytest

from raymesh.actions.infer import infer, infer_contract
from raymesh.actions.infer_patterns import natural_limits, snake, tag_of_name
from raymesh.errors import UsageError


@pytest.fixture
def con():
    with duckdb.connect() as opened:
        yield opened


def proposed(con, sql, **options):
    return infer_contract(con, con.sql(sql), name="orders", identifier="shop.orders", **options)


def columns(contract):
    return {p["name"]: p for p in contract["schema"][0]["properties"]}


def test_a_contract_names_its_table_and_domain_and_is_a_draft(con):
    contract = proposed(con, "select range as id from range(100)")
    assert list(contract)[:5] == ["apiVersion", "kind", "id", "name", "version"]
    assert (contract["id"], contract["domain"], contract["status"]) == ("shop.orders", "shop", "draft")
    assert contract["schema"][0]["name"] == "orders"
    assert contract["schema"][0]["description"] == "One row per id."
    assert "all 100 rows" in contract["description"]["limitations"]


def test_types_are_named_exactly_at_every_depth(con):
    found = columns(
        proposed(
            con,
            """select 1::tinyint as a, 1::bigint as b, 1.5::decimal(18,2) as c, 1::hugeint as d, 'x' as e, true as f,
            date '2024-01-01' as g, timestamptz '2024-01-01 00:00:00+00' as h, timestamp '2024-01-01' as i,
            {'x': 1, 'Y z': ['a']} as j, map(['k'], [1.5::float]) as k, 'x'::blob as l, time '10:00' as m, 1e0 as n""",
        )
    )
    assert [p["physicalType"] for p in found.values()] == [
        "integer",
        "bigint",
        "decimal(18,2)",
        "decimal(38,0)",
        "varchar",
        "boolean",
        "date",
        "timestamptz",
        "timestamp",
        'struct(x integer, "Y z" varchar[])',
        "map(varchar, float)",
        "binary",
        "time",
        "double",
    ]
    assert found["h"]["logicalTypeOptions"] == {"timezone": True}
    assert found["j"]["properties"][1]["items"] == {"physicalType": "varchar", "logicalType": "string"}
    assert found["k"]["map"]["value"] == {"physicalType": "float", "logicalType": "number"}


def test_few_rows_support_no_rule(con):
    found = columns(proposed(con, "select range as id, 'a' as s, 5 as n from range(49)"))
    for column in found.values():
        assert not {"required", "unique", "primaryKey", "enum"} & set(column)
        assert "logicalTypeOptions" not in column
    assert "primaryKey" in columns(proposed(con, "select range as id from range(50)"))["id"]


def test_required_needs_all_values_and_unique_an_exact_count(con):
    found = columns(
        proposed(con, "select range as id, range % 99 as code, nullif(range, 7) as other_id from range(100)")
    )
    assert found["id"]["primaryKey"] is True
    assert found["id"]["required"] is True
    assert "unique" not in found["code"]
    assert "required" not in found["other_id"]
    assert found["other_id"]["unique"] is True


def test_a_key_of_two_columns_is_found_and_chance_uniqueness_is_no_key(con):
    contract = proposed(
        con, "select range // 10 as basket_id, range % 10 as line, range * 1.5e0 as amount from range(100)"
    )
    found = columns(contract)
    assert [found[n].get("primaryKeyPosition") for n in ("basket_id", "line", "amount")] == [1, 2, None]
    assert "unique" not in found["amount"]
    assert contract["schema"][0]["description"] == "One row per basket_id and line."


def test_few_frequent_texts_are_a_list_of_values_unless_they_are_personal(con):
    found = columns(
        proposed(
            con,
            """select case range % 3 when 0 then 'open' when 1 then 'paid' end as state, 'p' || range % 4 as code,
            'Ann' as first_name, 's' || range // 5 as seldom, 'same' as constant from range(100)""",
        )
    )
    assert found["state"]["enum"] == [{"value": "open"}, {"value": "paid"}]
    assert "required" not in found["state"]
    assert all("enum" not in found[n] for n in ("code", "first_name", "seldom", "constant"))


@pytest.mark.parametrize(
    ("value", "options", "tag"),
    [
        ("'a' || range || '@example.com'", {"format": "email"}, "pii.direct.email"),
        ("uuid()::varchar", {"format": "uuid"}, None),
        ("'10.0.' || range || '.1'", {"format": "ipv4"}, "pii.quasi.ip_address"),
        ("'https://example.com/' || range", {"format": "uri"}, None),
        ("'+49301234' || (1000 + range)", {"pattern": r"^\+[1-9][0-9]{6,14}$"}, "pii.direct.phone"),
        ("'+49 (30) 1234-' || (1000 + range)", {"minLength": 18, "maxLength": 18}, "pii.direct.phone"),
        ("(date '2024-01-01' + range::integer)::varchar", {"format": "date"}, None),
        ("['DE89370400440532013000', 'GB82WEST12345698765432'][1 + range % 2]",
         {"pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"}, "pii.direct.bank_account"),
        ("['DE89370400440532013001', 'GB82WEST12345698765431'][1 + range % 2]",
         {"minLength": 22, "maxLength": 22}, None),
        ("['4111111111111111', '5500000000000004'][1 + range % 2]", {"minLength": 16, "maxLength": 16},
         "pii.direct.payment_card"),
        ("(4111111111111112 + range * 10)::varchar", {"minLength": 16, "maxLength": 16}, None),
    ],
)  # fmt: skip
def test_formats_and_tags_come_from_the_values(con, value, options, tag):
    column = columns(proposed(con, f"select {value} as v_no, range as id from range(100)"))["v_no"]
    assert column.get("logicalTypeOptions") == options
    assert column.get("tags") == ([tag] if tag else None)


def test_most_values_of_a_kind_suggest_a_tag_but_no_rule(con):
    column = columns(
        proposed(
            con, "select if(range % 10 = 0, 'none', 'a' || range || '@example.com') as v from range(100)"
        )
    )["v"]
    assert column["tags"] == ["pii.direct.email"]
    assert "format" not in column.get("logicalTypeOptions", {})
    assert "90 of 100 are e-mail addresses" in column["description"]


def test_limits_leave_room(con):
    found = columns(
        proposed(
            con,
            """select range as amount, range - 5 as balance, range / 100 as discount_rate, range % 12 + 1 as month,
            repeat('x', 3 + range::integer % 9) as text, lpad(range::varchar, 5, '0') as code from range(100)""",
        )
    )
    options = {name: c.get("logicalTypeOptions") for name, c in found.items()}
    assert options == {
        "amount": {"minimum": 0},
        "balance": None,
        "discount_rate": {"minimum": 0, "maximum": 1},
        "month": {"minimum": 1, "maximum": 12},
        "text": None,
        "code": {"minLength": 5, "maxLength": 5},
    }
    assert len(found["text"]["enum"]) == 9


def test_descriptions_show_what_was_seen_but_no_personal_value(con):
    found = columns(
        proposed(con, "select range as n, nullif(range, 3) as m, 1900 + range as birth_year from range(100)")
    )
    assert found["n"]["description"] == "Seen: 100 values, none missing, all different, from 0 to 99."
    assert "99 values, 1 missing" in found["m"]["description"]
    assert "1900" not in found["birth_year"]["description"]


def test_the_order_of_rows_and_sampling_do_not_change_the_contract(con):
    rows = "select range as id, 'u' || range || '@example.com' as mail, hash(range)::varchar as h from range(5000)"
    con.execute("set preserve_insertion_order = false")
    first = proposed(con, rows, sample_rows=500)
    assert first == proposed(con, f"{rows} order by hash(range)", sample_rows=500)
    assert "of 5,000 rows" in first["description"]["limitations"]
    assert columns(first)["mail"]["logicalTypeOptions"] == {"format": "email"}


def test_empty_data_odd_names_and_not_a_number_are_fine(con):
    contract = proposed(con, """select 1 as "select", 'x' as "a""b{c}", 1.5e0 as größe where false""")
    assert list(columns(contract)) == ["select", 'a"b{c}', "größe"]
    assert "quality" not in contract["schema"][0]
    found = columns(
        proposed(con, "select if(range = 5, 'nan'::double, range) as x, null as nothing from range(100)")
    )
    assert "to 99.0" in found["x"]["description"]
    assert found["nothing"]["description"].startswith("Seen: 0 values, 100 missing")


def test_names_suggest_tags():
    assert tag_of_name("Customer E-Mail") == "pii.direct.email"
    assert tag_of_name("mobilePhoneNumber") == "pii.direct.phone"
    assert tag_of_name("first_name") == "pii.direct.name"
    assert tag_of_name("date_of_birth") == "pii.quasi.birth_date"
    for name in (
        "product_name",
        "email_count",
        "brand",
        "age_of_store",
        "ship_date",
        "zipped",
        "household_id",
    ):
        assert tag_of_name(name) is None, name
    assert natural_limits("discount_pct") == (0, 100)
    assert snake("customerID-No") == "customer_id_no"


def test_a_file_needs_no_mesh_and_everything_else_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Some Orders.csv").write_text("id,at\n" + "".join(f"{i},2024-01-01\n" for i in range(60)))
    contract = infer("Some Orders.csv")
    assert (contract["id"], contract["schema"][0]["name"]) == ("some_orders", "some_orders")
    assert columns(contract)["at"]["physicalType"] == "date"
    with pytest.raises(UsageError, match=r"no mesh\.yaml"):
        infer("shop.orders")

"""Detectors of personal data against a generated corpus: what is personal, and what only looks like it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import date, timedelta

import duckdb
import pyarrow as pa
import pytest

from raymesh.actions.classify import suggest
from raymesh.actions.classify_sample import Found, detect
from raymesh.spec.classifications import taxonomy
from raymesh.spec.types import Field, Primitive

KNOWN = taxonomy(None)
Make = Callable[[random.Random], str]


def with_luhn(digits: str) -> str:
    total = 0
    for index, c in enumerate(reversed(digits)):
        n = int(c) * (2 if index % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return digits + str(-total % 10)


def digits(r: random.Random, count: int) -> str:
    return "".join(r.choice("0123456789") for _ in range(count))


def in_fours(number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def iban(r: random.Random) -> str:
    country, body = r.choice(["DE", "FR", "NL", "ES"]), digits(r, 18)
    rest = int(body + "".join(str(ord(c) - 55) for c in country) + "00") % 97
    return f"{country}{98 - rest:02d}{body}"


def dni(r: random.Random) -> str:
    n = r.randrange(10**7, 10**8)
    return f"{n}{'TRWAGMYFPDXBNJZSQVHLCKE'[n % 23]}"


def pesel(r: random.Random) -> str:
    born = f"{r.randrange(100):02d}{r.randrange(1, 13):02d}{r.randrange(1, 29):02d}{digits(r, 4)}"
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return born + str((10 - sum(w * int(c) for w, c in zip(weights, born, strict=True)) % 10) % 10)


def nir(r: random.Random) -> str:
    body = f"{r.choice('12')}{r.randrange(40, 100)}{r.randrange(1, 13):02d}{digits(r, 8)}"
    return f"{body}{97 - int(body) % 97:02d}"


def born(r: random.Random) -> str:
    return (date(1935, 1, 1) + timedelta(days=r.randrange(70 * 365))).isoformat()


FIRST = ["Anna", "Peter", "Maria", "John", "Sophie", "Jürgen", "Fatima", "Lukas", "Olivia", "José", "Robert"]
RARE = ["Xanthippe", "Wendelin", "Aurelius", "Ottokar", "Zdenka"]
LAST = [
    "Müller",
    "Smith",
    "O'Neill",
    "García",
    "van den Berg".title(),
    "Kowalski",
    "Dubois",
    "Rossi",
    "Jensen",
]
STREETS = ["Main Street", "Oak Ave", "High Road", "Park Lane", "Elm Dr"]
GERMAN = ["Hauptstraße", "Bahnhofstrasse", "Gartenweg", "Marktplatz", "Lindenallee"]

PERSONAL: dict[str, tuple[str, Make]] = {
    "email": (
        "pii.direct.email",
        lambda r: f"{r.choice(FIRST).lower()}.{digits(r, 4)}@example.com".replace("ü", "u").replace("é", "e"),
    ),
    "phone_e164": ("pii.direct.phone", lambda r: f"+49{r.randrange(10**9, 10**10)}"),
    "phone_spaced": ("pii.direct.phone", lambda r: f"+44 20 {digits(r, 4)} {digits(r, 4)}"),
    "phone_us": (
        "pii.direct.phone",
        lambda r: f"({r.randrange(200, 999)}) {r.randrange(200, 999)}-{digits(r, 4)}",
    ),
    "phone_de": ("pii.direct.phone", lambda r: f"0{r.randrange(30, 999)} / {r.randrange(10**5, 10**7)}"),
    "iban": ("pii.direct.bank_account", iban),
    "card": (
        "pii.direct.payment_card",
        lambda r: with_luhn(f"{r.choice(['4', '51', '55', '2221'])}{digits(r, 18)}"[:15]),
    ),
    "card_spaced": ("pii.direct.payment_card", lambda r: in_fours(with_luhn(f"4{digits(r, 14)}"))),
    "ssn": (
        "pii.direct.national_id",
        lambda r: f"{r.randrange(100, 600)}-{r.randrange(10, 99)}-{r.randrange(1000, 9999)}",
    ),
    "dni": ("pii.direct.national_id", dni),
    "pesel": ("pii.direct.national_id", pesel),
    "nir": ("pii.direct.national_id", nir),
    "ip": ("pii.quasi.ip_address", lambda r: ".".join(str(r.randrange(1, 255)) for _ in range(4))),
    "ip6": ("pii.quasi.ip_address", lambda r: ":".join(f"{r.randrange(65536):x}" for _ in range(8))),
    "coordinates": ("pii.quasi.location", lambda r: f"{r.uniform(-89, 89):.5f}, {r.uniform(-179, 179):.5f}"),
    "born": ("pii.quasi.birth_date", born),
    "name": ("pii.direct.name", lambda r: f"{r.choice(FIRST + RARE)} {r.choice(LAST)}"),
    "name_first": ("pii.direct.name", lambda r: r.choice(FIRST + RARE)),
    "name_reversed": ("pii.direct.name", lambda r: f"{r.choice(LAST)}, {r.choice(FIRST + RARE)}"),
    "address": ("pii.direct.address", lambda r: f"{r.randrange(1, 999)} {r.choice(STREETS)}"),
    "address_de": ("pii.direct.address", lambda r: f"{r.choice(GERMAN)} {r.randrange(1, 200)}"),
    "postcode_gb": (
        "pii.quasi.postcode",
        lambda r: f"SW{r.randrange(1, 20)} {r.randrange(1, 9)}{r.choice('AB')}{r.choice('DE')}",
    ),
}

SERIAL = iter(range(10**6))
LOOKALIKES: dict[str, Make] = {
    # all pass Luhn and begin like a Visa card, but were counted up
    "order_with_check_digit": lambda r: with_luhn(f"4000001{next(SERIAL):08d}"),
    "order_random": lambda r: digits(r, 16),
    "order_short": lambda r: f"{r.randrange(10**9):010d}",
    "price": lambda r: f"{r.uniform(0, 90):.2f}",
    "price_pair": lambda r: f"{r.uniform(0, 90):.2f}, {r.uniform(0, 90):.2f}",
    "measure": lambda r: f"{r.uniform(-80, 80):.6f}",
    "version": lambda r: f"{r.randrange(1, 5)}.{r.randrange(20)}.{r.randrange(30)}.{r.randrange(10)}",
    "version_3": lambda r: f"{r.randrange(1, 30)}.{r.randrange(200)}.{r.randrange(300)}",
    "sku": lambda r: f"{r.choice('ABCDE')}{r.choice('XYZ')}{digits(r, 20)}",
    "iban_wrong": lambda r: f"DE{digits(r, 20)}",
    "isbn": lambda r: f"978{digits(r, 10)}",
    "timestamp_ms": lambda r: str(1_700_000_000_000 + r.randrange(10**10)),
    "day_lately": lambda r: (date(2026, 1, 1) - timedelta(days=r.randrange(900))).isoformat(),
    "day_founded": lambda r: (date(1990, 1, 1) + timedelta(days=r.randrange(5 * 365))).isoformat(),
    "city": lambda r: (
        r.choice(["Berlin", "Paris", "London", "Madrid", "Rome", "Vienna", "Warsaw", "Oslo", "Ghent"])
        + f" {r.randrange(99)}"
    ),
    "product": lambda r: (
        f"{r.choice(['Blue', 'Red', 'Large'])} {r.choice(['Chair', 'Table', 'Lamp', 'Rose'])} {r.randrange(500)}"
    ),
    "company": lambda r: (
        f"{r.choice(['Acme', 'Globex', 'Initech', 'Umbrella', 'Hooli'])} {r.choice(['GmbH', 'Ltd', 'Inc'])} {r.randrange(99)}"
    ),
    "status": lambda r: r.choice(
        ["open", "closed", "shipped", "returned", "lost", "found", "new", "old", "paid", "due"]
    ),
    "url": lambda r: f"https://example.com/{digits(r, 6)}",
    "uuid_like": lambda r: f"{digits(r, 8)}-{digits(r, 4)}-{digits(r, 4)}",
    "time_of_day": lambda r: f"{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}",
    "part_number": lambda r: f"{digits(r, 3)}-{digits(r, 3)}-{digits(r, 3)}",
    "mac": lambda r: "-".join(f"{r.randrange(256):02x}" for _ in range(6)),
    "hash": lambda r: f"{r.getrandbits(128):032x}",
    "nine_digits": lambda r: str(r.randrange(10**8, 10**9)),
    "eleven_digits": lambda r: str(r.randrange(10**10, 10**11)),
    "ratio": lambda r: f"{r.randrange(1, 20)}/{r.randrange(1, 20)}",
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    made = duckdb.connect()
    yield made
    made.close()


def seen(con: duckdb.DuckDBPyConnection, make: Make, name: str, rows: int = 600, seed: int = 7) -> set[str]:
    """The tags proposed for a column `name` of generated values, one in fifty of them missing or garbled."""
    r = random.Random(seed)
    values = [None if n % 50 == 0 else "n/a" if n % 49 == 0 else make(r) for n in range(rows)]
    con.register("t", pa.table({name: values}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    found = detect(con, name)
    return {s.tag for s in suggest(Field(name, Primitive("string"), 1), found, KNOWN)}


def test_values_alone_give_personal_data_away_and_lookalikes_do_not(con: duckdb.DuckDBPyConnection) -> None:
    hits, misses, wrong = 0, [], []
    for kind, (tag, make) in PERSONAL.items():
        tags = seen(con, make, "c")
        if tag in tags:
            hits += 1
        else:
            misses.append(kind)
        wrong += [f"{kind}: {t}" for t in tags - {tag}]
    for kind, make in LOOKALIKES.items():
        wrong += [f"{kind}: {t}" for t in seen(con, make, "c")]
    recall, precision = hits / len(PERSONAL), hits / (hits + len(wrong))
    assert recall == 1, misses
    assert precision == 1, wrong


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("email", "pii.direct.email"),
        ("customerEmail", "pii.direct.email"),
        ("last_name", "pii.direct.name"),
        ("date_of_birth", "pii.quasi.birth_date"),
        ("home_zip_code", "pii.quasi.postcode"),
        ("salary", "pii.quasi.income"),
        ("ssn", "pii.direct.national_id"),
    ],
)
def test_a_name_is_enough_for_a_proposal_when_there_are_no_values(name: str, tag: str) -> None:
    (found,) = suggest(Field(name, Primitive("string"), 1), Found(0), KNOWN)
    assert found.tag == tag
    assert found.confidence < 0.7


def test_a_flag_about_emails_holds_no_emails() -> None:
    assert suggest(Field("email", Primitive("boolean"), 1), Found(0), KNOWN) == ()


def test_a_name_that_the_values_contradict_is_no_proposal(con: duckdb.DuckDBPyConnection) -> None:
    assert seen(con, lambda r: f"template {r.randrange(99)}", "email") == set()


def test_a_name_and_values_that_agree_are_surer_than_either(con: duckdb.DuckDBPyConnection) -> None:
    r = random.Random(1)
    con.register("t", pa.table({"email": [f"a{r.randrange(10**6)}@b.org" for _ in range(100)]}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    (found,) = suggest(Field("email", Primitive("string"), 1), detect(con, "email"), KNOWN)
    assert found.confidence > 0.9
    assert "the name says so" in found.evidence


def test_order_numbers_that_pass_luhn_are_no_cards_by_name(con: duckdb.DuckDBPyConnection) -> None:
    """With the beginnings of many issuers only the name can tell."""
    tag, make = PERSONAL["card"]
    assert tag in seen(con, make, "c")
    assert seen(con, make, "order_number") <= {tag}
    r = random.Random(3)
    con.register("t", pa.table({"order_number": [make(r) for _ in range(300)]}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    found = suggest(Field("order_number", Primitive("string"), 1), detect(con, "order_number"), KNOWN)
    assert all(s.confidence < 0.6 for s in found)


def test_evidence_never_holds_a_value(con: duckdb.DuckDBPyConnection) -> None:
    r = random.Random(5)
    values = [f"secret{r.randrange(10**9)}@example.com" for _ in range(50)]
    con.register("t", pa.table({"c": values}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    for s in suggest(Field("c", Primitive("string"), 1), detect(con, "c"), KNOWN):
        assert "secret" not in s.evidence


def test_numbers_are_looked_at_as_text(con: duckdb.DuckDBPyConnection) -> None:
    r = random.Random(5)
    make = PERSONAL["card"][1]
    con.register("t", pa.table({"c": [int(make(r)) for _ in range(200)]}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    found = suggest(Field("c", Primitive("long"), 1), detect(con, "c"), KNOWN)
    assert [s.tag for s in found] == ["pii.direct.payment_card"]


def test_a_few_values_prove_nothing(con: duckdb.DuckDBPyConnection) -> None:
    con.register("t", pa.table({"c": ["a@b.de", "c@d.de"]}))
    con.execute("CREATE OR REPLACE TABLE sample AS SELECT * FROM t")
    assert suggest(Field("c", Primitive("string"), 1), detect(con, "c"), KNOWN) == ()

"""Detectors of personal data: what values look like, tested by DuckDB with RE2 and checksums.

A detector says of one text whether it has the form, and its check digits if it has any. Columns of such texts
may still be something else (order numbers with a check digit, versions like addresses), so some detectors
also look at the column as a whole: `whole` is a condition over all values that have the form.
"""

from __future__ import annotations

from dataclasses import dataclass

from raymesh.actions.infer_patterns import luhn_test, matches, mod_97_test
from raymesh.quality.formats import STRING_FORMATS
from raymesh.spec.classifications import Pattern


@dataclass(frozen=True, slots=True)
class Detector:
    """`test` is SQL over the text `c`, `whole` an aggregate over the matching ones. `share` of the values, and
    `least` different ones, must match; `confidence` is how sure a match of all values is."""

    pattern: Pattern
    words: str
    test: str
    whole: str = "TRUE"
    share: float = 0.8
    least: int = 5
    confidence: float = 0.9


def _luhn_of_digits() -> str:
    digits = "regexp_replace(c, '[ -]', '', 'g')"
    form = matches(
        "^(4([ -]?[0-9]){12}(([ -]?[0-9]){3}){0,2}|(5[1-5]|2[2-7])([ -]?[0-9]){14}|3[47]([ -]?[0-9]){13}|6(011|5[0-9]{2})([ -]?[0-9]){12})$"
    )
    return f"CASE WHEN {form} THEN {luhn_test(digits)} ELSE FALSE END"


def _weighted(weights: tuple[int, ...]) -> str:
    return " + ".join(f"{w} * TRY_CAST(c[{i + 1}] AS INTEGER)" for i, w in enumerate(weights))


_PESEL = (
    f"CASE WHEN {matches('^[0-9]{2}([02468][1-9]|[13579][0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{5}$')} THEN "
    f"(10 - ({_weighted((1, 3, 7, 9, 1, 3, 7, 9, 1, 3))}) % 10) % 10 = TRY_CAST(c[11] AS INTEGER) ELSE FALSE END"
)
_DNI = (
    f"CASE WHEN {matches('^[0-9]{8}[A-HJ-NP-TV-Z]$')} THEN "
    "substr('TRWAGMYFPDXBNJZSQVHLCKE', TRY_CAST(c[1:8] AS INTEGER) % 23 + 1, 1) = c[9] ELSE FALSE END"
)
_NIR = (
    f"CASE WHEN {matches('^[12][0-9]{2}(0[1-9]|1[0-2])[0-9]{10}$')} THEN "
    "97 - TRY_CAST(c[1:13] AS BIGINT) % 97 = TRY_CAST(c[14:15] AS INTEGER) ELSE FALSE END"
)
_SSN = matches(
    "^(00[1-9]|0[1-9][0-9]|[1-57-8][0-9]{2}|6([0-57-9][0-9]|6[0-57-9]))-(0[1-9]|[1-9][0-9])-[0-9]{4}$"
)
_NINO = matches("^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[A-D]$")
_FISCAL = matches("^[A-Z]{6}[0-9]{2}[A-EHLMPR-T][0-9]{2}[A-Z][0-9]{3}[A-Z]$")

_FIRST_NAMES = (
    "james john robert michael william david richard joseph thomas charles mary patricia jennifer linda elizabeth "
    "barbara susan jessica sarah karen daniel matthew anthony mark paul steven andrew kenneth joshua kevin brian "
    "george edward ronald timothy jason jeffrey ryan jacob gary nicholas eric stephen jonathan larry justin scott "
    "brandon benjamin samuel nancy lisa betty margaret sandra ashley kimberly emily donna michelle carol amanda "
    "dorothy melissa deborah stephanie rebecca sharon laura cynthia kathleen amy angela shirley anna brenda pamela "
    "emma nicole helen samantha katherine christine debra rachel carolyn janet maria heather diane olivia julie "
    "peter hans klaus wolfgang jürgen stefan andreas christian martin frank uwe bernd monika ursula sabine petra "
    "claudia heike ingrid anja katrin julia lukas leon finn jonas felix maximilian sophie marie lena lea hannah mia "
    "jean pierre michel alain philippe nathalie isabelle sylvie camille chloe lucas hugo louis jules jose antonio "
    "manuel francisco juan carmen josefa pilar javier carlos alejandro lucia paula marco giuseppe luca matteo "
    "giulia francesca chiara alessandro piotr krzysztof andrzej agnieszka katarzyna jan pieter sven lars erik "
    "mohammed ahmed fatima ali omar aisha wei li yuki hiroshi raj priya amit ravi sofia ivan dmitri olga elena noah "
    "liam ethan mason logan ava isabella charlotte amelia grace henry jack oliver arthur alice clara ella ben tom"
)
_NAMES = "[" + ", ".join(f"'{name}'" for name in sorted(set(_FIRST_NAMES.split()))) + "]"
_NAME_FORM = r"^\p{Lu}[\p{L}'’-]+([ ,]+\p{Lu}[\p{L}.'’-]*){0,3}$"

_IBAN_FORM = matches("^[A-Z]{2}[0-9]{2} ?([A-Z0-9] ?){11,30}$")
_IBAN_CHECK = mod_97_test("replace(c, ' ', '')")
_IPV4 = matches(STRING_FORMATS["ipv4"])
_IPV6 = matches("^([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}|[0-9a-fA-F:]*::[0-9a-fA-F:]*)$")
_PAIR = matches(r"^-?[0-9]{1,2}\.[0-9]{3,} ?[,; ] ?-?[0-9]{1,3}\.[0-9]{3,}$")

DETECTORS: tuple[Detector, ...] = (
    Detector("email", "e-mail addresses", matches(STRING_FORMATS["email"])),
    Detector(
        "phone", "phone numbers with a country code", matches(r"^(\+|00)[1-9]([ ()./-]{0,2}[0-9]){6,14}$")
    ),
    Detector(
        "phone",
        "phone numbers",
        matches(
            r"^(\(?[2-9][0-9]{2}\)?[ .-]{1,2}[2-9][0-9]{2}[ .-][0-9]{4}|\(?0[1-9][0-9]{1,4}\)?[ /-]{1,3}[0-9]([ -]?[0-9]){3,9})$"
        ),
        confidence=0.75,
    ),
    Detector(
        "iban",
        "IBANs with right check digits",
        f"CASE WHEN {_IBAN_FORM} THEN {_IBAN_CHECK} ELSE FALSE END",
        confidence=0.99,
    ),
    Detector(
        "payment_card",
        "numbers of payment cards with right check digits",
        _luhn_of_digits(),
        # numbers that were counted up share their beginning, cards come from many issuers
        whole="count(DISTINCT substr(regexp_replace(c, '[ -]', '', 'g'), 1, 6)) >= greatest(3, count(*) / 50)",
        share=0.9,
        confidence=0.85,
    ),
    Detector("national_id", "social security numbers", _SSN, confidence=0.9),
    Detector("national_id", "national identification numbers (ES)", _DNI, confidence=0.97),
    Detector("national_id", "national identification numbers (FR)", _NIR, confidence=0.97),
    Detector("national_id", "national identification numbers (PL)", _PESEL, share=0.95, confidence=0.9),
    Detector("national_id", "national insurance numbers (GB)", _NINO, confidence=0.9),
    Detector("national_id", "tax codes (IT)", _FISCAL, confidence=0.97),
    Detector(
        "ip_address",
        "IP addresses",
        f"({_IPV4} OR ({_IPV6} AND length(c) > 6))",
        # versions count from small numbers, networks do not
        whole="avg(CASE WHEN contains(c, ':') OR TRY_CAST(string_split(c, '.')[1] AS INTEGER) >= 10 "
        "THEN 1 ELSE 0 END) >= 0.5 AND avg(CASE WHEN contains(c, ':') OR list_max(list_transform("
        "string_split(c, '.'), lambda part: TRY_CAST(part AS INTEGER))) >= 40 THEN 1 ELSE 0 END) >= 0.5",
    ),
    Detector(
        "coordinates",
        "pairs of latitude and longitude",
        f"CASE WHEN {_PAIR} THEN "
        "abs(TRY_CAST(regexp_extract(c, '^-?[0-9.]+') AS DOUBLE)) <= 90 AND "
        "abs(TRY_CAST(regexp_extract(c, '-?[0-9.]+$') AS DOUBLE)) <= 180 ELSE FALSE END",
    ),
    Detector(
        "person_name",
        "names of people",
        f"({matches(_NAME_FORM)} AND list_has_any(string_split_regex(lower(c), '[ ,]+'), {_NAMES}))",
        share=0.3,
        least=8,
        confidence=0.95,
    ),
    Detector(
        "postal_address",
        "postal addresses",
        matches(
            r"(?i)^([0-9]+[a-z]?,? [\p{L}0-9 .'-]+ (st|street|ave|avenue|rd|road|blvd|boulevard|ln|lane|dr|drive|ct|court|"
            r"way|place|pl|square|sq|terrace)\b\.?|[\p{L} .'-]+(straße|strasse|str\.|weg|platz|allee|gasse|ring|damm) [0-9]+"
            r"|[0-9]+[, ]+(rue|avenue|boulevard|place|via|calle|plaza) [\p{L} '-]+|(via|calle|rue) [\p{L} '-]+,? [0-9]+)"
        ),
        share=0.5,
    ),
    Detector(
        "postcode",
        "postal codes",
        matches(
            "^([A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}|[A-CEGHJ-NPR-TVXY][0-9][A-Z] [0-9][A-Z][0-9]|[0-9]{4} [A-Z]{2})$"
        ),
        share=0.9,
    ),
    Detector(
        "birth_date",
        "dates of birth",
        "(TRY_CAST(c[1:10] AS DATE) BETWEEN DATE '1900-01-01' AND DATE '2035-01-01')",
        # people of many ages: decades between the first and the last, few of the latest years
        whole="date_diff('year', quantile_cont(TRY_CAST(c[1:10] AS DATE), 0.05), "
        "quantile_cont(TRY_CAST(c[1:10] AS DATE), 0.95)) >= 25 "
        "AND quantile_cont(TRY_CAST(c[1:10] AS DATE), 0.95) < current_date - INTERVAL 10 YEAR",
        share=0.95,
        least=20,
        confidence=0.6,
    ),
)

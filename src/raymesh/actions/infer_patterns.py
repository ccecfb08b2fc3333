"""What values and names of columns give away: formats of text, personal data, natural limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from raymesh.quality.formats import STRING_FORMATS
from raymesh.spi.scan_sql import literal


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text: `test` is SQL over the text `{c}`; `format` or `pattern` is the rule it suggests,
    `tag` the classification, `words` what people call it."""

    words: str
    test: str
    format: str | None = None
    pattern: str | None = None
    tag: str | None = None


def _matches(pattern: str) -> str:
    return f"regexp_matches({{c}}, {literal(pattern).replace('{', '{{').replace('}', '}}')})"


_IBAN = "^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"
_E164 = r"^\+[1-9][0-9]{6,14}$"
_MOD_97 = (
    "list_reduce(list_prepend(0::BIGINT, list_transform(string_split({c}[5:] || {c}[1:4], ''), "
    "lambda ch: CASE WHEN ascii(ch) >= 65 THEN ascii(ch) - 55 ELSE ascii(ch) - 48 END::BIGINT)), "
    "lambda rest, digit: (rest * (CASE WHEN digit > 9 THEN 100 ELSE 10 END) + digit) % 97) = 1"
)
_LUHN = (
    "list_sum(list_transform(range(length({c})), lambda i: "
    "CASE WHEN i % 2 = 0 THEN TRY_CAST({c}[length({c}) - i] AS INTEGER) "
    "WHEN TRY_CAST({c}[length({c}) - i] AS INTEGER) > 4 THEN 2 * TRY_CAST({c}[length({c}) - i] AS INTEGER) - 9 "
    "ELSE 2 * TRY_CAST({c}[length({c}) - i] AS INTEGER) END)) % 10 = 0"
)


def matches(pattern: str) -> str:
    """SQL: whether the text `c` matches an RE2 pattern."""
    return f"regexp_matches(c, {literal(pattern)})"


def luhn_test(text: str) -> str:
    """SQL: whether the digits of the expression `text` end with the right check digit of Luhn."""
    return "(" + _LUHN.format(c=f"({text})") + ")"


def mod_97_test(text: str) -> str:
    """SQL: whether the expression `text` is an IBAN with the right check digits."""
    return "(" + _MOD_97.format(c=f"({text})") + ")"


TEXT_KINDS: tuple[TextKind, ...] = (
    TextKind("e-mail addresses", _matches(STRING_FORMATS["email"]), format="email", tag="pii.direct.email"),
    TextKind("UUIDs", _matches(STRING_FORMATS["uuid"]), format="uuid"),
    TextKind("IPv4 addresses", _matches(STRING_FORMATS["ipv4"]), format="ipv4", tag="pii.quasi.ip_address"),
    TextKind(
        "addresses of resources",
        f"(contains({{c}}, '://') AND {_matches(STRING_FORMATS['uri'])})",
        format="uri",
    ),
    TextKind(
        "IBANs",
        f"CASE WHEN {_matches(_IBAN)} THEN {_MOD_97} ELSE FALSE END",
        pattern=_IBAN,
        tag="pii.direct.bank_account",
    ),
    TextKind("phone numbers", _matches(_E164), pattern=_E164, tag="pii.direct.phone"),
    TextKind("phone numbers", _matches(r"^\+[1-9][0-9 ()./-]{6,20}$"), tag="pii.direct.phone"),
    TextKind(
        "numbers of payment cards",
        f"CASE WHEN {_matches('^[3-6][0-9]{12,18}$')} THEN {_LUHN} ELSE FALSE END",
        tag="pii.direct.payment_card",
    ),
    TextKind("dates", _matches(STRING_FORMATS["date"]), format="date"),
    TextKind("times with a zone", _matches(STRING_FORMATS["date-time"]), format="date-time"),
)

_NAMES: tuple[tuple[str, str], ...] = (
    (r"e_?mail(_address)?$", "pii.direct.email"),
    (r"(^|_)(phone|mobile|telephone|tel|fax|cell)(_?(number|no|nr))?$", "pii.direct.phone"),
    (
        (
            r"(^|_)((first|last|full|given|family|middle|maiden|birth|customer|contact|person|employee|user|holder)_?name"
            r"|surname|forename|initials)$"
        ),
        "pii.direct.name",
    ),
    (r"(^|_)(street|address|address_?line_?[0-9]?|house_?number)$", "pii.direct.address"),
    (r"(^|_)(iban|bank_?account|account_?number)$", "pii.direct.bank_account"),
    (
        r"(^|_)(ssn|social_?security(_?number)?|national_?id|passport(_?(number|no))?|tax_?id)$",
        "pii.direct.national_id",
    ),
    (r"(^|_)(card|credit_?card|pan)_?(number|no)$", "pii.direct.payment_card"),
    (r"(^|_)ip(_?address)?$", "pii.quasi.ip_address"),
    (r"(^|_)(dob|birth_?date|date_?of_?birth|birthday|birth_?year)$", "pii.quasi.birth_date"),
    (r"(^|_)(zip|zip_?code|postcode|postal_?code|plz)$", "pii.quasi.postcode"),
    (r"(^|_)(gender|sex)$", "pii.quasi.gender"),
    (r"^(age|age_?(group|range|band))$", "pii.quasi.age"),
    (r"(^|_)(income|salary)(_?(group|range|band))?$", "pii.quasi.income"),
    (r"(^|_)(latitude|longitude|lat|lon|lng|geo_?location)$", "pii.quasi.location"),
    (r"(^|_)(marital_?status|ethnicity|religion|nationality)$", "pii.quasi.demographic"),
)
_TAGS_BY_NAME = tuple((re.compile(pattern), tag) for pattern, tag in _NAMES)

_LIMITS = tuple(
    (re.compile(pattern), low, high)
    for pattern, low, high in (
        (r"(^|_)(pct|percent|percentage)$", 0, 100),
        (r"(^|_)(rate|ratio|share|probability)$", 0, 1),
        (r"(^|_)(latitude|lat)$", -90, 90),
        (r"(^|_)(longitude|lon|lng)$", -180, 180),
        (r"(^|_)month$", 1, 12),
        (r"(^|_)quarter$", 1, 4),
        (r"(^|_)hour$", 0, 23),
    )
)

_KEYS = re.compile(r"(^|_)(id|key|code|no|nr|number|uuid|guid|sku|ean|isbn)$")
_KEY_PARTS = re.compile(
    r"(^|_)(id|key|code|no|nr|number|line|date|day|week|month|year|seq|sequence|position)$"
)


def snake(name: str) -> str:
    """`customerEmail` and `Customer E-Mail` as `customer_email`, so that names compare."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_").replace("e_mail", "email")


def tags_of_name(name: str) -> tuple[str, ...]:
    """Every classification a column's name suggests, the most probable first."""
    return tuple(tag for pattern, tag in _TAGS_BY_NAME if pattern.search(snake(name)))


def tag_of_name(name: str) -> str | None:
    """The classification a column's name suggests."""
    return next((tag for pattern, tag in _TAGS_BY_NAME if pattern.search(snake(name))), None)


def natural_limits(name: str) -> tuple[int, int] | None:
    """The least and greatest value that what the name says can have."""
    return next(((low, high) for pattern, low, high in _LIMITS if pattern.search(snake(name))), None)


def names_a_key(name: str) -> bool:
    """Whether a column of this name may identify a row by itself."""
    return _KEYS.search(snake(name)) is not None


def names_a_key_part(name: str) -> bool:
    """Whether a column of this name may identify a row together with others."""
    return _KEY_PARTS.search(snake(name)) is not None

"""governance/classifications.yaml: the tags there are, and the purposes data may be used for.

Tags are words with dots: a tag stands for all below it (`pii` for `pii.direct.email`). Only registered ones
count. They are compared in NFC and without regard to case; a tag that merely looks like a registered one is
another tag, and so an error with the one that was probably meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ModelWrapValidatorHandler, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from raymesh.spec.model import Many, Maybe, Model
from raymesh.spec.problems import Problem, entries, validated
from raymesh.spec.wording import did_you_mean

Pattern = Literal[
    "email",
    "phone",
    "iban",
    "payment_card",
    "national_id",
    "ip_address",
    "coordinates",
    "birth_date",
    "person_name",
    "postal_address",
    "postcode",
]
"""What values may be recognised as: detectors that raymesh brings."""


def normal(tag: str) -> str:
    """The tag as tags are compared: NFC, case folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", tag).casefold())


def _tag(value: str) -> str:
    found = normal(value)
    if not found or any(not part or not part.replace("_", "a").isalnum() for part in found.split(".")):
        raise PydanticCustomError(
            "wrong-value",
            "a tag of letters, digits and `_`, its parts joined by dots, such as pii.direct.email",
        )
    return found


TagName = Annotated[str, AfterValidator(_tag)]


class Detect(Model):
    """What gives a tag away: regular expressions that names of columns match, and a detector of values."""

    names: Many[str] = ()
    pattern: Maybe[Pattern] = None


class Tag(Model):
    """One tag. Reading a column with a `sensitive` one takes a purpose, and a new agreement when it is new."""

    tag: TagName
    description: Maybe[str] = None
    sensitive: bool = False
    detect: Maybe[Detect] = None


class Purpose(Model):
    """What data may be used for."""

    name: str
    description: Maybe[str] = None


class Classifications(Model):
    """The taxonomy of a mesh."""

    api_version: Literal["raymesh/v1"]
    kind: Literal["Classifications"]
    tags: Many[Tag] = ()
    purposes: Many[Purpose] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _follow_the_rules(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        model: Self = validated(value, handler, _problems, info)
        return model


def _problems(document: dict[str, Any]) -> Iterable[Problem]:
    yield from _twice(document, "tags", "tag", normal)
    yield from _twice(document, "purposes", "name", str)
    yield from _wrong_names(document)


def _twice(document: dict[str, Any], key: str, name: str, read: Any) -> Iterable[Problem]:
    seen: set[str] = set()
    for index, item in entries(document.get(key)):
        word = item.get(name)
        if not isinstance(word, str):
            continue
        if read(word) in seen:
            yield Problem((key, index, name), "duplicate-key", f"`{word}` is here a second time")
        seen.add(read(word))


def _wrong_names(document: dict[str, Any]) -> Iterable[Problem]:
    """Expressions that RE2 would not take either: no look-around, no back references."""
    import re

    for index, item in entries(document.get("tags")):
        detect = item.get("detect")
        names = detect.get("names") if isinstance(detect, dict) else None
        for n, text in enumerate(names if isinstance(names, list) else ()):
            if not isinstance(text, str):
                continue
            try:
                re.compile(text)
                bad = "(?=" in text or "(?!" in text or "(?<" in text
            except re.error:
                bad = True
            if bad:
                message = f"`{text}` is no regular expression without look-around"
                yield Problem(("tags", index, "detect", "names", n), "wrong-value", message)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The registered tags by name, purposes by name. `built_in` says that the mesh has none of its own."""

    tags: Mapping[str, Tag]
    purposes: frozenset[str]
    built_in: bool = False

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.tags)

    @property
    def sensitive(self) -> frozenset[str]:
        return frozenset(name for name, tag in self.tags.items() if tag.sensitive)

    def knows(self, tag: str) -> bool:
        """Whether `tag` is registered."""
        return normal(tag) in self.tags

    def covers(self, tag: str) -> bool:
        """Whether `tag` is registered, or stands for registered ones below it."""
        word = normal(tag)
        return word in self.tags or any(name.startswith(f"{word}.") for name in self.tags)

    def hint(self, tag: str) -> str:
        """What was probably meant by an unregistered tag, or where tags are registered."""
        word = skeleton(tag)
        twin = next((name for name in self.tags if skeleton(name) == word), None)
        if twin is not None:
            odd = [c for c in tag if not c.isascii()] or ([" "] if tag != tag.strip() else [])
            shown = f" (`{odd[0]}` is {unicodedata.name(odd[0], 'another character')})" if odd else ""
            return f"did you mean `{twin}`?{shown}"
        way = did_you_mean(tag, self.tags)
        return way or "register it in governance/classifications.yaml"


_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁгпьαορνικуᴀ０１３５|!",
    "aeopcyxijsdrnbaopvikya0135ll",
)


def skeleton(text: str) -> str:
    """What a reader sees: compatibility forms, accents, look-alike letters and blanks taken away."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    shown = "".join(c for c in plain if not unicodedata.combining(c) and not c.isspace() and c.isprintable())
    return shown.translate(_LOOKALIKES).replace("-", "_")


def _built_in() -> tuple[Tag, ...]:
    def tag(name: str, words: str, pattern: Any = None, *, sensitive: bool = True) -> Tag:
        detect = {"detect": Detect(pattern=pattern)} if pattern else {}
        return Tag(tag=name, description=words, sensitive=sensitive, **detect)

    return (
        tag("public", "May be shown to anybody.", sensitive=False),
        tag("internal", "For people of the organisation.", sensitive=False),
        tag("confidential", "For those who need it.", sensitive=False),
        tag("restricted", "For the few who are named."),
        tag("pii", "Personal data."),
        tag("pii.direct", "Names a person by itself."),
        tag("pii.direct.email", "E-mail addresses.", "email"),
        tag("pii.direct.phone", "Telephone numbers.", "phone"),
        tag("pii.direct.name", "Names of people.", "person_name"),
        tag("pii.direct.address", "Postal addresses.", "postal_address"),
        tag("pii.direct.bank_account", "IBANs and account numbers.", "iban"),
        tag("pii.direct.payment_card", "Numbers of payment cards.", "payment_card"),
        tag("pii.direct.national_id", "Numbers that a state gives to a person.", "national_id"),
        tag("pii.direct.identifier", "Other identifiers of a person, such as a customer number."),
        tag("pii.quasi", "Names a person together with other data."),
        tag("pii.quasi.customer_id", "Numbers under which a customer or household is known."),
        tag("pii.quasi.birth_date", "Dates of birth.", "birth_date"),
        tag("pii.quasi.ip_address", "Addresses of devices.", "ip_address"),
        tag("pii.quasi.location", "Where somebody is.", "coordinates"),
        tag("pii.quasi.postcode", "Postal codes.", "postcode"),
        tag("pii.quasi.gender", "Sex or gender."),
        tag("pii.quasi.age", "Age, exact or as a range."),
        tag("pii.quasi.income", "Income, exact or as a range."),
        tag("pii.quasi.family", "Household size, children, marital status."),
        tag("pii.quasi.housing", "How somebody lives."),
        tag("pii.quasi.demographic", "Marital status, household, nationality and the like."),
        tag(
            "pii.special", "Special categories: health, religion, ethnicity, politics, sex life, biometrics."
        ),
    )


def taxonomy(document: Classifications | None) -> Taxonomy:
    """The taxonomy of a mesh: its own document's, otherwise the built-in one."""
    if document is None:
        return Taxonomy({t.tag: t for t in _built_in()}, frozenset(), built_in=True)
    return Taxonomy({t.tag: t for t in document.tags}, frozenset(p.name for p in document.purposes))


def default_document() -> dict[str, Any]:
    """The built-in taxonomy as a document, to start one's own from."""
    tags = [t.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True) for t in _built_in()]
    return {"apiVersion": "raymesh/v1", "kind": "Classifications", "tags": tags, "purposes": []}

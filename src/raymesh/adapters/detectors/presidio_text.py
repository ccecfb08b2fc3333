"""Presidio: personal data inside sentences, by the recognisers that need no language model, so nobody's name.

Values that are a number or an address as a whole are for raymesh's own detectors, which are a thousand times faster.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from raymesh.spi.detector import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raymesh.spi.detector import Sample

MOST_TEXTS = 500
"""Texts searched per column; each takes a fraction of a millisecond."""
_LEAST_TEXTS = 3
_SURE = 0.4
"""The score from which a recogniser is believed: below are forms that many numbers have."""
_CONFIDENCE = 0.8
_ABROAD = ["ZZ"]
"""No region: in every other one some numbers of orders would be valid."""
_PROSE = r"\p{L}{2,}\s+\p{L}{2,}\s+\p{L}{2,}"


def search(sample: Sample) -> Iterator[Finding]:
    """A finding for each kind of personal data that some of the sentences in a column hold."""
    prose = sample.values.filter(pc.match_substring_regex(sample.values, _PROSE))
    if 2 * len(prose) < len(sample.values) or not len(prose):
        return
    texts = prose.slice(0, MOST_TEXTS).to_pylist()
    for (tag, words), recognizers in _recognizers().items():
        found = sum(any(_holds(r, text) for r in recognizers) for text in texts)
        if found >= _LEAST_TEXTS:
            yield Finding(tag, f"sentences with {words} in them (Presidio)", found / len(texts), _CONFIDENCE)


def _holds(recognizer: Any, text: str) -> bool:
    found = recognizer.analyze(text, recognizer.supported_entities, None)
    return any(result.score >= _SURE for result in found or ())


@cache
def _recognizers() -> dict[tuple[str, str], tuple[Any, ...]]:
    """By tag and the words for it. The form of an e-mail address is enough: looking its domain up would fetch a
    list from the network. Numbers of ten or eleven digits are not asked for: some order numbers have their form."""
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer import predefined_recognizers as known

    email = PatternRecognizer("EMAIL_ADDRESS", patterns=known.EmailRecognizer.PATTERNS)
    return {
        ("pii.direct.email", "e-mail addresses"): (email,),
        ("pii.direct.phone", "phone numbers with a country code"): (
            known.PhoneRecognizer(supported_regions=_ABROAD),
        ),
        ("pii.direct.bank_account", "IBANs"): (known.IbanRecognizer(),),
        ("pii.direct.payment_card", "numbers of payment cards"): (known.CreditCardRecognizer(),),
        ("pii.direct.national_id", "national identification numbers"): (
            known.UsSsnRecognizer(),
            known.EsNifRecognizer(),
            known.ItFiscalCodeRecognizer(),
        ),
        ("pii.quasi.ip_address", "IP addresses"): (known.IpRecognizer(),),
    }

"""Synthetic contact data, one row per household.

The retail set is anonymous. This step invents what a real customer system would hold, so that
masking, consent and erasure have something to act on. Everything follows from `household_id`: the
same household always gets the same person, on every machine. Addresses end in the reserved domains
example.com and example.org, telephone numbers use the block 555-0100 to 555-0199 kept for fiction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from raymesh import batch

GIVEN_NAMES = """
Ada Amir Anouk Aron Bela Bianca Carlos Chiara Dana Dmitri Edith Elif Emil Esra Farid Fleur Gita Goran Hana Henrik
Ines Ivo Jamal Jana Joris Kaya Kofi Lena Leo Lina Luca Maja Malik Mara Mateo Mina Nadia Niklas Noor Olga Omar Oona
Paula Pavel Rana Remi Sara Selim Sofia Sven Tara Theo Uma Viktor Wanda Yara Yusuf Zoe
"""
FAMILY_NAMES = """
Abel Adler Amato Baker Barros Becker Bianchi Castro Chen Costa Dahl Diallo Duarte Eriksen Falk Farah Ferrer Fischer
Fontaine Garcia Greco Haddad Hansen Ibarra Ivanov Jansen Kaiser Kang Kaplan Keller Khan Kovacs Lang Larsen Lopez
Lund Mbeki Meyer Molina Moreau Nakata Nilsen Novak Okoye Olsen Ortega Patel Peeters Petrov Quinn Ramos Reyes Rossi
Sato Schmid Silva Singh Sorel Tanaka Torres Urban Vidal Vogel Weber Yilmaz
"""
GIVEN, FAMILY = pa.array(GIVEN_NAMES.split()), pa.array(FAMILY_NAMES.split())
MAIL_DOMAINS = pa.array(["example.com", "example.org"])
CHANNELS = pa.array(["email", "phone", "post"])
CONSENT = pa.array(["granted", "withdrawn", "pending"])
CONSENT_SHARES = (0.72, 0.90)  # up to 72 % granted, up to 90 % withdrawn, the rest pending
FIRST_CONSENT_DAY = np.datetime64("2016-01-01", "D")

Whole = npt.NDArray[np.uint64]


def scramble(keys: Whole, salt: int) -> Whole:
    """A well mixed 64-bit number per key (the finaliser of SplitMix64); `salt` separates uses."""
    with np.errstate(over="ignore"):
        mixed = keys + np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def pick(values: pa.Array, keys: Whole, salt: int) -> pa.Array:
    """One of `values` per key, all equally likely."""
    return values.take(pa.array((scramble(keys, salt) % np.uint64(len(values))).astype(np.int64)))


def share(keys: Whole, salt: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per key."""
    return (scramble(keys, salt) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def phones(keys: Whole) -> pa.Array:
    """+1-<area>-555-01xx; area and last digits together are the household, so no number occurs twice."""
    area = pa.array((201 + keys // 100).astype(np.int64)).cast(pa.string())
    line = pc.utf8_lpad(pa.array((keys % 100).astype(np.int64)).cast(pa.string()), 2, "0")
    return pc.binary_join_element_wise(pa.scalar("+1-"), area, pa.scalar("-555-01"), line, "")


def consent(keys: Whole) -> pa.Array:
    """The decision about marketing and analysis: granted, withdrawn or pending."""
    return CONSENT.take(pa.array(np.searchsorted(CONSENT_SHARES, share(keys, 5), side="right")))


@batch(input="customer.households", size=65536)
def transform(batch: pa.Table) -> pa.Table:
    keys = batch["household_id"].combine_chunks().to_numpy().astype(np.uint64)
    given, family = pick(GIVEN, keys, 1), pick(FAMILY, keys, 2)
    number = pa.array(keys.astype(np.int64)).cast(pa.string())
    name = pc.binary_join_element_wise(pc.utf8_lower(given), pc.utf8_lower(family), number, ".")
    status = consent(keys)
    decided_on = FIRST_CONSENT_DAY + (scramble(keys, 6) % np.uint64(366)).astype(np.int64)
    return pa.table(
        {
            "household_id": batch["household_id"],
            "given_name": given,
            "family_name": family,
            "email": pc.binary_join_element_wise(name, pick(MAIL_DOMAINS, keys, 3), "@"),
            "phone": phones(keys),
            "preferred_channel": pick(CHANNELS, keys, 4),
            "gdpr_consent_status": status,
            "marketing_consent": pc.equal(status, "granted"),
            "consent_recorded_on": pa.array(decided_on),
            "synthetic": pa.array(np.ones(len(keys), dtype=bool)),
        }
    )

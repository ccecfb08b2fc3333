"""The rules raymesh brings: what standards.yaml switches on, each as a query over facts.

A violation says what is missing, never that a law is kept: an article is a reminder of why the rule is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raymesh.spec.standards import Applies, Severity

ARTICLES = {
    "GDPR Art. 5(1)(b)": "Purpose limitation",
    "GDPR Art. 5(1)(d)": "Accuracy",
    "GDPR Art. 5(1)(e)": "Storage limitation",
    "GDPR Art. 5(1)(f)": "Integrity and confidentiality",
    "GDPR Art. 5(2)": "Accountability",
    "GDPR Art. 25": "Data protection by design and by default",
    "GDPR Art. 30": "Records of processing activities",
    "GDPR Art. 32": "Security of processing",
}


@dataclass(frozen=True, slots=True)
class Builtin:
    """A rule and the key of standards.yaml that switches it on. `{t}` in title and query is the threshold."""

    name: str
    section: str
    key: str
    applies: Applies
    title: str
    sql: str
    requirements: tuple[str, ...] = ()
    severity: Severity = "error"

    def sql_for(self, threshold: Any) -> str:
        """The query for a threshold; only numbers are written into it."""
        return self.sql.replace("{t}", repr(float(threshold)))

    def title_for(self, threshold: Any) -> str:
        shown = f"{float(threshold):g}"
        hours = f"{float(threshold) / 3600:g} h"
        return self.title.replace("{t}", shown).replace("{hours}", hours)


_PERSONAL = """list_filter(c.tags, lambda tag: tag = 'pii' OR starts_with(tag, 'pii.'))"""
_WITH_PERSONAL = f"""SELECT DISTINCT c.product, c.port FROM columns c WHERE len({_PERSONAL}) > 0"""

QUERIES: tuple[Builtin, ...] = (
    Builtin(
        "minimum-completeness",
        "dataQuality",
        "minimumCompleteness",
        "evidence",
        "At least {t} of all values are not NULL.",
        """SELECT product, port, NULL AS "column", completeness AS evidence,
            CASE WHEN completeness IS NULL THEN 'nothing shows how complete it is: no NULLs were counted'
                 ELSE format('{:.4f} of its values are there, at least {} must be', completeness, {t}) END AS message
        FROM versions WHERE is_current AND rows > 0 AND (completeness IS NULL OR completeness < {t})""",
        ("GDPR Art. 5(1)(d)",),
    ),
    Builtin(
        "maximum-error-rate",
        "dataQuality",
        "maximumErrorRate",
        "evidence",
        "At most {t} of all rows break a promise.",
        """SELECT product, port, NULL AS "column", error_rate AS evidence,
            CASE WHEN error_rate IS NULL THEN 'nothing shows how many rows are wrong: no promise about rows was judged'
                 ELSE format('{:.4f} of its rows break a promise, at most {} may', error_rate, {t}) END AS message
        FROM versions WHERE is_current AND rows > 0 AND (error_rate IS NULL OR error_rate > {t})""",
        ("GDPR Art. 5(1)(d)",),
    ),
    Builtin(
        "minimum-quality",
        "dataQuality",
        "minimumQuality",
        "evidence",
        "The quality score is at least {t}.",
        """SELECT product, port, NULL AS "column", quality_score AS evidence,
            CASE WHEN quality_score IS NULL THEN 'nothing was judged, so it has no quality score'
                 ELSE format('its quality score is {:.4f}, at least {} is demanded', quality_score, {t}) END AS message
        FROM versions WHERE is_current AND (quality_score IS NULL OR quality_score < {t})""",
        ("GDPR Art. 5(1)(d)",),
    ),
    Builtin(
        "freshness",
        "dataQuality",
        "freshness",
        "continuous",
        "The current version is at most {hours} old.",
        """SELECT product, port, NULL AS "column", age_seconds AS evidence,
            format('its current version is {:.1f} h old, at most {:.1f} h are allowed', age_seconds / 3600, {t} / 3600)
                AS message
        FROM versions WHERE is_current AND age_seconds > {t}""",
    ),
    Builtin(
        "encryption-required",
        "security",
        "encryptionRequired",
        "documents",
        "Somebody answers for encryption at rest, and no address is reached unencrypted.",
        """SELECT NULL AS product, NULL AS port, NULL AS "column", NULL AS evidence,
            'nobody states how data is encrypted where it lies: say so in mesh.yaml, storage.encryption' AS message
        FROM mesh WHERE encryption_at_rest IS NULL
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, 'an address in mesh.yaml is reached over the network without encryption'
        FROM mesh WHERE NOT encryption_in_transit""",
        ("GDPR Art. 32",),
    ),
    Builtin(
        "access-logging",
        "security",
        "accessLogging",
        "continuous",
        "Reads are recorded in the audit log.",
        """SELECT NULL AS product, NULL AS port, NULL AS "column", NULL AS evidence,
            'products are published, but the audit log holds no record' AS message
        FROM audit WHERE records = 0 AND EXISTS (SELECT 1 FROM versions)
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, 'no policy decides about reads, so none can be recorded as allowed'
        FROM mesh WHERE policies = 0""",
        ("GDPR Art. 5(2)", "GDPR Art. 32"),
    ),
    Builtin(
        "pii-protection",
        "security",
        "piiProtection",
        "documents",
        "A policy masks or denies every column with personal data to everybody it is not excepted for.",
        f"""WITH personal AS (
            SELECT c.product, c.port, c.column, c.line, unnest({_PERSONAL}) AS tag FROM columns c),
        general AS (
            SELECT * FROM policies WHERE effect IN ('mask', 'deny') AND mask IS DISTINCT FROM 'raw'
                AND len(groups) + len(principals) + len(purposes) + len(attributes) = 0),
        covered AS (
            SELECT DISTINCT p.product, p.port, p.column FROM personal p JOIN general g ON
                (g.origin = 'global' OR g.origin = split_part(p.product, '.', 1))
                AND (len(g.tags) = 0 OR len(list_filter(g.tags,
                    lambda t: p.tag = t OR starts_with(p.tag, t || '.'))) > 0)
                AND (len(g.domains) = 0 OR list_contains(g.domains, split_part(p.product, '.', 1)))
                AND (len(g.products) = 0 OR list_contains(g.products, p.product)
                    OR list_contains(g.products, split_part(p.product, '.', 1) || '.*'))
                AND (len(g.columns) = 0 OR list_contains(g.columns, p.column)))
        SELECT p.product, p.port, p.column, string_agg(DISTINCT p.tag, ', ' ORDER BY p.tag) AS evidence,
            'it holds personal data (' || string_agg(DISTINCT p.tag, ', ' ORDER BY p.tag)
                || ') that no policy masks or denies' AS message
        FROM personal p ANTI JOIN covered k ON (p.product = k.product AND p.port = k.port AND p.column = k.column)
        GROUP BY ALL""",
        ("GDPR Art. 25", "GDPR Art. 32"),
    ),
    Builtin(
        "columns-classified",
        "security",
        "piiProtection",
        "continuous",
        "Every published column is classified.",
        """SELECT product, port, "column", NULL AS evidence,
            'it is not classified, so nobody but its producer sees it: raymesh classify' AS message
        FROM classifications WHERE NOT classified""",
        ("GDPR Art. 25",),
        severity="warning",
    ),
    Builtin(
        "gdpr-purpose",
        "compliance",
        "gdprCompliance",
        "documents",
        "Contracts of personal data say for which purposes it may be used.",
        f"""SELECT c.product, c.port, NULL AS "column", NULL AS evidence,
            'it holds personal data, but its contract does not say for which purposes (setting `purposes`)' AS message
        FROM contracts c SEMI JOIN ({_WITH_PERSONAL}) p ON (c.product = p.product AND c.port = p.port)
        WHERE c.purposes IS NULL""",
        ("GDPR Art. 5(1)(b)",),
    ),
    Builtin(
        "gdpr-records",
        "compliance",
        "gdprCompliance",
        "documents",
        "Products with personal data say what they are for and whom to ask.",
        f"""SELECT x.product, NULL AS port, NULL AS "column", NULL AS evidence,
            'it holds personal data, but product.yaml does not say what it is for (`description.purpose`)' AS message
        FROM products x SEMI JOIN ({_WITH_PERSONAL}) p ON x.product = p.product WHERE x.purpose IS NULL
        UNION ALL
        SELECT x.product, NULL, NULL, NULL,
            'it holds personal data, but its domain names nobody to write to (`owner.email` or `owner.contacts`)'
        FROM products x SEMI JOIN ({_WITH_PERSONAL}) p ON x.product = p.product
        JOIN domains d ON d.domain = x.domain WHERE d.email IS NULL AND d.contacts = 0""",
        ("GDPR Art. 30",),
    ),
    Builtin(
        "gdpr-retention",
        "compliance",
        "gdprCompliance",
        "documents",
        "Contracts of personal data promise how long it is kept.",
        f"""SELECT c.product, c.port, NULL AS "column", NULL AS evidence,
            'it holds personal data, but its contract does not say how long it is kept (`slaProperties`: retention)'
                AS message
        FROM contracts c SEMI JOIN ({_WITH_PERSONAL}) p ON (c.product = p.product AND c.port = p.port)
        WHERE c.retention_seconds IS NULL""",
        ("GDPR Art. 5(1)(e)",),
    ),
    Builtin(
        "retention-promised",
        "compliance",
        "dataRetentionPolicies",
        "documents",
        "Every contract promises how long data is kept.",
        """SELECT product, port, NULL AS "column", NULL AS evidence,
            'its contract does not say how long data is kept (`slaProperties`: retention)' AS message
        FROM contracts WHERE retention_seconds IS NULL""",
        ("GDPR Art. 5(1)(e)",),
    ),
    Builtin(
        "retention-kept",
        "compliance",
        "dataRetentionPolicies",
        "continuous",
        "No version stays readable for longer than promised, unless a legal hold keeps it.",
        """SELECT v.product, v.port, NULL AS "column", v.age_seconds AS evidence,
            format('version {} is {:.1f} days old and still readable, {:.1f} days are promised: raymesh maintain',
                v.version, v.age_seconds / 86400, c.retention_seconds / 86400) AS message
        FROM versions v JOIN contracts c ON (v.product = c.product AND v.port = c.port)
        WHERE c.legal_hold IS NULL AND v.age_seconds > c.retention_seconds""",
        ("GDPR Art. 5(1)(e)",),
    ),
    Builtin(
        "audit-trail",
        "compliance",
        "auditTrailRequired",
        "continuous",
        "Every record of the audit log is covered by a signed checkpoint.",
        """SELECT NULL AS product, NULL AS port, NULL AS "column", records AS evidence,
            CASE WHEN records = 0 THEN 'products are published, but the audit log is empty'
                 ELSE format('{} records of the audit log are covered by no signed checkpoint',
                     records - coalesce(checkpoint_size, 0)) END AS message
        FROM audit WHERE (records = 0 AND EXISTS (SELECT 1 FROM versions))
            OR records > coalesce(checkpoint_size, 0)""",
        ("GDPR Art. 5(2)",),
    ),
)

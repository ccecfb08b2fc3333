"""The mesh described as tables: names, columns and meanings of its facts, as data.

Standards are queries over these tables, and people may query them too. Tables and columns are only ever added
while `FACTS_VERSION` stays; a table of which there is no evidence yet is there, and empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FACTS_VERSION = 1

Kind = Literal["text", "texts", "integer", "number", "boolean", "time"]
"""texts is a list of text, time an instant in UTC."""
Basis = Literal["documents", "evidence", "continuous"]


@dataclass(frozen=True, slots=True)
class FactColumn:
    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class FactTable:
    """`basis` says what a table is made from: documents alone, evidence of versions, or evidence that grows
    without a publish."""

    name: str
    basis: Basis
    meaning: str
    columns: tuple[FactColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


def _table(name: str, basis: Basis, meaning: str, columns: str) -> FactTable:
    """Columns as lines of `name kind meaning`."""
    split = [line.split(None, 2) for line in columns.strip().splitlines()]
    return FactTable(name, basis, meaning, tuple(FactColumn(n, k, m) for n, k, m in split))  # type: ignore[arg-type]  # checked by a test


TABLES: tuple[FactTable, ...] = (
    _table(
        "mesh",
        "documents",
        "The mesh itself, one row.",
        """
        mesh text name of the mesh
        facts_version integer version of this schema
        evaluated_at time when the facts were gathered
        governed boolean whether it has governance documents
        standards_version text version of its standards; null without
        policies integer number of policies
        warehouse text where tables lie: file or s3
        encryption_at_rest text how data is encrypted where it lies, as mesh.yaml states; null when nobody says
        encryption_stated_by text who stated it
        encryption_in_transit boolean whether no address in mesh.yaml is plain http or an unencrypted database on another host
        """,
    ),
    _table(
        "domains",
        "documents",
        "One row per domain.",
        """
        domain text name
        description text what it is about
        owner text the owning team
        email text how to reach the team
        contacts integer people named
        budget number money per month; null without
        currency text of the budget
        products integer number of products
        tags texts free words
        path text its document
        """,
    ),
    _table(
        "products",
        "documents",
        "One row per data product.",
        """
        product text domain.product
        domain text its domain
        version text version of the product document
        status text as the document says
        purpose text description.purpose
        limitations text description.limitations
        usage text description.usage
        owner text team of the product, otherwise of the domain
        support integer channels for questions
        tags texts free words
        deprecated boolean whether readers should leave
        engine text engine asked for; null when the mesh decides
        mode text full or append
        minimum_quality number lowest score it publishes with; null without
        refresh text schedule; null without
        path text its document
        """,
    ),
    _table(
        "ports",
        "documents",
        "One row per output port, each one table.",
        """
        product text domain.product
        port text default for the first
        domain text its domain
        table_name text name in SQL
        kind text how it is made: ingest, sql, batch or dataset
        contract_id text id of its contract
        contract_version text version of its contract
        deprecated boolean whether readers should leave
        path text its contract
        """,
    ),
    _table(
        "columns",
        "documents",
        "One row per column that a contract promises.",
        """
        product text domain.product
        port text port
        column text name
        position integer from 1
        physical_type text as written
        logical_type text as written
        description text as written
        required boolean whether NULL is a violation
        is_unique boolean whether values are promised to be different
        primary_key boolean whether it is part of the key
        critical boolean criticalDataElement
        deprecated boolean whether readers should leave
        tags texts tags of the column and its members, `classification` included
        path text the contract
        line integer line of the column
        """,
    ),
    _table(
        "inputs",
        "documents",
        "One row per input of a port.",
        """
        product text the reader
        port text port of the reader
        name text what its transform calls the input
        kind text product or source
        origin text the product, or domain.source.name
        origin_port text port that is read; empty for a source
        same_domain boolean whether reader and origin are of one domain
        """,
    ),
    _table(
        "contracts",
        "documents",
        "One row per contract.",
        """
        product text domain.product
        port text port
        id text id of the contract
        version text version
        status text as written
        purpose text description.purpose
        limitations text description.limitations
        usage text description.usage
        purposes texts purposes the data may be used for; null when any
        consent texts purposes that need a subject's consent
        legal_hold text why no version may expire; null without
        retention_seconds number promised retention; null without
        team text team named
        support integer channels for questions
        path text the contract
        """,
    ),
    _table(
        "checks",
        "documents",
        "One row per promise of a contract, compiled.",
        """
        product text domain.product
        port text port
        check_id text stable id
        kind text type, row, key, count, sql, reference, custom, text or sla
        rule text in the standard's words
        columns texts columns it is about
        dimension text quality dimension
        severity text as the contract says
        blocking boolean whether anything but a pass keeps a version from being published
        operator text such as mustBeLessThan
        threshold text its operand
        unit text rows or percent
        executable boolean whether raymesh can decide it
        path text the contract
        line integer line of the promise
        """,
    ),
    _table(
        "slas",
        "documents",
        "One row per promised service level.",
        """
        product text domain.product
        port text port
        property text as written, such as retention, latency, frequency
        value text as written
        unit text as written
        seconds number the value as a duration; null when it is none
        element text what it is about
        driver text as written
        """,
    ),
    _table(
        "policies",
        "documents",
        "One row per policy in the documents.",
        """
        policy text name
        origin text global, or the domain that wrote it
        effect text grant, restrict, mask, deny or delegate
        action text read or read_clear
        groups texts whom: groups
        principals texts whom: people and services
        purposes texts for which purposes
        attributes texts names of attributes it asks for
        domains texts what: domains
        products texts what: products
        tags texts what: tags
        columns texts what: columns
        rows text condition on rows; null without
        mask text mask; null without
        expires_at time when it ends; null without
        exception_to texts policies it makes an exception to
        approved_by texts who approved an exception
        path text its file
        line integer line of the policy
        """,
    ),
    _table(
        "versions",
        "evidence",
        "One row per version that can still be read.",
        """
        product text domain.product
        port text port
        version integer number
        is_current boolean whether it is served now
        kind text publish, rollback or maintain
        run_id text the run that made it
        contract_version text contract it was judged by
        rows integer rows
        bytes integer bytes of data files
        quality_score number 0-1; null when nothing was judged
        completeness number share of values that are not NULL, over all columns counted; null when not measured
        error_rate number share of rows that break a promise, set aside or not; null when not measured
        published_at time when
        age_seconds number age when the facts were gathered
        standards_version text standards it was judged by; null without
        policies_digest text digest of the policies then; null without
        standards_outcome text kept, warned, or none when no standard judged it
        standards_violations texts rules of standards it broke when it was published
        """,
    ),
    _table(
        "check_results",
        "evidence",
        "One row per check of the runs that made the current versions.",
        """
        product text domain.product
        port text port
        version integer the version
        run_id text the run
        check_id text stable id
        kind text kind of check
        status text pass, fail, warn, error, skip or not_executed
        value number what was measured; null when it is no number
        unit text rows or percent
        dimension text quality dimension
        severity text as the contract says
        blocking boolean whether it could block
        rule text in the standard's words
        columns texts columns it is about
        message text promise, measurement and verdict
        """,
    ),
    _table(
        "classifications",
        "evidence",
        "One row per column of the current versions, with its effective tags.",
        """
        product text domain.product
        port text port
        column text name
        field integer field id in the table
        tags texts all tags in effect
        inherited texts those that came with inputs alone
        classified boolean whether it is classified; readers do not see a column that is not
        """,
    ),
    _table(
        "column_lineage",
        "evidence",
        "One row per column edge of the runs that made the current versions.",
        """
        product text whose column it is
        column text the column
        source text table or source it comes from
        source_column text column there; * is every one
        kind text direct, indirect or opaque
        """,
    ),
    _table(
        "runs",
        "continuous",
        "One row per run, the latest 100,000.",
        """
        run_id text id
        product text domain.product
        status text published, blocked, failed, interrupted or running
        engine text where it ran
        reason text why it was built, or why it ended so
        started_at time when
        finished_at time when; null while it runs
        seconds number how long; null while it runs
        rows integer rows it made
        rows_quarantined integer rows it set aside
        bytes integer bytes it made
        quality_score number 0-1
        cpu_seconds number processor time
        actor text who ran it
        host text where
        """,
    ),
    _table(
        "agreements",
        "continuous",
        "One row per access agreement.",
        """
        agreement text id
        product text what may be read
        port text port
        status text requested, active, denied, revoked, expired and so on
        purpose text for what
        principals texts for whom
        groups texts for which groups
        requested_by text who asked
        requested_at time when
        expires_at time when it ends
        reads integer reads under it
        last_read_at time the latest
        """,
    ),
    _table(
        "reads",
        "continuous",
        "One row per governed read in the audit log, the latest 100,000.",
        """
        at time when
        principal text who
        product text what
        outcome text allowed or denied
        purpose text claimed purpose
        rows integer rows given; null when unknown
        """,
    ),
    _table(
        "audit",
        "continuous",
        "The audit log, one row.",
        """
        records integer records in the log
        checkpoint_size integer records the newest signed checkpoint covers; null without
        checkpoint_at time when it was signed
        """,
    ),
    _table(
        "incidents",
        "continuous",
        "One row per incident; empty until incidents are recorded.",
        """
        incident text id
        product text domain.product
        opened_at time when
        closed_at time when; null while open
        severity text how bad
        reason text what happened
        """,
    ),
    _table(
        "costs",
        "continuous",
        "One row per product and day; empty until costs are recorded.",
        """
        product text domain.product
        domain text its domain
        day time the day, its first moment
        amount number money
        currency text three letters
        kind text compute, storage or reads
        """,
    ),
)

BY_NAME = {t.name: t for t in TABLES}


def basis_of(tables: set[str]) -> Basis:
    """What a query over these tables is about: the most volatile of what they are made from."""
    found = {BY_NAME[t].basis for t in tables if t in BY_NAME}
    if "continuous" in found:
        return "continuous"
    return "evidence" if "evidence" in found else "documents"

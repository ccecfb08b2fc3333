"""How the tables are called that hold rows set aside, and the columns these have beside the product's own."""

from __future__ import annotations

from collections.abc import Iterable

from raymesh.spec.documents import DEFAULT_PORT
from raymesh.spec.types import Field, List, Primitive

QUARANTINE = "quarantine"
_SUFFIX = f"__{QUARANTINE}"

RULES = "raymesh_rules"
REASONS = "raymesh_reasons"
RUN = "raymesh_run_id"
AT = "raymesh_quarantined_at"
NOTES: tuple[Field, ...] = (
    Field(RULES, List(Primitive("string")), doc="Checks that the row does not pass."),
    Field(REASONS, List(Primitive("string")), doc="What these checks promise."),
    Field(RUN, Primitive("string"), doc="The run that set the row aside."),
    Field(AT, Primitive("timestamptz"), doc="When that run began."),
)
"""What a quarantine table says about each of its rows, behind the columns of the product."""
NOTED = frozenset(f.name for f in NOTES)


def quarantine_port(port: str) -> str:
    """The port under which the rows set aside from `port` are published."""
    return QUARANTINE if port == DEFAULT_PORT else port + _SUFFIX


def quarantine_table(table: str) -> str:
    """The table of these rows, which is also its name in SQL: `domain.product__quarantine`."""
    return table + _SUFFIX


def with_quarantines(tables: Iterable[str]) -> list[str]:
    """The tables, and those of the rows set aside from them."""
    return [name for table in tables for name in (table, quarantine_table(table))]


def guarded_port(port: str) -> str | None:
    """The port whose rows are set aside in `port`, None when that is no quarantine."""
    if port == QUARANTINE:
        return DEFAULT_PORT
    return port.removesuffix(_SUFFIX) if port.endswith(_SUFFIX) else None

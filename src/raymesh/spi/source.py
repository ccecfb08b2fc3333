"""What a source adapter does: describe and pin outside data, hand it to DuckDB or Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import duckdb

    from raymesh.mesh.plan import SourceScan
    from raymesh.spec.types import Field


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Columns of a source as it is now, and what identifies this state of it.

    `pin` is empty when the source has no versions (a database); then it is read anew by every run.
    """

    fields: tuple[Field, ...]
    pin: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    bytes: int | None = None


class SourceAdapter(Protocol):
    """One kind of source. `spec` is the source document's content; `root` the mesh folder for relative paths.

    Raises SourceError that names the source, the place and the way out; MissingExtraError without its library.
    """

    def pin(self, spec: Mapping[str, Any], root: str) -> Mapping[str, Any]:
        """What identifies the current state, cheaply (no data is read)."""
        ...

    def describe(self, spec: Mapping[str, Any], root: str) -> SourceDescription: ...

    def relation(
        self, con: duckdb.DuckDBPyConnection, scan: SourceScan, root: str
    ) -> duckdb.DuckDBPyRelation:
        """The source's rows at its pinned state, as a relation of `con`; raises SourceError when the
        source changed since it was pinned or its columns are not the declared ones."""
        ...

    def verify(self, scan: SourceScan, root: str, error: Exception | None = None) -> None:
        """Ends a read: engines call it when the rows of `relation` were read, or reading ended in `error`.

        Raises SourceChangedError when the source is no longer what was pinned, CorruptFileError or
        SourceError when `error` is the source's fault; returns when neither is the case.
        """
        ...


@dataclass(frozen=True, slots=True)
class Division:
    """A source in pieces: the rows of all pieces, one piece after the other, are the source's rows in its columns.

    `why` says in words what the pieces are, or why there is only one.
    """

    pieces: tuple[SourceScan, ...]
    why: str


@runtime_checkable
class DivisibleSource(Protocol):
    """What a source adapter offers whose rows may be read by several processes side by side."""

    def divide(self, scan: SourceScan, root: str, parts: int) -> Division:
        """`scan` in about `parts` pieces of about the same size, each read by `relation` and `verify` like any scan.

        Reads no more than `describe` does. Raises what `relation` raises for the whole source when that can be
        known without its rows, such as SourceError for files that do not fit together.
        """
        ...

"""The state store: every method of the protocol as one transaction on SQLite or PostgreSQL."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from raymesh.adapters.state import evidence, folding, leases, migrations, outbox, profiles, runs, versions
from raymesh.adapters.state import files as file_index
from raymesh.adapters.state.address import parse
from raymesh.adapters.state.audit import SqlAuditLog
from raymesh.adapters.state.database import broken, connect, make_directory
from raymesh.adapters.state.failures import is_missing_table
from raymesh.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from raymesh.adapters.state.agreements import SqlAgreements
    from raymesh.adapters.state.bulk import SqlEvidence
    from raymesh.adapters.state.bundles import SqlBundles
    from raymesh.adapters.state.classifications import SqlClassifications
    from raymesh.spi.state import (
        CheckRecord,
        FileRecord,
        InputPin,
        Lease,
        LineageEdge,
        OutboxEvent,
        Run,
        Transaction,
        Version,
    )


@dataclass(slots=True)
class SqlTransaction:
    """An open transaction. `handle` is its SQLAlchemy connection; `failed` keeps it from being committed."""

    handle: Connection
    failed: bool = False


class SqlStateStore:
    """A `StateStore` in an SQLite file or a PostgreSQL database.

    `url` is `sqlite:///path` (relative paths from `root`) or `postgresql://user:password@host/database`;
    the attribute `url` never shows the password. Opening does nothing: call `migrate` before the first use.
    Threads may share a store, processes open their own.
    """

    def __init__(self, url: str, *, root: str) -> None:
        self._database = connect(parse(url, root))
        self._translated = self._database.failures.translated
        self._thread = threading.local()
        self.audit = SqlAuditLog(self)

    # Parts that most commands do not use are loaded by the first who does.
    @cached_property
    def bundles(self) -> SqlBundles:
        """Policy bundles, a `BundleStore`."""
        from raymesh.adapters.state.bundles import SqlBundles

        return SqlBundles(self)

    @cached_property
    def agreements(self) -> SqlAgreements:
        """Events of agreements, an `AgreementStore`."""
        from raymesh.adapters.state.agreements import SqlAgreements

        return SqlAgreements(self)

    @cached_property
    def classifications(self) -> SqlClassifications:
        """What is known of the columns of ports, a `ClassificationStore`."""
        from raymesh.adapters.state.classifications import SqlClassifications

        return SqlClassifications(self)

    @cached_property
    def evidence(self) -> SqlEvidence:
        """Evidence of many products at once."""
        from raymesh.adapters.state.bulk import SqlEvidence

        return SqlEvidence(self)

    @property
    def url(self) -> str:
        """Where the state is kept, without password."""
        return self._database.address.shown

    @property
    def engine(self) -> Engine:
        """The engine of write transactions, for a table store that keeps its catalog in the same database."""
        return self._database.writer

    def __repr__(self) -> str:
        return f"SqlStateStore({self.url!r})"

    def migrate(self) -> None:
        """Create the database or bring it up to date; one cheap look when it is.

        Raises StorageError when a newer raymesh has changed it.
        """
        if self._schema_number() == migrations.NEWEST:
            return
        if path := self._database.address.file:
            try:
                make_directory(path.parent)
            except OSError as error:
                raise StorageError(f"cannot create the folder {path.parent}: {error.strerror}") from error
        with self.write() as tx:
            migrations.upgrade(tx.handle)

    def _schema_number(self) -> int:
        path = self._database.address.file
        if path is not None and not path.exists():
            return 0
        try:
            with self._database.reader.connect() as connection:
                number = migrations.applied(connection)
        except (DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, DBAPIError) and is_missing_table(error):
                return 0
            raise self._database.failures.of(error) from error
        migrations.refuse_future(number)
        return number

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # transactions
    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """One consistent snapshot of everything, undisturbed by writers."""
        with self._translated(), self._database.reader.connect() as connection, connection.begin() as begun:
            yield SqlTransaction(connection)
            begun.rollback()

    @contextmanager
    def write(self, lease: Lease | None = None) -> Iterator[SqlTransaction]:
        """A transaction that commits when the block ends and changes nothing when it raises.

        Raises LeaseLostError when `lease` is no longer the current one, CommitUnknownError when the answer
        to the commit was lost, UsageError when this thread has a write transaction open already.
        """
        with self._alone(), self._translated(), self._database.writer.connect() as connection:
            begun = connection.begin()
            tx = SqlTransaction(connection)
            try:
                if lease is not None:
                    leases.verify(connection, lease)
                yield tx
                self._must_be_whole(tx)
            except BaseException:
                # A lost connection rolls back by itself, and the first error is the one that counts.
                with suppress(SQLAlchemyError):
                    begun.rollback()
                raise
            self._commit(connection)

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except BaseException as error:  # Ctrl-C too: whether the commit was done is not known any more
            with suppress(SQLAlchemyError):
                connection.invalidate()
            raise self._database.failures.of_commit(error) from error

    def _must_be_whole(self, tx: SqlTransaction) -> None:
        if tx.failed or broken(tx.handle):
            raise StorageError("a statement of this transaction failed before, so nothing was changed")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second write transaction of the same thread, which would wait for the first one for ever."""
        if getattr(self._thread, "writing", False):
            raise UsageError("this thread has a write transaction open already", hint="pass it as `within`")
        self._thread.writing = True
        try:
            yield
        finally:
            self._thread.writing = False

    def refuse_nested(self) -> None:
        """Raise UsageError when this thread has a write transaction open, for which others may wait."""
        with self._alone():
            pass

    @contextmanager
    def reading(self, within: Transaction | None = None) -> Iterator[Connection]:
        """A connection to read from: of `within`, or of a snapshot of its own."""
        if within is None:
            with self.read() as tx:
                yield tx.handle
        else:
            with self._translated():
                yield within.handle

    @contextmanager
    def writing(self, within: Transaction | None = None) -> Iterator[Connection]:
        """A connection to write to: of `within`, or of a transaction that ends with the block."""
        try:
            with self.write() if within is None else self._joined(within) as tx:
                yield tx.handle
        except (OverflowError, UnicodeEncodeError) as error:  # SQLite's driver raises these as they are
            raise StorageError(f"the state database cannot keep a value: {error}") from error

    @contextmanager
    def _joined(self, tx: Transaction) -> Iterator[Transaction]:
        """The caller's transaction. Half of a method's statements may be done when it fails: whoever catches
        the error must not commit them."""
        try:
            with self._translated():
                yield tx
        except BaseException:
            if isinstance(tx, SqlTransaction):
                tx.failed = True
            raise

    # leases
    def acquire(self, name: str, owner: str, ttl_seconds: float) -> Lease | None:
        """The lease, or None while somebody else holds it whose process may be alive."""
        with self.writing() as connection:
            return leases.acquire(connection, name, owner, ttl_seconds)

    def renew(self, lease: Lease, ttl_seconds: float) -> Lease:
        """The lease with a later end. Raises LeaseLostError when it was taken over or has expired."""
        with self.writing() as connection:
            return leases.renew(connection, lease, ttl_seconds)

    def release(self, lease: Lease) -> None:
        """Give the lease back; nothing happens when it is somebody else's by now."""
        with self.writing() as connection:
            leases.release(connection, lease)

    def holder(self, name: str) -> Lease | None:
        """Who holds the lease now."""
        with self.reading() as connection:
            return leases.holder(connection, name)

    # runs
    def start_run(self, run: Run) -> None:
        """Add a run. Raises CommitConflictError when its id is taken."""
        with self.writing() as connection:
            runs.start(connection, run)

    def finish_run(self, run: Run, within: Transaction | None = None) -> None:
        """Write how a run ended; a published run stays published."""
        with self.writing(within) as connection:
            runs.finish(connection, run)

    def runs(
        self,
        *,
        product: str | None = None,
        invocation: str | None = None,
        status: str | None = None,
        limit: int = 100,
    ) -> Sequence[Run]:
        """Runs that match all that is given, the latest first."""
        wanted = {"product": product, "invocation": invocation, "status": status}
        with self.reading() as connection:
            return runs.find(connection, wanted, limit)

    # versions
    def current(
        self, products: Iterable[str] | None = None, within: Transaction | None = None
    ) -> Mapping[tuple[str, str], Version]:
        """The current version by (product, port), of all products when none are named."""
        with self.reading(within) as connection:
            return versions.current(connection, products)

    def version(self, product: str, port: str, number: int) -> Version | None:
        """One version; an expired one has `expired_at` set."""
        with self.reading() as connection:
            return versions.one(connection, product, port, number)

    def versions(self, product: str, port: str | None = None, limit: int = 100) -> Sequence[Version]:
        """Versions of a product, the highest number first."""
        with self.reading() as connection:
            return versions.history(connection, product, port, limit)

    def files(self, version: Version, within: Transaction | None = None) -> Sequence[FileRecord]:
        """The files of a version. Raises NotFoundError when it is unknown or has expired."""
        with self.reading(within) as connection:
            return file_index.of_version(connection, version)

    def profiles(self, version: Version) -> Mapping[str, Mapping[str, Any]]:
        """The profiles of the files of a version by path; files without one are left out."""
        with self.reading() as connection:
            return profiles.of_version(connection, version)

    def record_version(
        self, within: Transaction, version: Version, *, added: Sequence[FileRecord], removed: Sequence[str]
    ) -> None:
        """Add a version with the files of the one before, less `removed`, plus `added`.

        Raises CommitConflictError when it does not follow the current version, or a removed file is not live.
        """
        with self.writing(within) as connection:
            versions.add(connection, version)
            file_index.change(connection, version, added, removed)
            profiles.add(connection, version, added)
            folding.fold_version(connection, version)

    def replace_files(self, within: Transaction, version: Version, files: Sequence[FileRecord]) -> None:
        """Add a version that has exactly these files."""
        with self.writing(within) as connection:
            versions.add(connection, version)
            file_index.replace(connection, version, files)
            profiles.add(connection, version, files)
            folding.fold_version(connection, version)

    def forget_versions(self, within: Transaction, product: str, port: str, numbers: Sequence[int]) -> None:
        """Mark versions as expired and drop file records no other version needs. Refuses the current one."""
        with self.writing(within) as connection:
            versions.forget(connection, product, port, numbers)
            file_index.prune(connection, product, port)
            profiles.prune(connection, product, port)

    def move_head(self, within: Transaction, product: str, port: str, metadata_location: str) -> None:
        """Note new metadata of the current version's table. Raises NotFoundError when nothing is published."""
        with self.writing(within) as connection:
            versions.move_head(connection, product, port, metadata_location)

    # evidence
    def record_checks(
        self, within: Transaction, run_id: str, port: str, checks: Sequence[CheckRecord]
    ) -> None:
        """Add the results of one port of a run, once."""
        with self.writing(within) as connection:
            evidence.add_checks(connection, run_id, port, checks)

    def checks(self, run_id: str, port: str | None = None) -> Sequence[CheckRecord]:
        """Results of a run as recorded."""
        with self.reading() as connection:
            return evidence.checks_of(connection, run_id, port)

    def record_lineage(
        self, within: Transaction, run_id: str, product: str, edges: Sequence[LineageEdge]
    ) -> None:
        """Add column lineage of a run."""
        with self.writing(within) as connection:
            evidence.add_lineage(connection, run_id, product, edges)
            folding.fold_lineage(connection, versions.published_by(connection, run_id, product), edges)

    def lineage(self, run_id: str) -> Sequence[LineageEdge]:
        """Column lineage of a run as recorded."""
        with self.reading() as connection:
            return evidence.lineage_of(connection, run_id)

    def record_inputs(self, within: Transaction, run_id: str, pins: Sequence[InputPin]) -> None:
        """Add what a run read."""
        with self.writing(within) as connection:
            evidence.add_inputs(connection, run_id, pins)
            folding.fold_inputs(connection, versions.published_by(connection, run_id), pins)

    def inputs(self, run_id: str) -> Sequence[InputPin]:
        """What a run read."""
        with self.reading() as connection:
            return evidence.inputs_of(connection, run_id)

    # outbox
    def enqueue(self, within: Transaction, kind: str, payload: Mapping[str, Any]) -> None:
        """Add an event that is told once the transaction has committed."""
        with self.writing(within) as connection:
            outbox.enqueue(connection, kind, payload)

    def pending(self, limit: int = 100) -> Sequence[OutboxEvent]:
        """Events not yet delivered."""
        with self.reading() as connection:
            return outbox.pending(connection, limit)

    def delivered(self, ids: Sequence[int]) -> None:
        """Forget delivered events."""
        with self.writing() as connection:
            outbox.delivered(connection, ids)

    def undelivered(self, ids: Sequence[int]) -> None:
        """Count one failed attempt to deliver events; they stay pending."""
        with self.writing() as connection:
            outbox.failed(connection, ids)

"""What the products of one command share: workspace, engines, leases, cancellation, events."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raymesh.actions.events import Event, Note, ProductWaiting
from raymesh.actions.ids import new_id
from raymesh.errors import CancelledError, LeaseLostError, StorageError
from raymesh.spi import registry
from raymesh.spi.owner import describe_owner, own

if TYPE_CHECKING:
    from raymesh.actions.gated import Gate
    from raymesh.actions.workspace import Workspace
    from raymesh.spi.engine import Engine
    from raymesh.spi.state import Lease

LEASE_SECONDS = 30.0
POLL_SECONDS = 0.2


def default_jobs() -> int:
    """Products built side by side when nobody says: one per processor, at most four."""
    return max(1, min(4, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a command wants its products built. `engine` overrides documents; `refresh` rebuilds even what is
    unchanged and appends nothing but whole tables; `wait_seconds` bounds waiting for another builder."""

    engine: str | None = None
    jobs: int = field(default_factory=default_jobs)
    refresh: bool = False
    wait_seconds: float = 600.0


class Invocation:
    """One command at work. Engines are opened on first use and closed with it; held leases are renewed by
    one background thread. `cancel()` makes every builder stop at its next safe point."""

    def __init__(self, workspace: Workspace, options: RunOptions, tell: Callable[[Event], None]) -> None:
        self.id = new_id()
        self.workspace = workspace
        self.options = options
        self._tell = tell
        self._engines: dict[str, Engine] = {}
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._prepared: threading.Thread | None = None
        self._gate: Gate | None = None
        self._stop = threading.Event()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="raymesh-leases", daemon=True)
        self._heart.start()

    def emit(self, event: Any) -> None:
        self._tell(event)

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def cancel(self) -> None:
        self._stop.set()

    def check_cancelled(self) -> None:
        """Raise CancelledError when the command was told to stop."""
        if self._stop.is_set():
            raise CancelledError("stopped on request; nothing was published")

    def prepare(self) -> None:
        """Let the table store get ready while the first build computes."""
        with self._lock:
            if self._prepared is None:
                tables = self.workspace.tables
                self._prepared = threading.Thread(target=tables.prepare, name="raymesh-prepare", daemon=True)
                self._prepared.start()

    def engine(self, name: str) -> Engine:
        with self._lock:
            if name not in self._engines:
                self._engines[name] = self._opened(name)
            return self._engines[name]

    def _opened(self, name: str) -> Engine:
        from raymesh.actions.planning import access

        made = registry.load("engines", name)
        if name == "local":
            engine: Engine = made()
        else:
            spec, root = self.workspace.spec.engines.ray, str(self.workspace.root)
            engine = made(spec=spec, root=root, storage=access(self.workspace))
        return engine

    @property
    def gate(self) -> Gate:
        """What judges versions by the standards of the mesh before they are published."""
        with self._lock:
            if self._gate is None:
                self._gate = self._opened_gate()
            return self._gate

    def _opened_gate(self) -> Gate:
        if self.workspace.documents.governance is None:
            from raymesh.actions.gated import OpenGate

            return OpenGate()
        from raymesh.actions.gate import StandardsGate

        return StandardsGate(self.workspace)

    @contextmanager
    def lease(self, product: str, run_id: str) -> Iterator[Lease]:
        """Hold the right to build `product`, waiting while another builder holds it.

        Raises LeaseLostError when the wait is over, CancelledError when told to stop.
        """
        lease = self._acquire(product, own(run_id))
        with self._lock:
            self._leases[product] = lease
        try:
            yield lease
        finally:
            with self._lock:
                held = self._leases.pop(product, None)
            if held is not None:
                with suppress(StorageError, LeaseLostError):
                    self.workspace.state.release(held)

    def _acquire(self, product: str, owner: str) -> Lease:
        state = self.workspace.state
        waited, told = 0.0, False
        while (lease := state.acquire(product, owner, LEASE_SECONDS)) is None:
            self.check_cancelled()
            if not told and (held := state.holder(product)) is not None:
                self.emit(ProductWaiting(product, describe_owner(held.owner)))
                told = True
            if waited >= self.options.wait_seconds:
                raise LeaseLostError(
                    f"{product} is being built by another process since more than {waited:.0f} s",
                    hint="wait for it, or stop it; its lease ends by itself when it dies",
                )
            self._stop.wait(POLL_SECONDS)
            waited += POLL_SECONDS
        return lease

    def _beat(self) -> None:
        while not self._closed.wait(LEASE_SECONDS / 3):
            with self._lock:
                held = list(self._leases.items())
            for product, lease in held:
                self._renew(product, lease)

    def _renew(self, product: str, lease: Lease) -> None:
        try:
            renewed = self.workspace.state.renew(lease, LEASE_SECONDS)
        except LeaseLostError:
            with self._lock:
                released = product not in self._leases
            if not released:
                self.emit(Note(f"the lease of {product} was lost; its build will not publish", "warning"))
        except StorageError as error:
            self.emit(Note(f"could not renew the lease of {product}: {error.message}", "warning"))
        else:
            with self._lock:
                if product in self._leases:
                    self._leases[product] = renewed

    def close(self) -> None:
        """Stop renewing and close the engines."""
        self._closed.set()
        self._heart.join(timeout=5)
        if self._prepared is not None:
            self._prepared.join()
        for engine in self._engines.values():
            engine.close()
        if self._gate is not None:
            self._gate.close()

    def __enter__(self) -> Invocation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

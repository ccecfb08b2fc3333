"""The cluster of a command: found or started once per process, as quietly and cheaply as Ray can be had."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from raymesh.engines.ray import access, head, parcels
from raymesh.engines.ray.quiet import (
    HOOK,
    hooked,
    hush,
    hush_connected,
    hush_logs,
    hush_native,
    keeping_handlers,
)
from raymesh.errors import ClusterError, MissingExtraError
from raymesh.spec.mesh import RayEngineSpec

if TYPE_CHECKING:
    from raymesh.spec.secrets import SecretRef

Origin = Literal["mesh.yaml", "RAY_ADDRESS", "kept", "started", "given"]
_LOOK_SECONDS = 2.0
_SILENT_SECONDS = 8.0
_lock = threading.RLock()
_connected: Connection | None = None
_leaving = threading.Event()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster we are connected to. `cpus`, `memory` and `object_store` are sums over `nodes`.

    `origin` says how it was found: named in mesh.yaml or `RAY_ADDRESS`, kept on this machine, started for this
    process, or given by a process that had connected before. `here` is whether all of it is on this machine and
    sees the same files.
    """

    address: str
    origin: Origin
    nodes: int = 1
    cpus: float = 0.0
    memory: float = 0.0
    object_store: float = 0.0
    resources: Mapping[str, float] = field(default_factory=dict)
    version: str = ""

    @property
    def here(self) -> bool:
        return self.origin in ("kept", "started")

    def sees(self, spec: RayEngineSpec | None) -> bool:
        """Whether its nodes have the files of the mesh that says `spec`; whoever connected before us cares for that
        himself."""
        return self.here or self.origin == "given" or (spec is not None and spec.shared)


@dataclass(frozen=True, slots=True)
class Connection:
    """What this process is connected to, and the address it was told."""

    cluster: Cluster
    told: str | None = None

    def serves(self, spec: RayEngineSpec) -> bool:
        """Whether builds of a mesh that says `spec` may use it."""
        asked = spec.address or os.environ.get("RAY_ADDRESS")
        return asked is None or asked == self.told


def require_ray() -> Any:
    """The module `ray`, imported silently. Raises MissingExtraError."""
    hush()
    try:
        import ray
    except ImportError:
        raise MissingExtraError("the Ray engine", "ray") from None
    hush_logs()
    return ray


def configured(spec: RayEngineSpec) -> str | None:
    """Where a cluster was named or is kept, in words, without connecting; None when there is none."""
    if spec.address:
        return f"{spec.address} of mesh.yaml"
    if address := os.environ.get("RAY_ADDRESS"):
        return f"{address} of RAY_ADDRESS"
    kept = head.kept()
    return f"{kept.address}, kept on this machine" if kept else None


def connect(spec: RayEngineSpec | None = None, *, root: str | Path = ".") -> Cluster:
    """Connect this process to a cluster and say what it is; a second call costs nothing.

    In this order: the address in mesh.yaml, `RAY_ADDRESS`, the head kept on this machine, a cluster started for
    this process (which ends with it). Paths in `spec` start at `root`. Raises ClusterError, MissingExtraError.
    """
    global _connected  # noqa: PLW0603  # Ray itself has one connection per process
    spec = spec or RayEngineSpec.model_construct()
    with _lock:
        ray = require_ray()
        if ray.is_initialized():
            if _connected is None:
                return _look(ray, "given")
            if _connected.serves(spec):
                return _connected.cluster
            ray.shutdown()
        _connected = _lasting(lambda: _connect(ray, spec, Path(root)))
        _pulse.silent = None
        hush_connected()
        return _connected.cluster


def _lasting(make: Callable[[], Connection]) -> Connection:
    """What `make` gives, called on a thread that lives until `disconnect`.

    Ray tells the processes it starts to die with whoever started them, and on Linux that is the thread, not the
    process: a cluster started by the thread of one build would be gone with that build.
    """
    found: Future[Connection] = Future()
    _leaving.clear()

    def work() -> None:
        try:
            found.set_result(make())
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            found.set_exception(error)
            return
        _leaving.wait()

    threading.Thread(target=work, name="raymesh-cluster", daemon=True).start()
    return found.result()


@dataclass(slots=True)
class _Pulse:
    """When the head was last looked at, and since when it does not answer."""

    looked: float = 0.0
    silent: float | None = None


_pulse = _Pulse()


def require_alive() -> None:
    """Return while the head of our cluster answers; builds wait with it, so what travelled for them is kept too.
    Cheap: it looks every few seconds, whoever asks.

    Raises ClusterError when it has not answered for a while. Ray itself waits a minute in silence and then ends
    this process, before anything could be put in order; calls that are inside Ray at that time still end so.
    """
    now = time.monotonic()
    if _connected is None or now - _pulse.looked < _LOOK_SECONDS:
        return
    _pulse.looked = now
    address = _connected.cluster.address
    if access.answers(address):
        _pulse.silent = None
        parcels.renew()
        return
    _pulse.silent = _pulse.silent or now
    if now - _pulse.silent > _SILENT_SECONDS:
        raise ClusterError(
            f"the cluster at {address} is gone: its head has not answered for {now - _pulse.silent:.0f} s",
            hint="run again when it is back; nothing was published",
        )


def answering() -> bool:
    """Whether the head answers right now: what asks it for anything would otherwise wait inside Ray."""
    return _connected is None or access.answers(_connected.cluster.address)


def lost() -> bool:
    """Whether the head of our cluster did not answer when it was last looked at."""
    return _pulse.silent is not None


@contextmanager
def staying() -> Iterator[bool]:
    """Whether this process is connected to a cluster; inside, nobody connects or disconnects it."""
    with _lock:
        yield require_ray().is_initialized()


def disconnect() -> None:
    """Leave the cluster; one that was started for this process ends."""
    global _connected  # noqa: PLW0603
    with _lock:
        if _connected is not None:
            require_ray().shutdown()
            _connected = None
        _leaving.set()


def _connect(ray: Any, spec: RayEngineSpec, root: Path) -> Connection:
    address, origin = _address(spec)
    if address is None:
        access.use_own_token()
        _start(ray, spec, root)
        return Connection(_look(ray, "started"))
    if origin == "kept":
        access.use_own_token()
    else:
        access.use_token(_token(spec.token, root))
    access.require_reachable(address, origin)
    _attach(ray, address, origin)
    told = None if origin == "kept" else spec.address or os.environ.get("RAY_ADDRESS")
    return Connection(_look(ray, origin), told)


def _address(spec: RayEngineSpec) -> tuple[str | None, Origin]:
    origin: Origin = "mesh.yaml"
    address = spec.address
    if address is None:
        origin, address = "RAY_ADDRESS", os.environ.get("RAY_ADDRESS")
    if address is None:
        kept = head.kept()
        return (kept.address, "kept") if kept else (None, "started")
    if "://" in address:
        raise ClusterError(
            f"{address} ({origin}) is an address of Ray Client, through which raymesh cannot drive a build",
            hint="run raymesh on a machine of the cluster's network (a RayJob, say) and name host:6379",
        )
    return (_found(origin) if address in ("auto", "local") else address), origin


def _found(origin: Origin) -> str:
    """The address of the cluster that runs on this machine."""
    from ray._private.services import canonicalize_bootstrap_address

    address: str | None = canonicalize_bootstrap_address("auto")
    if address is None:
        raise ClusterError(
            f"no Ray cluster runs on this machine ({origin} says auto)", hint="raymesh cluster start"
        )
    return address


def _token(token: SecretRef | None, root: Path) -> str | None:
    return None if token is None else token.resolve(os.environ, root)


def _start(ray: Any, spec: RayEngineSpec, root: Path) -> None:
    """A cluster on this machine, for this process, guarded by our token."""
    options: dict[str, Any] = {"num_cpus": spec.cpus, "_memory": spec.memory}
    options["object_store_memory"] = spec.object_store
    options["object_spilling_directory"] = spill_folder(spec, root)
    options["resources"] = dict(spec.resources) or None
    with keeping_handlers(), hush_native(), hooked():
        ray.init(
            address="local",
            include_dashboard=False,
            configure_logging=False,
            log_to_driver=False,
            **{name: value for name, value in options.items() if value is not None},
        )


def spill_folder(spec: RayEngineSpec, root: Path) -> str | None:
    """Where objects that do not fit into shared memory go; None: where Ray keeps its session."""
    if spec.spill is None:
        return None
    folder = root.absolute() / spec.spill
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["RAYMESH_SPILL"] = str(folder)  # where workers look how much was spilled
    return str(folder)


def _attach(ray: Any, address: str, origin: Origin) -> None:
    env = None if origin == "kept" else {"worker_process_setup_hook": HOOK}  # that one was born with it
    try:
        with keeping_handlers(), hush_native():
            ray.init(
                address=address,
                configure_logging=False,
                log_to_driver=False,
                runtime_env=env,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ClusterError(
            f"the cluster at {address} ({origin}) was reached, but a job could not join it: {said}",
            hint="driver and cluster need the same versions of Python and Ray",
        ) from None


def _look(ray: Any, origin: Origin) -> Cluster:
    nodes = [node for node in ray.nodes() if node["Alive"]]
    total = ray.cluster_resources()
    known = ("CPU", "memory", "object_store_memory")
    return Cluster(
        address=ray.get_runtime_context().gcs_address,
        origin=origin,
        nodes=len(nodes),
        cpus=total.get("CPU", 0.0),
        memory=total.get("memory", 0.0),
        object_store=total.get("object_store_memory", 0.0),
        resources={k: v for k, v in total.items() if k not in known and not k.startswith("node:")},
        version=ray.__version__,
    )

"""Which engine builds a product, and why: what people say, or for `auto` what the sizes of its inputs say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.actions.limits import limits_for
from raymesh.actions.read import split_name
from raymesh.spi import registry

if TYPE_CHECKING:
    from raymesh.actions.invocation import RunOptions
    from raymesh.actions.pinning import Standing
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Product
    from raymesh.spi.clusters import Clusters
    from raymesh.spi.state import InputPin

CLUSTER = "ray"


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine of one product, with the reason when nobody named it."""

    engine: str
    why: str = ""


def choose(
    workspace: Workspace, product: Product, options: RunOptions, pins: Iterable[InputPin], known: Standing
) -> Choice:
    """The engine that the command, the product or the mesh names, in this order.

    `auto` is the local engine unless a cluster is configured and the pinned inputs, by the sizes in the metadata
    of their tables, are larger than the memory one build may have here. Nothing is read to find out.
    """
    said = options.engine or product.settings.engine or workspace.spec.engines.default
    if said != "auto":
        return Choice(said)
    if CLUSTER not in registry.names("clusters"):
        return Choice("local", "no engine for clusters is installed")
    cluster = clusters().configured(workspace.spec.engines.ray)
    if cluster is None:
        return Choice("local", "no cluster is configured")
    memory = limits_for(workspace, product.name, options.jobs).memory_bytes
    size, unknown = _bytes(pins, known)
    if size > memory:
        return Choice(CLUSTER, f"its inputs are {_size(size)}, more than the {_size(memory)} of a build here")
    rest = f", those of {', '.join(unknown)} unknown" if unknown else ""
    return Choice("local", f"its inputs are {_size(size)}{rest}, and a build here may use {_size(memory)}")


def past(workspace: Workspace, product: str) -> Mapping[str, Any]:
    """What the last build of a product on a cluster used; empty without one."""
    runs = workspace.state.runs(product=product, status="published", limit=5)
    return next((r.resources for r in runs if r.engine == CLUSTER), {})


def clusters() -> Clusters:
    """Whoever handles clusters."""
    found: Clusters = registry.load("clusters", CLUSTER)()
    return found


def _bytes(pins: Iterable[InputPin], known: Standing) -> tuple[int, list[str]]:
    """Bytes of the inputs as stored, and the inputs whose size nobody knows."""
    total, unknown = 0, []
    for pin in pins:
        if pin.version is not None:
            total += known.versions[split_name(pin.input)].bytes
        elif files := _files(pin.pin):
            total += sum(size for _, size, *_ in files)
        else:
            unknown.append(pin.input)
    return total, unknown


def _files(pin: Mapping[str, Any]) -> list[Any]:
    files = pin.get("files")
    return files if isinstance(files, list) else []


def _size(amount: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"

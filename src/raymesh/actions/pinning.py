"""Pins what products read: which version of every input, seen in one consistent look at the state store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.actions.read import scan_of
from raymesh.errors import NotFoundError
from raymesh.mesh.plan import Input, SourceScan
from raymesh.spi import registry
from raymesh.spi.state import InputPin

if TYPE_CHECKING:
    from raymesh.actions.workspace import Workspace
    from raymesh.mesh.model import Edge, Product
    from raymesh.spi.state import Version


@dataclass(frozen=True, slots=True)
class Standing:
    """The current versions by (product, port) and the metadata of their tables, at one moment."""

    versions: Mapping[tuple[str, str], Version]
    heads: Mapping[str, str]

    def intact(self, version: Version) -> bool:
        """Whether the version's table is as raymesh left it."""
        return self.heads.get(version.table) == version.metadata_location


def standing(workspace: Workspace, products: Iterable[str]) -> Standing:
    """How `products` and all they read stand now: two queries in one read transaction, however many."""
    wanted = set(products)
    wanted |= {u for p in tuple(wanted) for u in workspace.graph.upstream[p]}
    with workspace.state.read() as tx:
        versions = workspace.state.current(sorted(wanted), within=tx)
        heads = workspace.tables.heads([v.table for v in versions.values()], within=tx)
    return Standing(versions, heads)


def pin_of(workspace: Workspace, edge: Edge, known: Standing) -> InputPin:
    """Which state of an input is read.

    Raises NotFoundError when the input was never published, SourceError when a source cannot be pinned.
    """
    if edge.kind == "source":
        spec = source_spec(workspace, edge.origin)
        return InputPin(
            edge.name, None, None, registry.load("sources", spec["type"])().pin(spec, str(workspace.root))
        )
    version = known.versions.get((edge.origin, edge.origin_port))
    if version is None:
        raise NotFoundError(
            f"{edge.product} reads {edge.name}, which has no published version",
            hint=f"raymesh run +{edge.product} builds what it needs first",
            spans=(edge.span,) if edge.span else (),
        )
    if known.intact(version):
        return InputPin(edge.name, version.number, version.snapshot_id)
    # another program wrote the table: what is read has no version of ours, only metadata
    return InputPin(edge.name, None, None, {"metadata": known.heads.get(version.table, "")})


def input_of(workspace: Workspace, product: Product, pin: InputPin, known: Standing) -> Input:
    """The pinned input with the files to read."""
    edge = next(e for e in product.inputs if e.name == pin.input)
    if edge.kind == "source":
        spec = source_spec(workspace, edge.origin)
        return Input(edge.name, SourceScan(edge.name, spec["type"], spec, pin.pin))
    version = known.versions[edge.origin, edge.origin_port]
    if pin.version is None:
        return Input(edge.name, workspace.tables.scan(version.table))
    return Input(edge.name, scan_of(workspace.storage, version), version.number, version.snapshot_id)


def source_spec(workspace: Workspace, origin: str) -> dict[str, Any]:
    """A source's document as adapters want it, with the mesh's access to object stores when it has none."""
    spec = workspace.graph.sources[origin].document.model.model_dump(by_alias=True, exclude_none=True)
    s3 = workspace.spec.storage.s3
    if "storage" not in spec and s3 is not None:
        spec["storage"] = s3.model_dump(by_alias=True, exclude_none=True)
    return spec

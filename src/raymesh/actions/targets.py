"""What decisions see of published ports: columns by field id with their effective tags, from the state store.

No document is read, so reads stay fast and an edit of a working copy changes nothing about what is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raymesh.actions.read import split_name, unpublished
from raymesh.governance.inheritance import NOTHING, Effective, effective, gather
from raymesh.governance.model import GovernedColumn, Target
from raymesh.spec.contract_version import major_of
from raymesh.spec.types import TableSchema

if TYPE_CHECKING:
    from raymesh.actions.workspace import Storage
    from raymesh.governance.classification import Key, PortRecord
    from raymesh.spi.state import Transaction, Version

VENDOR = "raymesh"


def targets(storage: Storage, names: Sequence[str]) -> dict[str, Target]:
    """The current versions of ports by the names given (`domain.product` or `domain.product__port`).

    Raises NotFoundError for what was never published.
    """
    with storage.state.read() as tx:
        current = storage.state.current([split_name(n)[0] for n in names], within=tx)
        for name in names:
            if split_name(name) not in current:
                raise unpublished(storage, name)
        versions = {name: current[split_name(name)] for name in names}
        return targets_of(storage, versions, tx)


def targets_of(
    storage: Storage, versions: Mapping[str, Version], tx: Transaction | None = None
) -> dict[str, Target]:
    """Versions, of any age, as targets; tags are those their columns have now, from all of their history."""
    found = effective_tags(storage, versions.values(), tx)
    return {
        name: _target(version, found[version.product, version.port, version.number])
        for name, version in versions.items()
    }


def target_of(
    storage: Storage, version: Version, schema: TableSchema | None = None, tx: Transaction | None = None
) -> Target:
    """One version as a target; `schema` is that of its table when another program changed it since."""
    found = effective_tags(storage, [version], tx)[version.product, version.port, version.number]
    return _target(version, found, schema)


def effective_tags(
    storage: Storage, versions: Iterable[Version], tx: Transaction | None = None
) -> dict[tuple[str, str, int], dict[int, Effective]]:
    """For each version its columns by field id. One query per step of lineage, whatever is asked for."""
    wanted = [((v.product, v.port), v.number) for v in versions]

    def look(keys: Iterable[Key]) -> Mapping[Key, PortRecord]:
        return storage.state.classifications.records(keys, within=tx)

    records = gather([key for key, _ in wanted], look)
    return {(*key, number): tags for (key, number), tags in effective(wanted, records).items()}


def _target(version: Version, tags: Mapping[int, Effective], schema: TableSchema | None = None) -> Target:
    shown = schema or TableSchema.from_json(dict(version.schema))
    contract = version.contract
    return Target(
        product=version.product,
        port=version.port,
        table=version.table,
        domain=version.product.partition(".")[0],
        owner=_owner(contract, version.product),
        major=major_of(version.contract_version),
        version=version.number,
        snapshot_id=version.snapshot_id,
        columns=tuple(
            GovernedColumn(f.id, f.name, f.type, (known := tags.get(f.id, NOTHING)).tags, known.classified)
            for f in shown
        ),
        purposes=_purposes(contract),
        consent=_consent(contract),
    )


def _owner(contract: Mapping[str, Any], product: str) -> str:
    team = contract.get("team")
    name = team.get("name") if isinstance(team, Mapping) else None
    return name if isinstance(name, str) else product.partition(".")[0]


def _setting(contract: Mapping[str, Any], name: str) -> Any:
    for item in contract.get("customProperties") or ():
        if isinstance(item, Mapping) and item.get("vendor") == VENDOR and item.get("property") == name:
            return item.get("value")
    return None


def _purposes(contract: Mapping[str, Any]) -> frozenset[str] | None:
    """The purposes a contract allows; one that says something else than a list allows none."""
    said = _setting(contract, "purposes")
    if said is None:
        return None
    return frozenset(p for p in said if isinstance(p, str)) if isinstance(said, list | tuple) else frozenset()


def _consent(contract: Mapping[str, Any]) -> Mapping[str, str]:
    said = _setting(contract, "consent")
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, Mapping) else {}

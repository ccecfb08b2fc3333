"""Tags, purposes and consent columns of contracts against the taxonomy of a governed mesh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from raymesh.spec.classifications import Taxonomy, taxonomy
from raymesh.spec.model import VENDOR
from raymesh.spec.problems import Problem
from raymesh.spec.wording import did_you_mean

if TYPE_CHECKING:
    from raymesh.spec.contract_schema import Item
    from raymesh.spec.documents import Document, DomainDocuments, PortDocuments
    from raymesh.spec.governance_files import GovernanceDocuments
    from raymesh.spec.reading import Reader
    from raymesh.spec.yaml import Loc

_FOR_CONTRACTS = ("purposes", "consent")


def check_tags(
    reader: Reader, domains: Iterable[DomainDocuments], governance: GovernanceDocuments | None
) -> None:
    """Every tag of a column is registered; in a mesh that is not governed tags are free words."""
    for domain in domains:
        for product in domain.products:
            reader.place(product.document, list(_misplaced(product.document.raw)))
    if governance is None or _broken(reader, governance):
        return
    known = taxonomy(governance.classifications.model if governance.classifications else None)
    for domain in domains:
        for product in domain.products:
            for port in product.ports:
                reader.place(port.contract, list(_contract_problems(port, known)))


def _broken(reader: Reader, governance: GovernanceDocuments) -> bool:
    """A taxonomy that cannot be read is an error already; its tags are not unknown besides."""
    return governance.classifications is None and (reader.root / "governance/classifications.yaml").is_file()


def _contract_problems(port: PortDocuments, known: Taxonomy) -> Iterator[Problem]:
    contract = port.contract
    for table, described in enumerate(contract.model.objects[:1]):
        for index, column in enumerate(described.properties):
            yield from _item_problems(column, ("schema", table, "properties", index), known)
    yield from _purpose_problems(contract, known)
    columns = [p.name for t in contract.model.objects[:1] for p in t.properties]
    yield from _consent_problems(contract, columns, known)


def _item_problems(item: Item, loc: Loc, known: Taxonomy) -> Iterator[Problem]:
    for index, tag in enumerate(item.tags):
        if not known.knows(tag):
            message = f"there is no tag `{tag}`"
            yield Problem((*loc, "tags", index), "unknown-tag", message, known.hint(tag))
    if item.classification is not None and not known.knows(item.classification):
        message = f"there is no tag `{item.classification}`"
        yield Problem((*loc, "classification"), "unknown-tag", message, known.hint(item.classification))
    for index, member in enumerate(item.properties):
        yield from _item_problems(member, (*loc, "properties", index), known)
    if item.items is not None:
        yield from _item_problems(item.items, (*loc, "items"), known)
    if item.map is not None:
        yield from _item_problems(item.map.key, (*loc, "map", "key"), known)
        yield from _item_problems(item.map.value, (*loc, "map", "value"), known)


def _purpose_problems(contract: Document[Any], known: Taxonomy) -> Iterator[Problem]:
    for loc, value in _settings(contract.raw, "purposes"):
        for index, purpose in enumerate(value if isinstance(value, list) else ()):
            if isinstance(purpose, str):
                yield from _unknown_purpose(purpose, (*loc, index), known, "value")


def _consent_problems(contract: Document[Any], columns: list[str], known: Taxonomy) -> Iterator[Problem]:
    names = {c.casefold() for c in columns}
    for loc, value in _settings(contract.raw, "consent"):
        for purpose, column in value.items() if isinstance(value, dict) else ():
            yield from _unknown_purpose(str(purpose), (*loc, purpose), known, "key")
            if str(column).casefold() not in names:
                message = f"consent to `{purpose}` names the column `{column}`, which does not exist"
                yield Problem((*loc, purpose), "unknown-column", message, did_you_mean(str(column), columns))


def _unknown_purpose(purpose: str, loc: Loc, known: Taxonomy, at: Any) -> Iterator[Problem]:
    if known.purposes and purpose not in known.purposes:
        way = did_you_mean(purpose, known.purposes) or "register it in governance/classifications.yaml"
        yield Problem(loc, "unknown-purpose", f"there is no purpose `{purpose}`", way, at)


def _misplaced(product: dict[str, Any]) -> Iterator[Problem]:
    """What readers are held to is published with the contract, so only there does it count."""
    for name in _FOR_CONTRACTS:
        for loc, _ in _settings(product, name):
            message = f"`{name}` belongs into the contract, where readers of the version are held to it"
            yield Problem(loc, "misplaced-setting", message, "move it to contract.yaml")


def _settings(raw: dict[str, Any], name: str) -> Iterator[tuple[Loc, Any]]:
    said = raw.get("customProperties")
    for index, item in enumerate(said if isinstance(said, list) else ()):
        if isinstance(item, dict) and item.get("vendor") == VENDOR and item.get("property") == name:
            yield ("customProperties", index, "value"), item.get("value")

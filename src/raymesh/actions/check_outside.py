"""References to tables of other contracts: `customers.odcs.yaml#/schema/<id>/properties/<id>`, beside the one judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.errors import DocumentsInvalidError, NotFoundError

if TYPE_CHECKING:
    from raymesh.spec.contract import Contract
    from raymesh.spec.contract_schema import SchemaObject
    from raymesh.spec.documents import Document


@dataclass(slots=True)
class Outside:
    """The contracts that a contract's references name, each read once.

    `load` reads a contract. Files are found from `folder`, the judged contract's own. A contract at an address
    (`https://…`) is not fetched.
    """

    folder: Path
    load: Callable[[Path], Document[Contract]]
    documents: dict[str, Document[Contract]] = field(default_factory=dict)

    def target(self, references: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
        """The table, as `file#name`, and the columns that references name; None when they name none that can be read."""
        parts = [r.partition("#") for r in references]
        files = {file for file, _, _ in parts}
        if len(files) != 1 or not all(inner for _, _, inner in parts) or "://" in parts[0][0]:
            return None
        file = files.pop()
        document = self._document(file)
        found = pointed_at(document.model, [inner for _, _, inner in parts]) if document else None
        return (f"{file}#{found[0]}", found[1]) if found else None

    def named(self, target: str) -> tuple[Document[Contract], SchemaObject]:
        """The contract and the table behind a name that `target` gave."""
        file, _, name = target.rpartition("#")
        document = self.documents[file]
        return document, next(o for o in document.model.objects if o.name == name)

    def _document(self, file: str) -> Document[Contract] | None:
        if file not in self.documents:
            try:
                self.documents[file] = self.load(self.folder / file)
            except (DocumentsInvalidError, NotFoundError, OSError):
                return None  # then the reference has no table behind it, which its check says
        return self.documents[file]


def pointed_at(contract: Contract, references: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """The schema object of `contract` that references name, by name or by ids; with its columns."""
    found = [_pointed(contract, r.lstrip("/")) for r in references]
    known = [f for f in found if f is not None]
    if len(known) != len(references) or len({table for table, _ in known}) != 1:
        return None
    return known[0][0], tuple(column for _, column in known)


def _pointed(contract: Contract, reference: str) -> tuple[str, str] | None:
    for table in contract.objects:
        if reference.startswith("schema/"):
            steps = reference.split("/")
            column = next((p.name for p in table.properties if p.id and p.id == steps[-1]), None)
            if len(steps) == 4 and table.id and steps[1] == table.id and column:
                return table.name, column
        for name in (table.name, table.physical_name):
            if name and reference.startswith(f"{name}."):
                return table.name, reference[len(name) + 1 :]
    return None

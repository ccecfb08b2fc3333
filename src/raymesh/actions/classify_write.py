"""Adds proposed tags to a contract in place: the rest of the text, comments and all, stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raymesh.errors import NotFoundError, UsageError
from raymesh.spec.documents import DEFAULT_PORT, Document

if TYPE_CHECKING:
    from raymesh.actions.classify import Proposals


def write_tags(root: Path, proposals: Proposals, columns: Sequence[str] | None = None) -> str | None:
    """Add the tags that are missing to the port's contract and return its path; None when none is missing.

    Raises NotFoundError when the contract does not promise the column, UsageError when it is written in a way
    that cannot be added to.
    """
    from raymesh.actions.workspace import environment
    from raymesh.spec.contract import Contract
    from raymesh.spec.reading import Reader

    wanted = [c for c in proposals.columns if c.missing and (columns is None or c.column in columns)]
    if not wanted:
        return None
    domain, _, product = proposals.product.partition(".")
    file = "contract.yaml" if proposals.port == DEFAULT_PORT else f"contracts/{proposals.port}.yaml"
    path = f"domains/{domain}/products/{product}/{file}"
    document = Reader(root, environment(root)).document(path, Contract)
    if document is None:
        raise NotFoundError(f"{path} cannot be read", hint="raymesh validate")
    text = (root / path).read_text(encoding="utf-8")
    for column in sorted(wanted, key=lambda c: -_line(document, c.column)):
        text = _added(text, document, column.column, column.missing)
    _must_read_back(text, path, {c.column: c.missing for c in wanted})
    (root / path).write_text(text, encoding="utf-8")
    return path


def _index(document: Document[Any], column: str) -> int:
    objects = document.model.objects
    for index, item in enumerate(objects[0].properties if objects else ()):
        if item.name.casefold() == column.casefold():
            return index
    raise NotFoundError(f"{document.path} promises no column `{column}`")


def _line(document: Document[Any], column: str) -> int:
    return document.span("schema", 0, "properties", _index(document, column), "name").line


def _added(text: str, document: Document[Any], column: str, tags: Sequence[str]) -> str:
    """The text with tags behind those there are, or in a line of their own behind the name."""
    index = _index(document, column)
    item = document.raw["schema"][0]["properties"][index]
    lines = text.splitlines(keepends=True)
    have = item.get("tags")
    if isinstance(have, list) and have:
        place = document.span("schema", 0, "properties", index, "tags")
        at = lines[place.line - 1]
        close = at.find("]", place.column - 1)
        if at[place.column - 1 : place.column] != "[" or close < 0:
            raise UsageError(
                f"{document.path}:{place.line}: the tags of `{column}` stand on several lines",
                hint=f"add {', '.join(tags)} there by hand",
            )
        lines[place.line - 1] = at[:close] + ", " + ", ".join(tags) + at[close:]
        return "".join(lines)
    if "tags" in item:
        raise UsageError(f"{document.path}: `{column}` has empty tags", hint="remove the key `tags`")
    place = document.span("schema", 0, "properties", index, "name")
    at = lines[place.line - 1]
    if "{" in at[: place.column - 1]:
        end = place.end_column or len(at)
        lines[place.line - 1] = at[: end - 1] + f", tags: [{', '.join(tags)}]" + at[end - 1 :]
    else:
        indent = " " * (len(at) - len(at.lstrip(" -")))
        ending = "" if at.endswith("\n") else "\n"
        lines[place.line - 1] = f"{at}{ending}{indent}tags: [{', '.join(tags)}]\n"
    return "".join(lines)


def _must_read_back(text: str, path: str, wanted: dict[str, tuple[str, ...]]) -> None:
    """What was written must be what was meant; otherwise nothing is written."""
    from raymesh.spec.yaml import read_yaml

    read = read_yaml(text.encode(), path).value
    try:
        items = {str(p["name"]): p.get("tags") or [] for p in read["schema"][0]["properties"]}
    except (KeyError, TypeError, IndexError):
        items = {}
    if not all(set(tags) <= set(items.get(name, ())) for name, tags in wanted.items()):
        raise UsageError(
            f"{path} is written in a way that tags cannot be added to", hint="add them by hand as proposed"
        )

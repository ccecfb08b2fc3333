"""The governance documents of a mesh: the global ones in `governance/`, each domain's own policies.

governance/policies/*.yaml            policies for the whole mesh
governance/policies/tests/*.yaml      cases they are tested by
governance/classifications.yaml       tags and purposes
governance/standards.yaml             what every product must keep to
governance/standards/*.sql            standards as queries over facts
governance/users.yaml                 who there is, on one machine
domains/<domain>/policies/*.yaml      a domain's own policies
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raymesh.errors import DocumentsInvalidError, SourceSpan
from raymesh.spec.reading import Reader
from raymesh.spec.wording import did_you_mean

if TYPE_CHECKING:
    from raymesh.spec.classifications import Classifications
    from raymesh.spec.documents import Document
    from raymesh.spec.policies import Policies, PolicyTests
    from raymesh.spec.standards import StandardQuery, Standards
    from raymesh.spec.users import Users

GLOBAL = "global"
FOLDER = "governance"
_FILES = ("classifications.yaml", "standards.yaml", "users.yaml")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file of policies and who wrote it: `GLOBAL`, or the domain in whose folder it lies."""

    origin: str
    document: Document[Policies]


@dataclass(frozen=True, slots=True)
class GovernanceDocuments:
    """All governance documents there are; a mesh that has any is governed.

    `policies` stand in the order of their paths, global ones first; `standard_queries` are pairs of path and
    text, `standard_rules` those of them that were understood. `domain_standards` are pairs of domain and document.
    """

    policies: tuple[PolicyFile, ...] = ()
    tests: tuple[Document[PolicyTests], ...] = ()
    classifications: Document[Classifications] | None = None
    standards: Document[Standards] | None = None
    users: Document[Users] | None = None
    standard_queries: tuple[tuple[str, str], ...] = ()
    standard_rules: tuple[StandardQuery, ...] = ()
    domain_standards: tuple[tuple[str, Document[Standards]], ...] = ()


def load_governance(root: Path, env: Mapping[str, str]) -> GovernanceDocuments | None:
    """The governance documents below `root` without the rest of the mesh, and without the cases policies are tested
    by; None for a mesh without any.

    Raises DocumentsInvalidError with every problem of them.
    """
    reader = Reader(root, env)
    found = read_governance(reader, tests=False)
    errors = tuple(d for d in reader.diagnostics if d.severity == "error")
    if errors:
        raise DocumentsInvalidError(errors)
    return found


def read_governance(reader: Reader, *, tests: bool = True) -> GovernanceDocuments | None:
    """The governance documents below the reader's root, problems reported to it; None when there are none."""
    if not is_governed(reader.root):
        return None
    from raymesh.spec.classifications import Classifications
    from raymesh.spec.standards import Standards, read_query
    from raymesh.spec.users import Users

    _report_strays(reader)
    queries = tuple(_queries(reader))
    return GovernanceDocuments(
        policies=tuple(_policies(reader)),
        tests=tuple(_tests(reader)) if tests else (),
        classifications=_single(reader, "classifications.yaml", Classifications),
        standards=_single(reader, "standards.yaml", Standards),
        users=_single(reader, "users.yaml", Users),
        standard_queries=queries,
        standard_rules=tuple(
            q for path, text in queries if (q := read_query(reader, path, text)) is not None
        ),
        domain_standards=tuple(_domain_standards(reader)),
    )


def is_governed(root: Path) -> bool:
    """Whether the mesh at `root` has any governance document."""
    return any(_names(root / FOLDER)) or any(
        _names(root / "domains" / domain / "policies")
        or (root / "domains" / domain / "standards.yaml").is_file()
        for domain in _names(root / "domains")
    )


def _policies(reader: Reader) -> Iterator[PolicyFile]:
    from raymesh.spec.policies import Policies

    domains = _names(reader.root / "domains")
    folders = [(GLOBAL, f"{FOLDER}/policies"), *((d, f"domains/{d}/policies") for d in domains)]
    for origin, folder in folders:
        for name in _names(reader.root / folder):
            if name.endswith(".yaml"):
                document = reader.document(f"{folder}/{name}", Policies)
                if document is not None:
                    yield PolicyFile(origin, document)
            elif name != "tests" or origin != GLOBAL:
                _stray(reader, f"{folder}/{name}")


def _tests(reader: Reader) -> Iterator[Document[PolicyTests]]:
    from raymesh.spec.policies import PolicyTests

    folder = f"{FOLDER}/policies/tests"
    for name in _names(reader.root / folder):
        if name.endswith(".yaml"):
            document = reader.document(f"{folder}/{name}", PolicyTests)
            if document is not None:
                yield document
        else:
            _stray(reader, f"{folder}/{name}")


def _single(reader: Reader, name: str, model: type) -> Document | None:  # type: ignore[type-arg]
    path = f"{FOLDER}/{name}"
    return reader.document(path, model) if (reader.root / path).is_file() else None


def _domain_standards(reader: Reader) -> Iterator[tuple[str, Document[Standards]]]:
    from raymesh.spec.standards import Standards

    for domain in _names(reader.root / "domains"):
        path = f"domains/{domain}/standards.yaml"
        document = reader.document(path, Standards) if (reader.root / path).is_file() else None
        if document is not None:
            yield domain, document


def _queries(reader: Reader) -> Iterator[tuple[str, str]]:
    folder = f"{FOLDER}/standards"
    for name in _names(reader.root / folder):
        path = f"{folder}/{name}"
        if name.endswith(".sql"):
            text = reader.text(path)
            if text is not None:
                yield path, text
        else:
            _stray(reader, path)


def _report_strays(reader: Reader) -> None:
    for name in _names(reader.root / FOLDER):
        if name not in (*_FILES, "policies", "standards"):
            _stray(reader, f"{FOLDER}/{name}")


def _stray(reader: Reader, path: str) -> None:
    """A file nobody reads is an error here: a rule that is not read does not hold."""
    name = path.rpartition("/")[2]
    if (reader.root / path).is_file() and not name.lower().endswith((".yaml", ".yml", ".sql")):
        return
    stem = name.rpartition(".")[0] or name
    close = did_you_mean(name, (*_FILES, "policies", "standards")) or did_you_mean(
        stem, ("policies", "standards")
    )
    if name == "tests":
        close = f"cases stand in {FOLDER}/policies/tests"
    ending = f"rename it to {name[:-4]}.yaml" if name.endswith(".yml") else None
    way = ending or close or "see the folders of governance documents"
    reader.report(
        "stray-governance", "the file is not read, so what it says does not hold", SourceSpan(path), way
    )


def _names(folder: Path) -> list[str]:
    try:
        return sorted(p.name for p in folder.iterdir() if not p.name.startswith((".", "__")))
    except OSError:
        return []  # an absent folder is an empty one

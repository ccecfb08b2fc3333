"""One file read as one document: text, variables, model; every problem goes to one list."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from raymesh.errors import Diagnostic, SourceSpan
from raymesh.spec.diagnostics import placed, problems_of
from raymesh.spec.documents import Document
from raymesh.spec.model import Model
from raymesh.spec.problems import Problem
from raymesh.spec.variables import resolve_variables
from raymesh.spec.yaml import YamlDocument, read_yaml

M = TypeVar("M", bound=Model)

_KINDS = (
    "Mesh",
    "Domain",
    "Source",
    "DataProduct",
    "DataContract",
    "Policies",
    "PolicyTests",
    "Classifications",
    "Standards",
    "Users",
)


class Reader:
    """Reads files below `root` with the variables of `env` and collects what is wrong with them."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self.root = root
        self.env = env
        self.diagnostics: list[Diagnostic] = []

    def document(self, path: str, model: type[M]) -> Document[M] | None:
        """The document at `path` (relative to the root), None when it cannot be understood."""
        data = self.bytes(path)
        if data is None:
            return None
        read = read_yaml(data, path)
        self.diagnostics += read.diagnostics
        if not isinstance(read.value, dict):
            if not read.diagnostics:
                self._not_a_mapping(read, path)
            return None
        found, problems = _modelled(read.value, model, self.env, has_variables=b"${" in data)
        self.diagnostics += placed(problems, read.positions)
        return Document(path, found, read.value, read.positions) if found is not None else None

    def text(self, path: str) -> str | None:
        """The text of a file that is no document, None when it cannot be read."""
        data = self.bytes(path)
        if data is None:
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.report("not-utf8", "the file is not UTF-8 text", SourceSpan(path, line), "save it as UTF-8")
            return None

    def bytes(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            self.report("unreadable-file", f"the file cannot be read: {reason}", SourceSpan(path))
            return None

    def report(
        self, code: str, message: str, span: SourceSpan | None = None, way_out: str | None = None
    ) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help=way_out))

    def warn(self, code: str, message: str, span: SourceSpan, way_out: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, "warning", way_out))

    def place(self, document: Document[Any], problems: tuple[Problem, ...] | list[Problem]) -> None:
        """Report problems found in a document that has been read."""
        if problems:
            self.diagnostics += placed(problems, document.positions)

    def _not_a_mapping(self, read: YamlDocument, path: str) -> None:
        if read.value is None:
            self.report("empty-document", "the document is empty", SourceSpan(path))
        else:
            self.report("wrong-type", "a document is a mapping of keys to values", read.positions.value(()))


def _modelled(
    raw: dict[str, Any], model: type[M], env: Mapping[str, str], *, has_variables: bool
) -> tuple[M | None, list[Problem]]:
    problems: list[Problem] = []
    resolved: Any = raw
    if has_variables:
        resolved, problems[:] = resolve_variables(raw, env)
    unresolved = {p.loc for p in problems}
    warnings: list[Problem] = []
    try:
        result = model.model_validate(resolved, context=warnings)
    except ValidationError as error:
        found = problems_of(error, model, raw)
        other = [p for p in found if p.loc == ("kind",) and raw.get("kind") in _KINDS]
        if other:  # another kind of document: what its keys are is no matter
            return None, other
        problems += [p for p in found if p.loc not in unresolved]
        return None, problems + warnings
    return (None if problems else result), problems + warnings

"""Variables of documents: `${NAME}` and `${NAME:-default}`, resolved value by value.

What belongs to somebody else stays as it is: placeholders of quality queries, references inside a
context, values of other vendors' properties. References to secrets (`${env:…}`, `${file:…}`) stay
too, and are allowed only where a secret may stand.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from raymesh.spec.model import VENDOR
from raymesh.spec.problems import Problem, entries
from raymesh.spec.secrets import REFERENCE
from raymesh.spec.wording import shortened
from raymesh.spec.yaml import Loc

PLACEHOLDERS = frozenset({"table", "column", "object", "property", "measure"})
"""Names that quality queries and contexts use for the contract's own parts."""

SECRET_FIELDS: dict[str, frozenset[Loc]] = {
    "Mesh": frozenset(
        [
            ("state",),
            *(("storage", "s3", key) for key in ("accessKeyId", "secretAccessKey", "sessionToken")),
            *(("keys", key) for key in ("tokens", "audit")),
            ("engines", "ray", "token"),
        ]
    ),
    "Source": frozenset(
        [
            ("user",),
            ("password",),
            *(("storage", key) for key in ("accessKeyId", "secretAccessKey", "sessionToken")),
        ]
    ),
}
"""Where references to secrets may stand, by the kind of the document."""

_TOKEN = re.compile(r"\$\{([^{}]*)(\})?")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_OPEN_TEXT = ("query", "implementation")


def resolve_variables(raw: Any, env: Mapping[str, str]) -> tuple[Any, tuple[Problem, ...]]:
    """A copy of `raw` with variables in place, and the problems: unset ones, misplaced secrets.

    A variable that is not set, or set to nothing, has its default; without one it is an error, and the
    text stays as written. `raw` itself is never changed.
    """
    kind = raw.get("kind") if isinstance(raw, dict) else None
    resolver = _Resolver(env, SECRET_FIELDS.get(str(kind), frozenset()), frozenset(_column_names(raw)))
    return resolver.value(raw, ()), tuple(resolver.problems)


def _column_names(raw: Any) -> Iterable[str]:
    for _, table in entries(raw.get("schema") if isinstance(raw, dict) else None):
        for _, column in entries(table.get("properties")):
            yield str(column.get("name"))


class _Resolver:
    def __init__(self, env: Mapping[str, str], secrets: frozenset[Loc], columns: frozenset[str]) -> None:
        self.env = env
        self.secrets = secrets
        self.columns = columns
        self.problems: list[Problem] = []

    def value(self, value: Any, loc: Loc, kept: frozenset[str] | None = None) -> Any:
        """`kept` are names left alone below here; where it is not None, foreign tokens are no errors."""
        if isinstance(value, str):
            return self.text(value, loc, kept) if "${" in value else value
        if isinstance(value, list):
            return [self.value(item, (*loc, index), kept) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: self._member(value, key, (*loc, key), kept) for key in value}
        return value

    def _member(self, owner: dict[str, Any], key: str, loc: Loc, kept: frozenset[str] | None) -> Any:
        value = owner[key]
        if key == "value" and "property" in owner and owner.get("vendor", VENDOR) != VENDOR:
            return value
        if key in _OPEN_TEXT and "quality" in loc:
            return self.value(value, loc, PLACEHOLDERS)
        if key == "context" and "value" not in loc:
            return self.value(value, loc, PLACEHOLDERS | self.columns)
        return self.value(value, loc, kept)

    def text(self, text: str, loc: Loc, kept: frozenset[str] | None) -> str:
        def one(match: re.Match[str]) -> str:
            return self._token(match, loc, kept)

        return _TOKEN.sub(one, text)

    def _token(self, match: re.Match[str], loc: Loc, kept: frozenset[str] | None) -> str:
        token, content = match[0], match[1]
        if match[2] and REFERENCE.fullmatch(token):
            if loc not in self.secrets:
                self._secret_elsewhere(token, loc)
            return token
        variable = _VARIABLE.fullmatch(content) if match[2] else None
        if variable is None:
            if kept is None:
                way = "write `${NAME}` or `${NAME:-default}`"
                self._report(loc, "variable-syntax", f"`{shortened(token)}` is not a variable", way)
            return token
        name, default = variable[1], variable[2]
        if kept is not None and name in kept:
            return token
        if loc in self.secrets and loc not in (("state",), ("user",)):
            self._report(
                loc,
                "plain-secret",
                f"`${{{name}}}` would copy a secret into the document",
                f"write `${{env:{name}}}`",
            )
            return token
        return self._look_up(name, default, token, loc)

    def _look_up(self, name: str, default: str | None, token: str, loc: Loc) -> str:
        found = self.env.get(name)
        if found:
            return found
        if default is not None:
            return default
        state = "is not set" if found is None else "is set to nothing"
        way = f"export {name}=…, or write a default: `${{{name}:-…}}`"
        self._report(loc, "unresolved-variable", f"the variable `{name}` {state}", way)
        return token

    def _secret_elsewhere(self, token: str, loc: Loc) -> None:
        message = f"a secret (`{shortened(token)}`) cannot stand here"
        way = "secrets belong in a mesh's `state`, `storage` and `keys` keys and a source's `user`, `password`, `storage` keys"
        self._report(loc, "misplaced-secret", message, way)

    def _report(self, loc: Loc, code: str, message: str, way_out: str) -> None:
        self.problems.append(Problem(loc, code, message, way_out))

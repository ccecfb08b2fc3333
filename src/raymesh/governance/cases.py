"""Cases that policies are tested by: what a decision must be, and in which ways it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raymesh.governance.model import Decision, Deny, ReadPlan
from raymesh.governance.predicate import UnfitError, by_name, folded, literal
from raymesh.governance.rows import holds
from raymesh.spec.mask import Token
from raymesh.spec.mask_words import mask_text
from raymesh.spec.types import Field

if TYPE_CHECKING:
    from raymesh.errors import SourceSpan
    from raymesh.governance.model import Target
    from raymesh.spec.policies import Expectation


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: where it stands, and every way in which the decision is not what it expects."""

    file: str
    name: str
    span: SourceSpan
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failures


def mismatches(decision: Decision, target: Target, expect: Expectation) -> Iterator[str]:
    """Every way in which a decision is not as expected. Raises UnfitError for rows that the table cannot have."""
    if expect.deny is not None:
        yield from _denial(decision, expect.deny)
    if isinstance(decision, ReadPlan):
        yield from _columns(decision, expect)
        yield from _rows(decision, target, expect)
    elif not expect.deny and _expects_something(expect):
        yield f"it is denied ({decision.code}): {decision.reason}"


def _expects_something(expect: Expectation) -> bool:
    return expect.deny is False or bool(expect.columns or expect.only or expect.shows or expect.hides)


def _denial(decision: Decision, expected: bool | str) -> Iterator[str]:
    if expected is False:
        return
    if not isinstance(decision, Deny):
        yield "it should be denied, and is allowed"
    elif isinstance(expected, str) and decision.code != expected:
        yield f"it should be denied as `{expected}`, and is denied as `{decision.code}`"


def _columns(plan: ReadPlan, expect: Expectation) -> Iterator[str]:
    shown = {c.name: c.mask for c in plan.view.columns}
    for name, mask in (expect.columns or {}).items():
        wanted, actual = mask_text(mask), mask_text(shown[name]) if name in shown else "absent"
        same = isinstance(mask, Token) and isinstance(shown.get(name), Token)
        if wanted != actual and not same:
            yield f"`{name}` should be {wanted}, and is {actual}"
    if expect.only is not None and set(expect.only) != set(shown):
        yield f"the columns should be {_listed(expect.only)}, and are {_listed(shown)}"


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _rows(plan: ReadPlan, target: Target, expect: Expectation) -> Iterator[str]:
    for row in expect.shows:
        if holds(plan.view.rows, _typed(row, target)) is not True:
            yield f"a row with {_told(row)} should be shown, and is hidden"
    for row in expect.hides:
        if holds(plan.view.rows, _typed(row, target)) is True:
            yield f"a row with {_told(row)} should be hidden, and is shown"


def _typed(row: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """The row under the table's own names and types. Raises UnfitError."""
    fields = by_name(Field(c.name, c.type, c.id) for c in target.columns)
    unknown = [name for name in row if folded(name) not in fields]
    if unknown:
        raise UnfitError(f"{target.table} has no column `{unknown[0]}`")
    found = {
        fields[folded(n)].name: v if v is None else literal(v, fields[folded(n)]) for n, v in row.items()
    }
    return {name: found.get(name) for name in (c.name for c in target.columns)}


def _told(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in row.items()) or "NULL everywhere"

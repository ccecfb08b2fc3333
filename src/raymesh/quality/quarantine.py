"""Which rows a build sets aside instead of refusing all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raymesh.spec.expression import Expression, Or

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raymesh.quality.model import Check


def quarantining(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The executable row checks whose violating rows go to the quarantine table."""
    return tuple(
        c
        for c in checks
        if c.on_violation == "quarantine" and c.violates is not None and c.unsupported is None
    )


def violating(checks: Sequence[Check]) -> Expression | None:
    """True for the rows to set aside, None when no check asks for it. Unknown does not set aside."""
    terms = tuple(c.violates for c in quarantining(checks) if c.violates is not None)
    return Or(terms) if terms else None
